package httpapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"iocredits/httpapi/api"
)

// step is a request of the tour; into is what its answer must be exactly: no
// member that the contract doesn't have.
type step struct {
	call
	status int
	into   any
}

// TestEveryRoute goes through every operation of the contract once, with success.
func TestEveryRoute(t *testing.T) {
	r := newRig(t, nil)
	const a = "/v1/accounts/demo-1"
	id := idOf
	var covered []string
	run := func(s step) map[string]any {
		t.Helper()
		got := r.do(s.call)
		require.Equal(t, s.status, got.Status, "%s %s: %s", s.method, s.path, got.Text)
		if s.into != nil {
			require.NoError(t, json.Unmarshal([]byte(got.Text), s.into, json.RejectUnknownMembers(true)), got.Text)
		}
		request := r.request(s.call)
		request.URL.Scheme, request.URL.Host = "", ""
		route, _, err := theContract().router.FindRoute(request)
		require.NoError(t, err)
		covered = append(covered, s.method+" "+route.Path)
		return got.Body
	}

	run(step{post("admin", "/dev/accounts/demo-1/purchases", "", `{"amount":"250"}`), 201, &api.DevPurchaseAnswer{}})
	run(step{post("bd", a+"/incentives", "i", `{"amount":25,"campaign":"welcome","expires_at":"2099-12-31T00:00:00Z"}`), 201, &api.IncentiveAnswer{}})
	deducted := run(step{post("service", a+"/deductions", "d", `{"amount":"18.40","service":"ray","reference":"ray-7","description":"Ray cluster, 2 h"}`), 201, &api.DeductionAnswer{}})
	require.Equal(t, "18.4", deducted["deduction"].(map[string]any)["amount"])
	run(step{post("service", a+"/meters/m-1/readings", "m", `{"service":"inference","quantity":1374,"unit_price":"0.00000013","reference":"run-7"}`), 201, &api.ReadingAnswer{}})
	refunded := run(step{post("support", a+"/refunds", "r", `{"transaction_id":"`+id(deducted, "deduction")+`","amount":"7.2","reason":"ended early"}`), 201, &api.RefundAnswer{}})
	require.Equal(t, "7.2", refunded["refund"].(map[string]any)["refunded"])
	run(step{post("service", a+"/reservations", "h1", `{"reservation_id":"k8s","amount":"40","service":"kubernetes","expires_at":"2099-12-31T00:00:00Z"}`), 201, &api.ReservationAnswer{}})
	run(step{get("customer:demo-1", a+"/reservations/k8s"), 200, &api.Reservation{}})
	captured := run(step{post("service", a+"/reservations/k8s/capture", "h2", `{"amount":"12"}`), 200, &api.ReservationAnswer{}})
	require.Equal(t, "28", captured["reservation"].(map[string]any)["held"])
	run(step{post("support", a+"/refunds", "r2", `{"transaction_id":"`+id(captured, "deduction")+`"}`), 201, &api.RefundAnswer{}})
	released := run(step{post("service", a+"/reservations/k8s/release", "h3", ""), 200, &api.ReservationAnswer{}})
	require.Equal(t, "closed", released["reservation"].(map[string]any)["status"])
	asked := run(step{post("support", a+"/adjustments", "a1", `{"amount":"-3.5","reason":"charged twice","related_transaction":"`+id(deducted, "deduction")+`"}`), 201, &api.AdjustmentAnswer{}})
	run(step{post("finance", a+"/adjustments/"+id(asked, "adjustment")+"/approve", "a2", `{}`), 200, &api.AdjustmentAnswer{}})
	asked = run(step{post("support", a+"/adjustments", "a3", `{"amount":"1"}`), 201, &api.AdjustmentAnswer{}})
	run(step{post("finance", a+"/adjustments/"+id(asked, "adjustment")+"/reject", "a4", `{"reason":"it was right"}`), 200, &api.AdjustmentAnswer{}})
	run(step{get("support", a+"/adjustments/"+id(asked, "adjustment")), 200, &api.Adjustment{}})
	run(step{get("support", "/v1/adjustments?status=rejected"), 200, &api.AdjustmentList{}})

	tourDesks(t, run, a, id(deducted, "deduction"))

	told := r.notices("")
	run(step{call{as: "customer:demo-1", method: "GET", path: notifications}, 200, &api.NotificationList{}})
	run(step{call{as: "customer:demo-1", method: "POST", path: notifications + "/" + told[0].(map[string]any)["id"].(string) + "/seen"}, 200, &api.NotificationAnswer{}})
	run(step{call{as: "customer:demo-1", method: "GET", path: notifications + "/stream", header: http.Header{"Last-Event-Id": {"a b"}}}, 422, nil})
	run(step{post("finance", a+"/freeze", "", `{"reason":"under review"}`), 200, &api.CommandAnswer{}})
	run(step{post("admin", a+"/unfreeze", "u", ``), 200, &api.CommandAnswer{}})
	run(step{call{as: "finance", method: "PUT", path: a + "/policy", body: `{"allowance":"25","grace_minutes":10}`}, 200, &api.PolicyAnswer{}})
	run(step{get("customer:demo-1", a+"/policy"), 200, &api.AccountPolicy{}})
	run(step{call{as: "service", method: "POST", path: "/v1/deductions/batch", header: http.Header{"Content-Type": {"application/x-ndjson"}},
		body: `{"account":"demo-1","key":"b-1","amount":"0.25","service":"inference"}` + "\n"}, 200, &api.BatchAnswer{}})
	buyingTour(t, r, run)
	run(step{post("admin", "/dev/clock", "", `{"advance":"5m"}`), 200, &api.ClockAnswer{}})

	run(step{get("customer:demo-1", "/credits/check?amount=1.5"), 200, &api.Check{}})
	run(step{get("customer:demo-1", a+"/balance"), 200, &api.Balance{}})
	run(step{get("customer:demo-1", a+"/transactions?limit=3"), 200, &api.TransactionList{}})
	run(step{get("support", a+"/transactions/"+id(deducted, "deduction")), 200, &api.Transaction{}})
	run(step{get("auditor", a+"/events?with=balance"), 200, &api.EventList{}})
	run(step{get("support", "/v1/accounts?prefix=demo&frozen=false"), 200, &api.AccountList{}})
	auditTour(run, id(deducted, "deduction"))
	run(step{post("admin", a+"/forget", "", `{"reason":"case 7"}`), 200, &api.CommandAnswer{}})
	for _, open := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/clients"} {
		run(step{get("", open), 200, nil})
	}
	slices.Sort(covered)
	require.Equal(t, theContract().operations(), slices.Compact(covered))
}

func auditTour(run func(step) map[string]any, deduction string) {
	checkpoint := run(step{get("auditor", "/v1/audit/checkpoint"), 200, &api.Checkpoint{}})
	size := strconv.Itoa(int(checkpoint["size"].(float64)))
	run(step{get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&transaction_id="+deduction), 200, &api.Receipt{}})
	run(step{get("auditor", "/v1/audit/proofs/consistency?from=3&to="+size), 200, &api.ConsistencyProof{}})
	run(step{get("auditor", "/v1/audit/trial-balance"), 200, &api.TrialBalance{}})
	run(step{get("auditor", "/v1/audit/journal?limit=5"), 200, &api.JournalPage{}})
	run(step{get("auditor", "/v1/audit/verify/demo-1"), 200, &api.Verification{}})
}

func idOf(answer map[string]any, object string) string {
	return answer[object].(map[string]any)["id"].(string)
}

// tourDesks goes through what is asked, decided and looked up at desks.
func tourDesks(t *testing.T, run func(step) map[string]any, a, charge string) {
	t.Helper()
	run(step{get("support", a+"/reservations"), 200, &api.ReservationList{}})
	run(step{get("support", a+"/meters"), 200, &api.MeterList{}})
	withdraw := func(key, end, body string) {
		t.Helper()
		got := run(step{post("customer:demo-1", a+"/withdrawals", key, `{"amount":"20","wallet_address":"acct_1032D82eZvKYlo2C","network":"stripe"}`), 201, &api.WithdrawalAnswer{}})
		one := a + "/withdrawals/" + idOf(got, "withdrawal")
		as := "finance"
		switch end {
		case "paid", "failed":
			run(step{post("finance", one+"/approve", key+"-a", ""), 200, &api.WithdrawalAnswer{}})
		case "cancel":
			as = "customer:demo-1"
		}
		run(step{post(as, one+"/"+end, key+"-e", body), 200, &api.WithdrawalAnswer{}})
		run(step{get("customer:demo-1", one), 200, &api.Withdrawal{}})
	}
	withdraw("w1", "cancel", "")
	withdraw("w2", "reject", `{"reason":"not yours"}`)
	withdraw("w3", "failed", `{"reason":"closed account"}`)
	withdraw("w4", "paid", `{"tx_url":"https://dashboard.stripe.com/tr_1"}`)
	run(step{get("auditor", a+"/withdrawals?limit=2"), 200, &api.WithdrawalList{}})
	run(step{get("finance", "/v1/withdrawals"), 200, &api.WithdrawalList{}})

	disputed := run(step{post("customer:demo-1", a+"/disputes", "x1", `{"transaction_id":"`+charge+`","reason":"the job had failed"}`), 201, &api.DisputeAnswer{}})
	one := a + "/disputes/" + idOf(disputed, "dispute")
	run(step{get("support", "/v1/disputes?status=open&service=ray"), 200, &api.DisputeList{}})
	run(step{post("support", one+"/resolve", "x2", `{"outcome":"upheld","refund":"1.1","note":"it had"}`), 200, &api.DisputeAnswer{}})
	run(step{get("customer:demo-1", one), 200, &api.Dispute{}})
	run(step{get("support", a+"/disputes"), 200, &api.DisputeList{}})
	run(step{get("support", a+"/transactions/"+charge+"/explain"), 200, &api.Explanation{}})
	run(step{get("customer:demo-1", a+"/statement?month=2026-03"), 200, &api.Statement{}})
}

func TestCommandAnswer(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	got := r.must(post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":4,"service":"vm","reference":"vm-31","description":"VM, 3 h"}`))
	entries := got.Body["transactions"].([]any)
	require.Len(t, entries, 1)
	entry := entries[0].(map[string]any)
	require.Equal(t, map[string]any{
		"transaction_id": got.Body["deduction"].(map[string]any)["id"],
		"account":        "demo-1", "service": "vm", "type": "deduction", "amount": "-4", "held": "0", "balance_after": "6",
		"recorded_at": "2026-03-01T12:00:00Z", "effective_at": "2026-03-01T12:00:00Z", "reference": "vm-31", "description": "VM, 3 h",
		"actor": "actor.service", "lots": []any{map[string]any{"lot": 0.0, "class": "purchased", "amount": "4"}},
		"related_transaction": nil, "revision": 1.0, "position": got.Body["position"],
	}, entry)
	balance := got.Body["balance"].(map[string]any)
	require.Equal(t, "6", balance["balance"])
	require.Equal(t, "16", balance["spendable"], "the allowance of an account that has paid")
	require.Equal(t, 1.0, balance["revision"])

	// The history has the same entry.
	alone := r.must(get("auditor", "/v1/accounts/demo-1/transactions/"+entry["transaction_id"].(string))).Body
	require.Zero(t, alone["lag"])
	delete(alone, "lag")
	require.Equal(t, entry, alone)
	r.refused(404, "unknown-transaction", get("auditor", "/v1/accounts/demo-2/transactions/"+entry["transaction_id"].(string)))
	r.refused(404, "unknown-transaction", get("auditor", "/v1/accounts/demo-1/transactions/nonsense"))
}

func TestAnAccountNeverSeen(t *testing.T) {
	r := newRig(t, nil)
	b := r.balance("nobody")
	require.Equal(t, "0", b["balance"])
	require.Equal(t, -1.0, b["revision"])
	require.Nil(t, b["recorded_at"])
	require.Empty(t, r.must(get("service", "/v1/accounts/nobody/transactions")).Body["items"])
	r.refused(404, "unknown-account", get("auditor", "/v1/accounts/nobody/events"))
}

func TestDeadlinesComeWithTheCommand(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	r.must(post("bd", "/v1/accounts/demo-1/incentives", "i", `{"amount":"5","expires_at":"2026-03-01T13:00:00Z"}`))
	r.clock.Move(2 * time.Hour)
	got := r.must(post("service", "/v1/accounts/demo-1/deductions", "d", `{"amount":"1","service":"vm"}`))
	entries := got.Body["transactions"].([]any)
	require.Len(t, entries, 2, "the expiry that was due, and the deduction")
	require.Equal(t, "expiry", entries[0].(map[string]any)["type"])
	require.Equal(t, entries[1].(map[string]any)["transaction_id"], got.Body["deduction"].(map[string]any)["id"])
}

func TestAdjustmentNeedsOtherPeople(t *testing.T) {
	r := newRig(t, nil)
	const path = "/v1/accounts/demo-1/adjustments"
	asked := r.must(post("support", path, "a", `{"amount":"1000","reason":"goodwill"}`)).Body
	require.Equal(t, "requested", asked["adjustment"].(map[string]any)["status"])
	require.Equal(t, "goodwill", asked["adjustment"].(map[string]any)["reason"])
	approve := path + "/" + asked["adjustment"].(map[string]any)["id"].(string) + "/approve"
	object := func(body map[string]any) map[string]any { return body["adjustment"].(map[string]any) }
	once := r.must(post("finance", approve, "b", "")).Body
	require.Equal(t, "requested", object(once)["status"])
	require.Equal(t, []any{"actor.finance"}, object(once)["approved_by"])
	r.refused(403, "self-approval", post("finance", approve, "c", ""))
	twice := r.must(post("finance2", approve, "d", "")).Body
	require.Equal(t, "approved", object(twice)["status"])
	require.Equal(t, []any{"actor.finance", "actor.finance2"}, object(twice)["approved_by"])
	require.Equal(t, "goodwill", object(twice)["reason"])
	require.Equal(t, object(twice), object(r.must(post("support", path, "a", `{"amount":"1000","reason":"goodwill"}`)).Body), "the object of a replay is today's")
	require.Equal(t, "1000", twice["balance"].(map[string]any)["promotional"])
	wrong := r.refused(409, "wrong-status", post("finance2", approve, "e", ""))
	require.Equal(t, "approved", wrong.Body["current_status"], "a figure must not take the place of RFC 9457's status")
	r.refused(404, "unknown-adjustment", post("finance", path+"/none/approve", "f", ""))
}

func TestNotFoundAndMethods(t *testing.T) {
	r := newRig(t, nil)
	r.refused(404, "unknown-route", call{method: "GET", path: "/nothing", wrong: true})
	r.refused(405, "method-not-allowed", call{method: "DELETE", path: "/healthz", wrong: true})
	r.refused(404, "unknown-route", get("", "/docs/nothing"))
	production := newRig(t, func(p *parts) { p.server.Dev = nil })
	for _, path := range []string{"/dev/clock", "/dev/accounts/demo-1/purchases"} {
		require.Equal(t, 404, production.do(call{as: "admin", method: "POST", path: path, body: `{}`, wrong: true}).Status)
	}
}

func TestDocs(t *testing.T) {
	r := newRig(t, nil)
	index := r.must(get("", "/docs")).Text
	response, err := r.http.Client().Do(r.request(call{method: "GET", path: "/"}))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "/docs", response.Request.URL.Path, "who opens the engine's address is shown the pages")
	for _, operation := range theContract().operations() {
		method, path, _ := strings.Cut(operation, " ")
		require.Contains(t, index, path)
		summary := theContract().doc.Paths.Find(path).GetOperation(method).Summary
		require.Equal(t, strings.HasPrefix(path, "/dev/"), strings.HasPrefix(summary, "Development only: "),
			"%s: who reads the page has to see what a production engine doesn't have", operation)
	}
	// Every link inside the page has its place.
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(index, -1) {
		require.Contains(t, index, `id="`+link[1]+`"`)
	}
	// Both kinds of an answer, both media types, an answer's example, limits.
	for _, shown := range []string{
		`<a href="#Balance">Balance</a> or <a href="#BalanceAsOf">BalanceAsOf</a>`,
		`<a href="#TransactionList">TransactionList</a> <span class="muted">application/json</span></div><div>string <span class="muted">text/csv</span>`,
		`&#34;withdrawable&#34;: &#34;210&#34;`, "1 to 1000; default 50", "at most 128 characters", `<a href="#checkCredits">Can this account pay?</a>`,
	} {
		require.Contains(t, index, shown)
	}
	require.Regexp(t, `(?s)<nav>.*>The API<.*>Problems<.*>Who may do what<.*>Writing a client<.*>Running the engine<.*</nav>`, index)
	problems := r.must(get("", "/docs/problems")).Text
	require.Contains(t, problems, "Members: <code>available</code>, <code>allowance</code>, <code>spendable</code>, <code>required</code>, <code>shortfall</code>, <code>top_up_amount</code>, <code>top_up_url</code>")
	require.Contains(t, problems, `id="insufficient-credits"`)
	require.Contains(t, r.must(get("", "/docs/access")).Text, "/v1/deductions/batch")
	require.Contains(t, r.must(get("", "/docs/operators")).Text, "<table>")
	require.Contains(t, r.must(get("", "/openapi.json")).Text, `"x-roles":["customer","service","auditor"]`)
}
