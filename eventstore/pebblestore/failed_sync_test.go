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
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// badDisk fails every sync of a log while it is bad, and holds it up while hold is set.
type badDisk struct {
	vfs.FS
	*badness
}

type badness struct {
	bad, hold atomic.Bool
	held      chan struct{}
}

func newBadDisk() badDisk { return badDisk{vfs.NewMem(), &badness{held: make(chan struct{})}} }

func (fs badDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return f, err
	}
	return badFile{f, fs.badness}, nil
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
	*badness
}

func (f badFile) fail() error {
	if f.hold.Load() {
		<-f.held
	}
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

func openOn(t *testing.T, disk badDisk) *pebblestore.Store {
	t.Helper()
	s, err := pebblestore.Open("log", pebblestore.Options{FS: disk, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// failSync makes an append whose sync fails, on a log that has one event of stream a.
func failSync(t *testing.T, s *pebblestore.Store, disk badDisk) {
	t.Helper()
	ctx := context.Background()
	_, err := s.Append(ctx, "a", eventstore.NoStream, []eventstore.Event{newEvent(1)})
	require.NoError(t, err)
	disk.bad.Store(true)
	_, err = s.Append(ctx, "a", 0, []eventstore.Event{newEvent(1)})
	require.Error(t, err)
	require.NotErrorIs(t, err, eventstore.ErrUnavailable, "its outcome is unknown")
	disk.bad.Store(false)
}

// TestFailedSyncIsNoSuccess: an append whose sync failed is not acknowledged, not
// shown, and neither is any after it.
func TestFailedSyncIsNoSuccess(t *testing.T) {
	disk := newBadDisk()
	s, ctx := openOn(t, disk), context.Background()
	failSync(t, s, disk)
	for _, stream := range []string{"a", "b"} {
		_, err := s.Append(ctx, stream, eventstore.NoStream, []eventstore.Event{newEvent(1)})
		require.ErrorIs(t, err, eventstore.ErrUnavailable, "the disk is well again, and the log isn't")
	}
	head, err := s.Head(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, head)
	require.Len(t, readAll(t, s), 1)
	shown := 0
	for _, err := range s.ReadStream(ctx, "a", 0, eventstore.Forwards, 10) {
		require.NoError(t, err)
		shown++
	}
	require.Equal(t, 1, shown)
}

// TestNothingIsShownBeforeItsSync: while a sync runs no reader sees its events, whatever
// way they read, and a repeat of the append is not answered before it either.
func TestNothingIsShownBeforeItsSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newBadDisk()
		s, ctx := openOn(t, disk), context.Background()
		disk.hold.Store(true)
		one := []eventstore.Event{newEvent(1)}
		answers := make(chan error, 2)
		for range 2 {
			go func() { _, err := s.Append(ctx, "a", eventstore.NoStream, one); answers <- err }()
			synctest.Wait()
		}
		for from, at := range map[eventstore.Direction]int64{eventstore.Forwards: 0, eventstore.Backwards: eventstore.End} {
			for r, err := range s.ReadStream(ctx, "a", at, from, 10) {
				t.Fatalf("shown before it is durable: %v %v", r, err)
			}
		}
		require.Empty(t, readAll(t, s))
		require.Empty(t, answers, "answered before it is durable")
		close(disk.held)
		disk.hold.Store(false)
		require.NoError(t, <-answers)
		require.NoError(t, <-answers)
		require.Len(t, readAll(t, s), 1)
		require.NoError(t, s.Close())
	})
}

// TestRepeatOfAFailedAppend: a repeat that waits for the sync of the first try fails
// with it. Its events are in memory, and nowhere else.
func TestRepeatOfAFailedAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newBadDisk()
		s, ctx := openOn(t, disk), context.Background()
		disk.hold.Store(true)
		one := []eventstore.Event{newEvent(1)}
		answers := make(chan error, 2)
		for range 2 {
			go func() { _, err := s.Append(ctx, "a", eventstore.NoStream, one); answers <- err }()
			synctest.Wait() // the first waits for its sync, the second for the first
		}
		disk.bad.Store(true)
		close(disk.held)
		require.Error(t, <-answers)
		require.Error(t, <-answers)
		require.Empty(t, readAll(t, s))
		_ = s.Close()
	})
}

// TestFailedSyncIsSeen: after a sync of the log that failed the store takes nothing
// any more, for good. Whoever runs it has to be able to learn that, to begin it again:
// readiness asks for Healthy, as it could ask esdbstore.
func TestFailedSyncIsSeen(t *testing.T) {
	disk := newBadDisk()
	s := openOn(t, disk)
	failSync(t, s, disk)
	health, tells := any(s).(interface{ Healthy() error })
	require.True(t, tells, "nothing tells that no write will ever succeed: /readyz goes on saying ready")
	require.Error(t, health.Healthy())
}

// TestNoRoomToOpen: Pebble would neither open nor fail on a full disk.
func TestNoRoomToOpen(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 20)
	_, err := pebblestore.Open("log", pebblestore.Options{FS: disk, MinFreeBytes: 1, Logger: quiet()})
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	require.ErrorContains(t, err, "1048576 bytes are free")
	disk.free.Store(1 << 30)
	s := open(t, "log", pebblestore.Options{FS: disk, MinFreeBytes: 1})
	require.NoError(t, s.Close())
}
