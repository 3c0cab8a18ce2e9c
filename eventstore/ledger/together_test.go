package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// narrowStore takes no more than so many bytes at once, as a cluster does; 0: any number.
// It counts what it was asked for.
type narrowStore struct {
	eventstore.Store
	most, asked int
}

func (s *narrowStore) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	s.asked++
	bytes := 0
	for i := range events {
		bytes += len(events[i].Data) + len(events[i].Metadata)
	}
	if s.most > 0 && bytes > s.most {
		return eventstore.Appended{}, fmt.Errorf("%w: %d bytes", eventstore.ErrInvalid, bytes)
	}
	return s.Store.Append(ctx, stream, expected, events)
}

// TestNothingIsRefusedForWhatIsBesideIt: what the log doesn't take at once, because there
// is much of it or one command is large, it is given in parts. Only what it doesn't take
// alone is refused.
func TestNothingIsRefusedForWhatIsBesideIt(t *testing.T) {
	const small = 100
	for name, at := range map[string]int{"first": 0, "in the middle": small / 2, "last": small} {
		t.Run(name, func(t *testing.T) {
			store := &narrowStore{}
			r := newRig(t, func(o *ledger.Options) { store.Store, o.Store = o.Store, store })
			for i := range 200 {
				ends := r.clock.Now().Add(time.Duration(i+1) * time.Hour)
				r.do("a", "", account.GrantIncentive{Amount: credit, ExpiresAt: ends})
			}
			var reqs []ledger.Request
			for i := range small {
				if i == at {
					reqs = append(reqs, command("a", "too large", deduct(150)))
				}
				reqs = append(reqs, command("a", fmt.Sprint(i), account.Deduct{Amount: 1, Service: domain.ServiceRay}))
			}
			if at == small {
				reqs = append(reqs, command("a", "too large", deduct(150)))
			}
			store.most, store.asked = 5_000, 0
			last := r.facts("a")[199].Revision
			for i, o := range r.ExecuteBatch(t.Context(), reqs) {
				if i == at {
					require.True(t, domain.IsCode(o.Err, domain.CodeLimitExceeded), "%v", o.Err)
					continue
				}
				require.NoError(t, o.Err)
				require.Equal(t, last+1, o.Result.Revision, "in their order")
				last = o.Result.Revision
			}
			require.Len(t, r.facts("a"), 200+small)
			require.Less(t, store.asked, small, "it goes on in parts, not one by one")

			store.most = 0
			r.do("a", "too large", deduct(150))
			require.Equal(t, 50*credit-small, r.balance("a"))
		})
	}
}

// TestALogThatTakesNothing is asked for each command once, and a few times for many.
func TestALogThatTakesNothing(t *testing.T) {
	store := &narrowStore{}
	r := newRig(t, func(o *ledger.Options) { store.Store, o.Store = o.Store, store })
	r.do("a", "", purchase("p", 100))
	store.most, store.asked = 1, 0
	var reqs []ledger.Request
	for i := range 64 {
		reqs = append(reqs, command("a", fmt.Sprint(i), deduct(1)))
	}
	for _, o := range r.ExecuteBatch(t.Context(), reqs) {
		require.True(t, domain.IsCode(o.Err, domain.CodeLimitExceeded), "%v", o.Err)
	}
	require.Equal(t, 64+6, store.asked)
	require.Zero(t, r.QueueDepth())
}
