package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/eventstore"
)

// ReadStream implements eventstore.Store.
func (s *Store) ReadStream(ctx context.Context, stream string, from int64, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.readStream(ctx, stream, from, direction, limit, yield); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

func (s *Store) readStream(ctx context.Context, stream string, from int64, direction eventstore.Direction, limit int, yield func(eventstore.Recorded, error) bool) error {
	if len(stream) == 0 || len(stream) > eventstore.MaxStreamName {
		return fmt.Errorf("%w: stream name has %d bytes", eventstore.ErrInvalid, len(stream))
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if limit <= 0 || from < 0 && direction == eventstore.Backwards {
		return ctx.Err()
	}
	head := s.durable() // before the index, which has no end of its own
	expect := int64(-1)
	if direction == eventstore.Forwards {
		from = max(0, from)
		expect = from
	}
	for e, err := range s.extents(stream, from, direction) {
		if err != nil {
			return err
		}
		for revision, position := range e.from(from, direction) {
			if err := s.alive(ctx); err != nil {
				return err
			}
			if position > head {
				continue // not durable yet
			}
			if expect >= 0 && revision != expect {
				return &eventstore.CorruptError{Position: position, Stream: stream, Revision: expect, Reason: "revision is missing"}
			}
			expect = revision + 1
			if direction == eventstore.Backwards {
				expect = revision - 1
			}
			r, f, err := s.record(position, stream, revision)
			if err != nil {
				return err
			}
			if f.erased() {
				continue
			}
			if limit--; !yield(r, nil) || limit == 0 {
				return nil
			}
		}
	}
	if direction == eventstore.Backwards && expect >= 0 {
		return &eventstore.CorruptError{Stream: stream, Revision: expect, Reason: "revision is missing"}
	}
	return nil
}

func first(it *pebble.Iterator, d eventstore.Direction) bool {
	if d == eventstore.Backwards {
		return it.Last()
	}
	return it.First()
}

func step(it *pebble.Iterator, d eventstore.Direction) bool {
	if d == eventstore.Backwards {
		return it.Prev()
	}
	return it.Next()
}

// recordAt reads one event through the index; of an erased one what is left.
func (s *Store) recordAt(stream string, revision int64) (eventstore.Recorded, error) {
	for e, err := range s.extents(stream, revision, eventstore.Forwards) {
		if err != nil {
			return eventstore.Recorded{}, err
		}
		at := revision - e.first
		if at < 0 || at >= int64(len(e.positions)) {
			break
		}
		r, _, err := s.record(e.positions[at], stream, revision)
		return r, err
	}
	return eventstore.Recorded{}, &eventstore.CorruptError{Stream: stream, Revision: revision, Reason: "index entry is missing"}
}

// record reads the event at a position, which the index says is this one.
func (s *Store) record(position eventstore.Position, stream string, revision int64) (eventstore.Recorded, flags, error) {
	corrupt := func(reason string) error {
		return &eventstore.CorruptError{Position: position, Stream: stream, Revision: revision, Reason: reason}
	}
	value, closer, err := s.db.Get(eventKey(nil, position))
	if errors.Is(err, pebble.ErrNotFound) {
		return eventstore.Recorded{}, 0, corrupt("record is missing")
	}
	if err != nil {
		return eventstore.Recorded{}, 0, corrupt(err.Error())
	}
	r, f, err := decodeRecord(position, value)
	if closing := closer.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return eventstore.Recorded{}, 0, corrupt(err.Error())
	}
	if r.Stream != stream || r.Revision != revision {
		return eventstore.Recorded{}, 0, corrupt(fmt.Sprintf("record is of %q at revision %d", r.Stream, r.Revision))
	}
	return r, f, nil
}

// alive ends a read whose caller or store is gone.
func (s *Store) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return eventstore.ErrClosed
	default:
		return nil
	}
}

// ReadAll implements eventstore.Store.
func (s *Store) ReadAll(ctx context.Context, from eventstore.Position, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.enter(); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		defer s.leave()
		low, high := from, s.durable()
		if direction == eventstore.Backwards {
			low = 1
			if from <= high {
				high = from - 1
			}
		}
		if from == eventstore.BeforeFirst && direction == eventstore.Backwards || limit <= 0 {
			return
		}
		err := s.scan(ctx, low, high, direction, func(r eventstore.Recorded, f flags) bool {
			if f.erased() {
				return true
			}
			limit--
			return yield(r, nil) && limit > 0
		})
		if err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

// scan reads the events at low to high, both included, until visit says no. Those that
// were erased are among them. A position that is missing is damage, never skipped.
func (s *Store) scan(ctx context.Context, low, high eventstore.Position, direction eventstore.Direction, visit func(r eventstore.Recorded, f flags) bool) error {
	low = max(low, 1)
	if low > high {
		return nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: eventKey(nil, low), UpperBound: append(eventKey(nil, high), 0)})
	if err != nil {
		return fmt.Errorf("read event log: %w", err)
	}
	defer func() { _ = it.Close() }()
	expect := low
	if direction == eventstore.Backwards {
		expect = high
	}
	for valid := first(it, direction); ; valid = step(it, direction) {
		if err := s.alive(ctx); err != nil {
			return err
		}
		if !valid {
			if err := it.Error(); err != nil {
				return damaged(expect, err)
			}
			if expect >= low && expect <= high {
				return damaged(expect, errors.New("record is missing"))
			}
			return nil
		}
		if position := positionOf(it.Key()); position != expect {
			return damaged(expect, errors.New("record is missing"))
		}
		r, f, err := readRecord(it)
		if err != nil {
			return err
		}
		if !visit(r, f) {
			return nil
		}
		if direction == eventstore.Backwards {
			expect--
		} else {
			expect++
		}
	}
}
