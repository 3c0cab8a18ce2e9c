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

// smallAppends is a log that takes no more than so many events at once, as a cluster
// takes no more than so many bytes.
type smallAppends struct {
	eventstore.Store
	most, largest int
}

func (s *smallAppends) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if s.largest = max(s.largest, len(events)); len(events) > s.most {
		return eventstore.Appended{}, fmt.Errorf("%w: %d events", eventstore.ErrInvalid, len(events))
	}
	return s.Store.Append(ctx, stream, expected, events)
}

// TestMuchThatIsDueAtOnce: whatever came due together while no engine ran, the account goes
// on. It ends in several appends, none of which is large.
func TestMuchThatIsDueAtOnce(t *testing.T) {
	const lots, holds = 700, 200
	for name, first := range map[string]struct {
		do   account.Action
		want domain.Code
	}{
		"a charge":                 {account.Deduct{Amount: credit, Service: domain.ServiceVM}, ""},
		"a charge that is refused": {account.Deduct{Amount: 1_000 * credit, Service: domain.ServiceVM}, domain.CodeInsufficientCredits},
		"what is due":              {account.Tick{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			small := &smallAppends{most: 410}
			r := newRig(t, func(o *ledger.Options) { small.Store, o.Store = o.Store, small })
			due := r.clock.Now().Add(time.Hour)
			r.do("a", "", account.GrantIncentive{Amount: 500 * credit})
			for i := range lots {
				r.do("a", "", account.GrantIncentive{Amount: credit, ExpiresAt: due})
				if i < holds {
					hold := account.Reserve{Reservation: fmt.Sprint(i), Amount: credit / 2, Service: domain.ServiceVM, ExpiresAt: due}
					r.do("a", "", hold)
				}
			}
			r.clock.Move(2 * time.Hour)
			before := len(r.facts("a"))
			require.Equal(t, domain.Amount(500+lots)*credit, r.balance("a"), "who only looks writes nothing")
			require.Len(t, r.facts("a"), before)

			_, err := r.Execute(within(t), command("a", "first", first.do))
			if first.want == "" {
				require.NoError(t, err)
			} else {
				require.True(t, domain.IsCode(err, first.want), err)
			}
			r.do("a", "", account.Tick{}) // a refusal leaves the rest of what is due
			left := 500 * credit
			if deduct, ok := first.do.(account.Deduct); ok && first.want == "" {
				left -= deduct.Amount
			}
			require.Equal(t, left, r.balance("a"))
			ended := map[string]int{}
			for _, f := range r.facts("a")[before:] {
				ended[f.Type]++
			}
			require.GreaterOrEqual(t, ended["lot-expired"], lots, "what was held expires as it comes back")
			require.Equal(t, holds, ended["reservation-released"])
			require.LessOrEqual(t, small.largest, small.most)
			require.Zero(t, r.QueueDepth())
			require.NoError(t, r.Close(within(t)))
		})
	}
}

// TestAnAppendThatTheLogDoesNotTake is refused for good: nobody tries it again.
func TestAnAppendThatTheLogDoesNotTake(t *testing.T) {
	small := &smallAppends{most: 1}
	r := newRig(t, func(o *ledger.Options) { small.Store, o.Store = o.Store, small })
	r.do("a", "", purchase("p", 1))
	small.most = 0
	refusal := r.refused(domain.CodeLimitExceeded, command("a", "1", deduct(1)))
	require.Contains(t, refusal.Detail, "nothing was written")
	small.most = 1
	r.do("a", "1", deduct(1))
}
