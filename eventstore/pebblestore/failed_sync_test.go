package pebblestore_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// badDisk fails every sync of a log while it is bad.
type badDisk struct {
	vfs.FS
	bad *atomic.Bool
}

func (fs badDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return f, err
	}
	return badFile{f, fs.bad}, nil
}

func (fs badDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return fs.wrap(f, err)
}

func (fs badDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.wrap(fs.FS.ReuseForWrite(from, to, c))
}

type badFile struct {
	vfs.File
	bad *atomic.Bool
}

func (f badFile) fail() error {
	if f.bad.Load() {
		return syscall.EIO
	}
	return nil
}

func (f badFile) Sync() error     { return errors.Join(f.fail(), f.File.Sync()) }
func (f badFile) SyncData() error { return errors.Join(f.fail(), f.File.SyncData()) }
func (f badFile) SyncTo(n int64) (bool, error) {
	full, err := f.File.SyncTo(n)
	return full, errors.Join(f.fail(), err)
}

// TestFailedSyncIsSeen: after a sync of the log that failed the store takes nothing
// any more, for good. Whoever runs it has to be able to learn that, to begin it again:
// readiness asks for Healthy, as it could ask esdbstore.
func TestFailedSyncIsSeen(t *testing.T) {
	bad := new(atomic.Bool)
	s, err := pebblestore.Open("log", pebblestore.Options{FS: badDisk{vfs.NewMem(), bad}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	ctx := context.Background()
	_, err = s.Append(ctx, "a", eventstore.NoStream, []eventstore.Event{newEvent(1)})
	require.NoError(t, err)

	bad.Store(true)
	_, err = s.Append(ctx, "a", 0, []eventstore.Event{newEvent(1)})
	require.Error(t, err)
	require.NotErrorIs(t, err, eventstore.ErrUnavailable, "its outcome is unknown")
	bad.Store(false)
	_, err = s.Append(ctx, "a", 0, []eventstore.Event{newEvent(1)})
	require.ErrorIs(t, err, eventstore.ErrUnavailable, "no write is taken after that, though the disk is well again")
	head, err := s.Head(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, head, "what wasn't synced isn't shown")

	health, tells := any(s).(interface{ Healthy() error })
	require.True(t, tells, "nothing tells that no write will ever succeed: /readyz goes on saying ready")
	require.Error(t, health.Healthy())
}
