package reactor_test

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/reactor"
	"iocredits/eventstore/storetest"
)

const (
	credit   = domain.Credit
	patience = 30 * time.Second
)

var codec = eventstore.NewCodec(account.EventTypes()...)

// rig is a reactor on a real ledger and a real store, with a clock that the test
// moves and a read model that follows the log.
type rig struct {
	t      *testing.T
	store  *pebblestore.Store
	clock  *storetest.Clock
	model  *model
	ledger *ledger.Ledger
	log    *storetest.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	r := &rig{t: t, store: store, clock: storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), log: &storetest.Buffer{}}
	r.model = newModel(store)
	r.openLedger()
	t.Cleanup(func() {
		require.NoError(t, r.ledger.Close(context.Background()))
		require.NoError(t, store.Close())
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

func (r *rig) openLedger() {
	head, err := r.store.Head(context.Background())
	require.NoError(r.t, err)
	r.ledger = ledger.New(ledger.Options{
		Store: r.store, Snapshots: r.store, Codec: codec, Names: r.model, Clock: r.clock.Now, Logger: slog.New(slog.DiscardHandler), Head: head,
	})
}

// follow keeps the read model up to date for the rest of the test.
func (r *rig) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, err := range r.store.Subscribe(ctx, eventstore.BeforeFirst) {
			if err != nil {
				return
			}
			r.model.advance()
		}
	}()
	r.t.Cleanup(func() { cancel(); <-done })
}

// reactor makes one; change may replace parts of its options.
func (r *rig) reactor(change func(*reactor.Options)) *reactor.Reactor {
	opts := reactor.Options{
		Ledger: r.ledger, Deadlines: r.model, Clock: r.clock.Now, Recheck: time.Millisecond, Claims: reactor.Claims{Store: r.store},
		Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if change != nil {
		change(&opts)
	}
	return reactor.New(opts)
}

// run runs a reactor until the test ends or stop is called.
func (r *rig) run(change func(*reactor.Options)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	running := r.reactor(change)
	go func() { defer close(done); running.Run(ctx) }()
	stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			r.t.Error("the reactor doesn't stop")
		}
	}
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) do(name string, action account.Action) {
	r.t.Helper()
	_, err := r.ledger.Execute(context.Background(), ledger.Request{Account: name, Do: action, Actor: "tester", Role: "admin"})
	require.NoError(r.t, err)
}

// grant gives an account credits that expire.
func (r *rig) grant(name string, credits domain.Amount, in time.Duration) {
	r.t.Helper()
	r.do(name, account.GrantIncentive{Amount: credits * credit, ExpiresAt: r.clock.Now().Add(in)})
}

// hold reserves credits until a time.
func (r *rig) hold(name, id string, credits domain.Amount, in time.Duration) {
	r.t.Helper()
	r.do(name, account.Reserve{Reservation: id, Amount: credits * credit, Service: domain.ServiceRay, ExpiresAt: r.clock.Now().Add(in)})
}

// types lists the events of an account as they are stored.
func (r *rig) types(name string) []string {
	r.t.Helper()
	var types []string
	for rec, err := range r.store.ReadStream(context.Background(), eventstore.AccountStream(name), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(r.t, err)
		types = append(types, rec.Type)
	}
	return types
}

func (r *rig) count(name, eventType string) int {
	n := 0
	for _, have := range r.types(name) {
		if have == eventType {
			n++
		}
	}
	return n
}

func (r *rig) balance(name string) domain.Amount {
	r.t.Helper()
	view, err := r.ledger.Read(context.Background(), name)
	require.NoError(r.t, err)
	return view.Balance.Balance
}

// eventually waits for what another goroutine is about to make true.
func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, time.Millisecond, what)
}

// allDone waits until the read model has seen everything, and nothing is due ever.
func (r *rig) allDone() {
	r.t.Helper()
	eventually(r.t, func() bool {
		seen := r.model.Through() >= r.ledger.AckedAny()
		_, found, _ := r.model.NextDue(context.Background())
		return seen && !found
	}, "all done")
}

// due is a deadline in the model: a lot that expires, or a hold.
type due struct {
	account string
	lot     int64
	thing   string
}

// model is the smallest read model of deadlines and names: it folds the log up to where
// advance was called. The real one is in projections and has tests of its own.
type model struct {
	store   eventstore.Store
	changed chan struct{}

	mu      sync.Mutex
	through eventstore.Position
	free    map[due]domain.Amount
	at      map[due]time.Time
	names   map[claim]int64
	moved   chan struct{}
}

type claim struct {
	account string
	name    ledger.Name
}

func newModel(store eventstore.Store) *model {
	return &model{
		store: store, changed: make(chan struct{}, 1), moved: make(chan struct{}),
		free: map[due]domain.Amount{}, at: map[due]time.Time{}, names: map[claim]int64{},
	}
}

func (m *model) advance() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for rec, err := range m.store.ReadAll(context.Background(), m.through+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			panic(err)
		}
		if !strings.HasPrefix(rec.Stream, eventstore.ClaimStream("")) {
			f, err := codec.Open(rec)
			if err != nil {
				panic(err)
			}
			m.apply(f)
		}
		m.through = rec.Position
	}
	close(m.moved)
	m.moved = make(chan struct{})
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

func (m *model) apply(f eventstore.Fact) {
	name, _ := eventstore.AccountOf(f.Stream)
	for _, claimed := range ledger.AppendNames(nil, &f) {
		m.names[claim{name, claimed}] = f.Revision
	}
	effect := account.EffectOf(f.Body, f.Revision)
	move := func(use account.LotUse, sign domain.Amount) {
		if use.Amount == 0 || use.ExpiresAt.IsZero() {
			return
		}
		lot := due{account: name, lot: use.Lot}
		m.free[lot] += sign * use.Amount
		m.at[lot] = use.ExpiresAt
		if m.free[lot] == 0 {
			delete(m.at, lot)
		}
	}
	move(effect.Made, +1)
	for _, use := range effect.Given {
		move(use, +1)
	}
	for _, use := range effect.Taken {
		move(use, -1)
	}
	for _, to := range effect.Deadlines {
		thing := due{account: name, thing: string(to.Kind) + "/" + to.ID}
		delete(m.at, thing)
		if !to.At.IsZero() {
			m.at[thing] = to.At
		}
	}
}

func (m *model) NextDue(context.Context) (next time.Time, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, at := range m.at {
		if !found || at.Before(next) {
			next, found = at, true
		}
	}
	return next, found, nil
}

func (m *model) DueAccounts(_ context.Context, now time.Time, limit int, skip func(string) bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := map[string]time.Time{}
	for d, at := range m.at {
		if old, ok := first[d.account]; !at.After(now) && (!ok || at.Before(old)) && !skip(d.account) {
			first[d.account] = at
		}
	}
	var names []string
	for name := range first {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(first[a].Compare(first[b]), cmp.Compare(a, b)) })
	return names[:min(limit, len(names))], nil
}

func (m *model) Changed() <-chan struct{} { return m.changed }

func (m *model) Through() eventstore.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.through
}

func (m *model) WaitThrough(ctx context.Context, position eventstore.Position) error {
	for {
		m.mu.Lock()
		through, moved := m.through, m.moved
		m.mu.Unlock()
		if through >= position {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Find implements ledger.Names.
func (m *model) Find(_ context.Context, name string, claimed ledger.Name) (int64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	revision, found := m.names[claim{name, claimed}]
	return revision, found, nil
}

// expired is what an account lost to dates.
func (r *rig) expired(name string) domain.Amount {
	r.t.Helper()
	var total domain.Amount
	for rec, err := range r.store.ReadStream(context.Background(), eventstore.AccountStream(name), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(r.t, err)
		f, err := codec.Open(rec)
		require.NoError(r.t, err)
		if e, ok := f.Body.(*account.LotExpired); ok {
			total += e.Lot.Amount
		}
	}
	return total
}
