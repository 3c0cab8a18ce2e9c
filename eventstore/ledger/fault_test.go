package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// faultyStore fails appends as the test says: before or after they are written.
type faultyStore struct {
	eventstore.Store
	before, after func() error
}

func (s *faultyStore) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if s.before != nil {
		if err := s.before(); err != nil {
			return eventstore.Appended{}, err
		}
	}
	appended, err := s.Store.Append(ctx, stream, expected, events)
	if err == nil && s.after != nil {
		err = s.after()
	}
	return appended, err
}

// gate holds appends until it is let open; taken tells that one is waiting.
type gate struct {
	taken, open chan struct{}
	let         func()
}

// holdUp puts a gate before all appends. It opens at the end of a test that has failed,
// too: what has not been appended keeps a ledger from closing.
func (s *faultyStore) holdUp(t *testing.T) *gate {
	t.Helper()
	g := &gate{taken: make(chan struct{}, 100), open: make(chan struct{})}
	g.let = sync.OnceFunc(func() { close(g.open) })
	s.before = g.wait
	t.Cleanup(g.let)
	return g
}

func (g *gate) wait() error {
	g.taken <- struct{}{}
	<-g.open
	return nil
}

func TestEveryKeyHasOneEffectHoweverAppendsFail(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	dice := func(one int) bool {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(one) == 0
	}
	r := newRig(t, func(o *ledger.Options) {
		o.Store = &faultyStore{Store: o.Store,
			before: func() error {
				if dice(5) {
					return eventstore.ErrUnavailable
				}
				return nil
			},
			after: func() error {
				if dice(5) {
					return errors.New("connection lost after the write")
				}
				return nil
			}}
	})
	const keys = 200
	funded := func(key string) { insist(t, r, command("a", key, purchase(key, 1))) }
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { funded(fmt.Sprint("k", i)) })
		wg.Go(func() { funded(fmt.Sprint("k", i)) })
	}
	wg.Wait()
	require.Len(t, r.facts("a"), keys)
	require.Equal(t, keys*credit, r.balance("a"))
}

// insist repeats a command until its outcome is known, as a client would.
func insist(t *testing.T, r *rig, req ledger.Request) {
	t.Helper()
	for {
		_, err := r.Execute(context.Background(), req)
		if err == nil {
			return
		}
		if !domain.IsCode(err, domain.CodeUnavailable) {
			t.Error(err)
			return
		}
	}
}

func TestNothingIsAnsweredBeforeWhatItRestsOnIsDurable(t *testing.T) {
	store := &faultyStore{}
	r := newRig(t, func(o *ledger.Options) { store.Store = o.Store; o.Store = store })
	g := store.holdUp(t)

	answered := make(chan string, 4)
	launch := func(name string, req ledger.Request) {
		go func() {
			_, err := r.Execute(context.Background(), req)
			answered <- fmt.Sprintf("%s %v", name, err == nil)
		}()
	}
	launch("purchase", command("a", "1", purchase("p", 10)))
	<-g.taken
	launch("refusal", command("a", "2", deduct(50)))
	launch("replay", command("a", "1", purchase("p", 10)))
	go func() {
		_, err := r.Read(context.Background(), "a")
		answered <- fmt.Sprintf("read %v", err == nil)
	}()
	waitFor(t, func() bool { return r.QueueDepth() == 4 })
	select {
	case early := <-answered:
		t.Fatalf("%s was answered before the append was durable", early)
	default:
	}
	g.let()
	got := map[string]bool{}
	for range 4 {
		got[<-answered] = true
	}
	require.Equal(t, map[string]bool{"purchase true": true, "refusal false": true, "replay true": true, "read true": true}, got)
}

func TestAFailedAppendDiscardsAllThatRestsOnIt(t *testing.T) {
	fail := true
	r := newRig(t, func(o *ledger.Options) {
		o.Store = &faultyStore{Store: o.Store, before: func() error {
			if fail {
				return eventstore.ErrUnavailable
			}
			return nil
		}}
	})
	out := r.ExecuteBatch(context.Background(), []ledger.Request{
		command("a", "1", purchase("p", 10)), command("a", "2", deduct(4)), command("a", "3", deduct(60)),
	})
	for _, o := range out {
		require.True(t, domain.IsCode(o.Err, domain.CodeUnavailable), "%v", o.Err)
	}
	require.Zero(t, r.balance("a"))
	fail = false
	_ = r.refused(domain.CodeInsufficientCredits, command("a", "2", deduct(4)))
}

func TestOverloadIsRefusedAtOnceAndPasses(t *testing.T) {
	store := &faultyStore{}
	r := newRig(t, func(o *ledger.Options) {
		store.Store, o.Store = o.Store, store
		o.MaxQueue, o.MaxInFlight = 4, 6
	})
	g := store.holdUp(t)
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	send := func(acct, key string) {
		wg.Go(func() {
			_, err := r.Execute(context.Background(), command(acct, key, purchase(key, 1)))
			errs <- err
		})
	}
	send("a", "first")
	<-g.taken
	for i := range 4 {
		send("a", fmt.Sprint(i))
	}
	waitFor(t, func() bool { return r.QueueDepth() == 5 })
	_ = r.refused(domain.CodeOverloaded, command("a", "account full", deduct(1)))
	send("b", "b1")
	<-g.taken
	_ = r.refused(domain.CodeOverloaded, command("c", "engine full", deduct(1)))
	g.let()
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 5*credit, r.balance("a"))
}

func TestACallerThatGoesLeavesNoHalf(t *testing.T) {
	store := &faultyStore{}
	r := newRig(t, func(o *ledger.Options) { store.Store = o.Store; o.Store = store })
	g := store.holdUp(t)

	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error, 2)
	go func() { _, err := r.Execute(ctx, command("a", "decided", purchase("p", 10))); gone <- err }()
	<-g.taken
	go func() { _, err := r.Execute(ctx, command("a", "waiting", purchase("q", 10))); gone <- err }()
	waitFor(t, func() bool { return r.QueueDepth() == 2 })
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.ErrorIs(t, <-gone, context.Canceled)
	g.let()

	waitFor(t, func() bool { return r.QueueDepth() == 0 })
	require.Len(t, r.facts("a"), 1, "what was decided is whole, what waited never began")
	require.True(t, r.do("a", "decided", purchase("p", 10)).Replayed)
	require.False(t, r.do("a", "waiting", purchase("q", 10)).Replayed)
}

func TestCloseFinishesWhatItAccepted(t *testing.T) {
	store := &faultyStore{}
	r := newRig(t, func(o *ledger.Options) { store.Store = o.Store; o.Store = store })
	g := store.holdUp(t)
	answered := make(chan error, 1)
	go func() {
		_, err := r.Execute(context.Background(), command("a", "1", purchase("p", 10)))
		answered <- err
	}()
	<-g.taken
	closed := make(chan error, 1)
	go func() { closed <- r.Close(context.Background()) }()
	waitFor(t, func() bool {
		_, err := r.Execute(context.Background(), command("b", "1", deduct(1)))
		return domain.IsCode(err, domain.CodeUnavailable)
	})
	g.let()
	require.NoError(t, <-answered)
	require.NoError(t, <-closed)
	require.Len(t, r.facts("a"), 1)
}

// TestCloseThatGivesUpAnswersWhoWaits: an append hangs. What is queued behind it is
// told at once; the append's own callers are when it ends, and nothing is left running.
func TestCloseThatGivesUpAnswersWhoWaits(t *testing.T) {
	store := &faultyStore{}
	r := newRig(t, func(o *ledger.Options) { store.Store = o.Store; o.Store = store })
	r.do("b", "1", purchase("p", 10))
	g := store.holdUp(t)
	first, queued := make(chan error, 1), make(chan error, 4)
	execute := func(req ledger.Request, answered chan<- error) {
		_, err := r.Execute(context.Background(), req)
		answered <- err
	}
	go execute(command("a", "1", purchase("p", 10)), first)
	<-g.taken
	go execute(command("a", "2", deduct(1)), queued)
	go func() {
		_, err := r.Read(context.Background(), "a")
		queued <- err
	}()
	go func() {
		for _, o := range r.ExecuteBatch(context.Background(), []ledger.Request{command("a", "3", deduct(1)), command("a", "4", deduct(1))}) {
			queued <- o.Err
		}
	}()
	waitFor(t, func() bool { return r.QueueDepth() == 5 })

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, r.Close(ctx), context.Canceled)
	for range 4 {
		require.True(t, domain.IsCode(<-queued, domain.CodeUnavailable))
	}
	_ = r.refused(domain.CodeUnavailable, command("b", "2", deduct(1)))
	select {
	case err := <-first:
		t.Fatalf("answered before its append ended: %v", err)
	default:
	}
	g.let()
	if err := <-first; err != nil {
		require.True(t, domain.IsCode(err, domain.CodeUnavailable), "%v", err)
	}
	waitFor(t, func() bool { return r.QueueDepth() == 0 })
	waitFor(t, func() bool {
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
		return !strings.Contains(stacks.String(), "ledger.(*Ledger)")
	})
	require.LessOrEqual(t, len(r.facts("a")), 1, "what was told that it isn't done is not done")
}

// waitFor polls a condition that another goroutine is about to make true.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, time.Millisecond)
}
