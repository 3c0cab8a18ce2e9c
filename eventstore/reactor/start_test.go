package reactor_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/reactor"
)

// watchedModel counts how often what is due was listed, and tells of who waits for it.
type watchedModel struct {
	*model
	looks atomic.Int64
	waits chan struct{}
}

func (m *watchedModel) DueAccounts(ctx context.Context, now time.Time, limit int, skip func(string) bool) ([]string, error) {
	m.looks.Add(1)
	return m.model.DueAccounts(ctx, now, limit, skip)
}

func (m *watchedModel) WaitThrough(ctx context.Context, position eventstore.Position) error {
	select {
	case m.waits <- struct{}{}:
	default:
	}
	return m.model.WaitThrough(ctx, position)
}

// TestNothingIsDoneBeforeTheReadModelsHaveCaughtUp: after a start on read models that are
// built anew all that ever was due, unpaid or untold looks so once more.
func TestNothingIsDoneBeforeTheReadModelsHaveCaughtUp(t *testing.T) {
	r := newRig(t)
	r.grant("a", 1, time.Minute)
	r.do("a", account.StartPurchase{Purchase: "p", Amount: 5 * credit})
	require.NoError(t, r.ledger.Close(context.Background()))
	r.openLedger()

	due := &watchedModel{model: r.model, waits: make(chan struct{}, 1)}
	sold := &watchedBook{book: &book{store: r.store, changed: make(chan struct{}, 1)}}
	lots := &datedLots{untold: []string{"a"}, refuse: func(string) error { return nil }}
	told := func() int {
		lots.mu.Lock()
		defer lots.mu.Unlock()
		return lots.looks
	}
	r.run(func(o *reactor.Options) {
		r.selling(newTill())(o)
		o.Deadlines, o.Purchases, o.Lots, o.Announce = due, sold, lots, lots
	})
	select {
	case <-due.waits:
	case <-time.After(patience):
		require.Fail(t, "nobody waits for the read models")
	}
	require.Zero(t, due.looks.Load()+sold.looks.Load())
	require.Zero(t, told())
	r.follow()
	eventually(t, func() bool { return due.looks.Load() > 0 && sold.looks.Load() > 0 && told() > 0 }, "all is looked at")
	eventually(t, func() bool { return r.count("a", "purchase-link-made") == 1 }, "the purchase has a link")
}

// stoppedModel fails those who wait for it as often as it says, and is there then.
type stoppedModel struct {
	*model
	failures atomic.Int64
}

func (m *stoppedModel) WaitThrough(ctx context.Context, position eventstore.Position) error {
	if m.failures.Add(-1) >= 0 {
		return errLost
	}
	return m.model.WaitThrough(ctx, position)
}

// TestReadModelsThatComeBackAreWaitedFor: the reactor doesn't end for them.
func TestReadModelsThatComeBackAreWaitedFor(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.grant("a", 1, time.Minute)
	r.clock.Move(time.Hour)
	stopped := &stoppedModel{model: r.model}
	stopped.failures.Store(3)
	r.run(func(o *reactor.Options) { o.Deadlines, o.FirstPause = stopped, time.Millisecond })
	eventually(t, func() bool { return r.count("a", expired) == 1 }, "expired")
	require.Contains(t, r.log.String(), "nothing is done about what becomes due")
}
