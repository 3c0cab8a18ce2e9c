package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/eventstore"
	"iocredits/eventstore/disk"
)

// Store is an event store in one directory, which it holds alone.
type Store struct {
	opts Options
	dir  string
	// db has the records, indexDB where each stream's are, and snapshots.
	db, indexDB           *pebble.DB
	writing, indexWriting *disk.Writing
	// freeCache lets go of the block cache.
	freeCache func()
	// logs can keep Pebble from writing into files that have old bytes.
	logs *logFiles
	// scavenging lets one Scavenge run at a time.
	scavenging sync.Mutex

	// queue has what waits for the committer: so many appends with so many bytes.
	queue               chan *handover
	queued, queuedBytes atomic.Int64
	// unanswered counts the appends that are under way.
	unanswered atomic.Int64
	syncing    chan *group
	// batches are those of groups that are done.
	batches chan *pebble.Batch
	// heads are the streams that were written lately, groups counts the groups that
	// were begun, foundRoom is when the disk was last seen to have room. Only the
	// committer touches them.
	heads     map[string]*streamHead
	groups    uint64
	foundRoom time.Time
	crowd     crowd

	index streamIndex
	// folds has what is to be folded.
	folds chan *entries
	// indexing is held while the index is written, and while it is copied with the log;
	// unflushed counts folds.
	indexing  sync.Mutex
	unflushed int

	// head is the last position that is durable: the end of every read.
	head atomic.Uint64
	mu   sync.Mutex
	// moved is closed, and replaced, when the head moves.
	moved chan struct{}
	tail  tail
	harm  harm
	// failed is set for good when a commit failed.
	failed atomic.Pointer[error]

	// users counts calls inside, so that Close ends none of them in the middle.
	users   sync.WaitGroup
	gate    sync.RWMutex
	closed  bool
	ended   chan struct{}
	workers sync.WaitGroup
}

var (
	_ eventstore.Store     = (*Store)(nil)
	_ eventstore.Snapshots = (*Store)(nil)
)

// Exists tells whether a store is in dir, and opens and makes nothing.
func Exists(dir string) (bool, error) {
	found, err := pebble.Peek(dir, vfs.Default)
	if err != nil {
		return false, fmt.Errorf("event log %s: %w", dir, err)
	}
	return found.Exists, nil
}

// Open opens the store in dir, which it makes if need be. Error: a
// *eventstore.CorruptError if the newest record is damaged or, unless ReadOnly, if a
// record without an index entry or the index's own end is; another if a file is.
func Open(dir string, opts Options) (*Store, error) {
	opts.defaults()
	if err := opts.roomToOpen(dir); err != nil {
		return nil, err
	}
	exists, err := checkEnds(opts.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("open event log %s: %w", dir, err)
	}
	pebbleOptions, indexOptions, free := opts.pebble()
	logs := newLogFiles(dir, &opts)
	pebbleOptions.FS = logs
	writing := disk.HearWrites(pebbleOptions.EventListener)
	db, err := pebble.Open(dir, pebbleOptions)
	if err != nil {
		free()
		return nil, fmt.Errorf("open event log %s: %w", dir, err)
	}
	s := &Store{
		opts: opts, dir: dir, db: db, freeCache: free, logs: logs, writing: writing, indexWriting: disk.HearWrites(indexOptions.EventListener),
		queue: make(chan *handover, opts.MaxQueue), syncing: make(chan *group, maxSyncing), batches: make(chan *pebble.Batch, maxSyncing),
		heads: make(map[string]*streamHead), folds: make(chan *entries, maxFolds), moved: make(chan struct{}), ended: make(chan struct{}),
	}
	s.crowd.init()
	logs.rotate = s.rotateLog
	if !opts.ReadOnly {
		err = logs.own()
	}
	if err == nil && !exists {
		err = db.Flush() // the first log of a new database has no proofs in it (chunks.go)
	}
	var head eventstore.Position
	if err == nil {
		head, err = s.findHead()
	}
	if err == nil {
		err = s.openIndexDB(indexOptions, head)
	}
	if err == nil {
		err = s.openIndex(head)
	}
	if err != nil {
		free()
		return nil, errors.Join(err, s.closeIndex(), logs.close(), db.Close())
	}
	s.head.Store(uint64(head))
	s.workers.Go(func() { s.commit(head) })
	s.workers.Go(s.settle)
	s.workers.Go(s.foldIndex)
	return s, nil
}

// rotateLog makes Pebble begin another log, and flush what the one before has.
func (s *Store) rotateLog() {
	if _, err := s.db.AsyncFlush(); err != nil {
		s.opts.Logger.Warn("the event log goes on with a log that grows", "error", err)
	}
}

// findHead reads the newest record. It ends an append, because a group is one
// batch of Pebble's and that survives a crash whole or not at all.
func (s *Store) findHead() (eventstore.Position, error) {
	from, err := s.newestTable()
	if err != nil {
		return 0, fmt.Errorf("read event log: %w", err)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{eventPrefix + 1}})
	if err != nil {
		return 0, fmt.Errorf("read event log: %w", err)
	}
	defer func() { _ = it.Close() }()
	found := it.Last()
	if !found && it.Error() == nil { // somebody deleted what the newest table begins or ends with
		it.SetBounds(eventKey(nil, eventstore.BeforeFirst), []byte{eventPrefix + 1})
		found = it.Last()
	}
	switch {
	case found:
	case it.Error() == nil:
		return eventstore.BeforeFirst, nil
	case s.opts.ReadOnly:
		return s.lastReadable(positionOf(from)), nil
	default: // what is behind it would be written over
		return 0, fmt.Errorf("find the newest record of the event log: %s", disk.Reason(it.Error()))
	}
	r, f, err := readRecord(it)
	if err == nil && !f.last() {
		err = &eventstore.CorruptError{Position: r.Position, Stream: r.Stream, Revision: r.Revision, Reason: "the log ends inside an append"}
	}
	return r.Position, err
}

// newestTable is the largest key of a record with which a table begins or ends. Whoever looks
// for the newest record from there on reads none of the others, which may be damaged.
func (s *Store) newestTable() ([]byte, error) {
	levels, err := s.db.SSTables()
	newest := eventKey(nil, eventstore.BeforeFirst)
	for _, tables := range levels {
		for _, table := range tables {
			for _, key := range [][]byte{table.Smallest.UserKey, table.Largest.UserKey} {
				if len(key) == eventKeyLen && key[0] == eventPrefix && bytes.Compare(key, newest) > 0 {
					newest = key
				}
			}
		}
	}
	return newest, err
}

// lastReadable is how far a log can be read whose tables have records up to a position:
// enough for an audit.
func (s *Store) lastReadable(tables eventstore.Position) eventstore.Position {
	for {
		if _, _, err := s.get(tables + 1); err != nil {
			return tables
		}
		tables++
	}
}

// readRecord decodes the record under an iterator over 'e' keys.
func readRecord(it *pebble.Iterator) (eventstore.Recorded, flags, error) {
	position := positionOf(it.Key())
	value, err := it.ValueAndErr()
	if err != nil {
		return eventstore.Recorded{}, 0, damaged(position, ofPebble(err))
	}
	r, f, err := decodeRecord(position, value)
	if err != nil {
		return eventstore.Recorded{}, 0, damaged(position, err)
	}
	return r, f, nil
}

func positionOf(key []byte) eventstore.Position {
	return eventstore.Position(binary.BigEndian.Uint64(key[1:]))
}

// errPasses: the disk or the process didn't let Pebble read, as with too many files open.
// That says nothing of the record, which may be read later.
var errPasses = errors.New("can't be read now")

// ofPebble marks an error of a read of Pebble's that passes, as ErrUnavailable too.
func ofPebble(err error) error {
	if pebble.IsCorruptionError(err) {
		return err
	}
	return fmt.Errorf("%w: %w: %w", eventstore.ErrUnavailable, errPasses, err)
}

// damaged is the error of a record that can't be read: damage, unless it passes.
func damaged(position eventstore.Position, err error) error {
	if errors.Is(err, errPasses) {
		return fmt.Errorf("event log at position %d: %w", position, err)
	}
	return &eventstore.CorruptError{Position: position, Revision: eventstore.NoStream, Reason: disk.Reason(err)}
}

// enter begins a call; leave ends it.
func (s *Store) enter() error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	s.users.Add(1)
	return nil
}

func (s *Store) leave() { s.users.Done() }

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	return s.durable(), ctx.Err()
}

func (s *Store) durable() eventstore.Position { return eventstore.Position(s.head.Load()) }

// Close implements eventstore.Store.
func (s *Store) Close() error {
	s.gate.Lock()
	twice := s.closed
	s.closed = true
	s.gate.Unlock()
	if twice {
		return nil
	}
	close(s.ended)
	s.users.Wait()
	close(s.queue)
	s.workers.Wait()
	defer s.freeCache()
	if err := errors.Join(s.foldRest(), s.closeIndex(), s.logs.close(), s.db.Close()); err != nil {
		return fmt.Errorf("close event log: %w", err)
	}
	return nil
}

// Checkpoint makes a copy of the store in dir, which must not exist: hard links
// where the file system has them. It has every event that was durable before
// the call. Tools read a live store through it, opened with ReadOnly.
func (s *Store) Checkpoint(dir string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.indexing.Lock()
	defer s.indexing.Unlock()
	err := s.db.Checkpoint(dir, pebble.WithFlushedWAL())
	if err == nil {
		if err = s.copyIndex(dir); err != nil {
			err = errors.Join(err, s.opts.FS.RemoveAll(dir))
		}
	}
	if err != nil {
		return fmt.Errorf("checkpoint event log to %s: %w", dir, err)
	}
	return nil
}
