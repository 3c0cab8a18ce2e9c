package httpapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

func (r *rig) unmatched() []any {
	r.t.Helper()
	return r.must(get("finance", "/v1/payments/unmatched")).Body["items"].([]any)
}

func resolve(key, id, body string) call {
	return post("finance", "/v1/payments/unmatched/"+id+"/resolve", key, body)
}

// TestAPaymentForAnAccountThatComesLater is credited once: by finance, whatever the
// provider tells again when the account has come to be.
func TestAPaymentForAnAccountThatComesLater(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	for _, payment := range []string{"here", "elsewhere", "back", "open"} {
		r.must(tell("late", "bought-before", payment, "succeeded", "7"))
	}
	for _, waiting := range r.unmatched() {
		require.Equal(t, "late", waiting.(map[string]any)["named_account"])
	}
	r.must(resolve("a", "@unmatched~elsewhere", `{"account":"demo-1"}`))
	r.must(resolve("b", "@unmatched~back", `{"returned":true}`))
	r.must(resolve("c", "@unmatched~here", `{"account":"late"}`))
	r.fund("late", "1")
	before := r.unmatched()
	require.Len(t, before, 1)
	for range 2 {
		for _, payment := range []string{"here", "elsewhere", "back", "open"} {
			r.must(tell("late", "bought-before", payment, "succeeded", "7"))
		}
	}
	require.Equal(t, before, r.unmatched(), "a payment waits twice")
	require.Equal(t, "8", r.balance("late")["balance"])
	r.must(resolve("at last", "@unmatched~open", `{"account":"late"}`))
	require.Equal(t, "15", r.balance("late")["balance"])
	r.refused(409, "wrong-status", resolve("again", "@unmatched~open", `{"account":"demo-1"}`))

	r.must(tell("late", "bought-before", "here", "refunded", "7"))
	require.Equal(t, "8", r.balance("late")["balance"], "what was credited there is taken back there")
	require.Empty(t, r.unmatched())
	r.must(tell("late", "bought-before", "elsewhere", "refunded", "7"))
	require.Equal(t, "8", r.balance("late")["balance"])
	require.Equal(t, "refund", r.unmatched()[0].(map[string]any)["kind"], "people look at it")
}

// TestAPaymentThatStandsTwice: two webhooks met the account's first event.
func TestAPaymentThatStandsTwice(t *testing.T) {
	r := newRig(t, nil)
	r.must(tell("late", "", "x", "succeeded", "7"))
	r.fund("late", "1")
	_, err := r.ledger.Execute(t.Context(), ledger.Request{
		Account: "late", Do: account.RecordPayment{Payment: "x", Amount: 7_000_000}, Actor: "spherepay", Role: "provider",
	})
	require.NoError(t, err)
	r.must(resolve("a", "late~x", `{"account":"late"}`))
	refused := r.refused(409, "wrong-status", resolve("b", "@unmatched~x", `{"account":"late"}`))
	require.Equal(t, "late", refused.Body["account"])
	r.must(resolve("c", "@unmatched~x", `{"returned":true,"note":"stood twice"}`))
	require.Equal(t, "8", r.balance("late")["balance"])
}

// TestAPaymentIsNotResolvedToATypingMistake.
func TestAPaymentIsNotResolvedToATypingMistake(t *testing.T) {
	r := newRig(t, nil)
	r.must(tell("new-one", "", "x", "succeeded", "7"))
	r.must(tell("", "", "y", "succeeded", "5"))
	refused := r.refused(404, "unknown-account", resolve("a", "@unmatched~x", `{"account":"new-oen"}`))
	require.Equal(t, "new-oen", refused.Body["account"])
	r.refused(404, "unknown-account", resolve("b", "@unmatched~y", `{"account":"new-one"}`))
	require.Equal(t, -1.0, r.balance("new-oen")["revision"])
	r.must(resolve("a", "@unmatched~x", `{"account":"new-one"}`))
	require.Equal(t, "7", r.balance("new-one")["balance"])
	r.must(resolve("b", "@unmatched~y", `{"account":"new-one"}`))
	require.Equal(t, "12", r.balance("new-one")["balance"])
}
