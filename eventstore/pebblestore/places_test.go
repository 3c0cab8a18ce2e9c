package pebblestore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// places gives what a store's index says, sorted.
func places(t *testing.T, s *pebblestore.Store) (found []string) {
	t.Helper()
	for at, err := range s.Places(t.Context()) {
		require.NoError(t, err)
		found = append(found, fmt.Sprint(at))
	}
	slices.Sort(found)
	return found
}

// TestPlacesAreThoseOfTheLog: each event's once, wherever its entry is at the moment: in
// memory, in the database, or in both because a crash came between.
func TestPlacesAreThoseOfTheLog(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	opts := pebblestore.Options{FS: vfs.NewMem()}.FoldEvery(64)
	s := open(t, "log", opts)
	last, position := map[string]int64{}, eventstore.Position(0)
	var want []string
	for range 300 {
		stream := fmt.Sprint("account-", rng.IntN(9))
		batch := make([]eventstore.Event, 1+rng.IntN(4))
		for i := range batch {
			batch[i] = newEvent(1)
			position++
			want = append(want, fmt.Sprint(eventstore.Place{Stream: stream, Revision: last[stream] + int64(i), Position: position}))
		}
		_, err := s.Append(t.Context(), stream, last[stream]-1, batch)
		require.NoError(t, err)
		last[stream] += int64(len(batch))
	}
	slices.Sort(want)
	require.Equal(t, want, places(t, s), "of a store that folds meanwhile")
	require.NoError(t, s.Checkpoint("copy"))
	require.NoError(t, s.Close())
	for _, dir := range []string{"log", "copy"} {
		s := open(t, dir, pebblestore.Options{FS: opts.FS, ReadOnly: true})
		require.Equal(t, want, places(t, s), dir)
		require.NoError(t, s.Close())
	}

	// The end of the index goes back, as when a crash took it and not the entries before it.
	index, err := pebble.Open("copy/index", &pebble.Options{FS: opts.FS, FormatMajorVersion: pebble.FormatNewest, DisableWAL: true})
	require.NoError(t, err)
	require.NoError(t, index.Set([]byte{'i'}, []byte{1, 64}, pebble.NoSync)) // format, position
	require.NoError(t, index.Flush())
	require.NoError(t, index.Close())
	s = open(t, "copy", pebblestore.Options{FS: opts.FS, ReadOnly: true})
	require.Equal(t, want, places(t, s), "what a crash left of a fold")
	require.NoError(t, s.Close())
}
