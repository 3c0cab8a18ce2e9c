package projections_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/notices"
	"iocredits/eventstore/reactor"
	"iocredits/projections"
)

// TestExpiringLots: every lot with a date near enough is found once, until its
// customer was told; what was told or seen twice counts once, and a rebuild
// keeps all of it.
func TestExpiringLots(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	defer r.close()
	r.do("a", "k1", account.GrantIncentive{Amount: 5 * credit, ExpiresAt: start.Add(48 * time.Hour)})
	r.do("a", "k2", account.GrantIncentive{Amount: 7 * credit, ExpiresAt: start.Add(24 * time.Hour)})
	r.do("b", "k3", account.GrantIncentive{Amount: 9 * credit, ExpiresAt: start.Add(240 * time.Hour)})
	r.do("b", "k4", account.GrantIncentive{Amount: credit})
	r.toEnd()

	expiring := func(within time.Duration) (found []string) {
		t.Helper()
		_, err := r.views.ExpiringLots(bg, start, start.Add(within), nil, func(name string, lot account.ExpiryAnnounced) bool {
			found = append(found, name+" "+lot.Amount.String())
			return true
		})
		require.NoError(t, err)
		return found
	}
	require.Equal(t, []string{"a 7", "a 5"}, expiring(7*24*time.Hour), "the soonest first")
	require.Equal(t, []string{"a 7"}, expiring(24*time.Hour), "a date at the end is within")

	w := &notices.Writer{Store: r.store, Codec: codec, Clock: r.clock.Now}
	told := account.ExpiryAnnounced{Lot: 1, Amount: 7 * credit, ExpiresAt: start.Add(24 * time.Hour)}
	for range 2 { // two engines at once
		_, err := w.AnnounceExpiry(bg, "a", told)
		require.NoError(t, err)
	}
	_, err := w.MarkSeen(bg, "a", "n0.0", math.MaxInt64, notices.By{Actor: "ann", Role: "customer"})
	require.NoError(t, err)
	seenAt := r.clock.Now()
	r.clock.Move(time.Hour)
	_, err = w.MarkSeen(bg, "a", "n0.0", math.MaxInt64, notices.By{Actor: "ann", Role: "customer"})
	require.NoError(t, err)
	_, err = w.MarkSeen(bg, "a", "n9.9", math.MaxInt64, notices.By{Actor: "ann", Role: "customer"})
	require.NoError(t, err, "a mark of nothing changes nothing")
	r.toEnd()

	check := func(v *projections.Views) {
		t.Helper()
		page, err := v.Notices(bg, "a", "", 10)
		require.NoError(t, err)
		require.Len(t, page.Items, 3)
		require.Equal(t, "7 credits can be used only until "+start.Add(24*time.Hour).Format("2 January 2006, 15:04 UTC")+".", page.Items[0].Message)
		require.Equal(t, seenAt.Truncate(time.Microsecond), page.Items[0].SeenAt)
		require.True(t, page.Items[1].SeenAt.IsZero())
	}
	check(r.views)
	require.Equal(t, []string{"a 5"}, expiring(7*24*time.Hour))
	require.NoError(t, r.views.Rebuild(bg, nil))
	check(r.views)
	require.Equal(t, []string{"a 5"}, expiring(7*24*time.Hour))
}

// TestExpiringLotsAmongOtherDeadlines: what ends before a lot hides no lot, and a lot that
// expires at this instant is no longer to be told of.
func TestExpiringLotsAmongOtherDeadlines(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "", account.GrantIncentive{Amount: 5 * credit, ExpiresAt: start.Add(24 * time.Hour)})
	r.do("a", "", account.Reserve{Reservation: "r", Amount: credit, Service: domain.ServiceRay, ExpiresAt: start.Add(time.Hour)})
	r.toEnd()
	expiring := func(from time.Time) (found []domain.Amount) {
		t.Helper()
		_, err := r.views.ExpiringLots(bg, from, start.Add(48*time.Hour), nil, func(_ string, lot account.ExpiryAnnounced) bool {
			found = append(found, lot.Amount)
			return true
		})
		require.NoError(t, err)
		return found
	}
	require.Equal(t, []domain.Amount{4 * credit}, expiring(start), "what is held doesn't expire")
	require.Equal(t, []domain.Amount{4 * credit}, expiring(start.Add(24*time.Hour-time.Microsecond)))
	require.Empty(t, expiring(start.Add(24*time.Hour)))
}

// TestASplitMovementIsToldOnce, with its whole sum, wherever a batch of the log ends.
func TestASplitMovementIsToldOnce(t *testing.T) {
	const lots, one, all = 501, credit / 2, 501 * credit / 2
	r := newRig(t, vfs.NewMem(), nil)
	for i := range lots {
		r.do("a", "", account.RecordPurchase{Purchase: fmt.Sprint(i), Amount: one})
	}
	r.toEnd()
	spent := r.do("a", "", account.Deduct{Amount: all, Service: domain.ServiceRay, Reference: "job"})
	r.do("a", "", account.Refund{Transaction: spent.Facts[0].ID})
	for _, id := range []string{"w1", "w2"} {
		r.do("a", "", account.RequestWithdrawal{Withdrawal: id, Amount: all, Wallet: "sealed", Network: account.NetworkStripe})
		r.decides("a", account.ApproveWithdrawal{Withdrawal: id})
		if id == "w1" {
			r.decides("a", account.FailWithdrawal{Withdrawal: id})
		}
	}
	r.decides("a", account.RecordPayout{Withdrawal: "w2", Network: account.NetworkStripe})

	require.NoError(t, r.views.ApplyAhead(ended, func() int { return 1 }, func() bool { return true }))
	page, err := r.views.Notices(bg, "a", "", 10)
	require.NoError(t, err)
	var told []string
	for _, n := range page.Items[:5] {
		told = append(told, n.Message)
	}
	require.Equal(t, []string{
		"250.5 credits were paid out to your Stripe account.",
		"Your withdrawal is approved. It will be paid to your Stripe account.",
		"Your withdrawal could not be paid. Back in your account: 250.5 credits.",
		"Your withdrawal is approved. It will be paid to your Stripe account.",
		"250.5 credits came back to your account from job.",
	}, told)
	require.NoError(t, r.views.Close())
	rows := keyspace(t, r.fs, "views")
	require.Equal(t, r.rebuilt(), rows)
	for _, row := range rows {
		require.NotContains(t, row, `"pa\x00"`, "nothing is kept of a movement that is over")
	}
}

// TestALotSpentWhileOthersAreTold: nobody is told that nothing will expire, and those
// behind are told all the same.
func TestALotSpentWhileOthersAreTold(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	defer r.close()
	r.do("a", "k1", account.GrantIncentive{Amount: 5 * credit, ExpiresAt: start.Add(24 * time.Hour)})
	r.do("b", "k2", account.GrantIncentive{Amount: 7 * credit, ExpiresAt: start.Add(48 * time.Hour)})
	r.do("c", "k3", account.GrantIncentive{Amount: 9 * credit, ExpiresAt: start.Add(60 * time.Hour)})
	r.toEnd()
	var found []string
	_, err := r.views.ExpiringLots(bg, start, start.Add(72*time.Hour), nil, func(name string, lot account.ExpiryAnnounced) bool {
		if found = append(found, name+" "+lot.Amount.String()); name == "a" {
			r.do("b", "k4", account.Deduct{Amount: 7 * credit, Service: "ray", Reference: "r"})
			r.toEnd()
		}
		return true
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a 5", "c 9"}, found)
}

// TestExpiringLotsGoOn: a look that stopped goes on behind its last lot, in whatever
// steps, where many have one date, too.
func TestExpiringLotsGoOn(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	defer r.close()
	for i := range 12 {
		for _, name := range []string{"a", "a:b", "b"} {
			r.do(name, "", account.GrantIncentive{Amount: credit, ExpiresAt: start.Add(time.Duration(1+i/4) * time.Hour)})
		}
	}
	r.toEnd()
	look := func(step int) (found []string) {
		var behind []byte
		for more := true; more; {
			more = false
			var err error
			behind, err = r.views.ExpiringLots(bg, start.Add(time.Minute), start.Add(time.Hour+time.Hour), behind, func(name string, lot account.ExpiryAnnounced) bool {
				found = append(found, fmt.Sprint(name, " ", lot.Lot))
				more = true
				return len(found)%step != 0
			})
			require.NoError(t, err)
		}
		return found
	}
	all := look(1000)
	require.Len(t, all, 2*4*3, "of two of three dates")
	for _, step := range []int{1, 2, 5, 24} {
		require.Equal(t, all, look(step))
	}
}

// waitedFor are views that move when somebody waits for what they lack, and only then.
type waitedFor struct {
	*projections.Views
	toEnd func()
}

func (v waitedFor) WaitThrough(ctx context.Context, position eventstore.Position) error {
	if v.Through() < position {
		v.toEnd()
	}
	return v.Views.WaitThrough(ctx, position)
}

// TestNobodyIsToldOfWhatIsOver: an engine that starts on views from before a lot was spent,
// and another told of, doesn't take either for untold.
func TestNobodyIsToldOfWhatIsOver(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	w := &notices.Writer{Store: r.store, Codec: codec, Clock: r.clock.Now}
	for _, name := range []string{"spent", "told"} {
		r.do(name, "g", account.GrantIncentive{Amount: 100 * credit, ExpiresAt: start.Add(24 * time.Hour)})
	}
	r.toEnd()
	r.do("spent", "d", account.Deduct{Amount: 100 * credit, Service: domain.ServiceRay})
	_, err := w.AnnounceExpiry(bg, "told", account.ExpiryAnnounced{Amount: 100 * credit, ExpiresAt: start.Add(24 * time.Hour)})
	require.NoError(t, err)
	head, err := r.store.Head(bg)
	require.NoError(t, err)
	r.restart()

	late := waitedFor{r.views, r.toEnd}
	engine := reactor.New(reactor.Options{Ledger: r.Ledger, Deadlines: late, Lots: late, Announce: w, Clock: r.clock.Now, Logger: quiet()})
	require.NoError(t, engine.RunDue(within(t)))
	now, err := r.store.Head(bg)
	require.NoError(t, err)
	require.Equal(t, head, now, "nothing is told")
}
