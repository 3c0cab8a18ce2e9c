package pebblestore_test

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// readOnlyDisk says that it has room, and takes no new table once it is read only.
type readOnlyDisk struct {
	vfs.FS
	readOnly atomic.Bool
}

func (d *readOnlyDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if d.readOnly.Load() && strings.HasSuffix(name, ".sst") {
		return nil, syscall.EROFS
	}
	return d.FS.Create(name, category)
}

// TestTheEndOnADiskThatTakesNothing: the index in memory is built again from the log, so
// the end doesn't wait for a disk that may never take it.
func TestTheEndOnADiskThatTakesNothing(t *testing.T) {
	disk := &readOnlyDisk{FS: vfs.NewMem()}
	opts := pebblestore.Options{FS: disk}
	s := open(t, "log", opts)
	appendOne(t, s, "account-a", -1)
	disk.readOnly.Store(true)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		disk.readOnly.Store(false) // or the test wouldn't end
		require.Fail(t, "it doesn't end")
	}
	disk.readOnly.Store(false)
	s = open(t, "log", opts)
	appendOne(t, s, "account-a", 0)
	require.NoError(t, s.Close())
}

// TestADiskThatTakesNoTables refuses appends, and takes them again by itself: they would wait
// without an answer once the memtables are full, and the end of the store with them.
func TestADiskThatTakesNoTables(t *testing.T) {
	disk := &readOnlyDisk{FS: vfs.NewMem()}
	s := open(t, "log", pebblestore.Options{FS: disk, Logger: quiet()}.MemTable(2<<20))
	disk.readOnly.Store(true)
	revision := eventstore.NoStream
	add := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		a, err := s.Append(ctx, "account-a", revision, []eventstore.Event{newEvent(4 << 10)})
		if err == nil {
			revision = a.Revision
		}
		return err
	}
	var err error
	for range 4000 {
		if err = add(); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	require.ErrorContains(t, err, "takes no tables")
	require.NoError(t, s.Healthy(), "it passes")
	disk.readOnly.Store(false)
	require.Eventually(t, func() bool { return add() == nil }, 20*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
}
