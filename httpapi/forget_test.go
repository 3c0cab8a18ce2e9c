package httpapi_test

import (
	"context"
	"fmt"
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
	done, err := f.Forget(ctx, by, "case 7")
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.NoError(t, err)
	again, err := f.Forget(t.Context(), by, "case 7")
	require.NoError(t, err)
	require.True(t, again.Before)
	require.Equal(t, done.Revision, again.Revision)
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
		done, err := f.Forget(endsWhenAsked{ctx, cancel}, by, "case 7")
		require.Error(t, err)
		require.Zero(t, done)
	}
}
