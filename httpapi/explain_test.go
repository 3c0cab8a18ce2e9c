package httpapi_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi"
	"iocredits/httpapi/api"
)

func asText(c call) call {
	c.header = http.Header{"Accept": {"text/plain"}}
	return c
}

// storied is a capture with everything that can lead to it and follow from it.
func storied(t *testing.T) (r *rig, charge string) {
	r = newRig(t, nil)
	r.fund("demo-1", "50")
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"4","campaign":"welcome","expires_at":"2026-12-31T00:00:00Z"}`))
	goodwill := part(r.must(post("support", demo+"/adjustments", "g1", `{"amount":"2","reason":"for the trouble"}`)), "adjustment")["id"].(string)
	r.must(post("finance", demo+"/adjustments/"+goodwill+"/approve", "g2", ""))
	r.must(post("service", demo+"/reservations", "h", `{"reservation_id":"job-7","amount":"30","service":"kubernetes","reference":"cluster-5"}`))
	r.clock.Move(time.Hour)
	capture := post("service", demo+"/reservations/job-7/capture", "k-1", `{"amount":"12","final":true}`)
	capture.header = http.Header{"X-Request-Id": {"req-9"}}
	for _, e := range r.must(capture).Body["transactions"].([]any) {
		if entry := e.(map[string]any); entry["type"] == "deduction" {
			charge = entry["transaction_id"].(string)
		}
	}
	r.clock.Move(time.Hour)
	r.must(post("service", demo+"/refunds", "f", fmt.Sprintf(`{"transaction_id":%q,"amount":"1.5","reason":"a node was slow"}`, charge)))
	one := part(r.must(post(customer, demo+"/disputes", "x", fmt.Sprintf(`{"transaction_id":%q,"reason":"it never ran\nTotal: 0"}`, charge))), "dispute")["id"].(string)
	r.must(post("support", demo+"/disputes/"+one+"/resolve", "y", `{"outcome":"upheld","refund":"2.5","note":"half of it did"}`))
	r.must(post("support", demo+"/adjustments", "a", fmt.Sprintf(`{"amount":"1","reason":"goodwill","related_transaction":%q}`, charge)))
	return r, charge
}

// A customer doesn't learn by which names others' requests go, and could take the next.
func TestExplainHidesOthersKeysFromCustomers(t *testing.T) {
	r, charge := storied(t)
	explain := func(as, id string) (api.Explanation, string) {
		c := get(as, demo+"/transactions/"+id+"/explain")
		var x api.Explanation
		require.NoError(t, json.Unmarshal([]byte(r.must(c).Text), &x))
		return x, r.must(asText(c)).Text
	}
	x, text := explain(customer, charge)
	require.Equal(t, []string{"actor.service", "service", "", "", ""},
		[]string{x.Asked.Actor, x.Asked.Role, x.Asked.Key, x.Asked.RequestId, x.Asked.IdempotencyKey})
	for _, hidden := range []string{"key.service", "req-9", "k-1"} {
		require.NotContains(t, text, hidden)
	}
	_, text = explain("support", charge)
	require.Contains(t, text, "  actor.service (service), key \"key.service\", request \"req-9\", Idempotency-Key \"k-1\"\n")

	r.withdraw("mine", "1")
	own := r.must(get(customer, demo+"/transactions?limit=1")).Body["items"].([]any)[0].(map[string]any)["transaction_id"].(string)
	x, text = explain(customer, own)
	require.Equal(t, []string{"key.customer.demo-1", "mine"}, []string{x.Asked.Key, x.Asked.IdempotencyKey})
	require.Contains(t, text, `Idempotency-Key "mine"`)
}

func TestExplain(t *testing.T) {
	r, charge := storied(t)
	got := r.must(get("support", demo+"/transactions/"+charge+"/explain"))
	var x api.Explanation
	require.NoError(t, json.Unmarshal([]byte(got.Text), &x, json.RejectUnknownMembers(true)), got.Text)

	require.Equal(t, "-12", x.Transaction.Amount)
	require.Equal(t, [2]string{"56", "44"}, [2]string{x.BalanceBefore, x.BalanceAfter})
	require.Equal(t, []string{"actor.service", "service", "key.service", "req-9", "k-1"},
		[]string{x.Asked.Actor, x.Asked.Role, x.Asked.Key, x.Asked.RequestId, x.Asked.IdempotencyKey})

	require.Len(t, x.Objects, 1)
	require.Equal(t, []any{api.StoryKindReservation, "job-7", "closed"}, []any{x.Objects[0].Kind, x.Objects[0].Id, x.Objects[0].Status})

	require.Len(t, x.Lots, 3)
	var from []string
	for _, lot := range x.Lots {
		from = append(from, fmt.Sprint(lot.Amount, " ", lot.Class, " ", lot.Origin.Event))
	}
	require.Equal(t, []string{"4 promotional incentive-granted", "2 promotional adjusted", "6 purchased purchase-settled"}, from)
	require.Equal(t, "welcome", x.Lots[0].Origin.Reference)
	approved := x.Lots[1].Origin.Object
	require.Equal(t, api.StoryKindAdjustment, approved.Kind)
	require.Equal(t, []string{"actor.support", "actor.finance"}, []string{approved.Steps[0].Actor, approved.Steps[1].Actor}, "who asked, who approved")
	require.Equal(t, "for the trouble", x.Lots[1].Origin.Description)

	require.Equal(t, "4", x.Refunded)
	var since []string
	for _, s := range x.Since {
		since = append(since, s.Event)
	}
	require.Equal(t, []string{"refunded", "dispute-opened", "refunded", "adjustment-requested"}, since)
	require.Equal(t, "a node was slow", x.Since[0].Description)
	resolved := x.Since[1].Object
	require.Equal(t, []string{"upheld", "it never ran\nTotal: 0", "half of it did"}, []string{resolved.Status, *resolved.Asked, *resolved.Answered})
	require.Equal(t, "requested", x.Since[3].Object.Status)

	r.holdsAgainstLog(x)
}

// holdsAgainstLog compares an explanation's events with the log's own page.
func (r *rig) holdsAgainstLog(x api.Explanation) {
	r.t.Helper()
	logged := map[string]map[string]any{}
	for _, e := range r.must(get("auditor", demo+"/events?limit=1000")).Body["items"].([]any) {
		event := e.(map[string]any)
		logged[event["id"].(string)] = event
	}
	whys := map[string]int{}
	last := int64(-1)
	for _, e := range x.Events {
		require.Equal(r.t, logged[e.Id]["hash"], e.Hash)
		require.Equal(r.t, logged[e.Id]["previous_hash"], e.PreviousHash)
		require.EqualValues(r.t, logged[e.Id]["revision"], e.Revision)
		require.Greater(r.t, e.Revision, last, "each once, in their order")
		last = e.Revision
		whys[string(e.Why)]++
		if e.Why == "charge" {
			require.NotEmpty(r.t, e.Postings)
			require.Equal(r.t, []any{"revenue:kubernetes", "12"}, []any{e.Postings[len(e.Postings)-1].Account, e.Postings[len(e.Postings)-1].Credit})
		}
	}
	require.Equal(r.t, map[string]int{"charge": 1, "same-command": 1, "hold": 1, "lot": 4, "since": 5}, whys,
		"the rest's release; purchase, incentive, the correction and who asked for it; two refunds, the dispute's two, the new correction")
}

// TestExplainText compares with a golden text in which ids, hashes and request
// ids, which differ every time, are replaced.
func TestExplainText(t *testing.T) {
	r, charge := storied(t)
	got := r.must(asText(get("auditor", demo+"/transactions/"+charge+"/explain")))
	require.Equal(t, "text/plain; charset=utf-8", got.Header.Get("Content-Type"))
	golden(t, "capture", got.Text)
	require.NotContains(t, got.Text, "\nTotal: 0", "a customer's text can't forge a line")
}

// golden compares a text with testdata/explain, without what differs every time.
func golden(t *testing.T, name, text string) {
	t.Helper()
	text = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(text, "HASH")
	text = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).ReplaceAllString(text, "ID")
	text = regexp.MustCompile(`request "[0-9a-f]{12}-[0-9a-z]+"`).ReplaceAllString(text, `request "ID"`)
	file := "../testdata/explain/" + name + ".txt"
	if *httpapi.Update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

func TestExplainReading(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.must(post("service", demo+"/meters/m-1/readings", "a", `{"service":"inference","quantity":"1374","unit_price":"0.00000013"}`))
	reading := part(r.must(post("service", demo+"/meters/m-1/readings", "b", `{"service":"inference","quantity":"800000","unit_price":"0.000002"}`)), "deduction")
	path := demo + "/transactions/" + reading["id"].(string) + "/explain"
	x := r.must(get(customer, path)).Body
	require.Equal(t, map[string]any{"meter": "m-1", "quantity": "800000", "unit_price": "0.000002", "charged": "1.600179", "final": false}, x["reading"])
	require.Equal(t, "0.600179", x["debt"], "the part that no lot covered")
	text := r.must(asText(get("service", path))).Text
	require.Contains(t, text, "800000 x 0.000002 = 1.6 charged; the meter has charged 1.600179 up to here")
	require.Contains(t, text, "0.600179 below zero")
	require.Contains(t, text, "Since then: no refund, dispute or correction")

	r.refused(404, "unknown-transaction", get("support", "/v1/accounts/demo-2/transactions/"+reading["id"].(string)+"/explain"))
	r.refused(404, "unknown-transaction", get("support", demo+"/transactions/nonsense/explain"))
}

// TestExplainDeployment: the charge of a deployment, paid from a purchase that
// came in two payments at the provider.
func TestExplainDeployment(t *testing.T) {
	r := newRig(t, nil)
	_, err := r.ledger.Execute(t.Context(), ledger.Request{
		Account: "demo-1", Do: account.StartPurchase{Purchase: "buy-1", Amount: 50 * domain.Credit}, Actor: "actor.customer.demo-1", Role: "customer",
	})
	require.NoError(t, err)
	r.must(tell("demo-1", "buy-1", "pay-1", "succeeded", "20"))
	r.must(tell("demo-1", "buy-1", "pay-2", "succeeded", "30"))
	started := r.must(post("service", demo+"/deployments", "d", deploymentBody("dep-1", "vm", "2.5", 4))).Body
	charge := started["transactions"].([]any)[0].(map[string]any)["transaction_id"].(string)
	r.clock.Move(2 * time.Hour)
	r.must(post("service", demo+"/deployments/dep-1/stop", "s", ""))

	got := r.must(get("support", demo+"/transactions/"+charge+"/explain"))
	var x api.Explanation
	require.NoError(t, json.Unmarshal([]byte(got.Text), &x, json.RejectUnknownMembers(true)), got.Text)
	require.Equal(t, []any{api.StoryKindDeployment, "dep-1", "stopped"}, []any{x.Objects[0].Kind, x.Objects[0].Id, x.Objects[0].Status})
	require.Len(t, x.Lots, 1)
	bought := x.Lots[0].Origin
	require.Equal(t, []string{"purchase-settled", "buy-1"}, []string{bought.Event, bought.Reference})
	var payments []string
	for _, p := range *bought.Object.Payments {
		payments = append(payments, p.Payment+" "+p.Amount)
	}
	require.Equal(t, []string{"pay-1 20", "pay-2 30"}, payments, "which payments at the provider")
	require.Equal(t, "5", x.Refunded)
	require.Equal(t, "refunded", x.Since[0].Event)
	text := r.must(asText(get("support", demo+"/transactions/"+charge+"/explain"))).Text
	require.Contains(t, text, `payment "pay-2" at the provider, of 30`)
	require.Contains(t, text, "Of deployment dep-1 (stopped)")
}

// explain asks for the story of an entry, as JSON and as text.
func (r *rig) explain(id string) (api.Explanation, string) {
	r.t.Helper()
	path := demo + "/transactions/" + id + "/explain"
	var x api.Explanation
	got := r.must(get("support", path))
	require.NoError(r.t, json.Unmarshal([]byte(got.Text), &x, json.RejectUnknownMembers(true)), got.Text)
	return x, r.must(asText(get("support", path))).Text
}

// TestExplainPrices: what each charge of a deployment was worked out from, and
// what the refund at its end gives back.
func TestExplainPrices(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	entry := func(a answer, i int) string {
		return a.Body["transactions"].([]any)[i].(map[string]any)["transaction_id"].(string)
	}
	const one = demo + "/deployments/dep-1"
	booked := entry(r.must(post("service", demo+"/deployments", "d", deploymentBody("dep-1", "vm", "2.5", 4))), 0)
	added := entry(r.must(post("service", one+"/extend", "e", `{"duration_hours":1}`)), 0)
	metered := entry(r.must(post("service", one+"/usage", "u", `{"quantity":"3","unit_price":"0.5"}`)), 0)
	given := entry(r.must(post("service", one+"/usage", "v", `{"amount":"1"}`)), 0)
	r.clock.Move(10 * time.Minute)
	stopped := r.must(post("service", one+"/stop", "s", ""))
	back := [2]string{entry(stopped, 0), entry(stopped, 1)}

	x, text := r.explain(booked)
	require.Equal(t, []any{"2.5", 4}, []any{*x.Price.HourlyPrice, *x.Price.DurationHours})
	of := x.Objects[0]
	require.Equal(t, []any{"2.5", 5, 60, "12.5", 10, "2.5", "10", "2.5"}, []any{
		*of.HourlyPrice, *of.DurationHours, *of.MinimumMinutes, *of.Paid, *of.UsedMinutes, *of.Used, *of.Refunded, *of.Usage,
	})
	golden(t, "deployment", text)
	x, text = r.explain(added)
	require.Equal(t, []any{"2.5", 1}, []any{*x.Price.HourlyPrice, *x.Price.DurationHours})
	require.Contains(t, text, "2.5 an hour x 1 more hour = 2.5\n")
	x, text = r.explain(metered)
	require.Equal(t, []string{"3", "0.5"}, []string{*x.Price.Quantity, *x.Price.UnitPrice})
	require.Contains(t, text, "3 x 0.5 = 1.5 charged")
	x, text = r.explain(given)
	require.Nil(t, x.Price.HourlyPrice)
	require.Contains(t, text, "deduction of 1 credit for vm")
	require.Contains(t, text, "1 as the service gave it")

	x, _ = r.explain(back[0])
	require.Equal(t, []any{added, "deployment-extended", "-2.5"}, []any{x.Related.TransactionId, x.Related.Event, x.Related.Amount})
	x, text = r.explain(back[1])
	require.Equal(t, []any{booked, "deployment-paid", "-10"}, []any{x.Related.TransactionId, x.Related.Event, x.Related.Amount})
	require.Equal(t, 10, *x.Related.Object.UsedMinutes)
	require.Empty(t, x.Lots)
	require.Equal(t, []any{"7.5", "purchase-settled"}, []any{(*x.GivenBack)[0].Amount, (*x.GivenBack)[0].Origin.Event})
	require.NotContains(t, text, "Paid from")
	golden(t, "refund", text)
}

// TestExplainRefundOfDebt: what was paid below zero comes back as the end of
// debt, or, if that is paid, as credits of its own.
func TestExplainRefundOfDebt(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	charge := func(key, amount string) string {
		return part(r.must(post("service", demo+"/deductions", key, `{"amount":"`+amount+`","service":"vm"}`)), "deduction")["id"].(string)
	}
	refund := func(key, id string) string {
		return part(r.must(post("support", demo+"/refunds", key, `{"transaction_id":"`+id+`"}`)), "refund")["id"].(string)
	}
	first := charge("a", "14")
	x, text := r.explain(refund("b", first))
	require.Equal(t, "-4", x.Debt)
	require.Contains(t, text, "\nGives back\n  deduction of 14 credits for vm on ")
	require.Contains(t, text, "\nBack to\n  10 purchased of lot 0")
	require.Contains(t, text, "  4 of debt, which ends\n")
	second := charge("c", "15")
	r.fund("demo-1", "20")
	x, text = r.explain(refund("d", second))
	require.Contains(t, text, "  5 purchased as a lot of its own")
	require.Equal(t, []api.Lot{{Lot: 6, Class: api.LotClassPurchased, Amount: "5"}}, *x.Made)
}

// TestExplainRefundOfDebtThatBothClassesPaid: it makes a lot of each, and so has two
// entries. The first one's story is of both, and adds up to all that came back.
func TestExplainRefundOfDebtThatBothClassesPaid(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	charged := part(r.must(post("service", demo+"/deductions", "a", `{"amount":"15","service":"vm"}`)), "deduction")["id"].(string)
	r.must(post("bd", demo+"/incentives", "b", `{"amount":"2"}`))
	r.fund("demo-1", "20")
	var back []string
	for _, e := range r.must(post("support", demo+"/refunds", "c", `{"transaction_id":"`+charged+`"}`)).Body["transactions"].([]any) {
		back = append(back, e.(map[string]any)["transaction_id"].(string))
	}

	x, text := r.explain(back[0])
	require.Equal(t, []any{"17", "32", "13"}, []any{x.BalanceBefore, x.BalanceAfter, x.Transaction.Amount})
	require.Equal(t, "10", (*x.GivenBack)[0].Amount)
	require.Equal(t, []api.Lot{
		{Lot: 6, Class: api.LotClassPurchased, Amount: "3"}, {Lot: 7, Class: api.LotClassPromotional, Amount: "2"},
	}, *x.Made)
	require.Contains(t, text, "  in 2 parts, because it makes a lot of each class\n")
	require.Contains(t, text, "  3 purchased as a lot of its own: ")
	require.Contains(t, text, "  2 promotional as a lot of its own: ")

	x, text = r.explain(back[1])
	require.Equal(t, []api.Lot{{Lot: 7, Class: api.LotClassPromotional, Amount: "2"}}, *x.Made)
	require.Contains(t, text, "  part 2 of 2: the first is at revision 6\n")
}

// TestExplainAnything: not only charges; every entry of a history has its story.
func TestExplainAnything(t *testing.T) {
	r, _ := storied(t)
	one := r.withdraw("w", "10")
	r.must(post("finance", one+"/approve", "w-a", ""))
	r.must(post("finance", one+"/paid", "w-p", `{"tx_url":"https://dashboard.stripe.com/tr_1"}`))
	r.reverse("demo-1")
	explained := map[string]string{}
	var first []string
	for _, e := range r.must(get("auditor", demo+"/transactions")).Body["items"].([]any) {
		entry := e.(map[string]any)
		path := demo + "/transactions/" + entry["transaction_id"].(string) + "/explain"
		x := r.must(get("auditor", path)).Body
		require.Equal(t, entry, x["transaction"])
		require.Equal(t, entry["balance_after"], x["balance_after"])
		text := r.must(asText(get("auditor", path))).Text
		explained[entry["type"].(string)] = text
		first = append(first, strings.Split(strings.Split(text, "\n")[1], ", reference")[0])
	}
	slices.Reverse(first)
	require.Equal(t, []string{
		"  purchase of 50 credits", "  incentive of 4 credits", "  adjustment of +2 credits", "  reservation, 30 credits held for kubernetes",
		"  deduction of 12 credits for kubernetes", "  release of 18 held credits for kubernetes",
		"  refund of 1.5 credits for kubernetes", "  refund of 2.5 credits for kubernetes",
		"  withdrawal, 10 credits held", "  withdrawal of 10 credits", "  chargeback of 50 credits",
	}, first)
	require.Contains(t, explained["reservation"], "\nHeld from\n")
	require.Contains(t, explained["release"], "\nBack to\n")
	for _, kind := range []string{"purchase", "incentive", "adjustment", "reservation", "deduction", "release", "refund", "withdrawal", "chargeback"} {
		require.Contains(t, explained, kind)
	}
	require.Contains(t, explained["withdrawal"], "Of withdrawal ")
	require.Contains(t, explained["withdrawal"], "withdrawal-paid by actor.finance (finance): paid")
}

// TestExplainInParts: a charge from more lots than one event names is one story.
func TestExplainInParts(t *testing.T) {
	r := newRig(t, nil)
	grants := make([]ledger.Request, 501)
	for i := range grants {
		grants[i] = ledger.Request{Account: "demo-1", Do: account.GrantIncentive{Amount: domain.Credit}, Actor: "bd", Role: "bd"}
	}
	for _, out := range r.ledger.ExecuteBatch(t.Context(), grants) {
		require.NoError(t, out.Err)
	}
	entries := r.must(post("service", demo+"/deductions", "d", `{"amount":"501","service":"vm"}`)).Body["transactions"].([]any)
	require.Len(t, entries, 2)
	var ids []any
	for _, e := range entries {
		ids = append(ids, e.(map[string]any)["transaction_id"])
	}
	whole := r.must(get("support", demo+"/transactions/"+ids[0].(string)+"/explain")).Body
	require.Equal(t, ids, whole["parts"])
	require.Equal(t, []any{"501", "0"}, []any{whole["balance_before"], whole["balance_after"]})
	require.Len(t, whole["lots"], 501)
	refund := part(r.must(post("support", demo+"/refunds", "f", `{"transaction_id":"`+ids[0].(string)+`","amount":"1"}`)), "refund")["id"].(string)
	require.Equal(t, "-501", r.must(get("support", demo+"/transactions/"+refund+"/explain")).Body["related"].(map[string]any)["amount"], "all of it")
	rest := r.must(get("support", demo+"/transactions/"+ids[1].(string)+"/explain")).Body
	require.Equal(t, ids[1:], rest["parts"])
	require.Len(t, rest["lots"], 1)
	text := r.must(asText(get("support", demo+"/transactions/"+ids[0].(string)+"/explain"))).Text
	require.Contains(t, text, "in 2 parts")
	require.Contains(t, text, "deduction of 501 credits for vm")
}

// TestExplainNamesOnlyItsOwn: a correction of an earlier version may name an id of
// another account, at a place that this account has too, or hasn't.
func TestExplainNamesOnlyItsOwn(t *testing.T) {
	r := newRig(t, nil)
	var others []string
	r.fund("demo-2", "10")
	for i := range 20 {
		others = append(others, part(r.must(post("service", "/v1/accounts/demo-2/deductions", fmt.Sprint(i), `{"amount":"1","service":"vm"}`)), "deduction")["id"].(string))
	}
	r.askedBefore("demo-1", others[0], others[19])
	r.fund("demo-1", "10")
	own := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"1","service":"vm"}`)), "deduction")["id"].(string)
	asked := r.must(post("support", demo+"/adjustments", "a", fmt.Sprintf(`{"amount":"1","related_transaction":%q}`, own)))
	for id, named := range map[string]string{"a0": others[0], "a1": others[19], part(asked, "adjustment")["id"].(string): own} {
		approved := r.must(post("finance", demo+"/adjustments/"+id+"/approve", id, ""))
		x, _ := r.explain(approved.Body["transactions"].([]any)[0].(map[string]any)["transaction_id"].(string))
		if named != own {
			require.Nil(t, x.Related)
			continue
		}
		require.Equal(t, own, x.Related.TransactionId)
	}
}

// TestExplainKeepsTheOriginOfALot: a correction of an earlier version names another
// account's id, at a place that this account comes to later, with a charge that takes
// the correction's lot.
func TestExplainKeepsTheOriginOfALot(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-2", "10")
	var other answer
	for i := range 3 {
		other = r.must(post("service", "/v1/accounts/demo-2/deductions", fmt.Sprint(i), `{"amount":"1","service":"vm"}`))
	}
	r.askedBefore("demo-1", part(other, "deduction")["id"].(string))
	r.fund("demo-1", "10")
	approved := r.must(post("finance", demo+"/adjustments/a0/approve", "b", "")).Body
	charge := r.must(post("service", demo+"/deductions", "d", `{"amount":"1","service":"vm"}`))
	require.Equal(t, other.Body["revision"], charge.Body["revision"], "the test is about equal places")
	x, _ := r.explain(part(charge, "deduction")["id"].(string))
	require.Empty(t, x.Since)
	var revisions []float64
	for _, e := range x.Events {
		revisions = append(revisions, float64(e.Revision))
	}
	require.Contains(t, revisions, approved["revision"])
}

// TestExplainNamesNoOtherAccountToACustomer: finance gave demo-2's payment to demo-1.
// Each customer sees an event of that, and none sees whose the other account is.
func TestExplainNamesNoOtherAccountToACustomer(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.fund("demo-2", "1")
	r.must(tell("demo-2", "never-was", "pay-9", "succeeded", "7"))
	// What expires in the same moment has the decision beside it.
	r.must(post("bd", "/v1/accounts/demo-2/incentives", "i", `{"amount":"1","expires_at":"2026-03-01T13:00:00Z"}`))
	r.clock.Move(2 * time.Hour)
	r.must(resolve("a", "demo-2~pay-9", `{"account":"demo-1"}`))
	for _, c := range []struct{ acct, other, event string }{
		{"demo-1", "demo-2", "payment-credited"}, {"demo-2", "demo-1", "payment-assigned"},
	} {
		history := "/v1/accounts/" + c.acct + "/transactions"
		newest := r.must(get("customer:"+c.acct, history+"?limit=1")).Body["items"].([]any)[0].(map[string]any)
		explain := history + "/" + newest["transaction_id"].(string) + "/explain"
		got := r.must(get("customer:"+c.acct, explain)).Text
		require.Contains(t, got, c.event)
		require.NotContains(t, got, c.other)
		require.Contains(t, r.must(get("support", explain)).Text, c.other, "who works with it has to see it")
	}
}
