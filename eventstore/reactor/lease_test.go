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
	"github.com/google/uuid"
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

// TestLeaseIsLeftToWhoIsFit: who isn't gives it back, others take it at once, and where there
// are none it is taken again.
func TestLeaseIsLeftToWhoIsFit(t *testing.T) { synctest.Test(t, leftToWhoIsFit) }

func leftToWhoIsFit(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: logger})
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	const ttl = 10 * time.Second
	var unfit [2]atomic.Bool
	var stops [2]func()
	held := make(chan int, 16)
	for i := range stops {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		stops[i] = func() { cancel(); <-done }
		lease := &reactor.Lease{Store: store, Name: "reactor", Holder: fmt.Sprint("engine-", i), TTL: ttl, Logger: logger,
			Fit: func(context.Context) error {
				if unfit[i].Load() {
					return io.ErrNoProgress
				}
				return nil
			}}
		go func() {
			defer close(done)
			lease.Hold(ctx, func(ctx context.Context) {
				held <- i
				<-ctx.Done()
			})
		}()
		if i == 0 {
			require.Equal(t, 0, <-held)
		}
	}
	within := func(most time.Duration) int {
		began := time.Now()
		i := <-held
		require.LessOrEqual(t, time.Since(began), most)
		return i
	}
	unfit[0].Store(true)
	require.Equal(t, 1, within(ttl/2), "the other takes it")
	select {
	case i := <-held:
		t.Fatalf("engine %d took it", i)
	case <-time.After(5 * ttl):
	}
	stops[1]()
	require.Equal(t, 0, within(ttl/2), "better one that isn't fit than none")
	require.Equal(t, 0, within(2*ttl), "it is offered again and again")
	unfit[0].Store(false)
	<-time.After(5 * ttl)
	require.Empty(t, held, "who is fit keeps it")
	stops[0]()
}

// deaf is a store that writes, and whose answers are lost while it is asked to.
type deaf struct {
	eventstore.Store
	lose atomic.Int32
	lost atomic.Int32
	// onLost is called while the answer is lost.
	onLost func()
}

func (d *deaf) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	appended, err := d.Store.Append(ctx, stream, expected, events)
	if err == nil && stream == eventstore.LeaseStream("reactor") && d.lose.Add(-1) >= 0 {
		d.lost.Add(1)
		if d.onLost != nil {
			d.onLost()
		}
		return eventstore.Appended{}, context.DeadlineExceeded
	}
	return appended, err
}

// TestLeaseOutlivesALostAnswer: what was written is found again, as its own.
func TestLeaseOutlivesALostAnswer(t *testing.T) {
	for name, lost := range map[string]struct{ taking, renewing int32 }{
		"of taking it": {1, 0}, "of a renewal": {0, 1}, "of two in a row": {0, 2}, "of each": {1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { leaseIsKept(t, lost.taking, lost.renewing) })
		})
	}
}

func leaseIsKept(t *testing.T, taking, renewing int32) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: logger})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	const ttl = 400 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	d := &deaf{Store: store}
	d.lose.Store(taking)
	var began, ended atomic.Int32
	lease := &reactor.Lease{Store: d, Name: "reactor", Holder: "engine", TTL: ttl, Logger: logger}
	go func() {
		defer close(done)
		lease.Hold(ctx, func(ctx context.Context) {
			began.Add(1)
			<-ctx.Done()
			ended.Add(1)
		})
	}()
	<-time.After(ttl / 2) // the bubble's time
	synctest.Wait()
	require.EqualValues(t, 1, began.Load(), "work begins before a rest of a whole TTL")
	d.lose.Store(renewing)
	<-time.After(10 * ttl)
	require.Equal(t, taking+renewing, d.lost.Load())
	require.EqualValues(t, 1, began.Load())
	require.Zero(t, ended.Load(), "it never lost the lease")
	stop()
	<-done
}

// TestLeaseIsGivenBackAfterALostAnswer: an engine that is stopped while it renews doesn't
// know that it did; the next one has the lease at once all the same. Another's lease is
// not given back.
func TestLeaseIsGivenBackAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { leaseIsGivenBack(t, false) })
	synctest.Test(t, func(t *testing.T) { leaseIsGivenBack(t, true) })
}

func leaseIsGivenBack(t *testing.T, overtaken bool) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: logger})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	end := func() (newest eventstore.Recorded) {
		for r, err := range store.ReadStream(t.Context(), eventstore.LeaseStream("reactor"), eventstore.End, eventstore.Backwards, 1) {
			require.NoError(t, err)
			newest = r
		}
		return newest
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var renewed eventstore.Recorded
	d := &deaf{Store: store, onLost: func() {
		renewed = end()
		if overtaken {
			e := eventstore.Event{ID: uuid.New(), Type: "lease-taken", Data: []byte("{}"), Metadata: []byte("{}")}
			_, err := store.Append(t.Context(), renewed.Stream, renewed.Revision, []eventstore.Event{e})
			require.NoError(t, err)
		}
		stop()
	}}
	lease := &reactor.Lease{Store: d, Name: "reactor", Holder: "engine", TTL: time.Second, Logger: logger}
	lease.Hold(ctx, func(ctx context.Context) {
		d.lose.Store(1)
		<-ctx.Done()
	})
	require.EqualValues(t, 1, d.lost.Load())
	require.Equal(t, renewed.Revision+1, end().Revision)
	if overtaken {
		require.Equal(t, "lease-taken", end().Type)
		return
	}
	require.Equal(t, "lease-released", end().Type)
}

// Of a lease's records, one every few seconds for ever, only the newest is kept.
func TestALeaseIsBound(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: logger})
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	lease := &reactor.Lease{Store: store, Name: "reactor", Holder: "engine-1", TTL: time.Second, Logger: logger}
	lease.Hold(ctx, func(context.Context) { cancel() })
	metadata := []string{}
	for r, err := range store.ReadStream(t.Context(), eventstore.MetadataStream(eventstore.LeaseStream("reactor")), 0, eventstore.Forwards, 10) {
		require.NoError(t, err)
		metadata = append(metadata, string(r.Data))
	}
	require.Equal(t, []string{eventstore.KeepNewest}, metadata)
}
