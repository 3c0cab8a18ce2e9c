package projections_test

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

func nobody(string) bool { return false }

func (r *rig) nextDue() time.Time {
	r.t.Helper()
	next, found, err := r.views.NextDue(bg)
	require.NoError(r.t, err)
	require.Equal(r.t, found, !next.IsZero())
	return next
}

func (r *rig) due(now time.Time, limit int, skip func(string) bool) []string {
	r.t.Helper()
	due, err := r.views.DueAccounts(bg, now, limit, skip)
	require.NoError(r.t, err)
	return due
}

func TestDueAccountsAreTheLongestDueFirst(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	in := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	r.do("late", "", account.GrantIncentive{Amount: credit, ExpiresAt: in(30)})
	r.do("soon", "", account.GrantIncentive{Amount: credit, ExpiresAt: in(10)})
	r.do("soon", "", account.GrantIncentive{Amount: credit, ExpiresAt: in(12)})
	r.do("never", "", account.GrantIncentive{Amount: credit})
	r.do("hold", "", account.RecordPurchase{Purchase: "p", Amount: credit})
	r.do("hold", "", account.Reserve{Reservation: "r", Amount: credit, Service: domain.ServiceRay, ExpiresAt: in(20)})
	r.toEnd()
	require.True(t, in(10).Equal(r.nextDue()))
	require.Empty(t, r.due(in(10).Add(-1), 10, nobody))
	require.Equal(t, []string{"soon"}, r.due(in(10), 10, nobody), "a deadline is due at its instant")
	require.Equal(t, []string{"soon", "hold", "late"}, r.due(in(60), 10, nobody))
	require.Equal(t, []string{"soon", "hold"}, r.due(in(60), 2, nobody))
	require.Equal(t, []string{"hold", "late"}, r.due(in(60), 2, func(name string) bool { return name == "soon" }))
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := r.views.DueAccounts(ctx, in(60), 1, nobody)
	require.ErrorIs(t, err, context.Canceled)
}

// What is over is not due: a lot that is spent or held, a hold that is closed.
func TestADeadlineEndsWithItsThing(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	at := start.Add(time.Hour)
	granted := r.do("a", "", account.GrantIncentive{Amount: 10, ExpiresAt: at})
	steps := []struct {
		do  account.Action
		due bool
	}{
		{account.Deduct{Amount: 4, Service: domain.ServiceRay}, true},
		{account.Reserve{Reservation: "r", Amount: 6, Service: domain.ServiceRay}, false},
		{account.Capture{Reservation: "r", Amount: 1}, false},
		{account.Release{Reservation: "r"}, true},
		{account.Deduct{Amount: 5, Service: domain.ServiceRay}, false},
		{account.Refund{Transaction: granted.Facts[0].ID, Amount: 1}, false},
	}
	for _, step := range steps {
		_, err := r.try("a", "", step.do)
		_, isRefund := step.do.(account.Refund)
		require.Equal(t, isRefund, err != nil, "%v", err)
		r.toEnd()
		require.Equal(t, step.due, !r.nextDue().IsZero(), "%T", step.do)
	}
	r.do("a", "", account.GrantIncentive{Amount: 3, ExpiresAt: at})
	r.do("a", "", account.Reserve{Reservation: "s", Amount: 3, Service: domain.ServiceRay, ExpiresAt: start.Add(time.Minute)})
	r.toEnd()
	require.True(t, start.Add(time.Minute).Equal(r.nextDue()))
	r.clock.Move(time.Minute)
	r.do("a", "", account.Tick{})
	r.toEnd()
	require.True(t, at.Equal(r.nextDue()), "what was released is due with its lot")
	r.clock.Move(time.Hour)
	r.do("a", "", account.Tick{})
	r.toEnd()
	require.True(t, r.nextDue().IsZero())
	require.Empty(t, r.due(at.Add(time.Hour), 5, nobody))
}

func TestANewDeadlineIsAnnounced(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	announced := func() bool {
		select {
		case <-r.views.Changed():
			return true
		default:
			return false
		}
	}
	r.spend("a", 1)
	r.toEnd()
	require.False(t, announced(), "nothing is due ever")
	r.do("a", "", account.GrantIncentive{Amount: credit, ExpiresAt: start.Add(time.Hour)})
	r.toEnd()
	require.True(t, announced())
	require.False(t, announced())
	r.do("a", "", account.Reserve{Reservation: "r", Amount: 1, Service: domain.ServiceRay, ExpiresAt: start.Add(time.Minute)})
	r.toEnd()
	require.True(t, announced(), "a hold's end as a lot's")
	r.do("a", "", account.Release{Reservation: "r"})
	r.toEnd()
	require.False(t, announced())
	require.NoError(t, r.views.Rebuild(bg, nil))
	require.True(t, announced(), "a rebuild may know more")
}
