package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore/reactor"
)

// gateTill tells about whom it is asked, and answers once it is open.
type gateTill struct {
	*till
	asked chan string
	open  chan struct{}
	fail  error
}

func (p *gateTill) Payments(ctx context.Context, purchase string) ([]account.ProviderPayment, error) {
	p.asked <- purchase
	select {
	case <-p.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.fail != nil {
		return nil, p.fail
	}
	return p.till.Payments(ctx, purchase)
}

// TestWhoWaitsIsAskedAboutFirst: several at once, those that ended after all that wait, and
// what goes wrong with many is not told of each.
func TestWhoWaitsIsAskedAboutFirst(t *testing.T) {
	r := newRig(t)
	r.follow()
	plain := newTill()
	stop := r.run(r.selling(plain))
	const each, atOnce, told = 12, 8, 10
	start := func(kind string) {
		for i := range each {
			r.do("a", account.StartPurchase{Purchase: fmt.Sprint(kind, i), Amount: credit})
		}
	}
	start("old")
	eventually(t, func() bool { return r.count("a", "purchase-link-made") == each }, "links")
	r.clock.Move(time.Hour)
	eventually(t, func() bool { return r.count("a", "purchase-expired") == each }, "expired")
	start("new")
	eventually(t, func() bool { return r.count("a", "purchase-link-made") == 2*each }, "links")
	stop()

	gate := &gateTill{till: plain, asked: make(chan string, 2*each), open: make(chan struct{}), fail: errors.New("closed")}
	engine := r.selling(plain)
	reconciled := make(chan error, 1)
	go func() {
		reconciled <- r.reactor(func(o *reactor.Options) { engine(o); o.Provider = gate }).Reconcile(t.Context())
	}()
	for range atOnce {
		require.True(t, strings.HasPrefix(<-gate.asked, "new"))
	}
	close(gate.open)
	err := <-reconciled
	require.ErrorIs(t, err, gate.fail)
	require.Equal(t, told, strings.Count(err.Error(), "closed"))
	require.ErrorContains(t, err, fmt.Sprintf("and %d more", 2*each-told))
	require.Len(t, gate.asked, 2*each-atOnce, "each once")
}
