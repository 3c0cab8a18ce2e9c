package pebblestore_test

import (
	"os"
	"os/exec"
	"path/filepath"
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
