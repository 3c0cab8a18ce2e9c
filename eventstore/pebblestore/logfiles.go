package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/eventstore"
	"iocredits/eventstore/disk"
)

// logFiles is the file system that Pebble sees. It decides which file Pebble writes
// a new log (its WAL) to:
//
//   - As a rule an old log, written over. To sync one that grows is a write more,
//     that of its inode.
//   - Where the old log is small, a spare, which was written in the background and has
//     the size of a full one. The logs of the first seconds are small, as Pebble's
//     first memtables are, and each of them would grow once more: one that does ends
//     as soon as there is a spare. Once all are full a spare is of no more use; it
//     stays until the store is closed.
//   - A new one, while no byte of an old log may stay behind the end of the one that
//     is written over it, and where Pebble has no old log and there is no spare.
type logFiles struct {
	vfs.FS
	// whole is the size of a spare: a log has it when its memtable is full.
	whole int64
	// spare is the spare's name. room is an error while the disk has none for it.
	spare  string
	room   func() error
	logger *slog.Logger
	// rotate makes Pebble begin another log. It is set before own.
	rotate func()

	mu    sync.Mutex
	fresh bool
	// grows: the newest log is smaller than a full one.
	grows bool
	// left are old logs that could not be removed when a spare took their place.
	left []string
	// written are the logs of this process with how far they are written.
	written map[string]*atomic.Int64
	// owned: the folder is this store's alone.
	owned atomic.Bool
	state atomic.Int32
	fills sync.WaitGroup
}

// States of the spare. Nobody may begin to write one that may be a log already: its
// zeros would go over records. So whoever does anything with the file has made it
// busy before.
const (
	noSpare int32 = iota
	busySpare
	readySpare
)

const (
	spareName = "spare"
	// worthSparing is the part of a full log that one must have before a spare is made: a
	// store that is hardly written needs none.
	worthSparing = 32
	// fillBytes is what a spare grows by from one sync to the next: those of the log
	// wait behind it. It is written by the page: Linux counts all of what was written in
	// one piece as written again with each record that goes there.
	fillBytes = 256 << 10
	pageBytes = 4 << 10
)

// newLogFiles gives the files of the store in dir. There are no spares before own.
func newLogFiles(dir string, opts *Options) *logFiles {
	return &logFiles{
		FS: disk.Folders{FS: opts.FS, Logger: opts.pebbleLogger()}, whole: int64(opts.memTable), spare: opts.FS.PathJoin(dir, spareName), logger: opts.Logger,
		written: make(map[string]*atomic.Int64),
		room:    func() error { return opts.diskFull(dir, opts.memTable) },
	}
}

// own is for who has the folder to itself. What a crash left of a spare goes: it may
// not be whole.
func (l *logFiles) own() error {
	if err := l.removeSpare(); err != nil {
		return err
	}
	l.owned.Store(true)
	return nil
}

// close takes the spare away. MUST: nothing is written to Pebble any more, and Pebble
// is open: then the folder is still locked.
func (l *logFiles) close() error {
	if !l.owned.CompareAndSwap(true, false) {
		return nil
	}
	l.fills.Wait()
	l.state.Store(noSpare)
	return l.removeSpare()
}

func (l *logFiles) removeSpare() error {
	if err := l.FS.Remove(l.spare); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the spare log: %w", err)
	}
	return nil
}

// reuse waits for a log that is being made.
func (l *logFiles) reuse(allowed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = !allowed
}

// ReuseForWrite implements vfs.FS. Pebble needs nothing of the old log any more, and
// makes the folder last before it relies on the new one.
func (l *logFiles) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.written, oldname)
	return l.count(newname)(l.replace(oldname, newname, category))
}

// needed ends the process where Pebble would panic: at work it can't go on without the log
// that it asks for. When it is opened it has an error for that.
func (l *logFiles) needed(err error) {
	if l.owned.Load() {
		disk.Logger{To: l.logger, Of: "the event log"}.Fatalf("another log: %s", disk.Reason(err))
	}
}

// replace decides; the caller holds mu.
func (l *logFiles) replace(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	l.grows = true
	if l.fresh {
		if err := l.FS.Remove(oldname); err != nil {
			return nil, err
		}
		return l.FS.Create(newname, category)
	}
	old, err := l.Stat(oldname)
	if err != nil {
		return nil, err
	}
	if old.Size() >= l.whole/worthSparing && old.Size() < l.whole {
		defer l.fill()
	}
	if old.Size() < l.whole {
		if f := l.takeSpare(newname, category); f != nil {
			l.removeOld(oldname)
			return f, nil
		}
	}
	l.grows = old.Size() < l.whole
	return l.FS.ReuseForWrite(oldname, newname, category)
}

// takeSpare gives the spare a log's name; nil if there is none. The caller holds mu.
func (l *logFiles) takeSpare(name string, category vfs.DiskWriteCategory) vfs.File {
	if !l.state.CompareAndSwap(readySpare, busySpare) {
		return nil
	}
	f, err := l.FS.ReuseForWrite(l.spare, name, category)
	l.state.Store(noSpare)
	if err != nil {
		l.logger.Warn("the event log's spare can't be used", "error", err)
		return nil
	}
	l.grows = false
	return f
}

// logCategory is what Pebble says of a file that is a log.
const logCategory vfs.DiskWriteCategory = "pebble-wal"

// Create implements vfs.FS.
func (l *logFiles) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category != logCategory {
		return l.FS.Create(name, category)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.takeSpare(name, category); f != nil {
		return l.count(name)(f, nil)
	}
	for _, written := range l.written {
		if written.Load() >= l.whole/worthSparing {
			defer l.fill()
			break
		}
	}
	l.grows = true
	return l.count(name)(l.FS.Create(name, category))
}

// Open implements vfs.FS. A log of this process is read as far as it is written now,
// and no further: behind that is an older log's, or a spare's, and what is written
// while it is read. A copy with a hole between the two would not open.
func (l *logFiles) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	l.mu.Lock()
	end := l.written[name]
	l.mu.Unlock()
	if end == nil {
		return l.FS.Open(name, opts...)
	}
	left := end.Load()
	f, err := l.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return &beginning{f, io.LimitReader(f, left)}, nil
}

// Remove implements vfs.FS.
func (l *logFiles) Remove(name string) error {
	l.mu.Lock()
	delete(l.written, name)
	l.mu.Unlock()
	return l.FS.Remove(name)
}

// count counts what is written to a log. The caller holds mu.
func (l *logFiles) count(name string) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil {
			l.needed(err)
			return nil, err
		}
		counted := &countedLog{File: f}
		l.written[name] = &counted.written
		return counted, nil
	}
}

// countedLog is a log with how far it is written, from its beginning.
type countedLog struct {
	vfs.File
	written atomic.Int64
}

// Write implements vfs.File.
func (f *countedLog) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written.Add(int64(n))
	return n, err
}

// beginning is the first part of a file, read from front to back.
type beginning struct {
	vfs.File
	part io.Reader
}

// Read implements vfs.File.
func (f *beginning) Read(p []byte) (int, error) { return f.part.Read(p) }

// removeOld has no error for Pebble, which would panic. What stays is removed by
// removeLeft, or when Pebble is opened again.
func (l *logFiles) removeOld(name string) {
	if err := l.FS.Remove(name); err != nil {
		l.logger.Warn("an old log can't be removed", "file", name, "error", err)
		l.left = append(l.left, name)
	}
}

// removeLeft is for who needs the old logs to be gone.
func (l *logFiles) removeLeft() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.left) > 0 {
		if err := l.FS.Remove(l.left[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an old log: %w", err)
		}
		l.left = l.left[1:]
	}
	return nil
}

// fill makes a spare in the background, if there is none and nobody makes one.
func (l *logFiles) fill() {
	if !l.owned.Load() || !l.state.CompareAndSwap(noSpare, busySpare) {
		return
	}
	l.fills.Go(func() {
		err := l.room()
		if err == nil {
			err = l.writeSpare()
		}
		if err != nil && l.owned.Load() {
			l.logger.Warn("the event log has no spare: its syncs take longer until its logs are as large as its memtables", "error", err)
		}
		if err != nil {
			l.state.Store(noSpare)
			return
		}
		l.state.Store(readySpare)
		if l.growing() {
			l.rotate()
		}
	})
}

func (l *logFiles) growing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grows
}

// writeSpare writes zeros, which no reader of a log takes for a record. What is there
// after an error is replaced by the next one, or removed by close.
func (l *logFiles) writeSpare() error {
	f, err := l.FS.Create(l.spare, logCategory)
	if err != nil {
		return err
	}
	page := make([]byte, pageBytes)
	for written := int64(pageBytes); written <= l.whole && err == nil; written += pageBytes {
		if !l.owned.Load() {
			err = eventstore.ErrClosed
			break
		}
		if _, err = f.Write(page); err == nil && written%fillBytes == 0 {
			err = f.SyncData()
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Unwrap is how Pebble asks what is below.
func (l *logFiles) Unwrap() vfs.FS { return l.FS }
