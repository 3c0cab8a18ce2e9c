package reactor_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/reactor"
)

// slowList takes a while to list the one account that is always due.
type slowList struct{}

func (slowList) NextDue(context.Context) (time.Time, bool, error) { return time.Time{}, false, nil }

func (slowList) DueAccounts(_ context.Context, _ time.Time, _ int, skip func(string) bool) (due []string, err error) {
	if !skip("a") {
		due = []string{"a"}
	}
	<-time.After(100 * time.Millisecond) // the bubble's time
	return due, nil
}

func (slowList) Changed() <-chan struct{}                               { return nil }
func (slowList) Through() eventstore.Position                           { return 0 }
func (slowList) WaitThrough(context.Context, eventstore.Position) error { return nil }

// failingLedger counts the commands that it fails.
type failingLedger struct{ tries atomic.Int64 }

func (l *failingLedger) Execute(context.Context, ledger.Request) (ledger.Result, error) {
	l.tries.Add(1)
	return ledger.Result{}, errBroken
}

func (*failingLedger) AckedAny() eventstore.Position { return 0 }

// TestPausesDoubleThoughTheListIsSlow: an account whose pause ends while the list is made
// isn't in it, and is due all the same.
func TestPausesDoubleThoughTheListIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &failingLedger{}
		r := reactor.New(reactor.Options{
			Ledger: l, Deadlines: slowList{}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
			FirstPause: time.Second, MaxPause: time.Hour, Recheck: 10 * time.Millisecond,
		})
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Second)
		defer cancel()
		r.Run(ctx)
		require.LessOrEqual(t, l.tries.Load(), int64(10), "after 1, 2, 4 seconds, and so on up to 512")
	})
}

// away is a provider that can't be reached until it is back.
type away struct {
	reactor.Provider
	back  atomic.Bool
	tried atomic.Int64
}

func (p *away) CreateLink(context.Context, reactor.LinkRequest) (reactor.Link, error) {
	p.tried.Add(1)
	if !p.back.Load() {
		return reactor.Link{}, errLost
	}
	<-time.After(2 * time.Second)
	return reactor.Link{}, nil
}

// acceptingLedger takes every command, and tells the read model which purchase has its link.
type acceptingLedger struct{ waiting *waiting }

func (l *acceptingLedger) Execute(_ context.Context, req ledger.Request) (ledger.Result, error) {
	if link, is := req.Do.(account.RecordLink); is {
		l.waiting.done.Store(link.Purchase, true)
	}
	return ledger.Result{}, nil
}

func (*acceptingLedger) AckedAny() eventstore.Position { return 0 }

// waiting lists so many purchases without a link.
type waiting struct {
	purchases atomic.Int64
	done      sync.Map
}

func newWaiting(purchases int64) *waiting {
	w := &waiting{}
	w.purchases.Store(purchases)
	return w
}

func (w *waiting) PurchasesIn(_ context.Context, status account.PurchaseStatus, _ time.Time, _ string) (page []reactor.OpenPurchase, next string, err error) {
	for i := range w.purchases.Load() {
		id := fmt.Sprint("p", i)
		if _, done := w.done.Load(id); !done && status == account.PurchaseIsAwaiting {
			page = append(page, reactor.OpenPurchase{Account: "a", ID: id})
		}
	}
	return page, "", nil
}

func (*waiting) PurchasesChanged() <-chan struct{}                      { return nil }
func (*waiting) WaitThrough(context.Context, eventstore.Position) error { return nil }

// nothingDue is a read model of deadlines without any.
type nothingDue struct{ slowList }

func (nothingDue) DueAccounts(context.Context, time.Time, int, func(string) bool) ([]string, error) {
	return nil, nil
}

// TestAProviderThatIsAwayIsAskedNowAndThen: the many who wait for a link are not all tried
// for as long as it is away, and all served once it is back.
func TestAProviderThatIsAwayIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const purchases, parallel = 400, 16
		p, w := &away{}, newWaiting(purchases)
		r := reactor.New(reactor.Options{
			Ledger: &acceptingLedger{waiting: w}, Deadlines: nothingDue{}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
			Provider: p, Purchases: w, Parallel: parallel, FirstPause: 100 * time.Millisecond, MaxPause: time.Minute,
			Recheck: time.Second, ReconcileEvery: time.Hour,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		<-time.After(100 * time.Second) // the bubble's time
		require.LessOrEqual(t, p.tried.Load(), int64(2*parallel+100), "the first at once, and then one a second")
		require.Greater(t, p.tried.Load(), int64(50), "it is asked all the same")
		p.back.Store(true)
		<-time.After(2 * time.Minute) // who rests longest does so for one; one after the other would take 13
		left, _, err := w.PurchasesIn(t.Context(), account.PurchaseIsAwaiting, time.Time{}, "")
		require.NoError(t, err)
		require.Empty(t, left)
		cancel()
		running.Wait()
	})
}

// refusing is a provider that is well, and makes no link but for the newest purchase.
type refusing struct{ reactor.Provider }

func (refusing) CreateLink(_ context.Context, of reactor.LinkRequest) (reactor.Link, error) {
	if of.Purchase != fmt.Sprint("p", stuck) {
		return reactor.Link{}, errLost
	}
	return reactor.Link{}, nil
}

// stuck is how many things fail, each for a reason of its own: more than reactor.Options'
// Parallel.
const stuck = 200

// oneTicks is a ledger of which one account can be ticked.
type oneTicks struct {
	failingLedger
	ticked atomic.Bool
}

func (l *oneTicks) Execute(_ context.Context, req ledger.Request) (ledger.Result, error) {
	if req.Account != "newest" {
		return ledger.Result{}, errBroken
	}
	l.ticked.Store(true)
	return ledger.Result{Position: 1}, nil
}

// manyDue lists accounts that are stuck, and one that isn't as the last.
type manyDue struct {
	slowList
	ledger *oneTicks
	also   atomic.Bool
}

func (m *manyDue) DueAccounts(_ context.Context, _ time.Time, limit int, skip func(string) bool) (due []string, err error) {
	names := make([]string, 0, stuck+1)
	for i := range stuck {
		names = append(names, fmt.Sprint("a", i))
	}
	if m.also.Load() && !m.ledger.ticked.Load() {
		names = append(names, "newest")
	}
	for _, name := range names {
		if len(due) < limit && !skip(name) {
			due = append(due, name)
		}
	}
	return due, nil
}

// TestWhatIsStuckHoldsUpNothingElse: very many that never succeed look as if all were in
// trouble. What comes later has its turn all the same, and soon.
func TestWhatIsStuckHoldsUpNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &oneTicks{}, newWaiting(stuck)
		due := &manyDue{ledger: l}
		options := reactor.Options{
			Ledger: l, Deadlines: due, Clock: time.Now, Logger: slog.New(slog.DiscardHandler), ReconcileEvery: time.Hour,
		}
		buying := options
		buying.Ledger, buying.Deadlines, buying.Provider, buying.Purchases = &acceptingLedger{waiting: w}, nothingDue{}, refusing{}, w
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { reactor.New(options).Run(ctx) })
		running.Go(func() { reactor.New(buying).Run(ctx) })
		<-time.After(5 * time.Minute) // the bubble's time: each has failed often
		due.also.Store(true)
		w.purchases.Store(stuck + 1)
		<-time.After(5 * time.Second)
		left, _, err := w.PurchasesIn(t.Context(), account.PurchaseIsAwaiting, time.Time{}, "")
		require.NoError(t, err)
		require.Equal(t, []any{stuck, true}, []any{len(left), l.ticked.Load()}, "the newest has its link, and its tick")
		cancel()
		running.Wait()
	})
}
