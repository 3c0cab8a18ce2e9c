package pebblestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/eventstore"
)

// streamIndex has where the newest events of each stream are. Where the others are is
// in a database (indexdb.go): a key for each event, anywhere among all streams', would
// be the dearest part of an append, so the entries of many events are written at once, a
// stream's together.
//
// Invariants: before the head moves past an event its entry is in memory or in the
// database; it comes there only once its event is durable, and leaves memory after that.
// The database is complete through the position under indexedKey; Open reads the events
// after that again.
type streamIndex struct {
	mu sync.RWMutex
	// fresh takes the entries of new events. full are those before, the oldest first, until
	// they are written.
	fresh *entries
	full  []*entries
	// damage is why the index ends early: a record that can't be read, whose stream
	// nobody knows. Only a store that is opened to be read has one.
	damage error
}

// entries are those of the events between two positions.
type entries struct {
	streams map[string]*extent
	events  int
	// through is the position of the last event.
	through eventstore.Position
}

// extent is where consecutive events of one stream are.
type extent struct {
	// first is the revision of the event at positions[0].
	first     int64
	positions []eventstore.Position
}

const (
	// foldEvents is how many entries are written at once: a fold ends at a position that is
	// a multiple of it. So a fold that a crash cut short is written again with the same
	// keys and the same or longer entries, and foldEvents is part of indexFormat.
	foldEvents = 65_536
	// maxExtent bounds the positions under one key: finding one decodes them all. It is
	// part of indexFormat too.
	maxExtent = 256
	// foldBytes is how much of a fold is written at once.
	foldBytes = 32 << 10
	// usualExtent is how many events an account has in a fold when 10,000 are busy.
	usualExtent = 8
	// indexFormat stands under indexedKey, before the position and the id of the event
	// there. In unboundFormat there was no id.
	indexFormat   = 3
	unboundFormat = 1
)

func newEntries(streams int) *entries { return &entries{streams: make(map[string]*extent, streams)} }

// add puts an event behind the last. Events come in the order of positions.
func (e *entries) add(r *eventstore.Recorded) {
	of := e.streams[r.Stream]
	if of == nil {
		of = &extent{first: r.Revision, positions: make([]eventstore.Position, 0, usualExtent)}
		e.streams[r.Stream] = of
	}
	of.positions = append(of.positions, r.Position)
	e.events++
	e.through = r.Position
}

// last is the revision of the last event.
func (e extent) last() int64 { return e.first + int64(len(e.positions)) - 1 }

// from yields revisions and positions, from a revision on.
func (e extent) from(revision int64, direction eventstore.Direction) iter.Seq2[int64, eventstore.Position] {
	return func(yield func(int64, eventstore.Position) bool) {
		at, by := max(0, revision-e.first), int64(1)
		if direction == eventstore.Backwards {
			at, by = min(e.last(), revision)-e.first, -1
		}
		for ; at >= 0 && at < int64(len(e.positions)); at += by {
			if !yield(e.first+at, e.positions[at]) {
				return
			}
		}
	}
}

// add takes the entries of records, and gives those that are full now. every is how
// many a fold has; 0: there are none.
func (x *streamIndex) add(records []eventstore.Recorded, every int) (full []*entries) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range records {
		r := &records[i]
		x.fresh.add(r)
		if every > 0 && uint64(r.Position)%uint64(every) == 0 {
			full = append(full, x.fresh)
			x.fresh = newEntries(len(x.fresh.streams))
		}
	}
	x.full = append(x.full, full...)
	return full
}

// inMemory gives what is there of a stream: extents one right behind the other. They
// never change: what is added to later is behind their ends.
func (x *streamIndex) inMemory(stream string) (found []extent) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, e := range x.full {
		if of := e.streams[stream]; of != nil {
			found = append(found, *of)
		}
	}
	if of := x.fresh.streams[stream]; of != nil {
		found = append(found, *of)
	}
	return found
}

// folded: the oldest are written.
func (x *streamIndex) folded() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.full[0] = nil
	x.full = x.full[1:]
}

// foldIndex folds what the committer gives it.
func (s *Store) foldIndex() {
	broken := false // then nothing may be written behind the gap
	for e := range s.folds {
		if broken = broken || !s.awaitDurable(e.through); broken {
			continue
		}
		if err := s.fold(e); err != nil {
			_ = s.fail(fmt.Errorf("write its index: %w", err))
			broken = true
			continue
		}
		s.index.folded()
	}
}

// awaitDurable returns once the head is there; false if it never will be.
func (s *Store) awaitDurable(position eventstore.Position) bool {
	for {
		moved := s.watch()
		switch {
		case s.durable() >= position:
			return true
		case s.failed.Load() != nil:
			return false
		}
		<-moved
	}
}

// foldRest leaves nothing for Open to read, if there is room for it. Only Close may, once
// all else has ended.
func (s *Store) foldRest() error {
	if s.opts.ReadOnly || s.failed.Load() != nil || s.index.fresh.events == 0 || s.diskFull() != nil {
		return nil
	}
	return s.fold(s.index.fresh)
}

// fold writes entries in the order of their keys, and behind them through where the
// index is complete. A crash before that leaves a part of them, which the next fold
// overwrites.
func (s *Store) fold(e *entries) error {
	s.indexing.Lock()
	defer s.indexing.Unlock()
	batch := s.indexDB.NewBatch()
	defer func() { _ = batch.Close() }()
	var key, value []byte
	for _, stream := range slices.SortedFunc(maps.Keys(e.streams), compareStreams) {
		of := e.streams[stream]
		revision := of.first
		for positions := range slices.Chunk(of.positions, maxExtent) {
			key, value = streamKey(key[:0], stream, revision), appendPositions(value[:0], positions)
			if err := batch.Set(key, value, nil); err != nil {
				return err
			}
			revision += int64(len(positions))
			if batch.Len() < foldBytes {
				continue
			}
			if err := batch.Commit(pebble.NoSync); err != nil {
				return err
			}
			batch.Reset()
		}
	}
	if err := batch.Set([]byte{indexedKey}, s.boundAt(e.through), nil); err != nil {
		return err
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	if s.unflushed++; s.unflushed < foldsAFlush {
		return nil
	}
	s.unflushed = 0
	_, err := s.indexDB.AsyncFlush()
	return err
}

// compareStreams is the order of streams' keys.
func compareStreams(a, b string) int {
	if byLength := cmp.Compare(len(a), len(b)); byLength != 0 {
		return byLength
	}
	return cmp.Compare(a, b)
}

// openIndex reads the entries that a crash took, up to the head, or all of them if there
// is no index. A damaged log that is opened to be read, as an audit does, gives forwards
// what the index has of each stream, and then the damage.
func (s *Store) openIndex(head eventstore.Position) error {
	s.index.fresh = newEntries(0)
	indexed, err := s.indexed(head)
	if err == nil {
		err = s.addTail(indexed, head)
	}
	var corrupt *eventstore.CorruptError
	if s.opts.ReadOnly && errors.As(err, &corrupt) {
		s.index.damage, err = err, nil
	}
	return err
}

// addTail puts the events after a position into memory, and folds what is too much for
// that.
func (s *Store) addTail(indexed, head eventstore.Position) error {
	var failed error
	folds := 0
	err := s.scan(context.Background(), indexed+1, head, eventstore.Forwards, func(r eventstore.Recorded, _ flags) bool {
		if of := s.index.fresh.streams[r.Stream]; of != nil && r.Revision != of.last()+1 {
			failed = &eventstore.CorruptError{
				Position: r.Position, Stream: r.Stream, Revision: r.Revision,
				Reason: fmt.Sprintf("doesn't follow revision %d", of.last()),
			}
			return false
		}
		every := s.opts.foldEvents
		if s.opts.ReadOnly {
			every = 0
		}
		for _, full := range s.index.add([]eventstore.Recorded{r}, every) {
			if folds++; folds > maxFolds { // few find the room that roomToOpen asked for
				failed = s.diskFull()
			}
			if failed == nil {
				failed = s.fold(full)
			}
			s.index.folded()
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}

// extents yields where a stream's events are, from a revision on in a direction; the first
// extent may begin before that. One's positions are valid until the next is yielded.
// Whoever stops at a head MUST have read it before the call.
func (s *Store) extents(stream string, from int64, direction eventstore.Direction) iter.Seq2[extent, error] {
	return func(yield func(extent, error) bool) {
		// Memory comes first: what a fold takes out of it now is written by then.
		recent := s.index.inMemory(stream)
		below := int64(math.MaxInt64)
		if len(recent) > 0 {
			below = recent[0].first
		}
		if direction == eventstore.Backwards {
			if s.index.damage != nil {
				yield(extent{}, s.index.damage)
				return
			}
			slices.Reverse(recent)
			for _, e := range recent {
				if e.first <= from && !yield(e, nil) {
					return
				}
			}
			if below > 0 {
				s.yieldWritten(stream, min(from, below-1), below, direction, yield)
			}
			return
		}
		if from < below && !s.yieldWritten(stream, from, below, direction, yield) {
			return
		}
		for _, e := range recent {
			if e.last() >= from && !yield(e, nil) {
				return
			}
		}
		if s.index.damage != nil {
			yield(extent{}, s.index.damage)
		}
	}
}

// yieldWritten is the part of extents that is written, below a revision. It answers
// whether to go on.
func (s *Store) yieldWritten(stream string, from, below int64, direction eventstore.Direction, yield func(extent, error) bool) bool {
	fail := func(err error) bool {
		yield(extent{}, fmt.Errorf("read the index of %q: %w", stream, err))
		return false
	}
	it, err := s.indexDB.NewIter(&pebble.IterOptions{LowerBound: streamKey(nil, stream, 0), UpperBound: streamKey(nil, stream, below)})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = it.Close() }()
	valid := it.SeekLT(append(streamKey(nil, stream, max(0, from)), 0))
	if !valid && direction == eventstore.Forwards {
		valid = it.First()
	}
	var e extent
	for ; valid; valid = step(it, direction) {
		key := it.Key()
		e.first = int64(binary.BigEndian.Uint64(key[len(key)-8:]))
		value, err := it.ValueAndErr()
		if err != nil {
			return fail(err)
		}
		if e.positions, valid = decodePositions(e.positions[:0], value); !valid {
			yield(extent{}, &eventstore.CorruptError{Stream: stream, Revision: e.first, Reason: "index entry is damaged"})
			return false
		}
		if !yield(e, nil) {
			return false
		}
	}
	if err := it.Error(); err != nil {
		return fail(err)
	}
	return true
}

// appendPositions writes the first position and how far each next one is from the one
// before, as uvarints.
func appendPositions(b []byte, positions []eventstore.Position) []byte {
	before := eventstore.Position(0)
	for _, p := range positions {
		b = binary.AppendUvarint(b, uint64(p-before))
		before = p
	}
	return b
}

// decodePositions reads what appendPositions wrote; false if that can't be.
func decodePositions(to []eventstore.Position, b []byte) ([]eventstore.Position, bool) {
	p := parser{rest: b}
	at := uint64(0)
	for len(p.rest) > 0 {
		by := p.uvarint()
		if at += by; by == 0 || at < by {
			return to, false
		}
		to = append(to, eventstore.Position(at))
	}
	return to, len(to) > 0 && !p.failed
}
