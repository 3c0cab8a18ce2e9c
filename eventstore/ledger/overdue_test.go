package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
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
	most, largest atomic.Int64
}

func appends(most int64) *smallAppends {
	s := new(smallAppends)
	s.most.Store(most)
	return s
}

func (s *smallAppends) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	n := int64(len(events))
	if s.largest.Store(max(s.largest.Load(), n)); n > s.most.Load() {
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
			small := appends(410)
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
			require.LessOrEqual(t, small.largest.Load(), small.most.Load())
			require.Zero(t, r.QueueDepth())
			require.NoError(t, r.Close(within(t)))
		})
	}
}

// TestAnAppendThatTheLogDoesNotTake is refused for good: nobody tries it again.
func TestAnAppendThatTheLogDoesNotTake(t *testing.T) {
	small := appends(1)
	r := newRig(t, func(o *ledger.Options) { small.Store, o.Store = o.Store, small })
	r.do("a", "", purchase("p", 1))
	small.most.Store(0)
	refusal := r.refused(domain.CodeLimitExceeded, command("a", "1", deduct(1)))
	require.Contains(t, refusal.Detail, "nothing was written")
	small.most.Store(1)
	r.do("a", "1", deduct(1))
}

// overdue is an account of which more is due than one decision may do.
func overdue(t *testing.T, small *smallAppends, change func(*ledger.Options)) *rig {
	t.Helper()
	r := newRig(t, func(o *ledger.Options) {
		small.Store, o.Store = o.Store, small
		if change != nil {
			change(o)
		}
	})
	until := r.clock.Now().Add(time.Hour)
	for range 350 {
		r.do("a", "", account.GrantIncentive{Amount: credit, ExpiresAt: until})
	}
	r.do("a", "", account.GrantIncentive{Amount: 500 * credit})
	r.clock.Move(2 * time.Hour)
	return r
}

// TestATickThatFailsEndsWhatWaitsBehindIt: nobody waits for ever for what can't be done.
func TestATickThatFailsEndsWhatWaitsBehindIt(t *testing.T) {
	t.Run("its append", func(t *testing.T) {
		small := appends(300)
		r := overdue(t, small, nil)
		small.most.Store(0)
		before := r.facts("a")
		for key := range 3 {
			_ = r.refused(domain.CodeLimitExceeded, command("a", fmt.Sprint(key), deduct(1)))
		}
		require.Equal(t, before, r.facts("a"))
		require.Equal(t, domain.Amount(850)*credit, r.balance("a"), "who only looks is answered")
		small.most.Store(300)
		r.do("a", "1", deduct(1))
		require.Zero(t, r.QueueDepth())
	})
	t.Run("its decision", func(t *testing.T) {
		small := appends(300)
		r := overdue(t, small, nil)
		require.NoError(t, r.Close(within(t)))
		r.opts.Codec = eventstore.NewCodec(slices.DeleteFunc(account.EventTypes(), func(e domain.EventType) bool { return e.Name == (*account.LotExpired)(nil).EventName() })...)
		r.Ledger = ledger.New(r.opts)
		_, err := r.Execute(within(t), command("a", "1", deduct(1)))
		require.ErrorContains(t, err, "lot-expired")
		require.NoError(t, r.Close(within(t)))
	})
}

// TestTicksAreNobodysChange: who says which revision a command is for has read it before
// what is due was written.
func TestTicksAreNobodysChange(t *testing.T) {
	small := appends(300)
	var answered atomic.Int64
	r := overdue(t, small, func(o *ledger.Options) { o.OnCommand = func(string) { answered.Add(1) } })
	answered.Store(0)
	read, err := r.Read(within(t), "a")
	require.NoError(t, err)
	only := command("a", "1", deduct(1))
	only.OnlyAt = &read.Revision
	_, err = r.Execute(within(t), only)
	require.NoError(t, err)
	require.EqualValues(t, 1, answered.Load(), "of the ledger's own nobody is told")
	again := command("a", "2", deduct(1))
	again.OnlyAt = &read.Revision
	_ = r.refused(domain.CodePreconditionFailed, again)
}

// TestAHoldOfManyLotsThatRunsOut gives them back in parts.
func TestAHoldOfManyLotsThatRunsOut(t *testing.T) {
	const lots = 2_000
	small := appends(1_000)
	r := newRig(t, func(o *ledger.Options) { small.Store, o.Store = o.Store, small })
	until := r.clock.Now().Add(time.Hour)
	for range lots {
		r.do("a", "", account.GrantIncentive{Amount: credit, ExpiresAt: until})
	}
	r.do("a", "", account.Reserve{Reservation: "h", Amount: lots * credit, Service: domain.ServiceVM, ExpiresAt: until})
	small.largest.Store(0)
	r.clock.Move(2 * time.Hour)
	r.do("a", "", account.GrantIncentive{Amount: 2 * credit})
	r.do("a", "1", deduct(1))
	require.Equal(t, credit, r.balance("a"))
	require.LessOrEqual(t, small.largest.Load(), int64(450))
}

// TestARefundToManyLotsThatHaveExpired comes back in parts, too.
func TestARefundToManyLotsThatHaveExpired(t *testing.T) {
	const lots = 600
	small := appends(300)
	r := newRig(t, func(o *ledger.Options) { small.Store, o.Store = o.Store, small })
	price, err := domain.ParseRate("hourly_price", fmt.Sprint(lots/2))
	require.NoError(t, err)
	until := r.clock.Now().Add(time.Minute)
	for range lots {
		r.do("a", "", account.GrantIncentive{Amount: credit, ExpiresAt: until})
	}
	r.do("a", "", account.StartDeployment{Deployment: "d", Service: domain.ServiceCaaS, HourlyPrice: price, Hours: 2})
	r.do("a", "", account.RecordUsage{Deployment: "d", Amount: credit})
	small.largest.Store(0)
	r.clock.Move(time.Hour)
	r.do("a", "", account.GrantIncentive{Amount: 2 * credit})
	r.do("a", "1", deduct(1))
	require.Equal(t, credit, r.balance("a"))
	require.LessOrEqual(t, small.largest.Load(), int64(250))
}

// TestManyThatWaitForOneInflow: it is taken however many it pays, and all of them are paid
// without anything else that happens to the account.
func TestManyThatWaitForOneInflow(t *testing.T) {
	const waiting = 600
	price, err := domain.ParseRate("hourly_price", "1")
	require.NoError(t, err)
	for name, inflow := range map[string]struct {
		after time.Duration
		do    account.Action
	}{
		"a payment":                         {0, account.RecordPayment{Payment: "x", Purchase: "p", Amount: waiting * credit}},
		"a hold that runs out":              {time.Minute, account.Tick{}},
		"a hold that ran out, and a charge": {2 * time.Minute, deduct(1)},
	} {
		t.Run(name, func(t *testing.T) {
			small := appends(200)
			r := newRig(t, func(o *ledger.Options) { small.Store, o.Store = o.Store, small })
			r.do("a", "", account.StartPurchase{Purchase: "p", Amount: waiting * credit})
			r.do("a", "", account.GrantIncentive{Amount: (waiting + 1) * credit})
			r.do("a", "", account.Reserve{Reservation: "h", Amount: (waiting + 1) * credit, Service: domain.ServiceVM, ExpiresAt: r.clock.Now().Add(time.Minute)})
			for i := range waiting {
				r.do("a", "", account.StartDeployment{Deployment: fmt.Sprint(i), Service: domain.ServiceCaaS, HourlyPrice: price, Hours: 1})
			}
			small.largest.Store(0)
			r.clock.Move(inflow.after)
			r.do("a", "", inflow.do)
			require.NoError(t, r.Close(within(t))) // which waits for the ledger's own Ticks
			var paid []string
			for _, f := range r.facts("a") {
				if e, is := f.Body.(*account.DeploymentPaid); is {
					paid = append(paid, e.Deployment)
				}
			}
			require.Len(t, paid, waiting)
			require.LessOrEqual(t, small.largest.Load(), small.most.Load())
		})
	}
}
