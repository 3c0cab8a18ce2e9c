package reactor_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/reactor"
)

// cable is a store that an engine can be cut off from.
type cable struct {
	eventstore.Store
	cut atomic.Bool
}

func (c *cable) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if c.cut.Load() {
		return eventstore.Appended{}, eventstore.ErrUnavailable
	}
	return c.Store.Append(ctx, stream, expected, events)
}

// The lease has one holder at a time; it moves when the holder leaves, and when
// it dies. Time is the bubble's: on a slow machine no holder is silent for too long.
func TestLeaseMoves(t *testing.T) { synctest.Test(t, leaseMoves) }

func leaseMoves(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: logger})
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	type engine struct {
		*cable
		stop func()
		done chan struct{}
	}
	const ttl = 200 * time.Millisecond
	held := make(chan int, 16)
	var holders, most atomic.Int32
	engines := make([]*engine, 3)
	for i := range engines {
		ctx, cancel := context.WithCancel(context.Background())
		e := &engine{cable: &cable{Store: store}, stop: cancel, done: make(chan struct{})}
		engines[i] = e
		lease := &reactor.Lease{Store: e.cable, Name: "reactor", Holder: fmt.Sprint("engine-", i), TTL: ttl, Logger: logger}
		go func() {
			defer close(e.done)
			lease.Hold(ctx, func(ctx context.Context) {
				most.Store(max(most.Load(), holders.Add(1)))
				held <- i
				<-ctx.Done()
				holders.Add(-1)
			})
		}()
	}
	defer func() {
		for _, e := range engines {
			e.stop()
		}
	}()
	next := func(within time.Duration) int {
		select {
		case i := <-held:
			return i
		case <-time.After(within):
			t.Fatal("nobody takes the lease")
			return 0
		}
	}
	first := next(5 * time.Second)
	select {
	case second := <-held:
		t.Fatalf("engine %d took a lease that engine %d holds", second, first)
	case <-time.After(2 * ttl):
	}
	require.EqualValues(t, 1, most.Load())

	engines[first].stop() // leaves
	<-engines[first].done
	second := next(5 * time.Second)
	require.NotEqual(t, first, second)
	engines[second].cut.Store(true) // dies
	third := next(5 * time.Second)
	require.NotContains(t, []int{first, second}, third)
	require.Eventually(t, func() bool { return holders.Load() == 1 }, 5*time.Second, time.Millisecond, "who is cut off stops working")
	for _, e := range engines {
		e.stop()
		<-e.done
	}
	require.Zero(t, holders.Load())
}
