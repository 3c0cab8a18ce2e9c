package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// TestARefundOfAPartToldFirst: what the payment has above it waits for finance, once,
// and is in the books until they have decided.
func TestARefundOfAPartToldFirst(t *testing.T) {
	for body, balance := range map[string]string{`{"account":"demo-1"}`: "7", `{"returned":true}`: "1"} {
		r := newRig(t, nil)
		r.fund("demo-1", "1")
		id := object(r.must(post(customer, demo+"/purchases", "a", `{"amount":"10"}`)).Body, "purchase")["id"].(string)
		r.must(tell("demo-1", id, "pay-1", "refunded", "4"))
		require.Empty(t, r.unmatched())
		for range 2 {
			r.must(tell("demo-1", id, "pay-1", "succeeded", "10"))
		}
		waiting := r.unmatched()
		require.Len(t, waiting, 1)
		rest := waiting[0].(map[string]any)
		require.Equal(t, []any{"demo-1~reversal:reversal:pay-1", "payment", "amount-differs", "6", id}, []any{rest["id"], rest["kind"], rest["why"], rest["amount"], rest["purchase"]})
		require.Equal(t, "6", r.booked("liabilities:unmatched"))
		r.must(resolve("b", rest["id"].(string), body))
		r.must(tell("demo-1", id, "pay-1", "succeeded", "10"))
		require.Equal(t, balance, r.balance("demo-1")["balance"])
		require.Empty(t, r.unmatched())
		require.Equal(t, "0", r.booked("liabilities:unmatched"))
	}
}

// TestAFurtherRefundOfAPayment waits too: another part, or the whole by now, of which the
// books have no more than went back.
func TestAFurtherRefundOfAPayment(t *testing.T) {
	for _, c := range []struct{ told, as, amount string }{
		{"6", "6", "6"}, {"2.5", "2.5", "2.5"}, {"10", "10", "6"}, {"all of it", "10", "6"},
	} {
		r := newRig(t, nil)
		id := object(r.must(post(customer, demo+"/purchases", "a", `{"amount":"10"}`)).Body, "purchase")["id"].(string)
		r.must(tell("demo-1", id, "pay-1", "succeeded", "10"))
		for range 2 { // told again, and late
			r.must(tell("demo-1", id, "pay-1", "refunded", "4"))
			r.must(tell("demo-1", id, "pay-1", "refunded", c.told))
		}
		var waiting []string
		for _, item := range r.unmatched() {
			p := item.(map[string]any)
			waiting = append(waiting, fmt.Sprint(p["id"], " ", p["kind"], " ", p["why"], " ", p["amount"]))
		}
		require.Equal(t, []string{"demo-1~reversal:pay-1 refund amount-differs 4", "demo-1~reversal:reversal:reversal:" + c.as + ":pay-1 refund amount-differs " + c.amount}, waiting)
		all, err := domain.ParseAmount("amount", c.amount)
		require.NoError(t, err)
		require.Equal(t, (-4*domain.Credit - all).String(), r.booked("liabilities:unmatched"))
		require.Equal(t, "10", r.balance("demo-1")["balance"], "nothing is taken by guess")
		r.must(resolve("b", "demo-1~reversal:reversal:reversal:"+c.as+":pay-1", `{"returned":true,"note":"as the provider says"}`))
	}
}

// TestAFurtherRefundOfACreditedPayment waits where it was credited.
func TestAFurtherRefundOfACreditedPayment(t *testing.T) {
	r := newRig(t, nil)
	r.creditUnseen()
	for range 2 {
		r.must(tell("unseen", "none", "pay-1", "refunded", "4"))
		r.must(tell("unseen", "none", "pay-1", "refunded", "7"))
		require.Equal(t, "8", r.balance("demo-1")["balance"])
		require.Len(t, r.unmatched(), 2)
		further := r.unmatched()[1].(map[string]any)
		require.Equal(t, []any{"demo-1~reversal:reversal:reversal:7:pay-1", "refund", "3"}, []any{further["id"], further["kind"], further["amount"]})
	}
}

// TestARefundToldFirst pays nothing on its way: what waits for credits waits on.
func TestARefundToldFirst(t *testing.T) {
	r := newRig(t, nil)
	id := object(r.must(post(customer, demo+"/purchases", "a", `{"amount":"10"}`)).Body, "purchase")["id"].(string)
	r.must(post("service", demo+"/deployments", "b", `{"deployment_id":"d","service":"ray","payment_method":"credits","hourly_price":"10","duration_hours":1}`))
	for range 2 {
		r.must(tell("demo-1", id, "pay-1", "refunded", "10"))
		b := r.balance("demo-1")
		require.Equal(t, []any{"0", false}, []any{b["balance"], b["frozen"]})
		require.Equal(t, "reversed", r.must(get(customer, demo+"/purchases/"+id)).Body["status"])
		require.Equal(t, "pending-payment", r.must(get("service", demo+"/deployments/d")).Body["status"])
		require.Empty(t, r.unmatched())
	}
	r.must(tell("demo-1", id, "pay-1", "succeeded", "10"))
	require.Equal(t, "0", r.balance("demo-1")["balance"])
}

// TestARefundOfASecondPaymentToldFirst pays nothing on its way: the account is in debt.
func TestARefundOfASecondPaymentToldFirst(t *testing.T) {
	r := newRig(t, nil)
	id := object(r.must(post(customer, demo+"/purchases", "a", `{"amount":"5"}`)).Body, "purchase")["id"].(string)
	r.must(tell("demo-1", id, "pay-1", "succeeded", "5"))
	r.must(post("service", demo+"/deductions", "b", `{"amount":"15","service":"vm"}`))
	r.must(tell("demo-1", id, "pay-2", "refunded", "20"))
	b := r.balance("demo-1")
	require.Equal(t, []any{"-10", false}, []any{b["balance"], b["frozen"]})
	require.Empty(t, r.unmatched())
}
