package httpapi_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRefundIsWhatWasAskedFor: a deadline that comes due in the same append gives back, too.
func TestRefundIsWhatWasAskedFor(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	charge := part(r.must(post("service", demo+"/deductions", "k1", `{"amount":"7","service":"vm"}`)), "deduction")["id"].(string)
	r.must(post("service", demo+"/refunds", "k2", fmt.Sprintf(`{"transaction_id":%q,"amount":"1"}`, charge)))
	r.must(post("service", demo+"/deployments", "k3",
		`{"deployment_id":"d","service":"caas","payment_method":"credits","hourly_price":"20","duration_hours":4}`))
	r.must(post("service", demo+"/deployments/d/usage", "k4", `{"amount":"50"}`))
	r.clock.Move(6 * time.Minute) // its grace window ends, and most of the 80 come back

	ask := post("support", demo+"/refunds", "k5", fmt.Sprintf(`{"transaction_id":%q,"amount":"3"}`, charge))
	answer := r.must(ask)
	transactions := answer.Body["transactions"].([]any)
	require.Len(t, transactions, 2, "the deployment's and the one that was asked for")
	require.Equal(t, map[string]any{
		"id": transactions[1].(map[string]any)["transaction_id"], "transaction_id": charge, "amount": "3", "refunded": "4",
	}, part(answer, "refund"))

	r.must(post("service", demo+"/refunds", "k6", fmt.Sprintf(`{"transaction_id":%q,"amount":"2"}`, charge)))
	again := r.must(ask)
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, "3", part(again, "refund")["amount"])
	require.Equal(t, "6", part(again, "refund")["refunded"], "the object is today's")
}
