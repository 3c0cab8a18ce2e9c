package main

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// TestLostPartsAreSeen: an engine whose log lost what was acknowledged, or that has
// another keyring, does not start as if nothing had been. What it still has stays.
func TestLostPartsAreSeen(t *testing.T) {
	data := t.TempDir()
	dir := dataDir(data)
	e := serve(t, data)
	e.fund("a", "5")
	require.NoError(t, e.stop())
	backup := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.CopyFS(backup, os.DirFS(dir.log())))
	e = serve(t, data)
	e.must("service", http.MethodPost, "/v1/accounts/a/deductions", "k", `{"amount":"1","service":"vm"}`)
	require.Eventually(t, func() bool { return e.balance("a") == "4" }, patience, time.Millisecond, "the read models have to be ahead of the backup")
	require.NoError(t, e.stop())

	refused := func(part, says string) {
		t.Helper()
		out, _, err := run(t, "serve", "--dev", "--data", data, "--addr", "127.0.0.1:0")
		require.ErrorContains(t, err, says, part)
		require.NotContains(t, out, readyLine)
	}
	away := func(part string) (back func()) {
		aside := filepath.Join(t.TempDir(), "aside")
		require.NoError(t, os.Rename(part, aside))
		return func() {
			require.NoError(t, os.RemoveAll(part))
			require.NoError(t, os.Rename(aside, part))
		}
	}
	keyring := away(dir.keyring())
	refused("no keyring", "Put the right keyring back")
	_, _, err := run(t, "forget", "a", "--reason", "case 7", "--data", data)
	require.ErrorContains(t, err, "Put the right keyring back", "the log would say of a key that it is destroyed")
	keyring()

	log := away(dir.log())
	refused("no log", "it ends at position 0")
	require.NoError(t, os.RemoveAll(dir.log()))
	require.NoError(t, os.CopyFS(dir.log(), os.DirFS(backup)))
	refused("an older log, beside the read models", "the log is not the one that the read models followed")
	_, _, err = run(t, "rebuild", "--data", data)
	require.ErrorContains(t, err, "the log is not the one that the read models followed", "they may be all that is left of events")
	require.DirExists(t, dir.views())
	log()

	e = serve(t, data)
	require.Equal(t, "4", e.balance("a"))
	require.NoError(t, e.stop())

	// A person decides that the older log is to stand.
	require.NoError(t, os.RemoveAll(dir.log()))
	require.NoError(t, os.CopyFS(dir.log(), os.DirFS(backup)))
	away(dir.views())
	e = serve(t, data)
	require.Equal(t, "5", e.balance("a"))
}

// deadDisk fails each sync of a log once it is dead.
type deadDisk struct {
	vfs.FS
	dead *atomic.Bool
}

func (d deadDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	return deadFile{f, d.dead}, err
}

type deadFile struct {
	vfs.File
	dead *atomic.Bool
}

func (f deadFile) SyncData() error {
	if f.dead.Load() {
		return syscall.EIO
	}
	return f.File.SyncData()
}

// TestFailedLogEndsTheProgram: only a start tells what of the last events is there.
func TestFailedLogEndsTheProgram(t *testing.T) {
	disk := deadDisk{vfs.Default, new(atomic.Bool)}
	log, err := openEmbedded(dataDir(t.TempDir()), pebblestore.Options{FS: disk, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { _ = log.close() }()
	put := func(revision int64) error {
		event := eventstore.Event{ID: uuid.New(), Type: "t", Data: []byte("{}"), Metadata: []byte("{}")}
		_, err := log.store.Append(t.Context(), "s", revision, []eventstore.Event{event})
		return err
	}
	require.NoError(t, put(eventstore.NoStream))
	disk.dead.Store(true)
	require.Error(t, put(0))
	err = log.watch(t.Context())
	require.ErrorIs(t, err, syscall.EIO)
	require.Equal(t, exitDisk, exitCode(err))
}
