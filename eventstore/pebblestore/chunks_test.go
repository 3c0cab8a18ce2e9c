package pebblestore_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// content is what is in a file.
func content(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	require.NoError(t, err)
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return b
}

// newestOf is the path of the newest file of a store's folder that fits.
func newestOf(t *testing.T, fs vfs.FS, fits func(name string) bool) string {
	t.Helper()
	names, err := fs.List("log")
	require.NoError(t, err)
	newest := ""
	for _, name := range names {
		if fits(name) {
			newest = max(newest, name)
		}
	}
	require.NotEmpty(t, newest)
	return "log/" + newest
}

func isLog(name string) bool      { return strings.HasSuffix(name, ".log") }
func isManifest(name string) bool { return strings.HasPrefix(name, "MANIFEST") }

// TestABitLostOfTheNewestLog is damage, and not the end of the log: what stands behind it
// was acknowledged. Only what the last syncs wrote can't be told from what a crash leaves.
func TestABitLostOfTheNewestLog(t *testing.T) {
	for name, c := range map[string]struct {
		appends, events, bytes int
		// spoil is the part of the log where a bit is lost: Pebble takes long over a large chunk.
		spoil float64
	}{
		"small groups":               {appends: 150, events: 1, bytes: 300, spoil: 1},
		"groups of more than blocks": {appends: 30, events: 4, bytes: 10_000, spoil: 0.7},
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 1))
			disk := vfs.NewCrashableMem()
			s := open(t, "log", pebblestore.Options{FS: disk})
			defer func() { require.NoError(t, s.Close()) }()
			for i := range c.appends {
				batch := make([]eventstore.Event, c.events)
				for e := range batch {
					batch[e] = newEvent(c.bytes)
				}
				_, err := s.Append(t.Context(), "s", int64(i*c.events)-1, batch)
				require.NoError(t, err)
			}
			killed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
			path := newestOf(t, killed, isLog)
			whole := content(t, killed, path)
			refused := 0
			for range 60 {
				spoilt := append([]byte(nil), whole...)
				spoilt[rng.IntN(int(c.spoil*float64(len(spoilt))))] ^= 1 << rng.IntN(8)
				put(t, killed, path, spoilt)
				if least := (c.appends - 3) * c.events; opensOrRefuses(t, killed, path, least) {
					refused++
				}
			}
			require.Greater(t, refused, 30)
			put(t, killed, path, whole)
			require.False(t, opensOrRefuses(t, killed, path, c.appends*c.events), "nothing has gone")
		})
	}
}

// opensOrRefuses opens a copy of a store, which either names a file, or has at least so many
// events.
func opensOrRefuses(t *testing.T, disk *vfs.MemFS, path string, events int) (refused bool) {
	t.Helper()
	for _, readOnly := range []bool{true, false} {
		s, err := pebblestore.Open("log", pebblestore.Options{FS: disk, ReadOnly: readOnly, Logger: quiet()})
		if err != nil {
			require.ErrorContains(t, err, path+" is damaged at byte ")
			refused = true
			continue
		}
		require.False(t, refused)
		head, err := s.Head(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, int(head), events)
		require.NoError(t, s.Close())
		if readOnly {
			disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		}
	}
	return refused
}

// TestABitLostOfTheManifest: Pebble would go on with what stands before it, and remove the
// tables that it was told of after that.
func TestABitLostOfTheManifest(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	const events = 700
	disk := vfs.NewCrashableMem()
	s := open(t, "log", pebblestore.Options{FS: disk}.MemTable(64<<10).FoldEvery(100))
	defer func() { require.NoError(t, s.Close()) }()
	for i := range events {
		_, err := s.Append(t.Context(), "s", int64(i)-1, []eventstore.Event{newEvent(300)})
		require.NoError(t, err)
	}
	killed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	path := newestOf(t, killed, isManifest)
	whole := content(t, killed, path)
	refused := 0
	for at := range whole {
		spoilt := append([]byte(nil), whole...)
		spoilt[at] ^= 1 << rng.IntN(8)
		put(t, killed, path, spoilt)
		if opensOrRefuses(t, killed, path, events) {
			refused++
		}
	}
	require.Greater(t, refused, len(whole)/2)
	put(t, killed, path, whole)
	require.False(t, opensOrRefuses(t, killed, path, events), fmt.Sprint("nothing has gone of ", events))
}

// TestAPartOfALogIsNoPlaceForANewOne: what a restore has left out may be an empty file, and
// Pebble would begin anew, and remove all that it doesn't know.
func TestAPartOfALogIsNoPlaceForANewOne(t *testing.T) {
	disk := vfs.NewMem()
	s := open(t, "log", pebblestore.Options{FS: disk})
	_, err := s.Append(t.Context(), "s", eventstore.NoStream, []eventstore.Event{newEvent(300)})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	marker := newestOf(t, disk, func(name string) bool { return strings.HasPrefix(name, "marker.manifest") })
	require.NoError(t, disk.Remove(marker))
	_, err = pebblestore.Open("log", pebblestore.Options{FS: disk, Logger: quiet()})
	require.ErrorContains(t, err, "is there, and no file marker.manifest")
	put(t, disk, marker, nil)
	s = open(t, "log", pebblestore.Options{FS: disk})
	require.Len(t, readAll(t, s), 1)
	require.NoError(t, s.Close())
}
