package projections_test

import (
	"context"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
)

// TestCrash cuts the power at random points while the views follow and are
// rebuilt. What is there afterwards is what a rebuild of the log up to the
// checkpoint gives, byte for byte; followed to the end, what a whole one gives.
func TestCrash(t *testing.T) {
	seeded(t, 4, func(t *testing.T, rng *rand.Rand) {
		fs := &crashable{MemFS: vfs.NewCrashableMem()}
		r := newRig(t, fs, func(o *projections.Options) { o.MemTableBytes = 32 << 10 })
		r.follow()
		p := newPlayer(r, 3, rng.IntN)
		var rebuiltThrough eventstore.Position // at least
		for round := range 10 {
			for range 1 + rng.IntN(60) {
				p.step()
			}
			rebuilt, from := make(chan error, 1), r.AckedAny()
			rebuilding := rng.IntN(2) == 0 || round == 7
			if rebuilding {
				go func() { rebuilt <- r.views.Rebuild(within(t), nil) }()
			}
			for range rng.IntN(20) {
				p.step()
			}
			clone := fs.cut(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rand.New(rand.NewPCG(rng.Uint64(), 2))})
			require.GreaterOrEqual(t, afterCrash(t, clone), rebuiltThrough, "what was rebuilt is gone")
			if rebuilding {
				require.NoError(t, <-rebuilt)
				rebuiltThrough = from
			}
		}
	})
}

// crashable keeps a power cut from falling into Lock, which takes MemFS's read
// lock twice: a clone that waits between the two would deadlock with it.
type crashable struct {
	*vfs.MemFS
	locking sync.Mutex
}

func (c *crashable) Lock(name string) (io.Closer, error) {
	c.locking.Lock()
	defer c.locking.Unlock()
	return c.MemFS.Lock(name)
}

func (c *crashable) cut(cfg vfs.CrashCloneCfg) *vfs.MemFS {
	c.locking.Lock()
	defer c.locking.Unlock()
	return c.CrashClone(cfg)
}

func afterCrash(t *testing.T, fs vfs.FS) (kept eventstore.Position) {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: fs, Logger: quiet()})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	opts := projections.Options{Store: store, Codec: codec, FS: fs, Logger: quiet()}

	v := openViews(t, "views", opts)
	kept = v.Through()
	require.NoError(t, v.Close())
	require.Equal(t, rebuiltTo(t, store, kept), keyspace(t, fs, "views"), "through %d", kept)

	v = openViews(t, "views", opts)
	require.Equal(t, kept, v.Through())
	require.NoError(t, v.RunToEnd(bg, nil))
	head := v.Through()
	require.NoError(t, v.Close())
	require.Equal(t, rebuiltTo(t, store, head), keyspace(t, fs, "views"))
	return kept
}

// shortened is a log that ends at a position, event by event.
type shortened struct {
	eventstore.Store
	end eventstore.Position
}

func (s *shortened) Head(context.Context) (eventstore.Position, error) { return s.end, nil }

func (s *shortened) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		for rec, err := range s.ReadAll(ctx, after+1, eventstore.Forwards, math.MaxInt) {
			if err != nil || rec.Position > s.end || !yield([]eventstore.Recorded{rec}, err) {
				return
			}
		}
	}
}

func rebuiltTo(t *testing.T, store eventstore.Store, end eventstore.Position) []string {
	t.Helper()
	fs := vfs.NewMem()
	v := openViews(t, "again", projections.Options{Store: &shortened{store, end}, Codec: codec, FS: fs, Logger: quiet()})
	require.NoError(t, v.RunToEnd(within(t), nil))
	require.NoError(t, v.Close())
	return keyspace(t, fs, "again")
}
