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
// in Pebble: a key for each event, anywhere among all streams', would be the dearest
// part of an append, so the entries of many events are written at once, a stream's
// together.
//
// Invariants: before the head moves past an event its entry is in memory or in Pebble,
// and an entry leaves memory once Pebble has it. What Pebble has is complete through
// the position under indexedKey; after a crash Open reads the events after that again.
type streamIndex struct {
	mu sync.RWMutex
	// fresh takes the entries of new events. folding are being written to Pebble; nil:
	// none are.
	fresh, folding *entries
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
	// foldEvents is how many entries are in memory before they are written. So many
	// records, and those of what is appended during a fold, have to be read when the
	// store is opened after a crash.
	foldEvents = 65_536
	// maxExtent bounds the positions under one key: finding one decodes them all. It is
	// part of indexFormat: a fold overwrites what a crash left of the one before
	// only because both begin their keys at the same revisions.
	maxExtent = 256
	// foldBytes is how much of a fold is written at once. Appends wait for that.
	foldBytes = 32 << 10
	// usualExtent is how many events an account has in a fold when 10,000 are busy.
	usualExtent = 8
	// indexFormat stands before the position under indexedKey.
	indexFormat = 1
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

// add takes the entries of a group's records.
func (x *streamIndex) add(records []eventstore.Recorded) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range records {
		x.fresh.add(&records[i])
	}
}

// inMemory gives what is there of a stream: at most two extents, one right behind the
// other. They never change: what is added to later is behind their ends.
func (x *streamIndex) inMemory(stream string) (found []extent) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, e := range []*entries{x.folding, x.fresh} {
		if e == nil {
			continue
		}
		if of := e.streams[stream]; of != nil {
			found = append(found, *of)
		}
	}
	return found
}

// rotate gives what has to be folded, if it is so many events and no others are
// being folded; else nil.
func (x *streamIndex) rotate(events int) *entries {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.folding != nil || x.fresh.events < events {
		return nil
	}
	x.folding, x.fresh = x.fresh, newEntries(len(x.fresh.streams))
	return x.folding
}

// folded: Pebble has what rotate gave.
func (x *streamIndex) folded() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.folding = nil
}

// foldIndex folds what the committer gives it.
func (s *Store) foldIndex() {
	for e := range s.folds {
		if err := s.fold(e); err != nil {
			_ = s.fail(err)
			continue
		}
		s.index.folded()
	}
}

// foldRest leaves nothing for Open to read, if there is room for it. Only Close may, once
// all else has ended.
func (s *Store) foldRest() error {
	if s.opts.ReadOnly || s.failed.Load() != nil || s.diskFull() != nil {
		return nil
	}
	if rest := s.index.rotate(1); rest != nil {
		return s.fold(rest)
	}
	return nil
}

// fold writes entries in the order of their keys, and behind them through where the
// index is complete. A crash before that leaves a part of them, which the next fold
// overwrites: its keys are the same, as far as there are any.
func (s *Store) fold(e *entries) error {
	batch := s.db.NewBatch()
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
	if err := batch.Set([]byte{indexedKey}, indexedValue(e.through), nil); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

// compareStreams is the order of streams' keys.
func compareStreams(a, b string) int {
	if byLength := cmp.Compare(len(a), len(b)); byLength != 0 {
		return byLength
	}
	return cmp.Compare(a, b)
}

// openIndex reads the entries that a crash took, up to the head. Who opens a damaged
// log to read it, as an audit does, gets forwards what the index has of each stream, and
// then the damage.
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

// addTail puts the events after a position into memory.
func (s *Store) addTail(indexed, head eventstore.Position) error {
	var corrupt error
	err := s.scan(context.Background(), indexed+1, head, eventstore.Forwards, func(r eventstore.Recorded, _ flags) bool {
		if of := s.index.fresh.streams[r.Stream]; of != nil && r.Revision != of.last()+1 {
			corrupt = &eventstore.CorruptError{
				Position: r.Position, Stream: r.Stream, Revision: r.Revision,
				Reason: fmt.Sprintf("doesn't follow revision %d", of.last()),
			}
			return false
		}
		s.index.fresh.add(&r)
		return true
	})
	return errors.Join(err, corrupt)
}

// indexed is the position through which Pebble has the index. A log without one is new,
// or of a time when each append wrote its entries itself.
func (s *Store) indexed(head eventstore.Position) (eventstore.Position, error) {
	value, closer, err := s.db.Get([]byte{indexedKey})
	if errors.Is(err, pebble.ErrNotFound) {
		if s.opts.ReadOnly {
			return head, nil
		}
		return head, s.db.Set([]byte{indexedKey}, indexedValue(head), pebble.NoSync)
	}
	if err != nil {
		return 0, fmt.Errorf("read how far the index of the event log goes: %w", err)
	}
	p := parser{rest: value}
	format, position := p.uvarint(), p.uvarint()
	if err := closer.Close(); err != nil {
		return 0, fmt.Errorf("read how far the index of the event log goes: %w", err)
	}
	switch {
	case p.failed || len(p.rest) > 0:
		return 0, damaged(head, errors.New("how far the index goes is damaged"))
	case format != indexFormat:
		return 0, fmt.Errorf("the index of the event log has format %d, not %d: another version wrote it", format, indexFormat)
	case position > uint64(head):
		return 0, damaged(head, fmt.Errorf("the log ends here, its index at position %d", position))
	}
	return eventstore.Position(position), nil
}

// indexedValue is what indexed reads.
func indexedValue(through eventstore.Position) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, indexFormat), uint64(through))
}

// extents yields where a stream's events are, from a revision on in a direction; the
// first may have others before that. Its positions are overwritten by the next. Whoever
// stops at a head MUST have read it before the call.
func (s *Store) extents(stream string, from int64, direction eventstore.Direction) iter.Seq2[extent, error] {
	return func(yield func(extent, error) bool) {
		// Memory comes first: what a fold takes out of it now is in Pebble by then.
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

// yieldWritten is the part of extents that Pebble has, below a revision. It answers
// whether to go on.
func (s *Store) yieldWritten(stream string, from, below int64, direction eventstore.Direction, yield func(extent, error) bool) bool {
	fail := func(err error) bool {
		yield(extent{}, fmt.Errorf("read the index of %q: %w", stream, err))
		return false
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: streamKey(nil, stream, 0), UpperBound: streamKey(nil, stream, below)})
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
