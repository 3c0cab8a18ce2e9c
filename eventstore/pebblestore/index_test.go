package pebblestore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// streams is what a store must say of each stream: its events' ids, in order.
type streams map[string][]uuid.UUID

func (m streams) append(t *testing.T, s *pebblestore.Store, stream string, events int) {
	t.Helper()
	batch := make([]eventstore.Event, events)
	for i := range batch {
		batch[i] = newEvent(1)
	}
	_, err := s.Append(context.Background(), stream, int64(len(m[stream]))-1, batch)
	require.NoError(t, err)
	for _, e := range batch {
		m[stream] = append(m[stream], e.ID)
	}
}

// check reads a stream from a revision on, as far as a limit, and compares.
func (m streams) check(t *testing.T, s *pebblestore.Store, stream string, from int64, direction eventstore.Direction, limit int) {
	t.Helper()
	all := m[stream]
	want := all[min(max(0, from), int64(len(all))):]
	if direction == eventstore.Backwards {
		want = slices.Clone(all[:min(from, int64(len(all))-1)+1])
		slices.Reverse(want)
	}
	want = want[:min(limit, len(want))]
	got := make([]uuid.UUID, 0, len(want))
	for r, err := range s.ReadStream(context.Background(), stream, from, direction, limit) {
		require.NoError(t, err)
		require.Equal(t, all[r.Revision], r.ID)
		got = append(got, r.ID)
	}
	require.True(t, slices.Equal(want, got), "%s from %d %v, %d: %d events, not %d", stream, from, direction, limit, len(got), len(want))
}

// checkAll reads every stream whole in both directions, and parts of it.
func (m streams) checkAll(t *testing.T, s *pebblestore.Store, rng *rand.Rand) {
	t.Helper()
	for stream, all := range m {
		m.check(t, s, stream, 0, eventstore.Forwards, math.MaxInt)
		m.check(t, s, stream, eventstore.End, eventstore.Backwards, math.MaxInt)
		for range 4 {
			from := rng.Int64N(int64(len(all)) + 2)
			m.check(t, s, stream, from, eventstore.Forwards, 1+rng.IntN(10))
			m.check(t, s, stream, from, eventstore.Backwards, 1+rng.IntN(10))
		}
	}
}

// TestIndex holds the store to a list a stream: whatever is in memory, on its way
// into Pebble or there, over clean ends and crashes, and whatever was read before.
func TestIndex(t *testing.T) {
	seeds := 5
	if testing.Short() {
		seeds = 2
	}
	for range seeds {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { indexOnce(t, seed) })
	}
}

func indexOnce(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewCrashableMem()
	opts := pebblestore.Options{}.FoldEvery(1 + rng.IntN(60))
	opts.FS = fs
	s := open(t, "log", opts)
	m := streams{}
	for range 4 {
		for range 20 + rng.IntN(40) {
			// One stream is busy; the names' lengths differ, as their order does.
			stream := fmt.Sprint("s", rng.IntN(3)*rng.IntN(50))
			m.append(t, s, stream, 1+rng.IntN(4))
		}
		m.checkAll(t, s, rng)
		if rng.IntN(2) == 0 {
			require.NoError(t, s.Close())
		} else {
			fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			old := s
			defer func() { _ = old.Close() }()
		}
		opts.FS = fs
		s = open(t, "log", opts)
		m.checkAll(t, s, rng)
	}
	require.NoError(t, s.Close())
}

func TestAStreamOfManyExtents(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: thousands of reads, one after the other")
	}
	fs := vfs.NewMem()
	m := streams{}
	for _, fold := range []int{pebblestore.MaxExtent, 3*pebblestore.MaxExtent - 1, 5 * pebblestore.MaxExtent} {
		opts := pebblestore.Options{FS: fs}.FoldEvery(fold)
		s := open(t, "log", opts)
		for range 4 {
			m.append(t, s, "s", pebblestore.MaxExtent)
			m.append(t, s, "other", 1)
		}
		m.append(t, s, "s", 1)
		require.NoError(t, s.Close())
		s = open(t, "log", opts)
		for from := int64(0); from <= int64(len(m["s"]))+1; from += pebblestore.MaxExtent / 4 {
			for around := max(0, from-1); around <= from+1; around++ {
				m.check(t, s, "s", around, eventstore.Forwards, 2)
				m.check(t, s, "s", around, eventstore.Backwards, 2)
			}
		}
		m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, s.Close())
	}
}

// A reader that looks at memory and then at Pebble sees all, though a fold moves
// entries from one to the other meanwhile.
func TestReadersDuringFolds(t *testing.T) {
	s := open(t, "log", pebblestore.Options{FS: vfs.NewMem()}.FoldEvery(3))
	defer func() { _ = s.Close() }()
	const writers, events = 4, 300
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			stream := fmt.Sprint("s", n)
			for revision := range int64(events) {
				if _, err := s.Append(context.Background(), stream, revision-1, []eventstore.Event{newEvent(1)}); err != nil {
					t.Errorf("append %s: %v", stream, err)
					return
				}
				for direction, from := range map[eventstore.Direction]int64{eventstore.Forwards: 0, eventstore.Backwards: eventstore.End} {
					count := int64(0)
					for _, err := range s.ReadStream(context.Background(), stream, from, direction, math.MaxInt) {
						if err != nil {
							t.Errorf("read %s: %v", stream, err)
							return
						}
						count++
					}
					if count != revision+1 {
						t.Errorf("%s %v: %d events, not %d", stream, direction, count, revision+1)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// openPebble opens what a store has left in a folder, to be changed.
func openPebble(t *testing.T, fs vfs.FS, folder string) *pebble.DB {
	t.Helper()
	db, err := pebble.Open(folder, &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	require.NoError(t, err)
	return db
}

func streamKey(stream string, revision uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte{'s', 0, byte(len(stream))}, stream...), revision)
}

// goOn opens a log, compares and appends, several times: each leaves it as whole as
// it was.
func (m streams) goOn(t *testing.T, fs vfs.FS) {
	t.Helper()
	for range 3 {
		s := open(t, "log", pebblestore.Options{FS: fs})
		m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
		m.append(t, s, "a", 3)
		m.append(t, s, "b", 1)
		m.append(t, s, "new", 1)
		m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, s.Close())
	}
}

// What a crash left of a fold is overwritten by the next.
func TestAHalfFold(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, "log", pebblestore.Options{FS: fs})
	defer func() { _ = s.Close() }()
	m := streams{}
	for range 10 {
		m.append(t, s, "a", 1)
		m.append(t, s, "b", 1)
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	db := openPebble(t, left, "log/index")
	require.NoError(t, db.Set(streamKey("a", 0), []byte{1, 2, 2}, nil), "three of its ten")
	require.NoError(t, db.Close())

	m.goOn(t, left)
}

// An event that was erased before its entry was written keeps its revision.
func TestAnErasedEventKeepsItsPlaceOverACrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, "log", pebblestore.Options{FS: fs})
	defer func() { _ = s.Close() }()
	m := streams{}
	m.append(t, s, "a", 4)
	erased, err := s.Scavenge(context.Background(), func(r *eventstore.Recorded) (bool, error) { return r.Revision >= 2, nil })
	require.NoError(t, err)
	require.Equal(t, 2, erased)
	after := open(t, "log", pebblestore.Options{FS: fs.CrashClone(vfs.CrashCloneCfg{})})
	defer func() { _ = after.Close() }()
	var left []int64
	m.append(t, after, "a", 1)
	for r, err := range after.ReadStream(context.Background(), "a", 0, eventstore.Forwards, 10) {
		require.NoError(t, err)
		left = append(left, r.Revision)
	}
	require.Equal(t, []int64{0, 1, 4}, left)
}

// A record that is damaged before its entry was written could be of any stream: no
// engine starts on such a log, and who only reads it is told in every stream.
func TestADamagedRecordThatHasNoEntry(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, "log", pebblestore.Options{FS: fs})
	defer func() { _ = s.Close() }()
	m := streams{}
	for range 5 {
		m.append(t, s, "a", 1)
		m.append(t, s, "b", 1)
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	db := openPebble(t, left, "log")
	require.NoError(t, db.Set([]byte{'e', 0, 0, 0, 0, 0, 0, 0, 6}, []byte{1, 2, 3, 4, 5, 6}, nil))
	require.NoError(t, db.Close())

	opts := pebblestore.Options{FS: left, Logger: quiet()}
	_, err := pebblestore.Open("log", opts)
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.EqualValues(t, 6, corrupt.Position)

	opts.ReadOnly = true
	audited := open(t, "log", opts)
	defer func() { require.NoError(t, audited.Close()) }()
	for _, c := range []struct {
		stream    string
		direction eventstore.Direction
		from      int64
		good      int
	}{
		{"a", eventstore.Forwards, 0, 3}, {"b", eventstore.Forwards, 0, 2}, {"new", eventstore.Forwards, 0, 0},
		{"a", eventstore.Backwards, eventstore.End, 0}, {"new", eventstore.Backwards, eventstore.End, 0},
	} {
		good := 0
		for _, err = range audited.ReadStream(context.Background(), c.stream, c.from, c.direction, 10) {
			if err == nil {
				good++
			}
		}
		require.ErrorAs(t, err, &corrupt, "%+v", c)
		require.EqualValues(t, 6, corrupt.Position)
		require.Equal(t, c.good, good, "%+v", c)
	}
}

func TestADamagedIndex(t *testing.T) {
	missing := []byte("missing")
	for name, c := range map[string]struct {
		key, value []byte
		want       string
	}{
		"an entry without positions":    {streamKey("s", 0), nil, "index entry is damaged"},
		"an entry that ends early":      {streamKey("s", 0), []byte{1, 0x80}, "index entry is damaged"},
		"positions that don't grow":     {streamKey("s", 0), []byte{1, 0}, "index entry is damaged"},
		"positions beyond all":          {streamKey("s", 0), append([]byte{1}, binary.AppendUvarint(nil, math.MaxUint64)...), "index entry is damaged"},
		"another's position":            {streamKey("s", 0), []byte{1, 3}, `record is of "other"`},
		"a revision that isn't there":   {streamKey("s", 0), []byte{1}, "revision is missing"},
		"an entry that is missing":      {streamKey("s", 0), missing, "revision is missing"},
		"an index longer than the log":  {[]byte{'i'}, []byte{1, 100}, "position 4 (stream \"\", revision -1): the log ends here, its index at position 100"},
		"an index that ends at nothing": {[]byte{'i'}, []byte{1}, "how far the index goes is damaged"},
		"another version's index":       {[]byte{'i'}, []byte{9, 1}, "has format 9, not 3"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			opts := pebblestore.Options{FS: fs, Logger: quiet()}
			s := open(t, "log", opts)
			m := streams{}
			m.append(t, s, "s", 2)
			require.NoError(t, s.Close())
			s = open(t, "log", opts) // the next events have entries of their own
			m.append(t, s, "s", 1)
			m.append(t, s, "other", 1)
			require.NoError(t, s.Close())
			db := openPebble(t, fs, "log/index")
			if bytes.Equal(c.value, missing) {
				require.NoError(t, db.Delete(c.key, nil))
			} else {
				require.NoError(t, db.Set(c.key, c.value, nil))
			}
			require.NoError(t, db.Close())

			for direction, from := range map[eventstore.Direction]int64{eventstore.Forwards: 0, eventstore.Backwards: eventstore.End} {
				require.ErrorContains(t, readDamaged(t, opts, from, direction), c.want)
			}
			if c.key[0] == 'i' && !strings.Contains(c.want, "format") { // an audit sees it as a finding
				opts.ReadOnly = true
				s = open(t, "log", opts)
				require.Len(t, readAll(t, s), 4)
				require.NoError(t, s.Close())
				require.ErrorContains(t, readDamaged(t, opts, 0, eventstore.Forwards), c.want)
			}
		})
	}
}

// readDamaged is how opening the log or else reading the stream "s" ends.
func readDamaged(t *testing.T, opts pebblestore.Options, from int64, direction eventstore.Direction) error {
	t.Helper()
	s, err := pebblestore.Open("log", opts)
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, s.Close()) }()
	for _, err = range s.ReadStream(context.Background(), "s", from, direction, 10) {
		if err != nil {
			break
		}
	}
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	return err
}

func TestAReadFromBeforeTheBeginning(t *testing.T) {
	fs := vfs.NewMem()
	m := streams{}
	s := open(t, "log", pebblestore.Options{FS: fs})
	m.append(t, s, "s", pebblestore.MaxExtent+44)
	for range 2 {
		for _, from := range []int64{-1, math.MinInt64, math.MinInt64 + pebblestore.MaxExtent} {
			m.check(t, s, "s", from, eventstore.Forwards, math.MaxInt)
		}
		require.NoError(t, s.Close())
		s = open(t, "log", pebblestore.Options{FS: fs})
	}
	require.NoError(t, s.Close())
}

// A full disk is left alone at the end: the next open, with room again, reads the log.
func TestCloseOnAFullDisk(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 30)
	opts := pebblestore.Options{FS: disk, MinFreeBytes: 1 << 20}
	s := open(t, "log", opts)
	m := streams{}
	m.append(t, s, "s", 5)
	disk.free.Store(1 << 10)
	require.NoError(t, s.Close())
	db := openPebble(t, disk, "log/index")
	_, _, err := db.Get(streamKey("s", 0))
	require.ErrorIs(t, err, pebble.ErrNotFound)
	require.NoError(t, db.Close())
	disk.free.Store(1 << 30)
	s = open(t, "log", opts)
	m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, s.Close())
}
