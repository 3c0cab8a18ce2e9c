package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

// cutter cuts the power while a log is synced: of what was written since the sync before
// any sectors may be on the disk, over zeros, over nothing, or over an older log's chunks.
type cutter struct {
	*vfs.MemFS

	mu    sync.Mutex
	rng   *rand.Rand
	acked map[uuid.UUID]bool
	syncs int
	// enough is how many cuts are made.
	enough int
	cuts   []cut
}

// cut is a folder as it was, with its newest log as it was durable and as it was written.
type cut struct {
	disk             *vfs.MemFS
	log              string
	durable, written []byte
	acked            map[uuid.UUID]bool
}

const (
	sector    = 512
	everySync = 7
)

// hear is told of a sync of a log, before it is done.
func (c *cutter) hear(log string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.syncs++; c.syncs%everySync != 0 || len(c.cuts) == c.enough {
		return
	}
	made := cut{log: log, acked: maps.Clone(c.acked)}
	made.disk = c.MemFS.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: c.rng})
	var err, missing error
	made.written, err = bytesOf(made.disk, log)
	made.durable, missing = bytesOf(c.MemFS.CrashClone(vfs.CrashCloneCfg{}), log)
	if err == nil && missing == nil {
		c.cuts = append(c.cuts, made)
	}
}

// Create implements vfs.FS.
func (c *cutter) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.MemFS.Create(name, category)
	return c.heard(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (c *cutter) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.MemFS.ReuseForWrite(oldname, newname, category)
	return c.heard(newname, f, err)
}

func (c *cutter) heard(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || path.Ext(name) != ".log" {
		return f, err
	}
	return &heardFile{File: f, name: name, c: c}, nil
}

type heardFile struct {
	vfs.File
	name string
	c    *cutter
}

func (f *heardFile) Sync() error {
	f.c.hear(f.name)
	return f.File.Sync()
}

func (f *heardFile) SyncData() error {
	f.c.hear(f.name)
	return f.File.SyncData()
}

func bytesOf(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// image is what a power cut may leave of the log.
func (c *cut) image(rng *rand.Rand) []byte {
	img := bytes.Clone(c.durable)
	if len(c.written) > len(img) {
		img = append(img, make([]byte, len(c.written)-len(img))...)
	}
	same := 0
	for same < len(c.written) && img[same] == c.written[same] {
		same++
	}
	upTo := same + rng.IntN(len(c.written)-same+1)
	switch rng.IntN(3) {
	case 0: // up to any byte
		copy(img, c.written[:upTo])
	case 1: // any sectors
		for at := same / sector * sector; at < len(c.written); at += sector {
			if rng.IntN(3) > 0 {
				copy(img[at:], c.written[at:min(at+sector, len(c.written))])
			}
		}
	default: // all but one sector
		copy(img, c.written)
		lost := upTo / sector * sector
		if lost < len(c.written) {
			end := min(lost+sector, len(img))
			clear(img[lost:end])
			if lost < len(c.durable) {
				copy(img[lost:end], c.durable[lost:])
			}
		}
	}
	return img[:max(len(c.durable), rng.IntN(2)*len(img), upTo)]
}

// TestAPowerCutIsNoDamage, whatever it leaves of what was not synced: a log that could be
// refused for it would be refused after many a power cut.
func TestAPowerCutIsNoDamage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &cutter{MemFS: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 1)), acked: map[uuid.UUID]bool{}, enough: 12}
	if testing.Short() {
		c.enough = 4
	}
	opts := Options{FS: c, Logger: slog.New(slog.DiscardHandler), memTable: 256 << 10}
	s, err := Open("log", opts)
	require.NoError(t, err)
	var writers sync.WaitGroup
	for n := range 8 {
		writers.Go(func() { c.write(t, s, n, rand.New(rand.NewPCG(seed, uint64(n)+10))) })
	}
	writers.Wait()
	require.NoError(t, s.Close())
	rng := rand.New(rand.NewPCG(seed, 2))
	unsynced := 0
	for i := range c.cuts {
		c.cuts[i].check(t, rng)
		if !bytes.Equal(c.cuts[i].durable, c.cuts[i].written) {
			unsynced++
		}
	}
	require.NotZero(t, unsynced)
}

func (c *cutter) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.cuts) == c.enough
}

func (c *cutter) write(t *testing.T, s *Store, n int, rng *rand.Rand) {
	stream, end := string(rune('a'+n)), eventstore.NoStream
	for !c.done() && !t.Failed() {
		size := 1 + rng.IntN(600)
		if rng.IntN(4) == 0 {
			size = 1 + rng.IntN(90<<10)
		}
		e := eventstore.Event{ID: uuid.New(), Type: "t", Data: randomBytes(rng, size), Metadata: []byte("{}")}
		a, err := s.Append(context.Background(), stream, end, []eventstore.Event{e})
		if err != nil {
			t.Error(err)
			return
		}
		end = a.Revision
		c.mu.Lock()
		c.acked[e.ID] = true
		c.mu.Unlock()
	}
}

func (c *cut) check(t *testing.T, rng *rand.Rand) {
	t.Helper()
	for range 50 {
		putFile(t, c.disk, c.log, c.image(rng))
		_, err := checkEnds(c.disk, "log")
		require.NoError(t, err)
	}
	s, err := Open("log", Options{FS: c.disk, Logger: slog.New(slog.DiscardHandler), memTable: 256 << 10})
	require.NoError(t, err)
	found := map[uuid.UUID]bool{}
	for r, err := range s.ReadAll(t.Context(), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(t, err)
		found[r.ID] = true
	}
	for id := range c.acked {
		require.True(t, found[id], "an acknowledged event is gone")
	}
	require.NoError(t, s.Close())
}

func putFile(t *testing.T, fs vfs.FS, name string, content []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(bytes.Clone(content))
	require.NoError(t, errors.Join(err, f.Close()))
}
