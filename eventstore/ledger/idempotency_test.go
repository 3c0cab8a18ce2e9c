package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// There is no gap between the window and the read model: whatever the lag,
// wherever a snapshot was taken, however often books are lost, a key has one
// effect.
func TestNoGapBetweenWindowAndReadModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, func(o *ledger.Options) {
			o.SnapshotEvery = rapid.IntRange(1, 8).Draw(rt, "snapshot every")
			o.IdleSnapshot = rapid.IntRange(1, 8).Draw(rt, "idle snapshot")
		})
		first := map[string]eventstore.Position{}
		for range rapid.IntRange(5, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				r.restart()
			case 1:
				r.names.advance(eventstore.Position(rapid.Uint64Range(0, uint64(r.AckedAny())).Draw(rt, "lag")))
			default:
				key := fmt.Sprint("k", rapid.IntRange(0, 12).Draw(rt, "key"))
				result := r.do("a", key, purchase(key, 1))
				position, known := first[key]
				if result.Replayed != known || known && position != result.Position {
					rt.Fatalf("key %s: replayed %v at %d, known %v at %d", key, result.Replayed, result.Position, known, position)
				}
				first[key] = result.Position
			}
		}
		if got := r.balance("a"); got != domain.Amount(len(first))*credit {
			rt.Fatalf("%d keys made a balance of %s", len(first), got)
		}
	})
}

func TestAFullWindowWaitsForTheReadModel(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) {
		o.MaxRecentNames, o.NamesPatience = 20, time.Millisecond // a purchase has two names
	})
	for i := range 10 {
		r.do("a", fmt.Sprint(i), purchase(fmt.Sprint(i), 1))
	}
	_ = r.refused(domain.CodeOverloaded, command("a", "one more", purchase("p", 1)))
	r.names.advance(r.AckedAny())
	r.do("a", "one more", purchase("p", 1))
	require.True(t, r.do("a", "3", purchase("3", 1)).Replayed)

	r.opts.NamesPatience = time.Minute
	r.restart()
	done := make(chan error, 1)
	go func() {
		for i := range 30 {
			if _, err := r.Execute(context.Background(), command("a", fmt.Sprint("n", i), purchase(fmt.Sprint("n", i), 1))); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		select {
		case err := <-done:
			require.NoError(t, err)
			return
		default:
			r.names.advance(r.AckedAny())
		}
	}
}

func TestTwoEnginesOneEffect(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	a := newRig(t, nil)
	b := ledger.New(a.opts)
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	rng := rand.New(rand.NewPCG(seed, 2))
	const keys = 150
	var wg sync.WaitGroup
	for _, engine := range []*ledger.Ledger{a.Ledger, b} {
		for _, i := range rng.Perm(keys) {
			acct, key := fmt.Sprint("acct", i%3), fmt.Sprint("k", i)
			wg.Go(func() {
				for {
					_, err := engine.Execute(context.Background(), command(acct, key, purchase(key, 1)))
					if err == nil {
						return
					}
					if !domain.IsCode(err, domain.CodeConflict) {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	total := domain.Amount(0)
	for i := range 3 {
		acct := fmt.Sprint("acct", i)
		require.Len(t, a.facts(acct), keys/3)
		total += a.balance(acct)
	}
	require.Equal(t, keys*credit, total)
}

// TestWindowsTogetherAreBounded: names of many accounts that the read models lack.
func TestWindowsTogetherAreBounded(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.MaxNames = 64 * 4 }) // four a shard
	try := func(n int) error {
		_, err := r.Execute(context.Background(), command(fmt.Sprint("account-", n), "k", purchase("p", 1)))
		return err
	}
	refused := 0
	for n := range 1_000 { // two names each
		if err := try(n); err != nil {
			require.True(t, domain.IsCode(err, domain.CodeOverloaded), err)
			refused++
		}
	}
	require.Greater(t, refused, 1_000-64*3)
	require.Less(t, refused, 1_000)
	for n := range 1_000 { // what was counted is taken off again, of accounts that rest too
		r.names.advance(r.AckedAny())
		require.NoError(t, try(n))
	}
}
