package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/projections"
)

// sizedDisk is a fillable one that knows how large it is, as real ones do. After so many
// looks it is full, if that is set.
type sizedDisk struct {
	fillable
	looks atomic.Int32
}

func (d *sizedDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	usage := vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: 1 << 40}
	if d.looks.Add(-1) == 0 {
		d.free.Store(0)
	}
	return usage, nil
}

const reserve = 1 << 20

// onSizedDisk has views on a disk with much room.
func onSizedDisk(t *testing.T, logger *slog.Logger) (*rig, *sizedDisk) {
	t.Helper()
	disk := &sizedDisk{fillable: fillable{FS: vfs.NewMem()}}
	disk.free.Store(1 << 40)
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS, o.MinFreeBytes, o.Logger = disk, reserve, logger })
	for i := range 50 {
		r.spend(fmt.Sprint("a", i), 20)
	}
	r.toEnd()
	require.NoError(t, r.views.Close())
	r.views = openViews(t, "views", r.opts) // what was in memory has its tables
	return r, disk
}

// figures are those of a refusal for want of room.
func figures(t *testing.T, text string) (free, needed uint64) {
	t.Helper()
	var dir string
	_, err := fmt.Sscanf(text[len("rebuild: "+projections.ErrNoRoom.Error()+": "):],
		"%d bytes are free on the disk of %s %d are needed to build them again", &free, &dir, &needed)
	require.NoError(t, err, text)
	return free, needed
}

// TestRebuildLooksForRoomFirst: it is refused with the figures, rather than that it waits
// half-way for what nobody gives it. The views stay as they are.
func TestRebuildLooksForRoomFirst(t *testing.T) {
	r, disk := onSizedDisk(t, quiet())
	disk.free.Store(reserve)
	err := r.views.Rebuild(within(t), nil)
	require.ErrorIs(t, err, projections.ErrNoRoom)
	free, needed := figures(t, err.Error())
	require.EqualValues(t, reserve, free)
	require.Greater(t, needed, uint64(reserve), "the new ones are as large as the old ones")
	require.True(t, r.whole("a1"))
	names, err := r.opts.FS.List("views")
	require.NoError(t, err)
	require.Len(t, names, 2, "CURRENT and one generation")

	disk.free.Store(needed - 1)
	require.ErrorIs(t, r.views.Rebuild(within(t), nil), projections.ErrNoRoom)
	disk.free.Store(needed)
	require.NoError(t, r.views.Rebuild(within(t), nil))
	require.True(t, r.whole("a1"))
}

// mendings is a log of what who mends views says.
type mendings struct {
	slog.Handler
	mu   sync.Mutex
	said said
}

type said struct {
	// begun counts rebuilds, failed has the waits that were told after failures, and at
	// when.
	begun  int
	failed []time.Duration
	at     []time.Time
	why    []string
}

func (m *mendings) Enabled(context.Context, slog.Level) bool { return true }

func (m *mendings) Handle(_ context.Context, r slog.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch r.Message {
	case "the read models are built again from the log: a file of theirs is damaged":
		m.said.begun++
	case "the read models stay damaged":
		m.said.at = append(m.said.at, r.Time)
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "again" {
				m.said.failed = append(m.said.failed, a.Value.Duration())
			} else {
				m.said.why = append(m.said.why, a.Value.String())
			}
			return true
		})
	}
	return nil
}

// sofar copies what was said.
func (m *mendings) sofar() said {
	m.mu.Lock()
	defer m.mu.Unlock()
	return said{m.said.begun, slices.Clone(m.said.failed), slices.Clone(m.said.at), slices.Clone(m.said.why)}
}

// running is views that follow their log on a disk of a size, until end.
func running(t *testing.T) (r *rig, disk *sizedDisk, told *mendings, end func()) {
	told = &mendings{}
	r, disk = onSizedDisk(t, slog.New(told))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.views.Run(ctx) }()
	return r, disk, told, func() {
		stop()
		<-done
		r.close()
	}
}

// TestMendWaits longer after each failure, up to an hour, and not at all when it was
// given room: then it begins as at first. Time is the bubble's.
func TestMendWaits(t *testing.T) { synctest.Test(t, mendWaits) }

func mendWaits(t *testing.T) {
	r, disk, told, end := running(t)
	defer end()
	pass := func(d time.Duration) {
		<-time.After(d)
		synctest.Wait()
	}
	disk.free.Store(2 * reserve) // a rebuild that a person asks for would have room
	want := []time.Duration{}
	for wait := projections.FirstMend; len(want) < 13; wait = min(2*wait, projections.MaxMend) {
		r.views.FindDamage()
		synctest.Wait()
		want = append(want, wait)
		require.Equal(t, want, told.sofar().failed)
		r.views.FindDamage()
		pass(wait - 1)
		require.Len(t, told.sofar().failed, len(want), "not before its time")
		pass(1)
	}
	require.Equal(t, projections.MaxMend, want[len(want)-1])
	now := told.sofar()
	for i := 1; i < len(now.at); i++ {
		require.Equal(t, now.failed[i-1], now.at[i].Sub(now.at[i-1]))
	}
	require.Zero(t, now.begun)

	_, needed := figures(t, "rebuild: "+now.why[0])
	require.Greater(t, needed, uint64(2*reserve), "as much again, and the log's reserve twice")
	disk.free.Store(needed - 1)
	pass(projections.MaxMend)
	r.views.FindDamage()
	pass(projections.MaxMend)
	require.Zero(t, told.sofar().begun)
	disk.free.Store(needed)
	r.views.FindDamage()
	pass(projections.MaxMend)
	require.Equal(t, 1, told.sofar().begun)
	failures := len(told.sofar().failed)
	disk.free.Store(2 * reserve)
	r.views.FindDamage()
	synctest.Wait()
	require.Len(t, told.sofar().failed, failures+1)
	require.Equal(t, projections.FirstMend, told.sofar().failed[failures], "from the beginning")
}

// TestMendTriesAgainUntold: views that have stopped at the damage read it no more, and
// nobody else may; what was said of another try is so all the same.
func TestMendTriesAgainUntold(t *testing.T) { synctest.Test(t, mendTriesAgainUntold) }

func mendTriesAgainUntold(t *testing.T) {
	r, disk, told, end := running(t)
	defer end()
	disk.free.Store(2 * reserve)
	r.views.FindDamage()
	synctest.Wait()
	require.Len(t, told.sofar().failed, 1)
	disk.free.Store(1 << 40)
	<-time.After(projections.FirstMend)
	synctest.Wait()
	require.Equal(t, 1, told.sofar().begun)
	require.Len(t, told.sofar().failed, 1)
}

// TestStopWhileMending: who stops an engine, or closes its views, while they are mended
// reads of no failure.
func TestStopWhileMending(t *testing.T) {
	for name, stop := range map[string]func(*rig){
		"stopped": func(*rig) {},
		"closed":  func(r *rig) { require.NoError(t, r.views.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, disk, told, end := running(t)
				disk.looks.Store(2) // of who mends, and of the rebuild
				r.views.FindDamage()
				synctest.Wait()
				require.Equal(t, 1, told.sofar().begun, "it waits for room")
				require.Zero(t, disk.free.Load())
				stop(r)
				end()
				require.Empty(t, told.sofar().failed)
			})
		})
	}
}
