package account_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// twins are an account that pays what waits a few at a time, and one that pays all at once.
type twins struct {
	t            *testing.T
	rng          *rand.Rand
	at           time.Time
	parts, whole *account.State
	taken, cuts  int
	ids          int
}

// send decides for both, as the write side does: Ticks first, and after what they left.
func (w *twins) send(action account.Action) {
	w.t.Helper()
	decide := func(s *account.State, atOnce int, do account.Action) error {
		events, err := account.DecideSettling(s, account.Command{At: w.at, By: "ann", Do: do}, atOnce)
		for _, e := range events {
			account.Evolve(s, e)
		}
		return err
	}
	tick := func(while func() bool) {
		for n := 0; while(); n++ {
			require.Less(w.t, n, 1_000)
			before := w.parts.Revision
			require.NoError(w.t, decide(w.parts, 3, account.Tick{}))
			require.Greater(w.t, w.parts.Revision, before, "a Tick does some of it")
		}
	}
	tick(func() bool { return w.parts.Overdue(func() time.Time { return w.at }) })
	for _, do := range []account.Action{account.Tick{}, action} {
		if err := decide(w.parts, 3, do); err != nil {
			require.Equal(w.t, err, decide(w.whole, math.MaxInt, do))
			continue
		}
		require.NoError(w.t, decide(w.whole, math.MaxInt, do))
		if w.parts.Unsettled() {
			w.cuts++
		}
		tick(w.parts.Unsettled)
	}
}

// action is one of an account in which much waits.
func (w *twins) action() account.Action {
	w.ids++
	id, until := fmt.Sprint(w.ids), w.at.Add(time.Duration(1+w.rng.IntN(40))*30*time.Minute)
	some := domain.Amount(1+w.rng.IntN(9)) * credit
	one := func(of []string) string {
		if len(of) == 0 {
			return "none"
		}
		return oneOf(w.rng, of)
	}
	switch s := w.parts; w.rng.IntN(20) {
	case 0:
		return account.GrantIncentive{Amount: 4 * some, ExpiresAt: until}
	case 1:
		return account.RecordPurchase{Purchase: id, Amount: 4 * some}
	case 2, 3:
		return account.Reserve{Reservation: id, Amount: max(1, min(some, s.Balance().Available)), Service: vm, ExpiresAt: until}
	case 4, 5:
		return account.Deduct{Amount: max(1, s.Spendable()), Service: vm}
	case 6:
		return account.RecordUsage{Deployment: one(sortedKeys(s.Deployments)), Amount: some}
	case 7:
		return account.StopDeployment{Deployment: one(sortedKeys(s.Deployments)), UsedMinutes: ptr(w.rng.IntN(100))}
	case 8:
		if w.taken == 0 {
			return account.Freeze{}
		}
		return account.ReversePurchase{Purchase: one(purchaseIDs(s)), Kind: account.ReversalChargeback}
	case 9, 10:
		return account.Unfreeze{}
	case 11:
		return account.SetPolicy{GraceMinutes: ptr(60 + w.rng.IntN(1200)), Allowance: ptr(some)}
	}
	return deploy(id, []string{"0.5", "1", "0.1"}[w.rng.IntN(3)], 1+w.rng.IntN(20))
}

// TestWhatWaitsIsPaidInParts: as if all of it were paid when the credits came, whatever
// came due meanwhile.
func TestWhatWaitsIsPaidInParts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	cuts := 0
	for life := range 40 {
		w := &twins{
			t: t, rng: rand.New(rand.NewPCG(seed, uint64(life))), at: hour(0), taken: life % 2,
			parts: account.New(), whole: account.New(),
		}
		w.send(account.SetPolicy{GraceMinutes: ptr(600)})
		for range 200 {
			if w.rng.IntN(5) == 0 {
				w.at = w.at.Add(time.Duration(w.rng.IntN(90)) * time.Minute)
			}
			w.send(w.action())
			require.Equal(t, balanceText(w.whole.Balance()), balanceText(w.parts.Balance()))
			require.Equal(t, w.whole.Deployments, w.parts.Deployments)
			require.Equal(t, w.whole.Waiting, w.parts.Waiting)
			require.Equal(t, w.whole.Due, w.parts.Due)
			if w.taken == 0 { // else what has no money behind it is told once more
				require.Equal(t, stored(t, w.whole), stored(t, w.parts))
			}
		}
		cuts += w.cuts
	}
	require.Greater(t, cuts, 100)
}

// TestOneDecisionPaysSoMuch of what waits, and the account asks for Ticks until all is paid
// that can be: before anything else, oldest first, and as of when the credits came.
func TestOneDecisionPaysSoMuch(t *testing.T) {
	const waiting, most = 1_000, 400
	for name, inflow := range map[string]step{
		"a purchase":           doAt(hour(1), account.RecordPurchase{Purchase: "q", Amount: waiting * credit}),
		"a release":            doAt(hour(1), account.Release{Reservation: "r"}),
		"a hold that runs out": doAt(hour(2), account.Tick{}),
		"an allowance":         doAt(hour(1), account.SetPolicy{Allowance: ptr(waiting * credit)}),
	} {
		t.Run(name, func(t *testing.T) {
			s := account.New()
			decide := func(at time.Time, do account.Action) []domain.Event {
				events, err := account.Decide(s, account.Command{At: at, By: "ann", Do: do})
				require.NoError(t, err)
				for _, e := range events {
					account.Evolve(s, e)
				}
				return events
			}
			decide(hour(0), account.SetPolicy{GraceMinutes: ptr(600), Allowance: ptr(domain.Amount(0))})
			decide(hour(0), account.RecordPurchase{Purchase: "p", Amount: waiting * credit})
			decide(hour(0), account.Reserve{Reservation: "r", Amount: waiting * credit, Service: vm, ExpiresAt: hour(2)})
			for i := range waiting {
				decide(hour(0), deploy(fmt.Sprint(i), "1", 1))
			}
			order := slices.Clone(s.Waiting)
			require.Len(t, order, waiting)

			at, do := inflow.at, inflow.do
			var listed time.Time // as the read models have it
			for len(order) > 0 {
				events := decide(at, do)
				require.LessOrEqual(t, len(events), most)
				for _, e := range events {
					for _, due := range account.EffectOf(e, 0).Deadlines {
						if due.Kind == account.DeadlineSettle {
							listed = due.At
						}
					}
					if e, is := e.(*account.DeploymentPaid); is {
						require.Equal(t, order[0], e.Deployment)
						require.Equal(t, inflow.at, e.StartedAt)
						order = order[1:]
					}
				}
				require.Equal(t, len(order) > 0, s.Unsettled())
				require.Equal(t, s.UnsettledSince, listed, "whoever wrote this may be no more, and a Tick has to come")
				require.Equal(t, len(order) > 0, s.Overdue(func() time.Time { return inflow.at }))
				at, do = hour(4), account.Tick{} // the first of them have ended by then
			}
		})
	}
}

// TestStopPaysAllThatWaitedLonger, however much one decision pays: what a deployment that
// stops gets depends on that. What has waited less long is left for the next one.
func TestStopPaysAllThatWaitedLonger(t *testing.T) {
	h := newHistory(t)
	for _, s := range given(granted(20*credit), do(deploy("d", "8", 2)), doAt(minute(9), deploy("a", "5", 1)), doAt(minute(9), deploy("b", "5", 1)),
		usage(minute(10), 9*credit), doAt(minute(11), deploy("c", "4.5", 1)), doAt(minute(11), deploy("e", "4.1", 1))) {
		_, err := h.execute(s)
		require.NoError(t, err)
	}
	got, err := account.DecideSettling(h.state, h.command(stopped(minute(12))), 1)
	require.NoError(t, err)
	ends := ended(account.DeploymentIsStopped, "d", minute(12), 10, 1_333_333, 14_666_667)
	ends.UsageDropped = 9 * credit // 8.666667 are left for it
	first := ran("c", 1, minute(12), 0, promo(0, 4_500_000))
	first.MoreWaits = true
	require.Equal(t, eventsText(t, events(back("d", 2, promo(0, 14_666_667)), ran("a", 1, minute(12), 0, promo(0, 5*credit)),
		ran("b", 1, minute(12), 0, promo(0, 5*credit)), ends, first)), eventsText(t, got))
}

// paused is an account whose deployment was paid from many lots, of which most are past
// their date when its grace window ends at hour 9. Something else is owed since; and part of
// it has come back before, or all its purchased lots have a date.
func paused(t *testing.T, rng *rand.Rand, dated bool) *history {
	h := newHistory(t)
	run := func(at int, do account.Action) {
		t.Helper()
		events, err := account.Decide(h.state, h.command(step{at: hour(at), by: "ann", do: do}))
		require.NoError(t, err)
		h.fold(events)
	}
	give := func(lots int) {
		for i := range lots {
			some, purchase := domain.Amount(1+rng.IntN(9))*credit, account.RecordPurchase{Purchase: fmt.Sprint(h.state.Revision + 1)}
			if purchase.Amount = some; dated || i%8 == 0 {
				purchase.ExpiresAt = hour(2 + rng.IntN(8))
			}
			if i%4 > 0 {
				run(0, account.GrantIncentive{Amount: some, ExpiresAt: hour(2 + rng.IntN(12))})
			} else {
				run(0, purchase)
			}
		}
	}
	spend := func(at int) { run(at, account.Deduct{Amount: h.state.Balance().Available, Service: vm}) }
	run(0, account.SetPolicy{GraceMinutes: ptr(300), Allowance: ptr(domain.Amount(0))})
	run(0, account.RecordPurchase{Purchase: "spent", Amount: 100 * credit})
	spend(0)
	give(250)
	run(0, deploy("d", fmt.Sprint(int64(h.state.Balance().Available/credit/8)), 8))
	give(120)
	run(0, account.ExtendDeployment{Deployment: "d", Hours: 3})
	spend(0)
	if !dated {
		run(0, account.Refund{Transaction: tx(h.state.Payments["d"][0].Revision), Amount: 20 * credit})
		spend(0)
	}
	run(4, account.RecordUsage{Deployment: "d", Amount: 5 * credit})
	run(4, account.RecordPurchase{Purchase: "stands in", Amount: 2 * credit})
	first := h.state.Payments["d"][0].Lots // the last of them may be in the other payment, too
	for _, purchase := range []string{fmt.Sprint(first[len(first)-1].Lot), "spent"} {
		run(4, account.ReversePurchase{Purchase: purchase, Kind: account.ReversalChargeback})
	}
	run(4, account.Unfreeze{})
	return h
}

// TestRefundInParts: what comes back at the end of a grace window does so alike in as many
// decisions as it takes and in one.
func TestRefundInParts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	inParts := 0
	for life := range 10 {
		h := paused(t, rand.New(rand.NewPCG(seed, uint64(life))), life%2 == 0)
		require.Positive(t, h.state.Balance().Debt)
		parts, whole := h.reload(stored(t, h.state)), h.reload(stored(t, h.state))
		ended := map[*account.State]*account.DeploymentEnded{}
		decide := func(s *account.State, do account.Action) (all int) {
			events, err := account.Decide(s, account.Command{At: hour(10), By: "ann", Do: do})
			require.NoError(t, err)
			for _, e := range events {
				account.Evolve(s, e)
				if e, is := e.(*account.DeploymentEnded); is {
					ended[s] = e
				}
			}
			require.Empty(t, s.Faults())
			require.Empty(t, s.LotFaults())
			return len(events)
		}
		ticks := 0
		for ; parts.Overdue(func() time.Time { return hour(10) }); ticks++ {
			n := decide(parts, account.Tick{})
			require.Positive(t, n)
			require.LessOrEqual(t, n, 210)
		}
		require.Positive(t, ticks)
		if ticks > 1 { // one is enough where few lots are past their date
			inParts++
		}
		decide(parts, account.Freeze{})
		decide(whole, account.Freeze{})
		require.NotNil(t, ended[whole])
		require.Equal(t, ended[whole], ended[parts])
		parts.Revision = whole.Revision
		require.Equal(t, stored(t, whole), stored(t, parts))
	}
	require.Greater(t, inParts, 5)
}
