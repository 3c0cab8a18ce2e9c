package pebblestore

import (
	"context"
	"iter"

	"iocredits/eventstore"
)

// A batch of a subscription ends at the first end of an append past one of these.
const (
	batchEvents = 2_048
	batchBytes  = 1 << 20
)

// Subscribe implements eventstore.Store. It is pulled: a slow receiver reads
// from the log where it is, and nothing waits for it. One that keeps up is given
// the events that were appended, not copies of them.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		for {
			batch, err := s.nextBatch(ctx, after)
			if err != nil {
				yield(nil, err)
				return
			}
			after = batch[len(batch)-1].Position
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// nextBatch waits for events after a position and reads whole appends of them.
func (s *Store) nextBatch(ctx context.Context, after eventstore.Position) ([]eventstore.Recorded, error) {
	for {
		moved := s.watch()
		if head := s.durable(); head > after {
			batch, err := s.readBatch(ctx, after, head)
			if len(batch) > 0 || err != nil {
				return batch, err
			}
			after = head // all of it was erased
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.ended:
			return nil, eventstore.ErrClosed
		}
	}
}

func (s *Store) readBatch(ctx context.Context, after, head eventstore.Position) ([]eventstore.Recorded, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil { // the tail doesn't ask
		return nil, err
	}
	if batch := s.tail.after(after); batch != nil {
		return batch, nil
	}
	var batch []eventstore.Recorded
	bytes := 0
	err := s.scan(ctx, after+1, head, eventstore.Forwards, func(r eventstore.Recorded, f flags) bool {
		if !f.erased() {
			batch = append(batch, r)
			bytes += len(r.Data) + len(r.Metadata)
		}
		return !f.last() || len(batch) < batchEvents && bytes < batchBytes
	})
	return batch, err
}

// watch gives a channel that is closed when the head moves after this call.
func (s *Store) watch() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}
