package pebblestore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// A log of before has an entry for each event, and says nothing of how far; or it has
// folds, and says so; or a crash cut short that they moved.
func TestAnIndexInTheLogItself(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a log is opened after each of many crashes, one after the other")
	}
	for name, how := range map[string]func(t *testing.T, log *pebble.DB, index map[string][]byte, all []eventstore.Recorded){
		"an entry for each event": func(t *testing.T, log *pebble.DB, _ map[string][]byte, all []eventstore.Recorded) {
			for _, r := range all {
				require.NoError(t, log.Set(streamKey(r.Stream, uint64(r.Revision)), binary.AppendUvarint(nil, uint64(r.Position)), nil))
			}
		},
		"folds of half of it": func(t *testing.T, log *pebble.DB, index map[string][]byte, _ []eventstore.Recorded) {
			for key, value := range index {
				if key == "i" { // the id of an event is from later
					value = append([]byte{1}, value[1:len(value)-len(uuid.UUID{})]...)
				}
				require.NoError(t, log.Set([]byte(key), value, nil))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			m := streams{}
			var half map[string][]byte
			snapshot := eventstore.Snapshot{Revision: 1, Fold: "f", Data: []byte("d")}
			for part := range 2 {
				s := open(t, "log", pebblestore.Options{FS: fs})
				for range 15 {
					m.append(t, s, "a", 2)
					m.append(t, s, "b", 1)
				}
				require.NoError(t, s.SaveSnapshot(context.Background(), "b", snapshot))
				require.NoError(t, s.Close())
				if part == 0 {
					half = contentOf(t, fs, "log/index")
				}
			}
			s := open(t, "log", pebblestore.Options{FS: fs})
			all := readAll(t, s)
			require.NoError(t, s.Close())
			log := openPebble(t, fs, "log")
			require.NoError(t, log.Delete([]byte{'i'}, nil))
			how(t, log, half, all)
			require.NoError(t, log.Set([]byte("pb"), half["pb"], pebble.Sync))
			require.NoError(t, log.Close())
			require.NoError(t, fs.RemoveAll("log/index"))
			dir, err := fs.OpenDir("log")
			require.NoError(t, err)
			require.NoError(t, dir.Sync())

			audited := open(t, "log", pebblestore.Options{FS: fs, ReadOnly: true})
			m.checkAll(t, audited, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, audited.Close())
			crashWhileItMoves(t, fs, m, snapshot)
		})
	}
}

// crashWhileItMoves opens a log again and again, with a crash at each sync of that.
func crashWhileItMoves(t *testing.T, fs *vfs.MemFS, m streams, snapshot eventstore.Snapshot) {
	t.Helper()
	crashed := 0
	for cut := 1; ; cut++ {
		rng := rand.New(rand.NewPCG(uint64(cut), 1))
		disk := fs.CrashClone(vfs.CrashCloneCfg{})
		opening := &crashing{FS: disk, disk: disk, after: cut, rng: rng}
		s := open(t, "log", pebblestore.Options{FS: opening})
		if opening.mu.Lock(); opening.left == nil { // it is open before so many
			break
		}
		crashed++
		opening.mu.Unlock()
		require.NoError(t, s.Close())
		m.clone().goOn(t, opening.left)
		s = open(t, "log", pebblestore.Options{FS: opening.left})
		found, ok, err := s.LoadSnapshot(context.Background(), "b")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, snapshot, found)
		require.NoError(t, s.Close())
	}
	t.Logf("%d crashes", crashed)
	require.GreaterOrEqual(t, crashed, 24)
}

// written makes a log: so often two events of "a", and so often one of "b".
func written(t *testing.T, opts pebblestore.Options, twoOfA, oneOfB int) streams {
	t.Helper()
	s := open(t, "log", opts)
	m := streams{}
	for range twoOfA {
		m.append(t, s, "a", 2)
	}
	for range oneOfB {
		m.append(t, s, "b", 1)
	}
	require.NoError(t, s.Close())
	return m
}

// The index has no event whose sync failed: a crash would take it from under the index.
func TestTheIndexHasOnlyWhatIsDurable(t *testing.T) {
	disk := newBadDisk()
	s := open(t, "log", pebblestore.Options{FS: disk, Logger: quiet()}.FoldEvery(1))
	failSync(t, s, disk)
	require.ErrorIs(t, s.Close(), syscall.EIO) // and doesn't wait for what never becomes durable
	index := contentOf(t, disk, "log/index")
	require.Equal(t, []byte{3, 1}, index["i"][:2])
	require.Equal(t, positions(1, 1), index[string(streamKey("a", 0))])
	require.NotContains(t, index, string(streamKey("a", 1)))
}

// contentOf is what a database has.
func contentOf(t *testing.T, fs vfs.FS, folder string) map[string][]byte {
	t.Helper()
	db := openPebble(t, fs, folder)
	it, err := db.NewIter(nil)
	require.NoError(t, err)
	found := map[string][]byte{}
	for ok := it.First(); ok; ok = it.Next() {
		found[string(it.Key())] = slices.Clone(it.Value())
	}
	require.NoError(t, errors.Join(it.Close(), db.Close()))
	return found
}

func (m streams) clone() streams {
	c := maps.Clone(m)
	for stream := range c {
		c[stream] = slices.Clone(c[stream])
	}
	return c
}

// A fold of an earlier version that a crash cut short ended where ours would not: what is
// left of it doesn't move.
func TestALongFoldOfBeforeThatWasCutShort(t *testing.T) {
	fs := vfs.NewMem()
	opts := pebblestore.Options{FS: fs}.FoldEvery(300)
	m := written(t, opts, 398, 104)
	require.NoError(t, fs.RemoveAll("log/index"))
	log := openPebble(t, fs, "log")
	require.NoError(t, log.Set([]byte{'i'}, []byte{1, 10}, nil))
	require.NoError(t, log.Set(streamKey("a", 0), positions(1, 10), nil))
	for at := 10; at < 780; at += pebblestore.MaxExtent {
		require.NoError(t, log.Set(streamKey("a", uint64(at)), positions(at+1, min(at+pebblestore.MaxExtent, 780)), nil))
	}
	require.NoError(t, log.Close())

	for _, readOnly := range []bool{true, false, false} {
		opts.ReadOnly = readOnly
		s := open(t, "log", opts)
		m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
		if !readOnly {
			_, err := s.Append(context.Background(), "a", 779, []eventstore.Event{newEvent(1)})
			var conflict *eventstore.ConflictError
			require.ErrorAs(t, err, &conflict)
			require.EqualValues(t, 795, conflict.Actual)
		}
		require.NoError(t, s.Close())
	}
}

// positions is an entry of the index with all from the first to the last.
func positions(first, last int) []byte {
	b := binary.AppendUvarint(nil, uint64(first))
	for range last - first {
		b = append(b, 1)
	}
	return b
}

// Who only reads a log doesn't take an index that was hardly begun, or can't be opened,
// for all there is.
func TestAnIndexThatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, fs vfs.FS){
		"begun": func(t *testing.T, fs vfs.FS) {
			require.NoError(t, fs.RemoveAll("log/index"))
			require.NoError(t, openPebble(t, fs, "log/index").Close())
		},
		"without a file": func(t *testing.T, fs vfs.FS) {
			names, err := fs.List("log/index")
			require.NoError(t, err)
			for _, name := range names {
				if strings.HasPrefix(name, "MANIFEST") {
					require.NoError(t, fs.Remove("log/index/"+name))
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			opts := pebblestore.Options{FS: fs, Logger: quiet()}
			m := written(t, opts, 3, 2)
			spoil(t, fs)
			opts.ReadOnly = true
			s := open(t, "log", opts)
			m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, s.Close())
		})
	}
}

// A disk without room for the index refuses the log, and doesn't hang.
func TestMovingTheIndexOntoAFullDisk(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 40)
	opts := pebblestore.Options{FS: disk, Logger: quiet()}
	m := written(t, opts, 3, 2)
	require.NoError(t, disk.RemoveAll("log/index"))
	disk.free.Store(256 << 20)
	_, err := pebblestore.Open("log", opts)
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	disk.free.Store(1 << 40)
	s := open(t, "log", opts)
	m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, s.Close())
}

// An index that isn't there is built again; who only reads has it in memory.
func TestAnIndexThatIsLost(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		fs := vfs.NewMem()
		opts := pebblestore.Options{FS: fs}.FoldEvery(7)
		m := written(t, opts, 30, 30)
		require.NoError(t, fs.RemoveAll("log/index"))
		opts.ReadOnly = readOnly
		s := open(t, "log", opts)
		m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, s.Close())
		_, err := fs.Stat("log/index")
		require.Equal(t, readOnly, err != nil)
	}
}

// An index that is put beside another log, as an older copy of the log is that went on
// by itself, isn't believed, and neither are its snapshots.
func TestAnIndexOfAnotherLog(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		other := vfs.NewMem()
		opts := pebblestore.Options{FS: other, Logger: quiet()}.FoldEvery(7)
		written(t, opts, 30, 30)
		s := open(t, "log", opts)
		require.NoError(t, s.SaveSnapshot(t.Context(), "a", eventstore.Snapshot{Revision: 1, Fold: "f", Data: []byte("d")}))
		require.NoError(t, s.Close())

		opts.FS = vfs.NewMem()
		m := written(t, opts, 10, 90)
		require.NoError(t, opts.FS.RemoveAll("log/index"))
		found, err := vfs.Clone(other, opts.FS, "log/index", "log/index")
		require.NoError(t, err)
		require.True(t, found)
		opts.ReadOnly = readOnly
		s = open(t, "log", opts)
		m.checkAll(t, s, rand.New(rand.NewPCG(1, 1)))
		_, found, err = s.LoadSnapshot(t.Context(), "a")
		require.NoError(t, err)
		require.False(t, found)
		require.NoError(t, s.Close())
	}
}

// A copy that is made under load has an index that fits its log.
func TestACheckpointHasItsIndex(t *testing.T) {
	fs := vfs.NewMem()
	opts := pebblestore.Options{FS: fs}.FoldEvery(3)
	s := open(t, "log", opts)
	m := streams{}
	for n := range 10 {
		m.append(t, s, "a", 2)
		m.append(t, s, "b", 1)
		copied := m.clone()
		dir := fs.PathJoin("copies", string(rune('a'+n)))
		require.NoError(t, s.Checkpoint(dir))
		_, err := fs.Stat(fs.PathJoin(dir, "index"))
		require.NoError(t, err)
		for _, readOnly := range []bool{true, false} {
			opts := opts
			opts.ReadOnly = readOnly
			c := open(t, dir, opts)
			copied.checkAll(t, c, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, c.Close())
		}
	}
	require.NoError(t, s.Close())
}

// crashing is a disk of which a copy is made at one of its syncs: what a crash leaves.
type crashing struct {
	vfs.FS
	disk *vfs.MemFS
	rng  *rand.Rand
	// after is how many syncs come before it.
	after int

	mu   sync.Mutex
	left *vfs.MemFS
}

func (c *crashing) synced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after--; c.after == 0 {
		// All or nothing: a folder of which some entries last and older ones don't is more
		// than Pebble bears while it opens, and than a file system does.
		c.left = c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * c.rng.IntN(2), RNG: c.rng})
	}
}

func (c *crashing) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return crashingFile{f, c}, nil
}

func (c *crashing) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return c.wrap(c.FS.Create(name, category))
}

func (c *crashing) OpenDir(name string) (vfs.File, error) { return c.wrap(c.FS.OpenDir(name)) }

type crashingFile struct {
	vfs.File
	disk *crashing
}

func (f crashingFile) Sync() error {
	f.disk.synced()
	return f.File.Sync()
}

func (f crashingFile) SyncData() error {
	f.disk.synced()
	return f.File.SyncData()
}
