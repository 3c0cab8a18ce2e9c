package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"iocredits/httpapi/api"
)

// explainTo asks for the story of an entry with a query, as JSON and as text.
func (r *rig) explainTo(as, id, query string) (x api.Explanation, both string) {
	r.t.Helper()
	c := get(as, demo+"/transactions/"+id+"/explain"+query)
	got := r.must(c).Text
	require.NoError(r.t, json.Unmarshal([]byte(got), &x, json.RejectUnknownMembers(true)), got)
	return x, got + r.must(asText(c)).Text
}

// TestFinancesNoteIsNotTheCustomers: what finance noted on a payment is read on the
// payment, and in nothing that its customer reads.
func TestFinancesNoteIsNotTheCustomers(t *testing.T) {
	const note = "looks like a stolen card"
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.fund("demo-2", "1")
	r.must(tell("demo-1", "never-was", "pay-1", "succeeded", "7"))
	r.must(tell("demo-2", "never-was", "pay-2", "succeeded", "8"))
	here := r.must(resolve("a", "demo-1~pay-1", `{"account":"demo-1","note":"`+note+`"}`))
	require.Equal(t, note, object(here.Body, "payment")["note"])
	elsewhere := r.must(resolve("b", "demo-2~pay-2", `{"account":"demo-1","note":"`+note+`"}`))
	require.Equal(t, note, object(elsewhere.Body, "payment")["note"])

	list := r.must(get(customer, demo+"/transactions"))
	require.NotContains(t, list.Text, note)
	items := list.Body["items"].([]any)
	require.Len(t, items, 3)
	csv := get(customer, demo+"/transactions")
	csv.header = map[string][]string{"Accept": {"text/csv"}}
	require.NotContains(t, r.must(csv).Text, note)
	require.NotContains(t, r.must(get(customer, demo+"/statement?month=2026-03")).Text, note)
	for _, entry := range items {
		id := entry.(map[string]any)["transaction_id"].(string)
		_, told := r.explainTo(customer, id, "")
		require.NotContains(t, told, note)
		require.NotContains(t, told, `"note"`, "not even sealed")
	}
	charge := r.must(post("service", demo+"/deductions", "d", `{"amount":"9","service":"vm"}`))
	id := part(charge, "deduction")["id"].(string)
	_, told := r.explainTo(customer, id, "")
	require.NotContains(t, told, note)
	_, told = r.explainTo("support", id, "")
	require.Contains(t, told, note)
}

// TestCustomersDontLearnOfCorrectionsThatArentInEffect: what support and finance say to
// each other about a correction is theirs until it is approved.
func TestCustomersDontLearnOfCorrectionsThatArentInEffect(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	charge := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"1","service":"vm"}`)), "deduction")["id"].(string)
	ask := func(key string) string {
		got := r.must(post("support", demo+"/adjustments", key, fmt.Sprintf(`{"amount":"2","reason":"said by support","related_transaction":%q}`, charge)))
		return part(got, "adjustment")["id"].(string)
	}
	// What expires in the same moment has the request beside it.
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"1","expires_at":"2026-03-01T13:00:00Z"}`))
	r.clock.Move(time.Hour)
	waiting, rejected, approved := ask("a"), ask("b"), ask("c")
	r.must(post("finance", demo+"/adjustments/"+rejected+"/reject", "r", `{"reason":"said by finance"}`))
	r.must(post("finance", demo+"/adjustments/"+approved+"/approve", "p", ""))

	for _, id := range []string{waiting, rejected} {
		r.refused(404, "unknown-adjustment", get(customer, demo+"/adjustments/"+id))
		r.must(get("support", demo+"/adjustments/"+id))
	}
	r.must(get(customer, demo+"/adjustments/"+approved))
	expired := r.must(get(customer, demo+"/transactions?type=expiry")).Body["items"].([]any)[0].(map[string]any)["transaction_id"].(string)
	for _, entry := range []string{charge, expired} {
		for _, reader := range [][2]string{{customer, ""}, {"support", "?for=customer"}} {
			x, told := r.explainTo(reader[0], entry, reader[1])
			for _, s := range x.Since {
				require.Equal(t, []string{"adjustment", approved, "approved"}, []string{string(s.Object.Kind), s.Object.Id, s.Object.Status})
			}
			for _, hidden := range []string{waiting, rejected, "said by finance", "adjustment-rejected"} {
				require.NotContains(t, told, hidden)
			}
		}
	}
	about := r.must(get("support", demo+"/adjustments/"+rejected)).Body["steps"].([]any)[0].(map[string]any)["transaction_id"]
	after := part(r.must(post("support", demo+"/adjustments", "e", fmt.Sprintf(`{"amount":"1","related_transaction":%q}`, about))), "adjustment")["id"].(string)
	made := r.must(post("finance", demo+"/adjustments/"+after+"/approve", "f", "")).Body["transactions"].([]any)[0].(map[string]any)["transaction_id"].(string)
	x, told := r.explainTo(customer, made, "")
	require.Nil(t, x.Related)
	require.NotContains(t, told, rejected)
	x, told = r.explainTo("support", charge, "")
	require.Len(t, x.Since, 4, "three requests, and the one in effect")
	require.Contains(t, told, "said by finance")
}

// TestAServiceIsToldNoTextThatIsntForIt: the table on the page of the desks, in the one
// answer that has the texts of all objects.
func TestAServiceIsToldNoTextThatIsntForIt(t *testing.T) {
	r := newRig(t, nil)
	wanted := part(r.must(post(customer, demo+"/credit-requests", "q", `{"amount":"9","name":"Ada","reason":"why I want it"}`)), "credit_request")["id"].(string)
	r.must(post("bd", demo+"/credit-requests/"+wanted+"/approve", "qa", `{"approved_amount":"9","promotional":true}`))
	charge := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"5","service":"vm"}`)), "deduction")["id"].(string)
	adjust := func(key, reason string) string {
		got := r.must(post("support", demo+"/adjustments", key, fmt.Sprintf(`{"amount":"2","reason":%q,"related_transaction":%q}`, reason, charge)))
		return part(got, "adjustment")["id"].(string)
	}
	adjust("a", "why it may be")
	r.must(post("finance", demo+"/adjustments/"+adjust("b", "why it was not")+"/reject", "r", `{"reason":"finance says no"}`))
	r.must(post("finance", demo+"/adjustments/"+adjust("c", "why it was")+"/approve", "p", ""))
	for _, outcome := range []string{`{"outcome":"rejected","note":"nothing stopped"}`, `{"outcome":"upheld","refund":"1","note":"half of it ran"}`} {
		id := part(r.must(post(customer, demo+"/disputes", outcome, fmt.Sprintf(`{"transaction_id":%q,"reason":"it never ran"}`, charge))), "dispute")["id"].(string)
		r.must(post("support", demo+"/disputes/"+id+"/resolve", outcome+"r", outcome))
	}
	everybody := []string{"why it was\"", "half of it ran"}
	few := []string{"why I want it", "why it may be", "why it was not", "finance says no", "it never ran", "nothing stopped"}
	for _, reader := range []string{"support", "auditor", "service"} {
		x, told := r.explainTo(reader, charge, "")
		require.Len(t, x.Since, 7, "each is told, if only as a status")
		for _, text := range everybody {
			require.Contains(t, told, text, reader)
		}
		for _, text := range few {
			if reader == "service" {
				require.NotContains(t, told, text)
			} else {
				require.Contains(t, told, text, reader)
			}
		}
	}
	_, told := r.explainTo("service", charge, "?for=customer")
	for _, text := range few {
		require.NotContains(t, told, text, "a service may be given what is for the customer, and reads it itself")
	}
	_, told = r.explainTo("support", charge, "?for=customer")
	for text, shown := range map[string]bool{"why I want it": true, "it never ran": true, "nothing stopped": true, "why it may be": false, "finance says no": false} {
		require.Equal(t, shown, strings.Contains(told, text), text)
	}
}

// TestExplainForACustomer: what support sends to a customer names nobody who works here.
func TestExplainForACustomer(t *testing.T) {
	r, charge := storied(t)
	_, told := r.explainTo("support", charge, "?for=customer")
	for _, name := range []string{"actor.service", "actor.support", "actor.finance", "actor.bd", "key.service", "k-1", "req-9"} {
		require.NotContains(t, told, name)
	}
	require.Contains(t, told, "actor.customer.demo-1", "who opened the dispute")
	require.Contains(t, told, "Asked by\n  service (service)\n")
	own, _ := r.explainTo(customer, charge, "")
	asked, _ := r.explainTo("support", charge, "?for=customer")
	require.Equal(t, len(own.Events), len(asked.Events))
	c := get("support", demo+"/transactions/"+charge+"/explain?for=finance")
	c.wrong = true
	require.Equal(t, "for", r.refused(422, "field-invalid", c).Body["field"])
}
