package httpapi_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// A command that was accepted is answered with its object, though the read
// models stand still: it is folded from the log.
func TestObjectsWhileTheReadModelsAreLate(t *testing.T) {
	r := newRig(t, func(p *parts) {
		p.stillViews, p.server.ReadPatience = true, time.Millisecond
	})
	r.fund("demo-1", "10")
	const path = "/v1/accounts/demo-1/deployments"
	started := object(r.must(post("service", path, "k1", deploymentBody("d-1", "caas", "2", 2))).Body, "deployment")
	require.Equal(t, "active", started["status"])
	require.Equal(t, "4", started["paid"])
	r.clock.Move(time.Hour)
	stopped := r.must(post("service", path+"/d-1/stop", "k2", ``)).Body
	require.Equal(t, "stopped", object(stopped, "deployment")["status"])
	require.Equal(t, "2", object(stopped, "deployment")["refunded"])
	require.Len(t, object(stopped, "deployment")["steps"], 3)
	refund := stopped["transactions"].([]any)[0].(map[string]any)
	require.NotNil(t, refund["related_transaction"], "found in the log")

	bought := object(r.must(post("customer:demo-1", "/v1/accounts/demo-1/purchases", "k3", `{"amount":"5"}`)).Body, "purchase")
	require.Equal(t, "awaiting-payment", bought["status"])
	require.Nil(t, bought["payment_url"])
	r.must(tell("demo-1", bought["id"].(string), "x", "succeeded", "5"))
	require.Equal(t, "13", r.must(get("service", "/v1/accounts/demo-1/balance?consistency=strong")).Body["balance"])
}

// Whoever decides again what a crash has left half done finishes it; the credit
// is given once.
func TestADecisionOnAPaymentIsFinishedLater(t *testing.T) {
	for _, credited := range []bool{false, true} {
		r := newRig(t, nil)
		r.must(tell("nobody", "?", "x", "succeeded", "9"))
		execute := func(acct string, do account.Action) {
			_, err := r.ledger.Execute(t.Context(), ledger.Request{Account: acct, Do: do, Actor: "actor.finance", Role: "finance"})
			require.NoError(t, err)
		}
		execute("@unmatched", account.ResolvePayment{Payment: "x", Account: "demo-1"})
		if credited {
			execute("demo-1", account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 9_000_000})
		}
		left := r.must(get("finance", "/v1/payments/unmatched")).Body["items"].([]any)
		require.Equal(t, "assigned", left[0].(map[string]any)["status"])
		const resolve = "/v1/payments/unmatched/@unmatched~x/resolve"
		r.refused(409, "wrong-status", post("finance2", resolve, "other", `{"account":"demo-2"}`))
		done := r.must(post("finance2", resolve, "same", `{"account":"demo-1"}`)).Body
		require.Equal(t, "credited", object(done, "payment")["status"])
		require.Equal(t, "9", r.balance("demo-1")["balance"])
		require.Empty(t, r.must(get("finance", "/v1/payments/unmatched")).Body["items"])
	}
}

// patience is a store that notes how long its caller would wait for an append.
type patience struct {
	eventstore.Store
	left time.Duration
}

func (p *patience) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if until, bounded := ctx.Deadline(); bounded {
		p.left = time.Until(until)
	}
	return p.Store.Append(ctx, stream, expected, events)
}

// TestAWebhookIsAnsweredInTime: the provider waits 5 s, whatever keeps the log busy, and
// whatever other requests may take.
func TestAWebhookIsAnsweredInTime(t *testing.T) {
	log := &patience{}
	r := newRig(t, func(p *parts) {
		log.Store = p.server.Store
		p.server.Store, p.server.RequestTimeout = log, time.Hour
	})
	r.must(tell("demo-1", "?", "x", "succeeded", "9"))
	require.Positive(t, log.left)
	require.Less(t, log.left, 5*time.Second)
}
