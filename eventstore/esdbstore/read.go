package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"iocredits/eventstore"
)

// page is one read: of a stream from a revision on, or of the log.
type page struct {
	all       bool
	stream    string
	revision  int64
	position  eventstore.Position
	direction eventstore.Direction
	limit     int
	// skips: the event at position was read before. Forwards the protocol
	// includes it, and on a cluster the number after a position is none.
	skips bool
}

// ReadStream implements eventstore.Store.
func (s *Store) ReadStream(ctx context.Context, stream string, from int64, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := eventstore.CheckStream(stream); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		if from < 0 && direction == eventstore.Backwards {
			limit = 0
		}
		s.forEach(ctx, page{stream: stream, revision: max(0, from), direction: direction, limit: limit}, yield)
	}
}

// ReadAll implements eventstore.Store. It leaves out what this store keeps
// beside the log.
func (s *Store) ReadAll(ctx context.Context, from eventstore.Position, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if from == eventstore.BeforeFirst && direction == eventstore.Backwards {
			limit = 0
		}
		s.forEach(ctx, page{all: true, position: from, direction: direction, limit: limit}, yield)
	}
}

func (s *Store) forEach(ctx context.Context, p page, yield func(eventstore.Recorded, error) bool) {
	if err := s.enter(); err != nil {
		yield(eventstore.Recorded{}, err)
		return
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		yield(eventstore.Recorded{}, err)
		return
	}
	for r, err := range s.pages(ctx, p) {
		if !yield(r, err) || err != nil {
			return
		}
	}
}

// Head implements eventstore.Store: the last event that a subscription yields.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	for r, err := range s.ReadAll(ctx, eventstore.EndOfLog, eventstore.Backwards, 1) {
		return r.Position, err
	}
	return eventstore.BeforeFirst, nil
}

// pages reads page after page. Each begins where the last one ended.
func (s *Store) pages(ctx context.Context, p page) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		wanted, size := p.limit, pageEvents
		if p.all && wanted < pageEvents {
			size = min(size, wanted+invisible)
		}
		for wanted > 0 {
			p.limit = size
			if !p.all {
				p.limit = min(size, wanted)
			}
			got, err := s.page(ctx, &p)
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			for _, r := range got.events {
				if p.all && !visible(&r) {
					continue
				}
				if !yield(r, nil) {
					return
				}
				if wanted--; wanted == 0 {
					return
				}
			}
			if got.ended {
				return
			}
			p.after(got)
			size = min(2*p.limit, pageEvents)
		}
	}
}

// invisible is how many events that aren't visible a short read of the log allows for.
const invisible = 15

// visible says whether an event is of the log. What lies at position 0, the
// first record of a cluster's own, has no place in the contract.
func visible(r *eventstore.Recorded) bool {
	of, _ := eventstore.MetadataOf(r.Stream)
	return r.Position != eventstore.BeforeFirst && !strings.HasPrefix(of, eventstore.SidePrefix)
}

// after moves the page behind what was read.
func (p *page) after(got pageResult) {
	last := got.last
	switch {
	case p.all:
		p.position, p.skips = last.Position, p.direction == eventstore.Forwards
	case p.direction == eventstore.Forwards:
		p.revision = last.Revision + 1
	default:
		p.revision = last.Revision - 1
	}
}

// page reads one, and repeats the read while only the connection is at fault.
func (s *Store) page(ctx context.Context, p *page) (pageResult, error) {
	if p.revision < 0 {
		return pageResult{ended: true}, nil
	}
	ctx, cancel := s.bound(ctx, s.open)
	defer cancel()
	unclears := 0
	for wait := (backoff{}); ; {
		current, err := s.acquire(ctx, false)
		if err != nil {
			return pageResult{}, s.gone(err)
		}
		attempt, stop := context.WithTimeout(ctx, s.opts.AttemptTimeout)
		got, err := current.read(attempt, *p)
		stop()
		if err == nil {
			return got, nil
		}
		switch judge(err) {
		case refused, conflict, missing:
			return pageResult{}, refusal(err)
		case unclear:
			if unclears++; unclears >= maxUnclear {
				return pageResult{}, fmt.Errorf("read from the cluster: %w", err)
			}
		case passing:
			s.suspect()
			p.limit = max(1, p.limit/4) // it may have been too much for the time
		}
		if sleep(ctx, wait.step()) != nil {
			return pageResult{}, s.gone(fmt.Errorf("read from the cluster: %w (last try: %w)", ctx.Err(), err))
		}
	}
}

// gone puts the store's end before the context's, which it causes.
func (s *Store) gone(err error) error {
	if s.open.Err() != nil {
		return eventstore.ErrClosed
	}
	return err
}

// pageResult is what a read gave; ended: there is no more.
type pageResult struct {
	events []eventstore.Recorded
	last   eventstore.Recorded
	ended  bool
}

// read is one read in one call, under the session's watch.
func (s *session) read(ctx context.Context, p page) (pageResult, error) {
	return call(ctx, s, func(ctx context.Context) (pageResult, error) {
		count := p.limit
		if p.skips {
			count++
		}
		stream, err := s.open(ctx, p, uint64(count))
		if err != nil {
			return pageResult{}, err
		}
		defer stream.Close()
		var got pageResult
		for bytes, received := 0, 0; ; received++ {
			resolved, err := stream.Recv()
			if errors.Is(err, io.EOF) && ctx.Err() == nil {
				// Fewer than asked for: the end. A broken stream is never EOF.
				got.ended = received < count
				return got, nil
			}
			if err != nil {
				if judge(err) == missing && !p.all {
					return pageResult{ended: true}, nil
				}
				return pageResult{}, err
			}
			r := recorded(resolved.OriginalEvent())
			got.last = r
			if p.skips && r.Position <= p.position {
				continue
			}
			got.events = append(got.events, r)
			if bytes += len(r.Data) + len(r.Metadata); bytes >= pageBytes {
				return got, nil
			}
		}
	})
}

func (s *session) open(ctx context.Context, p page, count uint64) (*esdb.ReadStream, error) {
	direction := esdb.Forwards
	if p.direction == eventstore.Backwards {
		direction = esdb.Backwards
	}
	if p.all {
		var from esdb.AllPosition = esdb.Position{Commit: uint64(p.position), Prepare: uint64(p.position)}
		switch p.position {
		case eventstore.BeforeFirst:
			from = esdb.Start{}
		case eventstore.EndOfLog:
			from = esdb.End{}
		}
		return s.client.ReadAll(ctx, esdb.ReadAllOptions{Direction: direction, From: from, RequiresLeader: true}, count)
	}
	var from esdb.StreamPosition = esdb.Revision(uint64(p.revision))
	if p.revision == eventstore.End {
		from = esdb.End{}
	}
	return s.client.ReadStream(ctx, p.stream, esdb.ReadStreamOptions{Direction: direction, From: from, RequiresLeader: true}, count)
}

func recorded(e *esdb.RecordedEvent) eventstore.Recorded {
	return eventstore.Recorded{
		Event:    eventstore.Event{ID: e.EventID, Type: e.EventType, Data: e.Data, Metadata: e.UserMetadata},
		Stream:   e.StreamID,
		Revision: int64(e.EventNumber),
		Position: eventstore.Position(e.Position.Commit),
		Created:  e.CreatedDate,
	}
}
