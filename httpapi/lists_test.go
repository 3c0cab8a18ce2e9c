package httpapi_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pages follows the cursors of a list with pages of two, and gives all ids.
func (r *rig) pages(as, path string) (ids []string) {
	r.t.Helper()
	for cursor := ""; ; {
		got := r.must(get(as, path+"limit=2"+cursor)).Body
		items := got["items"].([]any)
		require.LessOrEqual(r.t, len(items), 2)
		for _, item := range items {
			ids = append(ids, item.(map[string]any)["id"].(string))
		}
		next, more := got["next_cursor"].(string)
		if !more {
			return ids
		}
		cursor = "&cursor=" + url.QueryEscape(next)
	}
}

// notFrom is a call for a list with a cursor that another list gave.
func (r *rig) notFrom(as, path, other string) {
	r.t.Helper()
	next := r.must(get(as, other+"limit=1")).Body["next_cursor"].(string)
	c := get(as, path+"cursor="+url.QueryEscape(next))
	c.wrong = true
	require.Equal(r.t, "cursor", r.refused(422, "field-invalid", c).Body["field"])
}

// TestListsTheOtherWayRound: the newest first, a page at a time.
func TestListsTheOtherWayRound(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	var charges []string
	for i := range 3 {
		r.clock.Move(5 * time.Second) // ids of one millisecond have no order
		r.must(post(customer, demo+"/withdrawals", fmt.Sprint("w", i), `{"amount":"1",`+stripe+`}`))
		r.must(post(customer, demo+"/purchases", fmt.Sprint("p", i), `{"amount":"5"}`))
		r.must(post(customer, demo+"/credit-requests", fmt.Sprint("c", i), `{"amount":"5"}`))
		r.must(post("service", demo+"/deployments", fmt.Sprint("d", i), deploymentBody(fmt.Sprint("dep-", i), "vm", "1", 1)))
		charges = append(charges, part(r.must(post("service", demo+"/deductions", fmt.Sprint("x", i), `{"amount":"1","service":"vm"}`)), "deduction")["id"].(string))
		r.must(post(customer, demo+"/disputes", fmt.Sprint("q", i), fmt.Sprintf(`{"transaction_id":%q}`, charges[i])))
	}
	for kind, count := range map[string]int{"withdrawals": 3, "purchases": 4, "credit-requests": 3, "deployments": 3, "disputes": 3} {
		up, down := r.pages("support", demo+"/"+kind+"?"), r.pages("support", demo+"/"+kind+"?order=desc&")
		require.Len(t, up, count)
		require.Equal(t, up, r.pages("support", demo+"/"+kind+"?order=asc&"))
		slices.Reverse(down)
		require.Equal(t, up, down, kind)
		r.notFrom("support", demo+"/"+kind+"?", demo+"/"+kind+"?order=desc&")
		r.notFrom("support", demo+"/"+kind+"?order=desc&", demo+"/"+kind+"?")
	}
}

// TestUnseenNotifications: what the customer has seen isn't in the way.
func TestUnseenNotifications(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	for i := range 4 {
		r.must(post("bd", demo+"/incentives", fmt.Sprint(i), `{"amount":"1"}`))
	}
	list := demo + "/notifications?"
	all := r.pages(customer, list)
	require.Greater(t, len(all), 4)
	require.Equal(t, all, r.pages(customer, list+"unseen=false&"))
	r.must(post(customer, demo+"/notifications/"+all[1]+"/seen", "", ""))
	r.must(post(customer, demo+"/notifications/"+all[2]+"/seen", "", ""))
	require.Equal(t, slices.Delete(slices.Clone(all), 1, 3), r.pages(customer, list+"unseen=true&"))
	r.notFrom(customer, list, list+"unseen=true&")
	r.notFrom(customer, list+"unseen=true&", list)
}

// TestNotificationsNameTheirObject, because not each event is an entry of the history.
func TestNotificationsNameTheirObject(t *testing.T) {
	r := newRig(t, nil)
	asked := part(r.must(post(customer, demo+"/credit-requests", "a", `{"amount":"5"}`)), "credit_request")["id"].(string)
	r.must(post("bd", demo+"/credit-requests/"+asked+"/reject", "b", ""))
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"5"}`))
	got := r.must(get(customer, demo+"/notifications")).Body["items"].([]any)
	first, second := got[1].(map[string]any), got[0].(map[string]any)
	require.Equal(t, map[string]any{"kind": "credit-request", "id": asked}, first["object"])
	r.refused(404, "unknown-transaction", get(customer, demo+"/transactions/"+first["transaction_id"].(string)))
	require.NotContains(t, second, "object")
	r.must(get(customer, demo+"/transactions/"+second["transaction_id"].(string)))
}

// TestWhatHoldsCredits: staff see the open reservations and meters, and what closed ones were.
func TestWhatHoldsCredits(t *testing.T) {
	r := newRig(t, nil)
	require.Empty(t, r.must(get("support", demo+"/reservations")).Body["items"])
	require.Empty(t, r.must(get("support", demo+"/meters")).Body["items"])
	r.fund("demo-1", "100")
	for _, id := range []string{"c", "a", "b", "d"} {
		r.must(post("service", demo+"/reservations", "r"+id, fmt.Sprintf(`{"reservation_id":%q,"amount":"3","service":"ray","reference":"for-%s"}`, id, id)))
		r.must(post("service", demo+"/meters/"+id+"/readings", "m"+id, `{"service":"vm","quantity":"2","unit_price":"0.5"}`))
	}
	r.must(post("service", demo+"/reservations/b/release", "rel", ""))
	r.must(post("service", demo+"/meters/b/readings", "end", `{"service":"vm","quantity":"1","unit_price":"0.5","final":true}`))
	for _, as := range []string{customer, "support"} {
		require.Equal(t, []string{"a", "c", "d"}, r.pages(as, demo+"/reservations?"))
		require.Equal(t, []string{"a", "c", "d"}, r.pages(as, demo+"/meters?"))
	}
	held := r.must(get("support", demo+"/reservations?limit=1")).Body["items"].([]any)[0]
	require.Equal(t, r.alone(get("support", demo+"/reservations/a")), held)
	meter := r.must(get("support", demo+"/meters?limit=1")).Body["items"].([]any)[0]
	require.Equal(t, map[string]any{"id": "a", "status": "open", "charged": "1"}, meter)
	r.notFrom("support", demo+"/meters?", demo+"/reservations?")
	r.notFrom("support", "/v1/accounts/demo-2/meters?", demo+"/meters?")
	r.notFrom("support", "/v1/accounts/demo-2/reservations?", demo+"/reservations?")
	r.refused(403, "account-not-allowed", get("customer:demo-2", demo+"/reservations"))

	closed := r.alone(get("support", demo+"/reservations/b"))
	require.Equal(t, map[string]any{"id": "b", "status": "closed", "held": "0", "service": "ray", "reference": "for-b"}, closed)
}

// TestUnmatchedPaymentsThatAreDecided can be looked up: by what became of them, by
// account, and one by its id.
func TestUnmatchedPaymentsThatAreDecided(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.fund("demo-2", "1")
	for acct, payment := range map[string]string{"demo-1": "x", "demo-2": "y"} {
		r.must(tell(acct, "never-was", payment, "succeeded", "7"))
	}
	decided := part(r.must(resolve("a", "demo-1~x", `{"account":"demo-1","note":"ours"}`)), "payment")
	const list = "/v1/payments/unmatched?"
	require.Equal(t, []string{"demo-2~y"}, r.pages("finance", list))
	require.Equal(t, []string{"demo-1~x"}, r.pages("finance", list+"status=credited&"))
	require.Equal(t, []string{"demo-2~y"}, r.pages("auditor", list+"account=demo-2&"))
	require.Empty(t, r.pages("finance", list+"account=demo-1&"))
	require.Equal(t, decided, r.alone(get("finance", "/v1/payments/unmatched/demo-1~x")))
	r.refused(404, "unknown-payment", get("finance", "/v1/payments/unmatched/demo-1~none"))
}

// TestNobodyPaysForAPurchaseThatIsOver: its link is gone once it doesn't wait.
func TestNobodyPaysForAPurchaseThatIsOver(t *testing.T) {
	r := newRig(t, nil)
	id := part(r.must(post(customer, demo+"/purchases", "a", `{"amount":"5"}`)), "purchase")["id"].(string)
	r.makeLink("demo-1", id)
	link := func() any { return r.must(get(customer, demo+"/purchases/"+id)).Body["payment_url"] }
	require.NotEmpty(t, link())
	r.must(tell("demo-1", id, "pay", "succeeded", "5"))
	require.Nil(t, link())
}

// TestADeploymentSaysWhyItFailed, where it did for want of credits.
func TestADeploymentSaysWhyItFailed(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	r.must(post("service", demo+"/deployments", "a", deploymentBody("runs", "ray", "5", 1)))
	r.must(post("service", demo+"/deployments", "b", deploymentBody("waits", "ray", "50", 1)))
	r.must(post("service", demo+"/deployments/runs/usage", "u", `{"amount":"70"}`))
	r.clock.Move(6 * time.Minute)
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"0.1"}`)) // what is due is done first
	for id, cause := range map[string]string{"waits": "payment-not-covered", "runs": "usage-not-covered"} {
		got := r.must(get("service", demo+"/deployments/"+id)).Body
		require.Equal(t, []any{"failed", cause}, []any{got["status"], got["cause"]})
	}
}

// TestAPayoutIsToldByWhereItGoes: not everybody has a wallet.
func TestAPayoutIsToldByWhereItGoes(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	told := func(asked string) (messages []string) {
		one := demo + "/withdrawals/" + part(r.must(post(customer, demo+"/withdrawals", asked, `{"amount":"1",`+asked+`}`)), "withdrawal")["id"].(string)
		r.must(post("finance", one+"/approve", asked+"a", ""))
		r.must(post("finance", one+"/paid", asked+"p", `{"tx_url":"https://pay.example/1"}`))
		for _, n := range r.must(get(customer, demo+"/notifications?limit=2")).Body["items"].([]any) {
			messages = append(messages, n.(map[string]any)["message"].(string))
		}
		return messages
	}
	for asked, where := range map[string]string{
		stripe: "your Stripe account", `"wallet_address":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","network":"ethereum"`: "your wallet",
	} {
		require.Equal(t, []string{"1 credit was paid out to " + where + ".", "Your withdrawal is approved. It will be paid to " + where + "."}, told(asked))
	}
}

// TestADeploymentSaysWhoAskedForIt, because a customer may ask for one at any price.
func TestADeploymentSaysWhoAskedForIt(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	for role, as := range map[string]string{"customer": customer, "service": "service"} {
		started := part(r.must(post(as, demo+"/deployments", "start-"+role, deploymentBody("of-"+role, "vm", "0.01", 1))), "deployment")
		r.must(post("service", demo+"/deployments/of-"+role+"/extend", "extend-"+role, `{"duration_hours":1}`))
		for _, got := range []map[string]any{started, r.must(get("service", demo+"/deployments/of-"+role)).Body} {
			require.Equal(t, role, got["requested_role"])
			require.Contains(t, got["requested_by"], "actor."+role)
		}
	}
}

// TestUsageOfADeploymentMayBeOfEarlier, as a deduction may.
func TestUsageOfADeploymentMayBeOfEarlier(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	r.must(post("service", demo+"/deployments", "a", deploymentBody("d", "vm", "1", 5)))
	r.clock.Move(2 * time.Hour)
	for key, usage := range map[string]string{"u": `"amount":"1"`, "v": `"quantity":"2","unit_price":"0.5"`} {
		got := r.must(post("service", demo+"/deployments/d/usage", key, `{`+usage+`,"effective_at":"2026-03-01T14:30:00+02:00"}`))
		entry := got.Body["transactions"].([]any)[0].(map[string]any)
		require.Equal(t, []any{"2026-03-01T12:30:00Z", "2026-03-01T14:00:00Z"}, []any{entry["effective_at"], entry["recorded_at"]})
		future := post("service", demo+"/deployments/d/usage", key+"f", `{`+usage+`,"effective_at":"2026-03-01T14:00:01Z"}`)
		require.Equal(t, "effective_at", r.refused(422, "time-invalid", future).Body["field"])
	}
}
