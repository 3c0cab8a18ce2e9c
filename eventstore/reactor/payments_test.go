package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/reactor"
)

// errLost is an answer that never came.
var errLost = errors.New("the connection broke")

// till is a provider in memory. It fails as it is told: before makes no link,
// lost makes one and loses the answer, refuse answers that it makes none.
type till struct {
	mu       sync.Mutex
	before   int
	lost     int
	refuse   int
	links    map[string][]reactor.Link
	keys     map[string]bool
	payments map[string][]account.ProviderPayment
}

func newTill() *till {
	return &till{links: map[string][]reactor.Link{}, keys: map[string]bool{}, payments: map[string][]account.ProviderPayment{}}
}

func (p *till) CreateLink(_ context.Context, r reactor.LinkRequest) (reactor.Link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprintf("%s.%d", r.Purchase, r.Attempt)
	switch {
	case p.before > 0:
		p.before--
		return reactor.Link{}, errLost
	case p.refuse > 0:
		p.refuse--
		return reactor.Link{}, fmt.Errorf("%w: merchant/closed", reactor.ErrNoLink)
	case p.keys[key]:
		return reactor.Link{}, fmt.Errorf("%w: idempotency/reused", reactor.ErrNoLink)
	}
	p.keys[key] = true
	link := reactor.Link{ID: "link-" + key, URL: "https://pay.example/" + key, Attempt: r.Attempt}
	p.links[r.Purchase] = append(p.links[r.Purchase], link)
	if p.lost > 0 {
		p.lost--
		return reactor.Link{}, errLost
	}
	return link, nil
}

func (p *till) Links(_ context.Context, purchase string) ([]reactor.Link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.links[purchase]), nil
}

func (p *till) Payments(_ context.Context, purchase string) ([]account.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.payments[purchase]), nil
}

func (p *till) pay(acct, purchase string, amount domain.Amount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.payments[purchase] = append(p.payments[purchase], account.ProviderPayment{
		Account: acct, Purchase: purchase, Payment: fmt.Sprintf("pay-%s-%d", purchase, len(p.payments[purchase])),
		Status: account.ProviderSucceeded, Amount: amount,
	})
}

func (p *till) linkCount(purchase string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links[purchase])
}

// book reads purchases out of the log, each time anew.
type book struct {
	store   eventstore.Store
	changed chan struct{}
}

func (b *book) PurchasesIn(ctx context.Context, status account.PurchaseStatus, since time.Time, _ string) ([]reactor.OpenPurchase, string, error) {
	found := map[string]*reactor.OpenPurchase{}
	for r, err := range b.store.ReadAll(ctx, eventstore.BeforeFirst, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return nil, "", err
		}
		if strings.HasPrefix(r.Stream, eventstore.ClaimStream("")) {
			continue
		}
		f, err := codec.Open(r)
		if err != nil {
			return nil, "", err
		}
		kind, id, ok := account.ObjectOf(f.Body)
		if !ok || kind != account.ObjectPurchase {
			continue
		}
		if found[id] == nil {
			name, _ := eventstore.AccountOf(r.Stream)
			found[id] = &reactor.OpenPurchase{Account: name, ID: id}
		}
		found[id].Apply(f.Body)
	}
	var in []reactor.OpenPurchase
	for _, p := range found {
		if p.State == status && !p.StartedAt.Before(since) {
			in = append(in, *p)
		}
	}
	return in, "", nil
}

func (b *book) PurchasesChanged() <-chan struct{} { return b.changed }

func (b *book) WaitThrough(context.Context, eventstore.Position) error { return nil }

// selling is a reactor's options for purchases.
func (r *rig) selling(p *till) func(*reactor.Options) {
	b := &book{store: r.store, changed: make(chan struct{}, 1)}
	return func(o *reactor.Options) {
		o.Provider, o.Purchases = p, b
		o.FirstPause, o.ReconcileEvery = time.Millisecond, time.Millisecond
	}
}

func TestLinkIsMadeOnce(t *testing.T) {
	for name, p := range map[string]*till{
		"at once":                     newTill(),
		"no answer, and no link":      {before: 2, links: map[string][]reactor.Link{}, keys: map[string]bool{}},
		"no answer, but a link":       {lost: 1, links: map[string][]reactor.Link{}, keys: map[string]bool{}},
		"refused twice":               {refuse: 2, links: map[string][]reactor.Link{}, keys: map[string]bool{}},
		"refused, broken, lost again": {refuse: 1, before: 1, lost: 1, links: map[string][]reactor.Link{}, keys: map[string]bool{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.follow()
			r.run(r.selling(p))
			r.do("a", account.StartPurchase{Purchase: "p", Amount: 5 * credit})
			eventually(t, func() bool { return r.count("a", "purchase-link-made") == 1 }, "a link")
			require.Equal(t, 1, p.linkCount("p"), "never two links for one purchase")
		})
	}
}

// TestPurchaseThatEndsNeedsNoLink: a provider that refuses for good is not asked
// for ever.
func TestPurchaseThatEndsNeedsNoLink(t *testing.T) {
	r := newRig(t)
	r.follow()
	p := newTill()
	p.refuse = 1_000_000
	r.run(r.selling(p))
	r.do("a", account.StartPurchase{Purchase: "p", Amount: 5 * credit})
	eventually(t, func() bool { return r.count("a", "purchase-link-failed") >= 2 }, "it is tried again")
	r.clock.Move(time.Hour)
	eventually(t, func() bool { return r.count("a", "purchase-expired") == 1 }, "expired")
}

// TestLostWebhooksOnlyDelay: whatever webhook is lost, the reconciliation finds
// the payment, for a purchase that has expired since, too; and finds it once.
func TestLostWebhooksOnlyDelay(t *testing.T) {
	r := newRig(t)
	r.follow()
	p := newTill()
	stop := r.run(r.selling(p))
	for _, id := range []string{"p1", "p2", "p3"} {
		r.do("a", account.StartPurchase{Purchase: id, Amount: 5 * credit})
	}
	eventually(t, func() bool { return r.count("a", "purchase-link-made") == 3 }, "links")
	p.pay("a", "p1", 5*credit)
	eventually(t, func() bool { return r.balance("a") == 5*credit }, "settled")
	r.clock.Move(time.Hour)
	eventually(t, func() bool { return r.count("a", "purchase-expired") == 2 }, "expired")
	p.pay("a", "p2", 2*credit)
	p.pay("a", "p2", 3*credit)
	eventually(t, func() bool { return r.balance("a") == 10*credit }, "paid late, in two parts")
	stop()
	r.clock.Move(48 * time.Hour)
	p.pay("a", "p3", 5*credit)
	require.NoError(t, r.reactor(r.selling(p)).Reconcile(t.Context()))
	require.Equal(t, 10*credit, r.balance("a"), "after a day only a webhook or finance brings it in")
	require.Equal(t, 2, r.count("a", "purchase-settled"))
}

// stoppingLedger ends its engine before or after the command that is its turn:
// the reactor gets no answer, as if the process had been killed there.
type stoppingLedger struct {
	reactor.Ledger
	mu    sync.Mutex
	left  int
	after bool
	kill  context.CancelFunc
}

func (l *stoppingLedger) Execute(ctx context.Context, req ledger.Request) (ledger.Result, error) {
	l.mu.Lock()
	l.left--
	now := l.left == 0
	l.mu.Unlock()
	if !now {
		return l.Ledger.Execute(ctx, req)
	}
	if l.after {
		_, _ = l.Ledger.Execute(ctx, req)
	}
	l.kill()
	return ledger.Result{}, errLost
}

// TestKilledBetweenTwoSteps ends engines between any two steps of a purchase, by
// seed, until one comes through: there is one link, one payment, one settlement.
func TestKilledBetweenTwoSteps(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		r := newRig(t)
		r.follow()
		p := newTill()
		r.do("a", account.StartPurchase{Purchase: "p", Amount: 5 * credit})
		for range 6 {
			ctx, kill := context.WithCancel(context.Background())
			dying := &stoppingLedger{Ledger: r.ledger, left: 1 + random.IntN(3), after: random.IntN(2) == 0, kill: kill}
			p.mu.Lock()
			p.lost, p.before = random.IntN(2), random.IntN(2)
			paid := len(p.links["p"]) > 0 && len(p.payments["p"]) == 0 && random.IntN(2) == 0
			p.mu.Unlock()
			if paid {
				p.pay("a", "p", 5*credit)
			}
			engine := r.reactor(func(o *reactor.Options) { r.selling(p)(o); o.Ledger = dying })
			settled := r.count("a", "purchase-settled") == 1
			if settled {
				kill()
			}
			stopped := context.AfterFunc(t.Context(), kill)
			time.AfterFunc(20*time.Millisecond, kill) // an engine that meets no fault ends too
			engine.Run(ctx)
			stopped()
		}
		if p.linkCount("p") == 0 || len(p.payments["p"]) == 0 {
			stop := r.run(r.selling(p))
			eventually(t, func() bool { return r.count("a", "purchase-link-made") >= 1 }, "a link in the end")
			stop()
			p.pay("a", "p", 5*credit)
		}
		require.NoError(t, r.reactor(r.selling(p)).Reconcile(t.Context()))
		require.Equal(t, 1, r.count("a", "purchase-settled"), "%v", r.types("a"))
		require.Equal(t, 5*credit, r.balance("a"))
		require.Equal(t, 1, p.linkCount("p"), "%v", r.types("a"))
	}
}

// TestIdsOfPaymentsStayApart: one that ours can't be has a digest, and so has one that
// looks like what is made here.
func TestIdsOfPaymentsStayApart(t *testing.T) {
	seen := map[string]string{}
	normal := func(id string) string { return reactor.Normal(account.ProviderPayment{Payment: id}).Payment }
	long := strings.Repeat("x", 101)
	for _, id := range []string{
		"pay_1", "pay/1=", "pay 1", "pay\x001", "é", ".", "..", long, long + "y", strings.Repeat("x", 100_000), "reversal:pay_1", "reversal:", normal("pay/1="),
	} {
		got := normal(id)
		require.NoError(t, domain.CheckID("payment", got), id)
		require.NoError(t, domain.CheckID("payment", "reversal:"+got), id)
		require.False(t, account.MadeID(got), id)
		require.Empty(t, seen[got], "%s is no other's", got)
		require.Equal(t, got, normal(id))
		seen[got] = id
	}
	require.Equal(t, "pay_1", normal("pay_1"))
	require.Empty(t, normal(""))
}
