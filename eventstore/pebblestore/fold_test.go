package pebblestore

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

// A fold that fails ends all writing: the next one would stand behind a gap. What was
// answered stays, in memory and for the next start.
func TestAFoldThatFails(t *testing.T) {
	opts := Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)}.FoldEvery(2)
	s, err := Open("log", opts)
	require.NoError(t, err)
	// A database that is only read fails as a disk does, and takes no time for it.
	require.NoError(t, s.indexDB.Close())
	index, _, free := s.opts.pebble()
	defer free()
	index.FS, index.ReadOnly = opts.FS, true
	s.indexDB, err = pebble.Open("log/index", index)
	require.NoError(t, err)

	two := func() []eventstore.Event {
		return []eventstore.Event{{ID: uuid.New(), Type: "a"}, {ID: uuid.New(), Type: "b"}}
	}
	_, err = s.Append(t.Context(), "stream", eventstore.NoStream, two())
	require.NoError(t, err)
	for moved := s.watch(); s.Healthy() == nil; moved = s.watch() {
		<-moved
	}
	require.ErrorIs(t, s.Healthy(), pebble.ErrReadOnly)
	require.ErrorContains(t, s.Healthy(), "index")
	_, err = s.Append(t.Context(), "stream", 1, two())
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	require.Equal(t, 2, lengthOf(t, s))
	require.ErrorIs(t, s.Close(), pebble.ErrReadOnly) // it isn't flushed either

	s, err = Open("log", opts)
	require.NoError(t, err)
	require.Equal(t, 2, lengthOf(t, s))
	_, err = s.Append(t.Context(), "stream", 1, two())
	require.NoError(t, err)
	require.Equal(t, 4, lengthOf(t, s))
	require.NoError(t, s.Close())
}

func lengthOf(t *testing.T, s *Store) (n int) {
	t.Helper()
	for r, err := range s.ReadStream(t.Context(), "stream", 0, eventstore.Forwards, 100) {
		require.NoError(t, err)
		require.Equal(t, int64(n), r.Revision)
		n++
	}
	return n
}
