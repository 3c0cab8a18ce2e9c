package projections_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore/disk"
)

// noManifest is a disk that writes no manifest while it fails.
type noManifest struct {
	vfs.FS
	fails *atomic.Bool
}

func (d noManifest) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	if !strings.Contains(name, "MANIFEST") {
		return f, err
	}
	return failingFile{f, d.fails}, err
}

type failingFile struct {
	vfs.File
	fails *atomic.Bool
}

func (f failingFile) Write(p []byte) (int, error) {
	if f.fails.Load() {
		return 0, syscall.EIO
	}
	return f.File.Write(p)
}

func (f failingFile) Sync() error {
	if f.fails.Load() {
		return errors.Join(syscall.EIO, f.File.Sync())
	}
	return f.File.Sync()
}

// TestADeadDatabaseEndsTheProcess as a failed disk does, so that a supervisor starts it
// again; a panic's exit code says that it was called wrongly.
func TestADeadDatabaseEndsTheProcess(t *testing.T) {
	const asChild = "IOCREDITS_TEST_DEAD_VIEWS"
	if os.Getenv(asChild) == "" {
		binary, err := os.Executable()
		require.NoError(t, err)
		child := exec.CommandContext(t.Context(), binary, "-test.run", "^"+t.Name()+"$")
		child.Env = append(os.Environ(), asChild+"=1")
		var said bytes.Buffer
		child.Stdout, child.Stderr = &said, &said
		var failed *exec.ExitError
		require.ErrorAs(t, child.Run(), &failed)
		require.Equal(t, disk.ExitCode, failed.ExitCode(), "%s", &said)
		require.Contains(t, said.String(), "read models can't go on")
		require.NotContains(t, said.String(), "goroutine")
		return
	}
	fails := new(atomic.Bool)
	r := newRig(t, vfs.NewMem(), nil)
	r.opts.FS, r.opts.Logger = noManifest{vfs.NewMem(), fails}, slog.New(slog.NewTextHandler(os.Stderr, nil))
	require.NoError(t, r.views.Close())
	r.views = openViews(t, "views", r.opts)
	r.spend("a", 3)
	r.toEnd()
	fails.Store(true)
	_ = r.views.Close() // the flush needs the manifest
}
