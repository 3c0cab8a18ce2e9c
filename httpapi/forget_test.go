package httpapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi"
)

// leaving are keys whose caller leaves as soon as one is destroyed.
type leaving struct {
	keyring.Keys
	leave func()
}

func (k leaving) Destroy(ctx context.Context, account string) error {
	defer k.leave()
	return k.Keys.Destroy(ctx, account)
}

// TestForgetGoesOnWithoutItsCaller: a client that leaves, or the stop of an engine, is no
// crash. Once the key is gone the event says so.
func TestForgetGoesOnWithoutItsCaller(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	ctx, cancel := context.WithCancel(t.Context())
	f := httpapi.Forgetter{Store: r.store, Ledger: r.ledger, Sealer: keyring.NewSealer(leaving{r.keys, cancel}, 1)}
	by := ledger.Request{Account: "demo-1", Actor: "operator", Role: "admin"}
	done, err := f.Forget(ctx, by, httpapi.Wish{Reason: "case 7"})
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.NoError(t, err)
	again, err := f.Forget(t.Context(), by, httpapi.Wish{Reason: "case 7"})
	require.NoError(t, err)
	require.True(t, again.Before)
	require.Equal(t, done.Revision, again.Revision)
}

// TestForgetWaitsForWhoHasToRead: an address that finance has yet to pay to, and what is
// disputed, are not erased unasked.
func TestForgetWaitsForWhoHasToRead(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	withdrawal := r.withdraw("w", "10")
	id := withdrawal[strings.LastIndex(withdrawal, "/")+1:]
	taken := r.must(post("service", demo+"/deductions", "d", `{"amount":"1","service":"vm"}`))
	about := taken.Body["transactions"].([]any)[0].(map[string]any)["transaction_id"].(string)
	opened := r.must(post(customer, demo+"/disputes", "x", `{"transaction_id":"`+about+`","reason":"never used"}`))
	dispute := part(opened, "dispute")["id"].(string)
	forget := func(more string) call { return post("admin", demo+"/forget", "", `{"reason":"case 7"`+more+`}`) }

	refused := r.refused(409, "wrong-status", forget(`,"force":false`))
	require.Contains(t, refused.Body["detail"], "open: withdrawals "+id+", disputes "+dispute+". ")
	require.Equal(t, []any{id, dispute}, []any{refused.Body["withdrawals"], refused.Body["disputes"]})
	r.must(post("support", demo+"/disputes/"+dispute+"/resolve", "r", `{"outcome":"rejected","note":"it ran"}`))
	r.must(post("finance", withdrawal+"/approve", "a", ""))
	refused = r.refused(409, "wrong-status", forget(""))
	require.NotContains(t, refused.Body, "disputes", "it is decided")
	require.Contains(t, r.must(get("finance", withdrawal)).Text, "acct_1032D82eZvKYlo2C", "it can still be paid")

	r.must(forget(`,"force":true`))
	require.NotContains(t, r.must(get("finance", withdrawal)).Text, "acct_1032D82eZvKYlo2C")
	require.Equal(t, "true", r.must(forget("")).Header.Get("Idempotency-Replayed"), "nothing is left to be erased")
}

// endsWhenAsked is a context that ends as soon as somebody was told that it hasn't.
type endsWhenAsked struct {
	context.Context
	end func()
}

func (c endsWhenAsked) Err() error {
	defer c.end()
	return c.Context.Err()
}

// TestForgetOfACallerWhoLeaves is for the race detector: while a caller who has left is
// answered, the ledger still looks at the account.
func TestForgetOfACallerWhoLeaves(t *testing.T) {
	r := newRig(t, nil)
	f := httpapi.Forgetter{Store: r.store, Ledger: r.ledger, Sealer: r.sealer}
	for i := range 20 { // who is first is left to chance
		ctx, cancel := context.WithCancel(t.Context())
		by := ledger.Request{Account: fmt.Sprint("demo-", i), Actor: "operator", Role: "admin"}
		done, err := f.Forget(endsWhenAsked{ctx, cancel}, by, httpapi.Wish{Reason: "case 7"})
		require.Error(t, err)
		require.Zero(t, done)
	}
}
