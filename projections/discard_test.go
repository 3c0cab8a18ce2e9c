package projections_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// oneByOne gives each append of the log as a batch of its own.
type oneByOne struct{ eventstore.Store }

func (s oneByOne) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		for batch, err := range s.Store.Subscribe(ctx, after) {
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range batch {
				if !yield(batch[i:i+1], nil) {
					return
				}
			}
		}
	}
}

// TestWhatIsAppliedAgainCountsOnce: batches that were put together with one that can't
// be applied are applied again without it. What the failed try did to rows in memory
// must be gone: customers' balances and the company's books would have it twice.
func TestWhatIsAppliedAgainCountsOnce(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 5)
	r.toEnd()
	require.NoError(t, r.views.Close())
	const more = 300
	for range more {
		r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
	}
	good := r.AckedAny()
	data, err := codec.Encode(&account.LotExpired{Lot: account.LotUse{Lot: 77, Class: account.Promotional, Amount: 5, ExpiresAt: start}})
	require.NoError(t, err)
	r.impossible("a", eventstore.Event{Type: "lot-expired", Data: data})

	r.opts.Store = oneByOne{r.store}
	r.views = openViews(t, "views", r.opts)
	require.Error(t, r.views.RunToEnd(bg, nil))
	require.Equal(t, good, r.views.Through())
	b, err := r.views.Balance(bg, "a")
	require.NoError(t, err)
	require.Equal(t, 1000*credit-5-more, b.Balance.Balance)
	one := r.log()["a"].books(t, good)
	all, err := r.views.TrialBalance(bg)
	require.NoError(t, err)
	require.Equal(t, one.String(), all.Totals.String(), "a company of one account has its books")
}

// firstAndRest gives the log in two batches: the account that is called first, and the rest.
type firstAndRest struct{ eventstore.Store }

func (s firstAndRest) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		first, last := []eventstore.Recorded(nil), []eventstore.Recorded(nil)
		for r, err := range s.ReadAll(ctx, after+1, eventstore.Forwards, math.MaxInt) {
			if err != nil {
				yield(nil, err)
				return
			}
			if eventstore.AccountStream("first") == r.Stream {
				first = append(first, r)
			} else {
				last = append(last, r)
			}
		}
		if yield(first, nil) && yield(last, nil) {
			<-ctx.Done()
		}
	}
}

// TestNothingStaysOfABatchThatFailed: what is applied again, without it, doesn't take the
// rows along that it had changed before its bad event.
func TestNothingStaysOfABatchThatFailed(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	require.NoError(t, r.views.Close())
	r.spend("first", 3)
	good := r.AckedAny()
	r.spend("beside", 3)
	data, err := codec.Encode(&account.LotExpired{Lot: account.LotUse{Lot: 77, Class: account.Promotional, Amount: 5, ExpiresAt: start}})
	require.NoError(t, err)
	r.impossible("beside", eventstore.Event{Type: "lot-expired", Data: data})

	r.opts.Store = firstAndRest{r.store}
	for range 10 { // the two may be applied as one, or each on its own
		v := openViews(t, fmt.Sprint("views", rand.Uint64()), r.opts)
		require.ErrorContains(t, v.RunToEnd(within(t), nil), "lot 77 of beside")
		require.Equal(t, good, v.Through())
		b, err := v.Balance(bg, "beside")
		require.NoError(t, err)
		require.Equal(t, eventstore.NoStream, b.Revision)
		b, err = v.Balance(bg, "first")
		require.NoError(t, err)
		require.Equal(t, 1000*credit-3, b.Balance.Balance)
	}
}
