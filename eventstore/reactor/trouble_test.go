package reactor_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/reactor"
)

// watchedBook counts how often purchases were listed. What it was given as stale
// is all that it ever lists, and it never catches up.
type watchedBook struct {
	*book
	looks atomic.Int64
	stale []reactor.OpenPurchase
}

func (b *watchedBook) PurchasesIn(ctx context.Context, status account.PurchaseStatus, since time.Time, after string) ([]reactor.OpenPurchase, string, error) {
	defer b.looks.Add(1)
	if b.stale != nil {
		return b.stale, "", nil
	}
	return b.book.PurchasesIn(ctx, status, since, after)
}

func (b *watchedBook) WaitThrough(ctx context.Context, position eventstore.Position) error {
	if b.stale == nil {
		return b.book.WaitThrough(ctx, position)
	}
	<-ctx.Done()
	return ctx.Err()
}

// manyLooks returns when purchases were listed often enough for every mistake to show.
func (b *watchedBook) manyLooks(t *testing.T) {
	t.Helper()
	seen := b.looks.Load()
	eventually(t, func() bool { return b.looks.Load() >= seen+50 }, "the reactor looks again")
}

// slowTill is a provider that, once it is told to, doesn't answer.
type slowTill struct {
	*till
	slowLinks, slowPayments atomic.Bool
	underWay                atomic.Int64
}

func (p *slowTill) CreateLink(ctx context.Context, r reactor.LinkRequest) (reactor.Link, error) {
	if p.slowLinks.Load() {
		p.underWay.Add(1)
		<-ctx.Done()
		return reactor.Link{}, ctx.Err()
	}
	return p.till.CreateLink(ctx, r)
}

func (p *slowTill) Payments(ctx context.Context, purchase string) ([]account.ProviderPayment, error) {
	if p.slowPayments.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p.till.Payments(ctx, purchase)
}

// TestFewLinksAtOnceInTrouble: where many purchases rest after failures, no more
// than Parallel are tried at once all the same.
func TestFewLinksAtOnceInTrouble(t *testing.T) {
	r := newRig(t)
	r.follow()
	p := &slowTill{till: newTill()}
	p.refuse = 2
	b := &watchedBook{book: &book{store: r.store, changed: make(chan struct{}, 1)}}
	r.run(func(o *reactor.Options) {
		o.Provider, o.Purchases, o.Parallel = p, b, 2
		o.FirstPause, o.MaxPause, o.Timeout = time.Hour, time.Hour, time.Hour
	})
	r.do("a", account.StartPurchase{Purchase: "p0", Amount: credit})
	r.do("a", account.StartPurchase{Purchase: "p1", Amount: credit})
	eventually(t, func() bool { return r.count("a", "purchase-link-failed") == 2 }, "both rest")
	p.slowLinks.Store(true)
	for i := range 10 {
		r.do("b", account.StartPurchase{Purchase: fmt.Sprint("q", i), Amount: credit})
	}
	eventually(t, func() bool { return p.underWay.Load() >= 2 }, "others are tried")
	b.manyLooks(t)
	require.EqualValues(t, 2, p.underWay.Load())
}

// TestReconciliationHoldsUpNoLink: a provider that is slow to tell of payments
// keeps no customer from paying.
func TestReconciliationHoldsUpNoLink(t *testing.T) {
	r := newRig(t)
	r.follow()
	p := &slowTill{till: newTill()}
	p.slowPayments.Store(true)
	r.run(func(o *reactor.Options) {
		r.selling(p.till)(o)
		o.Provider, o.Timeout = p, time.Hour
	})
	for _, id := range []string{"p1", "p2", "p3"} {
		r.do("a", account.StartPurchase{Purchase: id, Amount: credit})
		eventually(t, func() bool { return p.linkCount(id) == 1 }, "a link for "+id)
	}
}

// countingLedger counts commands that aren't a Tick: a read model of deadlines that
// is late as well costs a Tick more, rightly.
type countingLedger struct {
	reactor.Ledger
	commands atomic.Int64
}

func (l *countingLedger) Execute(ctx context.Context, req ledger.Request) (ledger.Result, error) {
	if _, tick := req.Do.(account.Tick); !tick {
		l.commands.Add(1)
	}
	return l.Ledger.Execute(ctx, req)
}

// TestLateReadModelOfPurchases: a read model that still shows a purchase which
// has ended costs one command, not one after the other.
func TestLateReadModelOfPurchases(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.do("a", account.StartPurchase{Purchase: "p", Amount: credit})
	stale, _, err := (&book{store: r.store}).PurchasesIn(t.Context(), account.PurchaseIsAwaiting, time.Time{}, "")
	require.NoError(t, err)
	r.clock.Move(time.Hour)
	r.do("a", account.Tick{})
	require.Equal(t, 1, r.count("a", "purchase-expired"))
	p := newTill()
	b := &watchedBook{book: &book{store: r.store, changed: make(chan struct{}, 1)}, stale: stale}
	counted := &countingLedger{Ledger: r.ledger}
	r.run(func(o *reactor.Options) {
		o.Ledger, o.Provider, o.Purchases, o.Timeout, o.Deadlines = counted, p, b, time.Hour, r.model
	})
	eventually(t, func() bool { return counted.commands.Load() >= 1 }, "it tries")
	b.manyLooks(t)
	require.EqualValues(t, 1, counted.commands.Load())
}
