package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/eventstore"
)

var _ eventstore.Indexed = (*Store)(nil)

// Places implements eventstore.Indexed: first what is written, in the order of the keys,
// then what is in memory. What Open made anew of the log agrees with it, of course.
func (s *Store) Places(ctx context.Context) iter.Seq2[eventstore.Place, error] {
	return func(yield func(eventstore.Place, error) bool) {
		if err := s.enter(); err != nil {
			yield(eventstore.Place{}, err)
			return
		}
		defer s.leave()
		head := s.durable()
		// Memory comes first, as in extents: what a fold takes out of it now is at or before
		// through, and read there.
		recent := s.index.all()
		through, err := s.indexed(head)
		if err != nil {
			yield(eventstore.Place{}, err)
			return
		}
		if !s.placesWritten(ctx, through, yield) {
			return
		}
		for _, e := range recent {
			for revision, position := range e.from(0, eventstore.Forwards) {
				if position <= through || position > head {
					continue
				}
				if !yield(eventstore.Place{Stream: e.stream, Revision: revision, Position: position}, ctx.Err()) || ctx.Err() != nil {
					return
				}
			}
		}
		if s.index.damage != nil {
			yield(eventstore.Place{}, s.index.damage)
		}
	}
}

// streamExtent is an extent of a stream.
type streamExtent struct {
	stream string
	extent
}

// all gives what is in memory. It never changes: what is added to later is behind the ends.
func (x *streamIndex) all() (found []streamExtent) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, e := range append(x.full[:len(x.full):len(x.full)], x.fresh) {
		for stream, of := range e.streams {
			found = append(found, streamExtent{stream, *of})
		}
	}
	return found
}

// placesWritten yields what is in the database. It answers whether to go on. Entries
// behind through are those that a crash left of a fold, and are in memory too: where they
// are right they aren't yielded twice.
func (s *Store) placesWritten(ctx context.Context, through eventstore.Position, yield func(eventstore.Place, error) bool) bool {
	fail := func(err error) bool {
		yield(eventstore.Place{}, fmt.Errorf("read the index of the event log: %w", err))
		return false
	}
	it, err := s.indexDB.NewIter(&pebble.IterOptions{LowerBound: []byte{streamPrefix}, UpperBound: []byte{streamPrefix + 1}})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = it.Close() }()
	var e streamExtent
	for ok := it.First(); ok; ok = it.Next() {
		if err := s.alive(ctx); err != nil {
			return fail(err)
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return fail(err)
		}
		if !e.decode(it.Key(), value) {
			yield(eventstore.Place{}, &eventstore.CorruptError{Stream: e.stream, Revision: e.first, Reason: "index entry is damaged"})
			return false
		}
		for revision, position := range e.from(e.first, eventstore.Forwards) {
			if position > through {
				if _, _, err := s.record(position, e.stream, revision); err == nil {
					continue
				}
			}
			if !yield(eventstore.Place{Stream: e.stream, Revision: revision, Position: position}, nil) {
				return false
			}
		}
	}
	if err := it.Error(); err != nil {
		return fail(err)
	}
	return true
}

// decode reads an entry of the database; false if it can't be read.
func (e *streamExtent) decode(key, value []byte) (whole bool) {
	const before, behind = 3, 8 // of the stream in its key
	if len(key) < before+behind || int(binary.BigEndian.Uint16(key[1:])) != len(key)-before-behind {
		return false
	}
	if name := key[before : len(key)-behind]; e.stream != string(name) {
		e.stream = string(name)
	}
	e.first = int64(binary.BigEndian.Uint64(key[len(key)-behind:]))
	e.positions, whole = decodePositions(e.positions[:0], value)
	return whole
}
