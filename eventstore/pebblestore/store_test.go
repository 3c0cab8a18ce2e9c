package pebblestore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/storetest"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func open(t *testing.T, dir string, opts pebblestore.Options) *pebblestore.Store {
	t.Helper()
	opts.Logger = quiet()
	s, err := pebblestore.Open(dir, opts)
	require.NoError(t, err)
	return s
}

func TestStore(t *testing.T) {
	for name, fs := range map[string]func() vfs.FS{"memory": func() vfs.FS { return vfs.NewMem() }, "disk": func() vfs.FS { return vfs.Default }} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Instance {
				dir, opts := filepath.Join(t.TempDir(), "log"), pebblestore.Options{FS: fs()}
				return storetest.Instance{
					Store:  open(t, dir, opts),
					Reopen: func(t *testing.T) eventstore.Store { return open(t, dir, opts) },
				}
			})
		})
	}
}

func newEvent(size int) eventstore.Event {
	return eventstore.Event{ID: uuid.New(), Type: "tested", Data: make([]byte, size), Metadata: []byte("{}")}
}

func TestADirectoryIsOpenedOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, pebblestore.Options{})
	_, err := pebblestore.Open(dir, pebblestore.Options{Logger: quiet()})
	require.ErrorContains(t, err, dir)
	require.NoError(t, s.Close())
	require.NoError(t, open(t, dir, pebblestore.Options{}).Close())
}

// smallDisk reports the room that the test says.
type smallDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: 1 << 40}, nil
}

func TestAFullDiskRefusesAppendsAndPasses(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 30)
	began := time.Now()
	s := open(t, "log", pebblestore.Options{FS: disk, MinFreeBytes: 1 << 20, Now: func() time.Time { return began }})
	defer func() { _ = s.Close() }()
	ctx := context.Background()
	written := 0
	write := func() error {
		_, err := s.Append(ctx, "s", int64(written-1), []eventstore.Event{newEvent(10)})
		if err == nil {
			written++
		}
		return err
	}
	require.NoError(t, write())

	disk.free.Store(1 << 10)
	var err error
	for deadline := time.Now().Add(10 * time.Second); err == nil; err = write() { // a look that found room is good for a while
		require.True(t, time.Now().Before(deadline), "nobody looks again, by a clock that stands still")
	}
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	require.ErrorContains(t, err, "1024 bytes are free")
	require.ErrorIs(t, s.SaveSnapshot(ctx, "s", eventstore.Snapshot{}), eventstore.ErrUnavailable)
	require.Len(t, readAll(t, s), written, "reading goes on")

	disk.free.Store(1 << 30)
	require.NoError(t, write())
}

func readAll(t *testing.T, s *pebblestore.Store) []eventstore.Recorded {
	t.Helper()
	var all []eventstore.Recorded
	for r, err := range s.ReadAll(context.Background(), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

// An append that would find no room in an empty queue is told so: to try it again later
// would be for ever. Those that are handed over with it have theirs.
func TestAnAppendThatIsTooLargeForTheQueue(t *testing.T) {
	s := open(t, "log", pebblestore.Options{FS: vfs.NewMem(), MaxQueueBytes: 1000})
	defer func() { _ = s.Close() }()
	_, err := s.Append(context.Background(), "s", eventstore.NoStream, []eventstore.Event{newEvent(2000)})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "1000 are allowed")
	handed := []*eventstore.Append{
		{Stream: "s", Expected: eventstore.NoStream, Events: []eventstore.Event{newEvent(2000)}},
		{Stream: "t", Expected: eventstore.NoStream, Events: []eventstore.Event{newEvent(500)}},
	}
	for range 3 { // what was refused takes no room
		done := make(chan struct{})
		s.AppendAsync(handed, func() { close(done) })
		<-done
		require.ErrorIs(t, handed[0].Err, eventstore.ErrInvalid)
		require.NoError(t, handed[1].Err)
		handed[1] = &eventstore.Append{Stream: "t", Expected: handed[1].Appended.Revision, Events: []eventstore.Event{newEvent(500)}}
	}
}

// endsMeanwhile is a context that ends between the first look at it and the next.
type endsMeanwhile struct {
	context.Context
	looked bool
}

func (c *endsMeanwhile) Err() error {
	if !c.looked {
		c.looked = true
		return nil
	}
	return c.Context.Err()
}

// TestARefusalIsTheEnd: a caller who leaves while its append is refused ends nothing a
// second time.
func TestARefusalIsTheEnd(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	fs := vfs.NewMem()
	require.NoError(t, open(t, "log", pebblestore.Options{FS: fs}).Close())
	s := open(t, "log", pebblestore.Options{FS: fs, ReadOnly: true})
	for range 50 { // of two ways that were open, one was chosen by lot
		_, err := s.Append(&endsMeanwhile{Context: gone}, "s", eventstore.NoStream, []eventstore.Event{newEvent(1)})
		require.ErrorIs(t, err, eventstore.ErrUnavailable)
	}
	require.NoError(t, s.Close())
	for range 50 {
		_, err := s.Append(&endsMeanwhile{Context: gone}, "s", eventstore.NoStream, []eventstore.Event{newEvent(1)})
		require.ErrorIs(t, err, eventstore.ErrClosed)
	}
}

// What is handed over together has room as a whole or not at all.
func TestAHandoverThatFindsNoRoomIsRefusedWhole(t *testing.T) {
	for name, opts := range map[string]pebblestore.Options{
		"bytes": {MaxQueueBytes: 1000}, "appends": {MaxQueue: 2},
	} {
		t.Run(name, func(t *testing.T) {
			opts.FS = vfs.NewMem()
			s := open(t, "log", opts)
			defer func() { _ = s.Close() }()
			handed := handOver(s, 3, 1, 300)
			for _, a := range handed {
				require.ErrorIs(t, a.Err, eventstore.ErrUnavailable)
			}
			require.Empty(t, readAll(t, s))
			for _, a := range handOver(s, 2, 1, 10) {
				require.NoError(t, a.Err)
			}
		})
	}
}

// A handover of more than one group takes is carried on in the next.
func TestAHandoverOfSeveralGroups(t *testing.T) {
	groups := 0
	s := open(t, "log", pebblestore.Options{FS: vfs.NewMem(), OnCommit: func(pebblestore.CommitStats) { groups++ }})
	const streams, each = 5, 9_000
	for _, a := range handOver(s, streams, each, 1) {
		require.NoError(t, a.Err)
		require.Equal(t, int64(each-1), a.Appended.Revision)
	}
	require.Len(t, readAll(t, s), streams*each)
	require.NoError(t, s.Close())
	require.Equal(t, 3, groups, "two streams fill one")
}

// handOver appends to as many new streams together, and waits.
func handOver(s *pebblestore.Store, streams, events, size int) []*eventstore.Append {
	appends := make([]*eventstore.Append, streams)
	for i := range appends {
		a := &eventstore.Append{Stream: fmt.Sprint("s", i), Expected: eventstore.NoStream}
		for range events {
			a.Events = append(a.Events, newEvent(size))
		}
		appends[i] = a
	}
	done := make(chan struct{})
	s.AppendAsync(appends, func() { close(done) })
	<-done
	return appends
}

func TestACheckpointReadsALiveStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "log"), pebblestore.Options{})
	defer func() { _ = s.Close() }()
	for i := range int64(50) {
		_, err := s.Append(context.Background(), "s", i-1, []eventstore.Event{newEvent(100)})
		require.NoError(t, err)
	}
	require.NoError(t, s.Checkpoint(filepath.Join(dir, "copy")))
	c := open(t, filepath.Join(dir, "copy"), pebblestore.Options{ReadOnly: true})
	defer func() { _ = c.Close() }()
	require.Equal(t, readAll(t, s), readAll(t, c))
	_, err := c.Append(context.Background(), "s", 49, []eventstore.Event{newEvent(1)})
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
}

// Whatever is wrong with a record, every way to it stops there and names it.
func TestADamagedRecordStopsTheReader(t *testing.T) {
	const events, victim = 10, 6
	for name, harm := range map[string]func(*pebble.DB, []byte) error{
		"a changed byte": func(db *pebble.DB, key []byte) error {
			value, closer, err := db.Get(key)
			if err != nil {
				return err
			}
			spoilt := append([]byte(nil), value...)
			spoilt[len(spoilt)-1] ^= 1
			return errors.Join(closer.Close(), db.Set(key, spoilt, pebble.Sync))
		},
		"a missing record": func(db *pebble.DB, key []byte) error { return db.Delete(key, pebble.Sync) },
		"a short record":   func(db *pebble.DB, key []byte) error { return db.Set(key, []byte{1, 2}, pebble.Sync) },
		"another's record": func(db *pebble.DB, key []byte) error {
			value, closer, err := db.Get([]byte{'e', 0, 0, 0, 0, 0, 0, 0, 2})
			if err != nil {
				return err
			}
			return errors.Join(db.Set(key, append([]byte(nil), value...), pebble.Sync), closer.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := open(t, "log", pebblestore.Options{FS: fs})
			for i := range int64(events) {
				_, err := s.Append(context.Background(), "s", i-1, []eventstore.Event{newEvent(10)})
				require.NoError(t, err)
			}
			require.NoError(t, s.Close())
			db, err := pebble.Open("log", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
			require.NoError(t, err)
			require.NoError(t, harm(db, []byte{'e', 0, 0, 0, 0, 0, 0, 0, victim}))
			require.NoError(t, db.Close())

			s = open(t, "log", pebblestore.Options{FS: fs})
			defer func() { _ = s.Close() }()
			expectDamage(t, s, victim)
		})
	}
}

func expectDamage(t *testing.T, s *pebblestore.Store, victim eventstore.Position) {
	t.Helper()
	ctx := context.Background()
	for _, c := range []struct {
		way  string
		good int
		run  func(func(eventstore.Recorded, error) bool)
	}{
		{"stream", int(victim) - 1, s.ReadStream(ctx, "s", 0, eventstore.Forwards, 100)},
		{"stream backwards", 4, s.ReadStream(ctx, "s", eventstore.End, eventstore.Backwards, 100)},
		{"log", int(victim) - 1, s.ReadAll(ctx, 0, eventstore.Forwards, 100)},
		{"log backwards", 4, s.ReadAll(ctx, eventstore.EndOfLog, eventstore.Backwards, 100)},
	} {
		good := 0
		var stop error
		for _, err := range c.run {
			if stop = err; err == nil {
				good++
			}
		}
		var corrupt *eventstore.CorruptError
		require.ErrorAs(t, stop, &corrupt, c.way)
		require.Equal(t, victim, corrupt.Position, c.way)
		require.Equal(t, c.good, good, c.way)
	}
	var ended error
	for _, err := range s.Subscribe(ctx, eventstore.BeforeFirst) {
		ended = err
	}
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, ended, &corrupt)
	require.Contains(t, ended.Error(), fmt.Sprint(victim))
}

// silent keeps Pebble's log out of the test's.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
