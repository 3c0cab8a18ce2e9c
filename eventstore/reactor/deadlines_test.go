package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/reactor"
)

const (
	expired  = "lot-expired"
	released = "reservation-released"
	year     = 365 * 24 * time.Hour
)

func TestDueOnceItsTimeComes(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.run(nil)
	r.grant("a", 5, time.Hour)
	r.grant("later", 5, 2*time.Hour)
	r.do("a", account.RecordPurchase{Purchase: "p", Amount: 10 * credit})
	r.hold("a", "h", 2, time.Hour)

	r.clock.Move(time.Hour - time.Microsecond)
	r.grant("soon", 1, time.Microsecond)
	r.clock.Move(time.Microsecond)
	eventually(t, func() bool { return r.count("a", released) == 1 && r.count("soon", expired) == 1 }, "an instant at a deadline is the deadline's")
	require.Zero(t, r.count("later", expired))
	// The hold's lot was past its date: what came back expired at once.
	require.Equal(t, 10*credit, r.balance("a"))
	require.Equal(t, 2, r.count("a", expired))

	r.clock.Move(-30 * time.Minute)
	r.clock.Move(2 * year)
	eventually(t, func() bool { return r.count("later", expired) == 1 }, "a clock that jumps is noticed")
	require.Empty(t, r.log.String())
}

func TestRestartLosesNothingAndDoublesNothing(t *testing.T) {
	r := newRig(t)
	r.follow()
	stop := r.run(nil)
	r.grant("before", 1, time.Minute)
	r.grant("during", 2, time.Hour)
	r.clock.Move(time.Minute)
	eventually(t, func() bool { return r.count("before", expired) == 1 }, "expired before the stop")
	stop()
	r.clock.Move(time.Hour)
	require.NoError(t, r.ledger.Close(context.Background()))
	require.Zero(t, r.count("during", expired))

	r.openLedger()
	r.run(nil)
	eventually(t, func() bool { return r.count("during", expired) == 1 }, "expired after the restart")
	require.NoError(t, r.reactor(nil).RunDue(context.Background()))
	require.Equal(t, []string{"incentive-granted", expired}, r.types("before"))
	require.Equal(t, []string{"incentive-granted", expired}, r.types("during"))
}

func TestRunDueAfterAJumpOfYears(t *testing.T) {
	r := newRig(t)
	r.follow()
	const accounts, lots = 300, 3
	for i := range accounts {
		for lot := range lots {
			r.grant(fmt.Sprint("a", i), 1, time.Duration(lot+1)*year)
		}
	}
	r.clock.Move(10 * year)
	require.NoError(t, r.reactor(nil).RunDue(context.Background()))
	for i := range accounts {
		name := fmt.Sprint("a", i)
		require.Equal(t, lots, r.count(name, expired), name)
		require.Zero(t, r.balance(name))
	}
	_, found, err := r.model.NextDue(context.Background())
	require.NoError(t, err)
	require.False(t, found)
}

// TestRunDueSeesWhatWasJustAcknowledged: the read model lags, and is waited for.
func TestRunDueSeesWhatWasJustAcknowledged(t *testing.T) {
	r := newRig(t)
	r.grant("a", 5, time.Hour)
	r.clock.Move(time.Hour)
	done := make(chan error, 1)
	go func() { done <- r.reactor(nil).RunDue(context.Background()) }()
	r.follow()
	require.NoError(t, <-done)
	require.Equal(t, 1, r.count("a", expired))

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, r.reactor(nil).RunDue(context.Background()))
	r.grant("b", 1, time.Second)
	r.clock.Move(time.Minute)
	require.ErrorIs(t, r.reactor(nil).RunDue(ctx), context.Canceled)
}

// broken is a ledger on which some accounts fail, or never answer.
type broken struct {
	*ledger.Ledger
	mu    sync.Mutex
	fails func(name string) bool
	hangs func(name string) bool
	tries map[string]int
}

func (r *rig) broken() *broken {
	never := func(string) bool { return false }
	return &broken{Ledger: r.ledger, fails: never, hangs: never, tries: map[string]int{}}
}

var errBroken = errors.New("broken on purpose")

func (b *broken) Execute(ctx context.Context, req ledger.Request) (ledger.Result, error) {
	b.mu.Lock()
	b.tries[req.Account]++
	fails, hangs := b.fails(req.Account), b.hangs(req.Account)
	b.mu.Unlock()
	switch {
	case hangs:
		<-ctx.Done()
		return ledger.Result{}, ctx.Err()
	case fails:
		return ledger.Result{}, errBroken
	}
	return b.Ledger.Execute(ctx, req)
}

func (b *broken) set(fails func(string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = fails
}

func (b *broken) total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := 0
	for _, n := range b.tries {
		total += n
	}
	return total
}

func (b *broken) tried(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries[name]
}

func TestOneStuckAccountBlocksNoOther(t *testing.T) {
	r := newRig(t)
	r.follow()
	b := r.broken()
	b.fails = func(name string) bool { return name == "failing" }
	b.hangs = func(name string) bool { return name == "hanging" }
	// They are due the longest, so every list begins with them.
	r.grant("failing", 1, time.Second)
	r.grant("hanging", 1, time.Second)
	r.run(func(o *reactor.Options) {
		o.Ledger, o.FirstPause, o.MaxPause, o.Timeout = b, time.Hour, time.Hour, time.Hour
	})
	for i := range 50 {
		name := fmt.Sprint("a", i)
		r.grant(name, 1, time.Minute)
		r.clock.Move(time.Minute)
		eventually(t, func() bool { return r.count(name, expired) == 1 }, name)
	}
	require.Equal(t, 1, b.tried("failing"), "it rests; there is no hot loop")
	require.Equal(t, 1, b.tried("hanging"))
	require.Contains(t, r.log.String(), "account=failing")
	require.Contains(t, r.log.String(), errBroken.Error())
}

func TestRunDueTellsWhatFailedAfterTheOthers(t *testing.T) {
	r := newRig(t)
	r.follow()
	b := r.broken()
	b.fails = func(name string) bool { return name == "failing" }
	for _, name := range []string{"failing", "a", "b", "c"} {
		r.grant(name, 1, time.Minute)
	}
	r.clock.Move(time.Minute)
	err := r.reactor(func(o *reactor.Options) { o.Ledger, o.Parallel = b, 1 }).RunDue(context.Background())
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "failing")
	for _, name := range []string{"a", "b", "c"} {
		require.Equal(t, 1, r.count(name, expired), name)
	}
	require.Equal(t, 1, b.tried("failing"))
	b.set(func(string) bool { return false })
	require.NoError(t, r.reactor(func(o *reactor.Options) { o.Ledger = b }).RunDue(context.Background()))
	require.Equal(t, 1, r.count("failing", expired))
}

// TestGeneralTrouble: on a full disk everything fails. What is due is tried with
// pauses, not all of it all the time, and is done once there is room again.
func TestGeneralTrouble(t *testing.T) {
	r := newRig(t)
	r.follow()
	b := r.broken()
	b.fails = func(string) bool { return true }
	const accounts, parallel = 100, 8
	for i := range accounts {
		r.grant(fmt.Sprint("a", i), 1, time.Minute)
	}
	r.clock.Move(time.Hour)
	stop := r.run(func(o *reactor.Options) {
		o.Ledger, o.Parallel, o.FirstPause, o.MaxPause, o.Recheck = b, parallel, time.Hour, time.Hour, time.Hour
	})
	eventually(t, func() bool { return b.total() >= parallel }, "tried")
	stop()
	require.LessOrEqual(t, b.total(), 2*parallel, "the rest waits until it is known to help")

	r.run(func(o *reactor.Options) {
		o.Ledger, o.Parallel, o.FirstPause, o.MaxPause = b, parallel, time.Millisecond, 4*time.Millisecond
	})
	eventually(t, func() bool { return b.total() > 5*parallel }, "tried again and again")
	b.set(func(string) bool { return false })
	r.allDone()
	for i := range accounts {
		require.Equal(t, 1, r.count(fmt.Sprint("a", i), expired))
	}
}

// liar claims that an account is due that isn't.
type liar struct{ *model }

func (liar) DueAccounts(_ context.Context, _ time.Time, _ int, skip func(string) bool) ([]string, error) {
	if skip("a") {
		return nil, nil
	}
	return []string{"a"}, nil
}

func TestAReadModelThatIsWrongMakesNoHotLoop(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.grant("a", 1, time.Hour)
	b := r.broken()
	change := func(o *reactor.Options) {
		o.Ledger, o.Deadlines, o.FirstPause, o.MaxPause = b, liar{r.model}, time.Hour, time.Hour
	}
	require.ErrorContains(t, r.reactor(change).RunDue(context.Background()), "disagrees")
	require.Equal(t, 1, b.tried("a"))
	r.run(change)
	eventually(t, func() bool { return b.tried("a") == 2 }, "tried once by Run")
	eventually(t, func() bool { return r.log.String() != "" }, "logged")
	require.Equal(t, 2, b.tried("a"))
	require.Len(t, r.types("a"), 1)
}

// TestRaceWithCommandsAndAnotherReactor: whoever is first, each deadline has one
// effect and the money adds up.
func TestRaceWithCommandsAndAnotherReactor(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := newRig(t)
	r.follow()
	r.run(nil)
	r.run(nil)
	const accounts, rounds = 4, 30
	var wg sync.WaitGroup
	var spent [accounts]domain.Amount
	for i := range accounts {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			name := fmt.Sprint("a", i)
			for range rounds {
				_, err := r.ledger.Execute(context.Background(), ledger.Request{Account: name, Actor: "tester", Role: "admin", Do: account.GrantIncentive{
					Amount: 3 * credit, ExpiresAt: r.clock.Now().Add(time.Hour),
				}})
				if err != nil && !domain.IsCode(err, domain.CodeTimeInvalid) { // the clock ran past it
					t.Errorf("grant: %v", err)
				}
				amount := domain.Amount(1 + rng.Int64N(int64(2*credit)))
				_, err = r.ledger.Execute(context.Background(), ledger.Request{Account: name, Actor: "tester", Role: "admin", Do: account.Deduct{
					Amount: amount, Service: domain.ServiceVM,
				}})
				if err == nil {
					spent[i] += amount
				} else if !domain.IsCode(err, domain.CodeInsufficientCredits) {
					t.Errorf("deduct: %v", err)
				}
				r.clock.Move(time.Duration(rng.IntN(60)) * time.Minute)
			}
		})
	}
	wg.Wait()
	r.clock.Move(year)
	r.allDone()
	for i := range accounts {
		name := fmt.Sprint("a", i)
		require.Zero(t, r.balance(name))
		granted := domain.Amount(r.count(name, "incentive-granted")) * 3 * credit
		require.Equal(t, granted, spent[i]+r.expired(name), "what was granted was spent or expired, once")
		require.NotZero(t, spent[i])
		require.NotZero(t, r.expired(name))
	}
}
