package pebblestore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// witness remembers every append that was acknowledged, and every one begun.
type witness struct {
	mu    sync.Mutex
	acked map[uuid.UUID]eventstore.Position
	sizes map[uuid.UUID]int
}

func (w *witness) snapshot() map[uuid.UUID]eventstore.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	copied := make(map[uuid.UUID]eventstore.Position, len(w.acked))
	for id, p := range w.acked {
		copied[id] = p
	}
	return copied
}

// begins is told of an append before it is handed over.
func (w *witness) begins(events []eventstore.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sizes[events[0].ID] = len(events)
}

func (w *witness) acknowledged(events []eventstore.Event, positions []eventstore.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range events {
		w.acked[e.ID] = positions[i]
	}
}

// TestCrash cuts the power at random points under load: every acknowledged
// append is there, none is half there, and the store takes appends again. Half of the
// writers hand over appends to several streams together.
func TestCrash(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 2
	}
	for range seeds {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { crashOnce(t, seed) })
	}
}

func crashOnce(t *testing.T, seed uint64) {
	fs := vfs.NewCrashableMem()
	opts := pebblestore.Options{FS: fs}.FoldEvery(200 + int(seed%2000))
	if seed%2 == 0 { // logs are used again, and spares for them
		opts = opts.MemTable(64 << 10)
	}
	s := open(t, "log", opts)
	w := &witness{acked: map[uuid.UUID]eventstore.Position{}, sizes: map[uuid.UUID]int{}}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	// Writers are a little ahead, so that they go on while the power is cut, and wait while
	// what was left is read: it would grow the faster the slower that is.
	written := make(chan struct{}, 64)
	for n := range 6 {
		streams := []string{fmt.Sprint("s", n)}
		if n%2 == 0 {
			streams = append(streams, streams[0]+" second", streams[0]+" third")
		}
		wg.Go(func() { writeUntil(ctx, t, s, w, rand.New(rand.NewPCG(seed, uint64(n))), streams, written) })
	}
	go func() {
		wg.Wait()
		close(written)
	}()
	rng := rand.New(rand.NewPCG(seed, 100))
	for range 8 {
		for range 1 + rng.IntN(200) {
			_, on := <-written
			require.True(t, on, "no writer goes on")
		}
		acked := w.snapshot()
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rand.New(rand.NewPCG(seed, rng.Uint64()))})
		opts := opts
		opts.FS = clone
		verifyClone(t, opts, acked, w)
	}
	stop()
	wg.Wait()
	require.NoError(t, s.Close())
}

func writeUntil(ctx context.Context, t *testing.T, s *pebblestore.Store, w *witness, rng *rand.Rand, streams []string, written chan<- struct{}) {
	revisions := make([]int64, len(streams))
	for i := range revisions {
		revisions[i] = eventstore.NoStream
	}
	for ctx.Err() == nil {
		appends := make([]*eventstore.Append, len(streams))
		for i, stream := range streams {
			appends[i] = &eventstore.Append{Stream: stream, Expected: revisions[i], Events: make([]eventstore.Event, 1+rng.IntN(6))}
			for e := range appends[i].Events {
				appends[i].Events[e] = newEvent(rng.IntN(400))
			}
			w.begins(appends[i].Events)
		}
		write(s, appends)
		for i, a := range appends {
			if a.Err != nil {
				t.Errorf("append to %s: %v", a.Stream, a.Err)
				return
			}
			revisions[i] = a.Appended.Revision
			w.acknowledged(a.Events, a.Appended.Positions)
		}
		select {
		case written <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

// write appends one by itself, and several together.
func write(s *pebblestore.Store, appends []*eventstore.Append) {
	if len(appends) == 1 {
		a := appends[0]
		a.Appended, a.Err = s.Append(context.Background(), a.Stream, a.Expected, a.Events)
		return
	}
	done := make(chan struct{})
	s.AppendAsync(appends, func() { close(done) })
	<-done
}

func verifyClone(t *testing.T, opts pebblestore.Options, acked map[uuid.UUID]eventstore.Position, w *witness) {
	t.Helper()
	s := open(t, "log", opts)
	defer func() { require.NoError(t, s.Close()) }()
	found := map[uuid.UUID]eventstore.Position{}
	next := map[string]int64{}
	all := readAll(t, s)
	for i := 0; i < len(all); {
		w.mu.Lock()
		size, begins := w.sizes[all[i].ID]
		w.mu.Unlock()
		require.True(t, begins, "the log continues in the middle of an append")
		require.LessOrEqual(t, i+size, len(all), "half an append survived")
		for _, r := range all[i : i+size] {
			require.Equal(t, all[i].Stream, r.Stream)
			require.Equal(t, next[r.Stream], r.Revision)
			next[r.Stream]++
			found[r.ID] = r.Position
		}
		i += size
	}
	for id, position := range acked {
		require.Equal(t, position, found[id], "an acknowledged event is gone")
	}
	for stream, revision := range next {
		for _, from := range []int64{0, revision / 2, max(0, revision-20)} {
			read := from
			for r, err := range s.ReadStream(context.Background(), stream, from, eventstore.Forwards, 20) {
				require.NoError(t, err)
				require.Equal(t, read, r.Revision)
				read++
			}
			require.Equal(t, min(revision, from+20), read, "the index of %s", stream)
		}
		_, err := s.Append(context.Background(), stream, revision-1, []eventstore.Event{newEvent(1)})
		require.NoError(t, err)
	}
}
