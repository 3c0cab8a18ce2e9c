package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/eventstore"
	"iocredits/eventstore/disk"
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
	r, f, err := s.get(position)
	if err == nil && (r.Stream != stream || r.Revision != revision) {
		err = fmt.Errorf("record is of %q at revision %d", r.Stream, r.Revision)
	}
	if errors.Is(err, errPasses) {
		return eventstore.Recorded{}, 0, fmt.Errorf("%s at revision %d: %w", stream, revision, err)
	}
	if err != nil {
		return eventstore.Recorded{}, 0, &eventstore.CorruptError{Position: position, Stream: stream, Revision: revision, Reason: disk.Reason(err)}
	}
	return r, f, nil
}

var errMissing = errors.New("record is missing")

// get reads the record at a position. The error is why it can't be read.
func (s *Store) get(position eventstore.Position) (eventstore.Recorded, flags, error) {
	if err := s.harm.at(position); err != nil {
		return eventstore.Recorded{}, 0, err
	}
	value, closer, err := s.db.Get(eventKey(nil, position))
	if errors.Is(err, pebble.ErrNotFound) {
		return eventstore.Recorded{}, 0, errMissing
	}
	if err != nil {
		return eventstore.Recorded{}, 0, s.harm.found(position, ofPebble(err))
	}
	r, f, err := decodeRecord(position, value)
	return r, f, errors.Join(err, closer.Close())
}

// harm knows the records that stand in damaged blocks, once they were asked for. At each
// read of such a block Pebble looks for the bit that has changed, for a second of a
// processor: whoever asks again is answered from here.
type harm struct {
	any     atomic.Bool
	records sync.Map // by position, why they can't be read
}

func (h *harm) at(position eventstore.Position) error {
	if h.any.Load() {
		if known, bad := h.records.Load(position); bad {
			return known.(error) //nolint:forcetypeassert // there is nothing else
		}
	}
	return nil
}

func (h *harm) found(position eventstore.Position, err error) error {
	if !errors.Is(err, errPasses) {
		h.any.Store(true)
		h.records.Store(position, err)
	}
	return err
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
	expect := low
	if direction == eventstore.Backwards {
		expect = high
	}
	if s.harm.any.Load() {
		return s.scanSingly(ctx, expect, low, high, direction, visit)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: eventKey(nil, low), UpperBound: append(eventKey(nil, high), 0)})
	if err != nil {
		return fmt.Errorf("read event log: %w", err)
	}
	defer func() { _ = it.Close() }()
	for valid := first(it, direction); ; valid = step(it, direction) {
		if err := s.alive(ctx); err != nil {
			return err
		}
		if !valid {
			if it.Error() != nil {
				return s.scanSingly(ctx, expect, low, high, direction, visit)
			}
			if expect >= low && expect <= high {
				return damaged(expect, errMissing)
			}
			return nil
		}
		if position := positionOf(it.Key()); position != expect {
			return damaged(expect, errMissing)
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

// scanSingly goes on with a scan at a position, record by record, in a log that has
// damage: an iterator needs a block of each level, and one that can't be read keeps it
// from all that comes before that.
func (s *Store) scanSingly(ctx context.Context, from, low, high eventstore.Position, direction eventstore.Direction, visit func(r eventstore.Recorded, f flags) bool) error {
	for at := from; at >= low && at <= high; {
		if err := s.alive(ctx); err != nil {
			return err
		}
		r, f, err := s.get(at)
		if err != nil {
			return damaged(at, err)
		}
		if !visit(r, f) {
			return nil
		}
		if direction == eventstore.Backwards {
			at--
		} else {
			at++
		}
	}
	return nil
}
