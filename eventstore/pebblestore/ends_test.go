package pebblestore_test

import (
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/disk"
	"iocredits/eventstore/pebblestore"
)

// failures are what Pebble panics for, by name.
var failures = map[string]func(op errorfs.Op) bool{
	"a log that can't begin": func(op errorfs.Op) bool {
		return filepath.Ext(op.Path) == ".log" && (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite)
	},
	"a folder that can't be synced": func(op errorfs.Op) bool { return op.Path == "log" && op.Kind == errorfs.OpFileSync },
}

const failureEnv = "IOCREDITS_TEST_FAILURE"

// TestADiskThatFailsUnderPebbleEndsTheProcess with the code of a disk that failed: that of a
// panic says that the call was wrong, and nobody starts the process again.
func TestADiskThatFailsUnderPebbleEndsTheProcess(t *testing.T) {
	if name := os.Getenv(failureEnv); name != "" {
		failWrites(t, failures[name])
		return
	}
	for name := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestADiskThatFailsUnderPebbleEndsTheProcess$") //nolint:gosec // this test itself
			child.Env = append(os.Environ(), failureEnv+"="+name)
			out, err := child.CombinedOutput()
			var ended *exec.ExitError
			require.ErrorAs(t, err, &ended, string(out))
			require.Equal(t, disk.ExitCode, ended.ExitCode(), string(out))
			require.Contains(t, string(out), "the event log can't go on: ")
			require.Contains(t, string(out), syscall.EIO.Error())
		})
	}
}

// failWrites writes a store until it needs another log.
func failWrites(t *testing.T, fails func(errorfs.Op) bool) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && fails(op) {
			return syscall.EIO
		}
		return nil
	}))
	s, err := pebblestore.Open("log", pebblestore.Options{FS: fs}.MemTable(32<<10))
	require.NoError(t, err)
	broken.Store(true)
	revision := eventstore.NoStream
	for range 200 {
		a, err := s.Append(t.Context(), "s", revision, []eventstore.Event{newEvent(1000)})
		require.NoError(t, err)
		revision = a.Revision
	}
}

// unlocked keeps a power cut from falling into Lock, which takes MemFS's read lock twice.
type unlocked struct{ *vfs.MemFS }

func (unlocked) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// TestAPowerCutWhileItIsOpened, before any operation on the disk and with any half of the
// names that aren't durable yet, leaves a store that can be opened.
func TestAPowerCutWhileItIsOpened(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	mem, mu, acked := unlocked{vfs.NewCrashableMem()}, sync.Mutex{}, 0
	halves := 6
	if testing.Short() {
		halves = 1
	}
	check := func(op errorfs.Op) {
		for range halves {
			cut := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
			s, err := pebblestore.Open("log", pebblestore.Options{FS: cut, Logger: quiet()})
			require.NoError(t, err, "cut at %v of %s", op.Kind, op.Path)
			require.GreaterOrEqual(t, len(readAll(t, s)), acked)
			require.NoError(t, s.Close())
		}
	}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			check(op)
		}
		return nil
	}))
	for i := range 3 {
		s := open(t, "log", pebblestore.Options{FS: fs})
		_, err := s.Append(t.Context(), "s", int64(i)-1, []eventstore.Event{newEvent(300)})
		require.NoError(t, err)
		mu.Lock()
		acked++
		mu.Unlock()
		require.NoError(t, s.Close())
	}
}
