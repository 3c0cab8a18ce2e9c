package projections_test

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/projections"
)

// fullDisk takes no new file once it is full.
type fullDisk struct {
	vfs.FS
	full atomic.Bool
	// broken is what it fails with instead, while it says that there is room.
	broken error
}

func (d *fullDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	usage := vfs.DiskUsage{TotalBytes: 1 << 40, AvailBytes: 1 << 39}
	if d.full.Load() && d.broken == nil {
		usage.AvailBytes = 0
	}
	return usage, nil
}

func (d *fullDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if d.full.Load() {
		return nil, cmp.Or(d.broken, error(syscall.ENOSPC))
	}
	return d.FS.Create(name, category)
}

// ends returns what f does, which a broken program never ends.
func ends(t *testing.T, disk *fullDisk, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-within(t).Done():
		disk.full.Store(false) // or the test wouldn't end
		require.Fail(t, "it doesn't end on a full disk")
		return nil
	}
}

// TestNothingWaitsForAFullDisk: an engine ends, as it does after its log has met the full
// disk, and tools are told. What was in memory is applied again.
func TestNothingWaitsForAFullDisk(t *testing.T) {
	disk := &fullDisk{FS: vfs.NewMem()}
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS = disk })
	for i := range 5 {
		r.spend(fmt.Sprint("a", i), 20)
	}
	r.toEnd()
	disk.full.Store(true)
	require.ErrorIs(t, ends(t, disk, func() error { return r.views.Copy("copy") }), projections.ErrNoRoom)
	require.NoError(t, ends(t, disk, r.views.Close))
	disk.full.Store(false)
	r.views = openViews(t, "views", r.opts)
	r.toEnd()
	for i := range 5 {
		require.True(t, r.whole(fmt.Sprint("a", i)))
	}
}

// TestNothingWaitsForABrokenDisk: nor where the disk says that it has room and takes
// nothing: it was mounted anew to be read only, is gone, or is beyond a quota.
func TestNothingWaitsForABrokenDisk(t *testing.T) {
	for _, broken := range []error{syscall.EROFS, syscall.EIO, syscall.EDQUOT, syscall.ENOENT} {
		t.Run(broken.Error(), func(t *testing.T) {
			disk := &fullDisk{FS: vfs.NewMem(), broken: broken}
			r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS = disk })
			r.spend("a", 20)
			r.toEnd()
			disk.full.Store(true)
			require.NoError(t, ends(t, disk, r.views.Close))
			disk.full.Store(false)
			r.views = openViews(t, "views", r.opts)
			r.toEnd()
			require.True(t, r.whole("a"))
		})
	}
}

// TestViewsOnABrokenDiskWait before what is in memory is full, and end: a write that waits in
// Pebble never would. Tools, which don't wait, are told.
func TestViewsOnABrokenDiskWait(t *testing.T) {
	disk := &fullDisk{FS: vfs.NewMem(), broken: syscall.EDQUOT}
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS, o.MemTableBytes = disk, 256<<10 })
	for i := range 40 {
		r.spend(fmt.Sprint("a", i), 30) // more than a memtable, and less than all
	}
	disk.full.Store(true)
	toEnd := func() error { return r.views.RunToEnd(bg, nil) }
	require.NoError(t, ends(t, disk, toEnd))
	more := 0
	require.Eventually(t, func() bool {
		r.spend(fmt.Sprint("more", more), 1)
		more++
		return errors.Is(ends(t, disk, toEnd), projections.ErrNoRoom)
	}, 20*time.Second, time.Millisecond)

	r.follow()
	for i := range 100 {
		r.spend(fmt.Sprint("b", i), 30)
	}
	require.NoError(t, ends(t, disk, r.views.Close))
	disk.full.Store(false)
	r.views = openViews(t, "views", r.opts)
	r.toEnd()
	require.True(t, r.whole("b99"))
}

// TestRebuildMeetsAFullDiskAtItsEnd: the new views, which are read already, are made to
// last as soon as there is room; if the end comes before that, the old ones are there.
func TestRebuildMeetsAFullDiskAtItsEnd(t *testing.T) {
	disk := &fullDisk{FS: vfs.NewMem()}
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS = disk })
	r.spend("a", 20)
	r.toEnd()
	rebuilt := make(chan error, 1)
	swapped := make(chan struct{})
	go func() {
		rebuilt <- r.views.Rebuild(bg, func(through, head eventstore.Position) {
			if through == head {
				disk.full.Store(true)
				close(swapped)
			}
		})
	}()
	<-swapped
	require.NoError(t, ends(t, disk, r.views.Close))
	require.Error(t, <-rebuilt)
	disk.full.Store(false)
	r.views = openViews(t, "views", r.opts)
	r.toEnd()
	require.True(t, r.whole("a"))
}
