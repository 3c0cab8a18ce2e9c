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

// TestCrash cuts the power at random points under load: every acknowledged
// append is there, none is half there, and the store takes appends again.
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
		wg.Go(func() { writeUntil(ctx, t, s, w, rand.New(rand.NewPCG(seed, uint64(n))), fmt.Sprint("s", n), written) })
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

func writeUntil(ctx context.Context, t *testing.T, s *pebblestore.Store, w *witness, rng *rand.Rand, stream string, written chan<- struct{}) {
	revision := eventstore.NoStream
	for ctx.Err() == nil {
		batch := make([]eventstore.Event, 1+rng.IntN(6))
		for i := range batch {
			batch[i] = newEvent(rng.IntN(400))
		}
		w.mu.Lock()
		w.sizes[batch[0].ID] = len(batch)
		w.mu.Unlock()
		a, err := s.Append(context.Background(), stream, revision, batch)
		if err != nil {
			t.Errorf("append to %s: %v", stream, err)
			return
		}
		revision = a.Revision
		w.mu.Lock()
		for i, e := range batch {
			w.acked[e.ID] = a.Positions[i]
		}
		w.mu.Unlock()
		select {
		case written <- struct{}{}:
		case <-ctx.Done():
		}
	}
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
