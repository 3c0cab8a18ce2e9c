package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// The index and the snapshots have a database of their own, in a folder of the log's:
// their keys are spread over all streams, and a compaction of theirs would rewrite the
// records beside them. It has no WAL, for the log has everything: what a crash takes is
// read from there again, and so is an index that isn't there.
const (
	indexFolder = "index"
	// indexMemTable holds some folds.
	indexMemTable = 8 << 20
	// foldsAFlush is how many folds a crash may take, beside what is in memory.
	foldsAFlush = 2
	// movedFormat stands in the log for an indexFormat: the index is elsewhere. Versions
	// that would look for it there refuse to open the log; those from before there were
	// folds don't look, and MUST NOT open it.
	movedFormat = 2
)

// openIndexDB opens the index's database. What an earlier version had in the log moves
// there.
func (s *Store) openIndexDB(opts *pebble.Options, head eventstore.Position) error {
	dir := s.opts.FS.PathJoin(s.dir, indexFolder)
	if s.opts.ReadOnly {
		return s.openIndexToRead(dir, opts)
	}
	_, err := s.opts.FS.Stat(dir)
	missing := err != nil
	if s.indexDB, err = pebble.Open(dir, opts); err != nil {
		return fmt.Errorf("open the index of the event log (without the folder %s it is built again): %w", dir, err)
	}
	end, found, err := readIndexed(s.indexDB)
	if err != nil {
		return err
	}
	if found {
		if _, err := end.position(head); err != nil {
			return err
		}
		if s.isOfThisLog(end) {
			return s.leaveLog()
		}
		s.opts.Logger.Warn("the index is of another event log, and is built again", "through", end.through, "folder", dir)
	}
	if !missing { // what a crash left of its beginning, or another log's
		err = errors.Join(s.indexDB.Close(), s.opts.FS.RemoveAll(dir))
		if err == nil {
			s.indexDB, err = pebble.Open(dir, opts)
		}
		if err != nil {
			s.indexDB = nil
			return fmt.Errorf("begin the index of the event log again: %w", err)
		}
	}
	return s.moveIndex(head)
}

// openIndexToRead opens what is there. Without an index the log has that of an earlier
// version, or says that it moved: then what is read is put into memory.
func (s *Store) openIndexToRead(dir string, opts *pebble.Options) error {
	s.indexDB = s.db
	if _, err := s.opts.FS.Stat(dir); err != nil {
		return nil //nolint:nilerr // it isn't there
	}
	db, err := pebble.Open(dir, opts)
	if err == nil {
		end, found, failed := readIndexed(db)
		if found && s.isOfThisLog(end) {
			s.indexDB = db
			return nil
		}
		if found {
			failed = fmt.Errorf("it is of another log, through position %d", end.through)
		}
		err = errors.Join(failed, db.Close())
	}
	if err != nil && !errors.Is(err, pebble.ErrDBDoesNotExist) {
		s.opts.Logger.Warn("the index of the event log can't be used: the log is read for it", "error", err)
	}
	return nil
}

// indexEnd is how far an index goes, and in which format.
type indexEnd struct {
	format, through uint64
	// event is the one at through; Nil: unknown.
	event uuid.UUID
}

// readIndexed reads where an index ends; false if there is none.
func readIndexed(db pebble.Reader) (end indexEnd, found bool, err error) {
	value, closer, err := db.Get([]byte{indexedKey})
	if errors.Is(err, pebble.ErrNotFound) {
		return end, false, nil
	}
	if err != nil {
		return end, false, fmt.Errorf("read how far the index of the event log goes: %w", err)
	}
	p := parser{rest: value}
	end.format, end.through = p.uvarint(), p.uvarint()
	if end.format == indexFormat {
		copy(end.event[:], p.take(len(end.event)))
	}
	bad := p.failed || len(p.rest) > 0
	if err := closer.Close(); err != nil {
		return end, false, fmt.Errorf("read how far the index of the event log goes: %w", err)
	}
	if bad {
		end = indexEnd{}
	}
	return end, true, nil
}

func appendIndexed(format uint64, through eventstore.Position) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, format), uint64(through))
}

// boundAt is what stands under indexedKey of an index that goes through a position: with
// the event's id, so that it isn't taken for the index of another log.
func (s *Store) boundAt(through eventstore.Position) []byte {
	id := s.idAt(through)
	return append(appendIndexed(indexFormat, through), id[:]...)
}

// idAt is the id of the event at a position; Nil if none is there, or it can't be read.
func (s *Store) idAt(position eventstore.Position) uuid.UUID {
	value, closer, err := s.db.Get(eventKey(nil, position))
	if err != nil {
		return uuid.Nil
	}
	defer func() { _ = closer.Close() }()
	r, _, err := decodeRecord(position, value)
	if err != nil {
		return uuid.Nil
	}
	return r.ID
}

// isOfThisLog tells whether the log has the event with which the index ends: who puts an
// older copy of the log beside its index has other events there soon. An event that was
// scavenged, or is damaged, says nothing.
func (s *Store) isOfThisLog(end indexEnd) bool {
	if end.event == uuid.Nil {
		return true
	}
	there := s.idAt(eventstore.Position(end.through))
	return there == uuid.Nil || there == end.event
}

// moveIndex takes over what an earlier version has in the log. It has all of the
// index if it doesn't say how far, as before there were folds.
func (s *Store) moveIndex(head eventstore.Position) error {
	through, err := indexedIn(s.db, head)
	if err != nil {
		return err
	}
	if through < head {
		s.opts.Logger.Info("the index of the event log is built", "from", through, "to", head)
	}
	batch := s.indexDB.NewBatch()
	defer func() { _ = batch.Close() }()
	write := func() error {
		defer batch.Reset()
		if err := s.diskFull(); err != nil { // Pebble would try again without end
			return err
		}
		return s.indexDB.Apply(batch, pebble.NoSync)
	}
	for _, prefix := range []byte{snapshotPrefix, streamPrefix} {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
		if err != nil {
			return err
		}
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			if prefix == streamPrefix && beyond(it.Value(), through) {
				continue
			}
			if err = batch.Set(it.Key(), it.Value(), nil); err == nil && batch.Len() >= foldBytes {
				err = write()
			}
		}
		if err := errors.Join(err, it.Close()); err != nil {
			return notMoved(err)
		}
	}
	// Last: before that, there is no index.
	err = batch.Set([]byte{indexedKey}, s.boundAt(through), nil)
	if err == nil {
		err = write()
	}
	if err == nil {
		err = s.indexDB.Flush()
	}
	if err != nil {
		return notMoved(err)
	}
	return s.leaveLog()
}

// notMoved says what was under way, unless only room is missing: a new log has no index.
func notMoved(err error) error {
	if errors.Is(err, eventstore.ErrUnavailable) {
		return fmt.Errorf("open the index of the event log: %w", err)
	}
	return fmt.Errorf("move the index out of the event log: %w", err)
}

// beyond tells the entries that a crash left of a fold of an earlier version: its folds
// ended elsewhere, so that ours would not overwrite them.
func beyond(value []byte, through eventstore.Position) bool {
	positions, whole := decodePositions(nil, value)
	return whole && positions[0] > through
}

// leaveLog takes out of the log what moved, and says so there.
func (s *Store) leaveLog() error {
	end, found, err := readIndexed(s.db)
	if err != nil || found && end.format == movedFormat {
		return err
	}
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }()
	err = batch.Set([]byte{indexedKey}, appendIndexed(movedFormat, 0), nil)
	for _, prefix := range []byte{snapshotPrefix, streamPrefix} {
		err = errors.Join(err, batch.DeleteRange([]byte{prefix}, []byte{prefix + 1}, nil))
	}
	if err = errors.Join(err, batch.Commit(pebble.Sync)); err != nil {
		return fmt.Errorf("take the index out of the event log: %w", err)
	}
	return nil
}

// indexed is the position through which the index is written.
func (s *Store) indexed(head eventstore.Position) (eventstore.Position, error) {
	return indexedIn(s.indexDB, head)
}

// indexedIn is indexed of a database. A log that doesn't say is empty, or of a time when
// each append wrote its entries itself.
func indexedIn(db pebble.Reader, head eventstore.Position) (eventstore.Position, error) {
	end, found, err := readIndexed(db)
	if err != nil {
		return 0, err
	}
	if !found {
		return head, nil
	}
	return end.position(head)
}

// position is where the index ends, if it is one of a log with a head, and of a format
// that can be read.
func (end indexEnd) position(head eventstore.Position) (eventstore.Position, error) {
	switch {
	case end.format == movedFormat:
		return eventstore.BeforeFirst, nil
	case end.format == 0:
		return 0, damaged(head, errors.New("how far the index goes is damaged"))
	case end.format != indexFormat && end.format != unboundFormat:
		return 0, fmt.Errorf("the index of the event log has format %d, not %d: another version wrote it", end.format, indexFormat)
	case end.through > uint64(head):
		return 0, damaged(head, fmt.Errorf("the log ends here, its index at position %d (without the folder %q it is built again)", end.through, indexFolder))
	}
	return eventstore.Position(end.through), nil
}

// closeIndex makes what the index has last, if the disk takes it.
func (s *Store) closeIndex() error {
	if s.indexDB == nil || s.indexDB == s.db {
		return nil
	}
	var err error
	if !s.opts.ReadOnly && s.diskFull() == nil {
		err = s.indexWriting.Flush(s.indexDB)
	}
	return errors.Join(err, s.indexDB.Close())
}

// copyIndex copies it to a folder beside a copy of the log that was made while
// indexing was held, and has all that the index has. A copy without it is whole too.
func (s *Store) copyIndex(dir string) error {
	if s.indexDB == s.db || s.diskFull() != nil {
		return nil
	}
	if !s.opts.ReadOnly {
		if err := s.indexDB.Flush(); err != nil { // it has no WAL
			return err
		}
	}
	return s.indexDB.Checkpoint(s.opts.FS.PathJoin(dir, indexFolder))
}
