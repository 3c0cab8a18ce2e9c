package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

const smallMemTable = 512 << 10

func openSmall(t *testing.T, disk vfs.FS) *Store {
	t.Helper()
	s, err := Open("log", Options{FS: disk, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}.MemTable(smallMemTable))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// write appends about so many bytes behind a stream's end, and lets what is done in
// the background end.
func write(t *testing.T, s *Store, end int64, bytes int) int64 {
	t.Helper()
	for left := bytes; left > 0; left -= 8 << 10 {
		event := eventstore.Event{ID: uuid.New(), Type: "t", Data: make([]byte, 8<<10), Metadata: []byte("{}")}
		a, err := s.Append(context.Background(), "stream", end, []eventstore.Event{event})
		require.NoError(t, err)
		end = a.Revision
	}
	require.NoError(t, s.db.Flush())
	s.logs.fills.Wait()
	return end
}

// newest is the size of the log that is written to.
func newest(t *testing.T, disk vfs.FS) (size int64) {
	t.Helper()
	names, err := disk.List("log")
	require.NoError(t, err)
	last := ""
	for _, name := range names {
		if filepath.Ext(name) == ".log" {
			last = max(last, name)
		}
	}
	info, err := disk.Stat(disk.PathJoin("log", last))
	require.NoError(t, err)
	return info.Size()
}

func hasSpare(t *testing.T, disk vfs.FS) bool {
	t.Helper()
	_, err := disk.Stat(disk.PathJoin("log", spareName))
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	return err == nil
}

// Once some has been written, whatever log comes next is a full one from its beginning.
func TestLogsAreFullFilesSoon(t *testing.T) {
	disk := vfs.NewMem()
	s := openSmall(t, disk)
	end := write(t, s, eventstore.NoStream, 8<<10)
	require.False(t, hasSpare(t, disk), "a store that is hardly written needs none")
	for range 3 {
		end = write(t, s, end, smallMemTable/4)
	}
	for range 8 {
		end = write(t, s, end, 16<<10)
		require.GreaterOrEqual(t, newest(t, disk), int64(smallMemTable))
	}
	require.NoError(t, s.Close())
	require.False(t, hasSpare(t, disk))

	s = openSmall(t, disk)
	count := int64(0)
	for _, err := range s.ReadStream(t.Context(), "stream", 0, eventstore.Forwards, 1<<20) {
		require.NoError(t, err)
		count++
	}
	require.Equal(t, end+1, count)
}

// A log that grows is left for a spare as soon as there is one, whatever is written.
func TestALogThatGrowsEndsWithTheSpare(t *testing.T) {
	disk := vfs.NewMem()
	s := openSmall(t, disk)
	end, rotate := eventstore.NoStream, s.logs.rotate
	rotated := 0
	s.logs.rotate = func() { rotated++; rotate() }
	for rotated == 0 {
		end = write(t, s, end, smallMemTable/4)
		require.Less(t, end, int64(1000), "no spare was made")
	}
	for range 8 {
		require.GreaterOrEqual(t, newest(t, disk), int64(smallMemTable))
		end = write(t, s, end, smallMemTable/4)
	}
}

// A power cut on a log that was a spare leaves zeros behind its records.
func TestRecordsBeforeTheZerosOfASpareAreThere(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := openSmall(t, disk)
	end := eventstore.NoStream
	for range 5 {
		end = write(t, s, end, smallMemTable/4)
	}
	require.GreaterOrEqual(t, newest(t, disk), int64(smallMemTable))
	a, err := s.Append(t.Context(), "stream", end, []eventstore.Event{{ID: uuid.New(), Type: "t", Data: []byte("{}"), Metadata: []byte("{}")}})
	require.NoError(t, err)

	s = openSmall(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, a.Positions[0], head)
}

func TestSpareOfACrash(t *testing.T) {
	disk := vfs.NewMem()
	require.NoError(t, openSmall(t, disk).Close())
	leave := func() {
		f, err := disk.Create(disk.PathJoin("log", spareName), vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	leave()
	reader, err := Open("log", Options{FS: disk, ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	require.True(t, hasSpare(t, disk), "who only reads removes nothing")
	openSmall(t, disk)
	require.False(t, hasSpare(t, disk))
}

// A store without room for a spare goes on without one.
func TestNoRoomForASpare(t *testing.T) {
	disk := vfs.NewMem()
	s := openSmall(t, disk)
	s.logs.room = func() error { return eventstore.ErrUnavailable }
	end := eventstore.NoStream
	for range 5 {
		end = write(t, s, end, smallMemTable/4)
	}
	require.False(t, hasSpare(t, disk))
	require.Less(t, newest(t, disk), int64(smallMemTable))
}

// A spare that was given away is a log: nobody fills it any more.
func TestSpareIsFilledOrGivenAway(t *testing.T) {
	const whole = 64 << 10
	disk := vfs.NewMem()
	l := newLogFiles("", &Options{FS: disk, Logger: slog.New(slog.DiscardHandler), memTable: whole})
	l.rotate = func() {}
	require.NoError(t, l.own())
	ctx, stop := context.WithCancel(t.Context())
	var fillers sync.WaitGroup
	for range 2 {
		fillers.Go(func() {
			for ctx.Err() == nil {
				l.fill()
				runtime.Gosched()
			}
		})
	}
	spares := 0
	for round := range 20_000 {
		if spares == 50 {
			break
		}
		runtime.Gosched()
		old, err := disk.Create("old", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = old.Write(make([]byte, whole/worthSparing))
		require.NoError(t, errors.Join(err, old.Close()))
		name := fmt.Sprintf("%d.log", round)
		log, err := l.ReuseForWrite("old", name, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		info, err := disk.Stat(name)
		require.NoError(t, err)
		if info.Size() > whole/worthSparing {
			spares++
			require.EqualValues(t, whole, info.Size())
		}
		require.NoError(t, errors.Join(log.Close(), disk.Remove(name)))
	}
	stop()
	fillers.Wait()
	require.Positive(t, spares)
	require.NoError(t, l.close())
}

// stubborn is a disk that removes no log.
type stubborn struct {
	vfs.FS
	is atomic.Bool
}

var errStubborn = errors.New("injected")

func (d *stubborn) Remove(name string) error {
	if d.is.Load() && filepath.Ext(name) == ".log" {
		return errStubborn
	}
	return d.FS.Remove(name)
}

// An old log that can't be removed is no matter for writers, but for a scavenge:
// what was erased may be in it.
func TestOldLogThatStays(t *testing.T) {
	disk := &stubborn{FS: vfs.NewMem()}
	s := openSmall(t, disk)
	end := write(t, s, eventstore.NoStream, smallMemTable/4)
	disk.is.Store(true)
	for len(s.logs.left) == 0 {
		end = write(t, s, end, smallMemTable/4)
		require.Less(t, end, int64(1000), "no spare was used")
	}
	_, err := s.Scavenge(t.Context(), goneBefore("", 0))
	require.ErrorIs(t, err, errStubborn)
	disk.is.Store(false)
	_, err = s.Scavenge(t.Context(), goneBefore("", 0))
	require.NoError(t, err)
	require.Empty(t, s.logs.left)
}
