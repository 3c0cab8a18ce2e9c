package storetest

import (
	"context"
	"fmt"
	"iter"

	"iocredits/eventstore"
)

// Spaced is a store of which the positions are as a cluster's: far apart, and the log can
// be read from those of events alone. It takes appends one at a time, as a cluster does.
type Spaced struct{ eventstore.Store }

// space lies between two positions.
const space = 97

// Append implements eventstore.Store.
func (s Spaced) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	appended, err := s.Store.Append(ctx, stream, expected, events)
	for i := range appended.Positions {
		appended.Positions[i] *= space
	}
	return appended, err
}

// ReadStream implements eventstore.Store.
func (s Spaced) ReadStream(ctx context.Context, stream string, from int64, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return apart(s.Store.ReadStream(ctx, stream, from, direction, limit))
}

// ReadAll implements eventstore.Store.
func (s Spaced) ReadAll(ctx context.Context, from eventstore.Position, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	if from != eventstore.EndOfLog {
		if from%space != 0 {
			return func(yield func(eventstore.Recorded, error) bool) {
				yield(eventstore.Recorded{}, fmt.Errorf("no event begins at position %d", from))
			}
		}
		from /= space
	}
	return apart(s.Store.ReadAll(ctx, from, direction, limit))
}

// Subscribe implements eventstore.Store.
func (s Spaced) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		for batch, err := range s.Store.Subscribe(ctx, after/space) {
			own := make([]eventstore.Recorded, len(batch))
			for i, r := range batch {
				r.Position *= space
				own[i] = r
			}
			if !yield(own, err) {
				return
			}
		}
	}
}

// Head implements eventstore.Store.
func (s Spaced) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := s.Store.Head(ctx)
	return head * space, err
}

func apart(events iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range events {
			r.Position *= space
			if !yield(r, err) {
				return
			}
		}
	}
}
