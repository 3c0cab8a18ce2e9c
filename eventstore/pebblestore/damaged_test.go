package pebblestore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// tables are the tables of a folder that have several blocks.
func tables(t *testing.T, fs vfs.FS, dir string) (paths []string, contents [][]byte) {
	t.Helper()
	names, err := fs.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := fs.Open(fs.PathJoin(dir, name))
		require.NoError(t, err)
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		if len(content) > 100<<10 {
			paths, contents = append(paths, fs.PathJoin(dir, name)), append(contents, content)
		}
	}
	return paths, contents
}

func put(t *testing.T, fs vfs.FS, path string, content []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(bytes.Clone(content)) // under the race detector it is spoilt: a writer keeps nothing
	require.NoError(t, errors.Join(err, f.Close()))
}

// TestADamagedBlockStopsWhoReadsIt, and nobody else: a bit that the disk has lost is no
// reason to take no more money.
func TestADamagedBlockStopsWhoReadsIt(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: six megabytes, read one after the other")
	}
	opts := pebblestore.Options{FS: vfs.NewMem()}
	const batches, events = 3, 300
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range batches {
		s := open(t, "log", opts) // which makes a table of what the log has
		batch := make([]eventstore.Event, events/batches)
		for i := range batch {
			batch[i] = newEvent(20_000)
			for at := range batch[i].Data {
				batch[i].Data[at] = byte(rng.Uint32())
			}
		}
		_, err := s.Append(t.Context(), "s", int64(i*len(batch)-1), batch)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	require.NoError(t, open(t, "log", opts).Close())
	paths, contents := tables(t, opts.FS, "log")
	require.Greater(t, len(paths), 1)
	for i, path := range paths {
		t.Run(path, func(t *testing.T) {
			spoilt := append([]byte(nil), contents[i]...)
			spoilt[i*len(spoilt)/2/len(paths)] ^= 1
			put(t, opts.FS, path, spoilt)
			defer put(t, opts.FS, path, contents[i])
			s := open(t, "log", pebblestore.Options{FS: opts.FS, ReadOnly: true})
			defer func() { require.NoError(t, s.Close()) }()
			bad := unreadable(t, s, events)
			require.NotEmpty(t, bad)
			require.Less(t, len(bad), 4, "what stands in other blocks can be read")
		})
	}
	put(t, opts.FS, paths[0], append([]byte{contents[0][0] ^ 1}, contents[0][1:]...))
	s := open(t, "log", opts)
	defer func() { require.NoError(t, s.Close()) }()
	_, err := s.Append(t.Context(), "s", events-1, []eventstore.Event{newEvent(1)})
	require.NoError(t, err)
	_, err = s.Append(t.Context(), "another", eventstore.NoStream, []eventstore.Event{newEvent(1)})
	require.NoError(t, err)
}

// unreadable gives the positions that can't be read, the same by each way.
func unreadable(t *testing.T, s *pebblestore.Store, events int) map[eventstore.Position]bool {
	t.Helper()
	bad := map[eventstore.Position]bool{}
	for at := eventstore.Position(1); at <= eventstore.Position(events); at++ {
		for r, err := range s.ReadStream(t.Context(), "s", int64(at)-1, eventstore.Forwards, 1) {
			if err != nil {
				bad[at] = true
				continue
			}
			require.Equal(t, at, r.Position)
		}
	}
	for _, direction := range []eventstore.Direction{eventstore.Forwards, eventstore.Backwards} {
		from, seen := eventstore.Position(1), 0
		if direction == eventstore.Backwards {
			from = eventstore.EndOfLog
		}
		for seen < events {
			before := seen
			for r, err := range s.ReadAll(t.Context(), from, direction, math.MaxInt) {
				at := r.Position
				if err != nil {
					var corrupt *eventstore.CorruptError
					require.ErrorAs(t, err, &corrupt)
					at = corrupt.Position
				}
				require.Equal(t, bad[at], err != nil, "position %d: %v", at, err)
				seen++
				if from = at; direction == eventstore.Forwards {
					from++
				}
			}
			require.Greater(t, seen, before)
		}
		require.Equal(t, events, seen, "each once")
	}
	return bad
}

// TestAnErrorThatPassesIsNoDamage: whoever reads the same again reads it.
func TestAnErrorThatPassesIsNoDamage(t *testing.T) {
	opts := pebblestore.Options{FS: vfs.NewMem()}
	s := open(t, "log", opts)
	const events = 100
	for i := range events {
		_, err := s.Append(t.Context(), "s", int64(i)-1, []eventstore.Event{newEvent(20_000)})
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	require.NoError(t, open(t, "log", opts).Close()) // which makes a table of the log
	var broken atomic.Bool
	failing := errors.New("input/output error")
	opts.FS = errorfs.Wrap(opts.FS, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt {
			return failing
		}
		return nil
	}))
	s = open(t, "log", opts)
	defer func() { require.NoError(t, s.Close()) }()
	for name, read := range map[string]iter.Seq2[eventstore.Recorded, error]{
		"the log":  s.ReadAll(t.Context(), 1, eventstore.Forwards, 1),
		"a stream": s.ReadStream(t.Context(), "s", 40, eventstore.Forwards, 1),
	} {
		broken.Store(true)
		var ended error
		for _, err := range read {
			ended = err
		}
		require.ErrorIs(t, ended, failing, name)
		require.ErrorIs(t, ended, eventstore.ErrUnavailable, name)
		var corrupt *eventstore.CorruptError
		require.NotErrorAs(t, ended, &corrupt, name)
		broken.Store(false)
		again := 0
		for _, err := range read {
			require.NoError(t, err, name)
			again++
		}
		require.Equal(t, 1, again, name)
	}
}

// TestAnEndThatWasDeleted leaves the events before it: what Pebble has of a deletion stands
// in a table of its own, behind all records.
func TestAnEndThatWasDeleted(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, "log", pebblestore.Options{FS: fs})
	for i := range 3 {
		_, err := s.Append(t.Context(), "s", int64(i)-1, []eventstore.Event{newEvent(1)})
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	require.NoError(t, open(t, "log", pebblestore.Options{FS: fs}).Close()) // which makes a table of the log
	db, err := pebble.Open("log", &pebble.Options{
		FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}, DisableAutomaticCompactions: true,
	})
	require.NoError(t, err)
	require.NoError(t, db.Delete(binary.BigEndian.AppendUint64([]byte{'e'}, 3), pebble.Sync))
	require.NoError(t, errors.Join(db.Flush(), db.Close(), fs.RemoveAll("log/index")))
	for _, readOnly := range []bool{true, false} {
		s := open(t, "log", pebblestore.Options{FS: fs, ReadOnly: readOnly})
		head, err := s.Head(t.Context())
		require.NoError(t, errors.Join(err, s.Close()))
		require.Equal(t, eventstore.Position(2), head, "read only: %v", readOnly)
	}
}
