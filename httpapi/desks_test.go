package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	customer = "customer:demo-1"
	demo     = "/v1/accounts/demo-1"
	stripe   = `"wallet_address":"acct_1032D82eZvKYlo2C","network":"stripe"`
)

func part(a answer, name string) map[string]any { return a.Body[name].(map[string]any) }

// withdraw asks for a payout of demo-1 and gives its path.
func (r *rig) withdraw(key, amount string) string {
	r.t.Helper()
	got := r.must(post(customer, demo+"/withdrawals", key, fmt.Sprintf(`{"amount":%q,%s}`, amount, stripe)))
	return demo + "/withdrawals/" + part(got, "withdrawal")["id"].(string)
}

// figures picks what a withdrawal moves.
func figures(b map[string]any) string {
	return fmt.Sprint(b["balance"], " ", b["available"], " ", b["withdrawing"], " ", b["withdrawable"])
}

func TestWithdrawalLife(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"20"}`))
	over := r.refused(422, "not-withdrawable", post(customer, demo+"/withdrawals", "w", `{"amount":"100.5",`+stripe+`}`))
	require.Equal(t, "100", over.Body["withdrawable"])

	asked := r.must(post(customer, demo+"/withdrawals", "w", `{"amount":"60","wallet_address":"83astBRguLMdt2h5U1Tpdq5tjFoJ6noeGwaY3mDLVcri","network":"solana"}`))
	w := part(asked, "withdrawal")
	require.Equal(t, "requested", w["status"])
	require.Equal(t, "83astBRguLMdt2h5U1Tpdq5tjFoJ6noeGwaY3mDLVcri", w["wallet_address"])
	require.Equal(t, "2026-03-04T12:00:00Z", w["due_from"], "three business days after Sunday")
	require.Equal(t, "2026-03-10T12:00:00Z", w["due_by"], "seven")
	require.Equal(t, false, w["late"])
	require.Equal(t, "120 60 60 40", figures(part(asked, "balance")))
	one := demo + "/withdrawals/" + w["id"].(string)

	again := r.must(post(customer, demo+"/withdrawals", "w", `{"amount":60,"wallet_address":"83astBRguLMdt2h5U1Tpdq5tjFoJ6noeGwaY3mDLVcri","network":"solana"}`))
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, w["id"], part(again, "withdrawal")["id"], "one request has one id")

	r.refused(409, "wrong-status", post("finance", one+"/paid", "p0", `{"tx_url":"https://solscan.io/tx/1"}`))
	approved := r.must(post("finance", one+"/approve", "a", ""))
	require.Equal(t, "approved", part(approved, "withdrawal")["status"])
	require.Equal(t, []any{"actor.finance"}, part(approved, "withdrawal")["approved_by"])
	r.refused(409, "wrong-status", post(customer, one+"/cancel", "c", ""))
	for _, address := range []string{
		"javascript:alert(1)", "http://solscan.io/tx/1", "https://", "https://:443/", "https://solscan.io@evil.example/tx/1",
		"https://user:pw@solscan.io/", "https://sоlscan.io/tx/1", "https://s%D0%BElscan.io/tx/1",
	} {
		r.refused(422, "field-invalid", post("finance", one+"/paid", "p1", fmt.Sprintf(`{"tx_url":%q}`, address)))
	}
	paid := r.must(post("finance", one+"/paid", "p2", `{"tx_url":"https://solscan.io/tx/1","network":"solana"}`))
	w = part(paid, "withdrawal")
	require.Equal(t, []any{"paid", "https://solscan.io/tx/1", "solana"}, []any{w["status"], w["tx_url"], w["paid_on"]})
	require.Equal(t, "60 60 0 40", figures(part(paid, "balance")))

	var did []string
	for _, s := range w["steps"].([]any) {
		step := s.(map[string]any)
		did = append(did, fmt.Sprint(step["status"], " by ", step["actor"]))
	}
	require.Equal(t, []string{"requested by actor.customer.demo-1", "approved by actor.finance", "paid by actor.finance"}, did)

	var entries []string
	for _, e := range r.must(get(customer, demo+"/transactions?type=withdrawal")).Body["items"].([]any) {
		entry := e.(map[string]any)
		entries = append(entries, fmt.Sprint(entry["amount"], " ", entry["held"]))
	}
	require.Equal(t, []string{"-60 -60", "0 60"}, entries, "newest first, as money.md has it")
}

func TestWithdrawalReturns(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	for _, end := range []struct{ as, end, body, status, reason string }{
		{customer, "cancel", "", "cancelled", ""},
		{"finance", "reject", `{"reason":"the wallet is of another person"}`, "rejected", "the wallet is of another person"},
		{"finance", "failed", `{"reason":"no such account"}`, "failed", "no such account"},
	} {
		one := r.withdraw("w-"+end.end, "60")
		if end.end == "failed" {
			r.must(post("finance", one+"/approve", "a-"+end.end, ""))
		}
		got := r.must(post(end.as, one+"/"+end.end, "e-"+end.end, end.body))
		require.Equal(t, end.status, part(got, "withdrawal")["status"])
		require.Equal(t, "100 100 0 100", figures(part(got, "balance")))
		if end.reason != "" {
			require.Equal(t, end.reason, part(got, "withdrawal")["reason"])
		}
		entry := got.Body["transactions"].([]any)[0].(map[string]any)
		require.Equal(t, []any{"withdrawal-returned", "0", "-60"}, []any{entry["type"], entry["amount"], entry["held"]})
		r.refused(409, "wrong-status", post("finance", one+"/approve", "again-"+end.end, ""))
	}
	r.refused(404, "unknown-withdrawal", post("finance", demo+"/withdrawals/none/approve", "x", ""))
	r.refused(404, "unknown-withdrawal", get(customer, demo+"/withdrawals/none"))
}

func TestWithdrawalFourEyes(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "5000")
	one := r.withdraw("w", "1000")
	first := part(r.must(post("finance", one+"/approve", "a", "")), "withdrawal")
	require.Equal(t, "requested", first["status"], "1000 credits take two")
	require.Len(t, first["steps"], 2, "who approved first, and when, is a step")
	r.refused(403, "self-approval", post("finance", one+"/approve", "b", ""))
	require.Equal(t, "approved", part(r.must(post("finance2", one+"/approve", "c", "")), "withdrawal")["status"])
	r.must(post("finance", demo+"/freeze", "f", ""))
	r.refused(403, "account-frozen", post("finance", one+"/paid", "p", `{"tx_url":"https://dashboard.stripe.com/tr_1"}`))
}

// TestOnlyAdminSaysFromWhenItTakesTwo: who approves can't do away with the second one.
func TestOnlyAdminSaysFromWhenItTakesTwo(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "5000")
	policy := func(as, key, body string) call {
		return call{as: as, method: "PUT", path: "/v1/accounts/demo-1/policy", key: key, body: body}
	}
	refused := r.refused(403, "role-not-allowed", policy("finance", "p1", `{"two_approvers_from":"1000000000"}`))
	require.Equal(t, "two_approvers_from", refused.Body["field"])
	require.Equal(t, "finance", refused.Body["role"])
	r.must(policy("finance", "p2", `{"allowance":"20","two_approvers_from":"1000.0"}`))
	path := r.withdraw("w", "5000")
	alone := r.must(post("finance", path+"/approve", "a", `{}`))
	require.Equal(t, "requested", object(alone.Body, "withdrawal")["status"], "it takes another one")

	set := r.must(policy("admin", "p3", `{"two_approvers_from":"6000"}`))
	require.Equal(t, "6000", object(set.Body, "policy")["two_approvers_from"])
	r.must(policy("finance", "p4", `{"two_approvers_from":6000}`))
}

func TestWalletAddresses(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	for wallet, field := range map[string]string{
		`"wallet_address":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed","network":"ethereum"`: "wallet_address",
		`"wallet_address":"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTD","network":"solana"`:    "wallet_address",
		`"wallet_address":"","network":"stripe"`:                                             "wallet_address",
		`"wallet_address":"acct_1032D82eZvKYlo2C"`:                                           "network",
		`"wallet_address":"acct_1032D82eZvKYlo2C","network":"bitcoin"`:                       "network",
	} {
		c := post(customer, demo+"/withdrawals", "w", `{"amount":"1",`+wallet+`}`)
		c.wrong = true
		require.Equal(t, field, r.refused(422, "field-invalid", c).Body["field"], wallet)
	}
	require.Equal(t, 0.0, r.balance("demo-1")["revision"], "nothing of that left an event")
	text := r.must(get("auditor", demo+"/events")).Text
	require.NotContains(t, text, "acct_")
	r.withdraw("ok", "1")
	require.NotContains(t, r.must(get("auditor", demo+"/events")).Text, "acct_", "an address is kept sealed")
}

func TestChargebackRejectsAWithdrawal(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "50")
	one := r.withdraw("w", "50")
	r.reverse("demo-1")
	w := r.must(get("finance", one)).Body
	require.Equal(t, "rejected", w["status"])
	require.Equal(t, "chargeback", w["cause"], "finance sees why")
	require.NotEmpty(t, w["purchase"])
	require.Equal(t, "0 0 0 0", figures(r.balance("demo-1")))
}

func TestDeskOfFinance(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	var ids []any
	for i := range 3 {
		r.must(get(customer, r.withdraw(fmt.Sprint("w", i), "10")))
		r.clock.Move(24 * time.Hour)
	}
	list := func(query string) (found []any) {
		t.Helper()
		for _, item := range r.must(get("finance", "/v1/withdrawals"+query)).Body["items"].([]any) {
			found = append(found, item.(map[string]any)["id"])
		}
		return found
	}
	ids = list("")
	require.Len(t, ids, 3)
	r.must(post("finance", demo+"/withdrawals/"+ids[1].(string)+"/approve", "a", ""))
	require.Equal(t, ids, list("?status=open"), "what is approved still waits, in the order of due dates")
	require.Equal(t, ids[1:2], list("?status=approved"))
	require.Empty(t, list("?late=true"))
	require.Equal(t, []string{"3", "0"}, r.gauges("iocredits_withdrawals_open", "iocredits_withdrawals_late"))

	r.clock.Move(6 * 24 * time.Hour) // now is Tuesday, March 10, 12:00
	require.Equal(t, r.clock.Now().Format(time.RFC3339), r.must(get("finance", demo+"/withdrawals/"+ids[0].(string))).Body["due_by"])
	require.Empty(t, list("?late=true"), "what is due by this instant is late after it")
	require.Equal(t, []string{"3", "0"}, r.gauges("iocredits_withdrawals_open", "iocredits_withdrawals_late"))
	r.clock.Move(time.Microsecond)
	require.Equal(t, ids[:1], list("?late=true"), "Sunday's was due at noon; Monday's is due on Wednesday")
	require.Equal(t, ids[1:], list("?late=false"))
	require.Equal(t, []string{"3", "1"}, r.gauges("iocredits_withdrawals_open", "iocredits_withdrawals_late"))
	require.Empty(t, list("?account=demo-2"))
	require.Empty(t, list("?network=solana"))
	require.Equal(t, ids, list("?network=stripe&account=demo-1"))

	page := r.must(get("finance", "/v1/withdrawals?limit=2"))
	require.Len(t, page.Body["items"], 2)
	require.Equal(t, ids[2:], list("?limit=2&cursor="+page.Body["next_cursor"].(string)))
	wrong := get("finance", "/v1/withdrawals?status=late")
	wrong.wrong = true
	r.refused(422, "field-invalid", wrong)
}

// A cursor goes on with the list and the filter that it came from, or not at all:
// a page of another list would leave out what nobody meant to leave out.
func TestACursorIsOfItsListAndFilter(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	for i := range 2 {
		r.withdraw(fmt.Sprint("w", i), "1")
	}
	queue := r.must(get("finance", "/v1/withdrawals?limit=1")).Body["next_cursor"].(string)
	for _, query := range []string{"?", "?status=open&", "?limit=7&min_position=1&"} {
		require.Len(t, r.must(get("finance", "/v1/withdrawals"+query+"cursor="+queue)).Body["items"], 1, query)
	}
	own := r.must(get("finance", demo+"/withdrawals?limit=1")).Body["next_cursor"].(string)
	for path, cursor := range map[string]string{
		"/v1/withdrawals?status=paid&": queue, "/v1/withdrawals?account=demo-1&": queue, "/v1/withdrawals?late=false&": queue,
		"/v1/withdrawals?network=stripe&": queue, "/v1/payments/unmatched?": queue, "/v1/adjustments?": queue, demo + "/withdrawals?": queue,
		"/v1/withdrawals?": own, "/v1/accounts/demo-2/withdrawals?": own,
	} {
		a := r.refused(422, "field-invalid", get("finance", path+"cursor="+cursor))
		require.Equal(t, "cursor", a.Body["field"], path)
	}
	r.refused(422, "field-invalid", get("auditor", demo+"/disputes?cursor="+own))
	r.refused(422, "field-invalid", get("auditor", demo+"/deployments?cursor="+own))
}

// gauges reads figures of /metrics.
func (r *rig) gauges(names ...string) (values []string) {
	r.t.Helper()
	text := r.must(get("", "/metrics")).Text
	for _, name := range names {
		for line := range strings.SplitSeq(text, "\n") {
			if value, found := strings.CutPrefix(line, name+" "); found {
				values = append(values, value)
			}
		}
	}
	return values
}

func TestDispute(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "50")
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"4"}`))
	charge := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"10","service":"vm","reference":"vm-1"}`)), "deduction")["id"].(string)
	open := fmt.Sprintf(`{"transaction_id":%q,"reason":"it had stopped"}`, charge)
	asked := r.must(post("support", demo+"/disputes", "x", open))
	x := part(asked, "dispute")
	require.Equal(t, []any{"open", "10", "vm", "vm-1", "it had stopped"}, []any{x["status"], x["amount"], x["service"], x["reference"], x["reason"]})
	one := demo + "/disputes/" + x["id"].(string)
	r.refused(409, "dispute-open", post(customer, demo+"/disputes", "y", open))
	r.refused(403, "self-approval", post("support", one+"/resolve", "r0", `{"outcome":"upheld"}`))
	around := r.refused(403, "self-approval", post("support", demo+"/refunds", "r00", fmt.Sprintf(`{"transaction_id":%q,"amount":"1"}`, charge)))
	require.Equal(t, []any{"transaction_id", charge, x["id"]}, []any{around.Body["field"], around.Body["value"], around.Body["dispute_id"]}, "nor by the side door")

	r.clock.Move(90 * time.Minute)
	queue := r.must(get("support", "/v1/disputes")).Body["items"].([]any)
	require.Len(t, queue, 1)
	require.Equal(t, 5400.0, queue[0].(map[string]any)["age_seconds"])

	r.refused(422, "refund-exceeds-deduction", post("support2", one+"/resolve", "r1", `{"outcome":"upheld","refund":"10.5"}`))
	r.refused(422, "field-invalid", post("support2", one+"/resolve", "r2", `{"outcome":"rejected","refund":"1"}`))
	done := r.must(post("support2", one+"/resolve", "r3", `{"outcome":"upheld","refund":"7","note":"the log says so"}`))
	x = part(done, "dispute")
	require.Equal(t, []any{"upheld", "7", "the log says so", "actor.support2"}, []any{x["status"], x["refund"], x["note"], x["resolved_by"]})
	entry := done.Body["transactions"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"refund", "7", charge}, []any{entry["type"], entry["amount"], entry["related_transaction"]})
	require.Equal(t, []any{"50", "1"}, []any{part(done, "balance")["purchased"], part(done, "balance")["promotional"]}, "to the lots that it came from, last consumed first")
	r.refused(409, "wrong-status", post("support2", one+"/resolve", "r4", `{"outcome":"rejected"}`))
	require.Empty(t, r.must(get("support", "/v1/disputes")).Body["items"])
	require.Contains(t, r.must(get(customer, notifications)).Text, "Your dispute was upheld: 7 credits came back.")

	r.must(post(customer, demo+"/disputes", "z", open))
	r.refused(422, "not-a-deduction", post(customer, demo+"/disputes", "n", fmt.Sprintf(`{"transaction_id":%q}`, entry["transaction_id"])))
	r.refused(404, "unknown-transaction", post(customer, demo+"/disputes", "u", `{"transaction_id":"nonsense"}`))
	r.refused(404, "unknown-dispute", post("support", demo+"/disputes/none/resolve", "v", `{"outcome":"rejected"}`))
}

func TestDeskOfCorrections(t *testing.T) {
	r := newRig(t, nil)
	asked := part(r.must(post("support", demo+"/adjustments", "a", `{"amount":"-3","reason":"twice"}`)), "adjustment")
	require.Equal(t, "0", r.balance("demo-1")["balance"], "nothing before finance")
	queue := r.must(get("finance", "/v1/adjustments")).Body["items"].([]any)
	require.Equal(t, asked["id"], queue[0].(map[string]any)["id"])
	got := part(r.must(post("finance", demo+"/adjustments/"+asked["id"].(string)+"/reject", "b", `{"reason":"once"}`)), "adjustment")
	require.Equal(t, []any{"rejected", "actor.finance", "once"}, []any{got["status"], got["rejected_by"], got["rejection"]})
	require.Empty(t, r.must(get("support", "/v1/adjustments")).Body["items"])
	r.refused(409, "wrong-status", post("finance", demo+"/adjustments/"+asked["id"].(string)+"/approve", "c", ""))
}

// TestNoRoleDoesBothHalves: who asks and who decides are of different roles, by
// the same table that TestRoles walks. Where one role has both, support's
// disputes, the rule about persons stands in: TestDispute.
func TestNoRoleDoesBothHalves(t *testing.T) {
	for ask, decisions := range map[string][]string{
		"POST /v1/accounts/{account}/withdrawals": {"/{withdrawal_id}/approve", "/{withdrawal_id}/reject", "/{withdrawal_id}/paid", "/{withdrawal_id}/failed"},
		"POST /v1/accounts/{account}/adjustments": {"/{adjustment_id}/approve", "/{adjustment_id}/reject"},
	} {
		for _, decision := range decisions {
			for _, role := range strings.Fields(allowed[ask]) {
				require.NotContains(t, strings.Fields(allowed[ask+decision]), role, ask+decision)
			}
			require.NotEmpty(t, allowed[ask+decision])
		}
	}
}

// reverse records that the account's only purchase was charged back.
func (r *rig) reverse(acct string) {
	r.t.Helper()
	entries := r.must(get("finance", "/v1/accounts/"+acct+"/transactions?type=purchase")).Body["items"].([]any)
	purchase := entries[0].(map[string]any)["reference"].(string)
	r.must(post("finance", "/v1/accounts/"+acct+"/purchases/"+purchase+"/reverse", "reverse", `{"reason":"the bank"}`))
}

// TestAPayoutIsRecordedWhileTheReadModelsAreLate, and is the same request once they
// aren't: where it was asked for is no matter of how much they have.
func TestAPayoutIsRecordedWhileTheReadModelsAreLate(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews, p.server.ReadPatience = true, time.Nanosecond })
	r.fund("demo-1", "100")
	var payouts []call
	for i, body := range []string{`{"tx_url":"https://pay.example/1"}`, `{"tx_url":"https://pay.example/2","network":"stripe"}`} {
		path := r.withdraw(fmt.Sprint("w", i), "10")
		r.must(post("finance", path+"/approve", fmt.Sprint("a", i), ""))
		payouts = append(payouts, post("finance", path+"/paid", fmt.Sprint("p", i), body))
	}
	var first []any
	for _, c := range payouts {
		paid := r.must(c)
		require.Equal(t, "stripe", part(paid, "withdrawal")["paid_on"])
		first = append(first, paid.Body["revision"])
	}
	r.refused(404, "unknown-withdrawal", post("finance", demo+"/withdrawals/none/paid", "none", `{"tx_url":"https://pay.example/1"}`))
	r.followLog()
	require.NoError(t, r.views.WaitThrough(t.Context(), r.ledger.AckedAny()))
	for i, c := range payouts {
		again := r.must(c)
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		require.Equal(t, first[i], again.Body["revision"])
	}
}
