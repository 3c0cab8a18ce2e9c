package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhyAnAccountIsFrozen: staff read it with the limits, and nobody else does.
func TestWhyAnAccountIsFrozen(t *testing.T) {
	r := newRig(t, nil)
	why := func(as string) any {
		body := r.must(get(as, demo+"/policy")).Body
		if as == customer || as == "service" {
			require.NotContains(t, body, "freeze")
			return nil
		}
		require.Contains(t, body, "freeze")
		return body["freeze"]
	}
	everybody := []string{customer, "service", "bd", "finance", "support", "auditor", "admin"}
	for _, as := range everybody {
		require.Nil(t, why(as))
	}
	r.fund("demo-1", "10")
	r.must(post("service", demo+"/reservations", "h", `{"reservation_id":"h","amount":"3","service":"vm"}`))
	r.must(post("finance", demo+"/freeze", "a", `{"reason":"looks stolen"}`))
	r.must(post("service", demo+"/reservations/h/capture", "c", `{"amount":"1"}`))
	for _, as := range everybody[2:] {
		told, _ := why(as).(map[string]any)
		require.Equal(t, []any{"desk", "looks stolen", "actor.finance", "2026-03-01T12:00:00Z", nil},
			[]any{told["cause"], told["reason"], told["actor"], told["at"], told["purchase"]}, as)
	}
	why(customer)
	why("service")
	r.must(post("finance", demo+"/unfreeze", "b", `{"reason":"it wasn't"}`))
	require.Nil(t, why("support"))

	purchase := r.must(get("finance", demo+"/purchases")).Body["items"].([]any)[0].(map[string]any)["id"].(string)
	r.must(post("finance", demo+"/purchases/"+purchase+"/reverse", "r", `{"reason":"the bank's"}`))
	told, _ := why("support").(map[string]any)
	require.Equal(t, []any{"chargeback", "the bank's", purchase}, []any{told["cause"], told["reason"], told["purchase"]})
	r.must(get("auditor", demo+"/events?from=0"))
}

// TestAPolicyThatSetsNothingIsRefused: it would be an event that changes nothing.
func TestAPolicyThatSetsNothingIsRefused(t *testing.T) {
	r := newRig(t, nil)
	for _, body := range []string{"", `{}`, `{"allowance":null}`, `{"minimum_minutes":{}}`} {
		refused := r.refused(422, "field-invalid", call{as: "finance", method: "PUT", path: demo + "/policy", body: body, wrong: true})
		require.Equal(t, "allowance", refused.Body["field"])
		require.Contains(t, refused.Body["detail"], "grace_minutes")
	}
	require.Equal(t, -1.0, r.balance("demo-1")["revision"])
	r.must(call{as: "admin", method: "PUT", path: demo + "/policy", body: `{"allowance":"0","low_balance_at":0,"two_approvers_from":"0"}`})
}

// TestWhyOfLongAgoIsNotLookedFor: a frozen account goes on with what runs, and its limits can
// be read however much that is.
func TestWhyOfLongAgoIsNotLookedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: ten thousand events, one after the other")
	}
	const most = 10_000 // as the contract says
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	readings := func(from, to int) {
		t.Helper()
		var body strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&body, `{"account":"demo-1","key":"r%d","meter":"m","service":"inference","quantity":"1","unit_price":"0.001"}`+"\n", i)
		}
		for _, a := range r.batch(body.String()) {
			require.Equal(t, 201, a.Status, "%+v", a)
		}
	}
	readings(0, 1)
	r.must(post("finance", demo+"/freeze", "f", `{"reason":"looks stolen"}`))
	readings(1, most)
	require.NotNil(t, r.must(get("support", demo+"/policy")).Body["freeze"])
	readings(most, most+1)
	policy := r.must(get("support", demo+"/policy")).Body
	require.Nil(t, policy["freeze"])
	require.Equal(t, "10", policy["allowance"])
}
