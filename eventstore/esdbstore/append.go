package esdbstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json/jsontext"

	"iocredits/eventstore"
)

// Append implements eventstore.Store. Every position of the answer is the last
// event's: the protocol tells no other.
func (s *Store) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if err := eventstore.CheckAppend(stream, expected, events); err != nil {
		return eventstore.Appended{}, err
	}
	if err := s.enter(); err != nil {
		return eventstore.Appended{}, err
	}
	defer s.leave()
	ctx, cancel := s.bound(ctx, s.life)
	defer cancel()
	var revision esdb.ExpectedRevision = esdb.NoStream{}
	if expected != eventstore.NoStream {
		revision = esdb.Revision(uint64(expected))
	}
	result, err := s.append(ctx, stream, revision, proposed(events))
	if err != nil {
		if judge(err) == conflict {
			return eventstore.Appended{}, s.conflict(ctx, stream, expected)
		}
		return eventstore.Appended{}, err
	}
	last := expected + int64(len(events))
	if result.NextExpectedVersion != uint64(last) {
		return eventstore.Appended{}, fmt.Errorf("append to %q: the cluster answers revision %d, not %d", stream, result.NextExpectedVersion, last)
	}
	positions := slices.Repeat([]eventstore.Position{eventstore.Position(result.CommitPosition)}, len(events))
	return eventstore.Appended{Revision: last, Positions: positions}, nil
}

// append repeats the identical append until its outcome is known: a success, a
// conflict or a refusal, which it returns as the client's error. Once a try may
// have reached the cluster, ErrUnavailable is not an answer any more.
func (s *Store) append(ctx context.Context, stream string, revision esdb.ExpectedRevision, events []esdb.EventData) (*esdb.WriteResult, error) {
	var last error
	unclears := 0
	for wait := (backoff{}); ; {
		current, err := s.acquire(ctx, last != nil)
		if err != nil {
			if last != nil {
				return nil, fmt.Errorf("append to %q: its outcome is unknown: %w (last try: %w)", stream, err, last)
			}
			return nil, err
		}
		result, err := s.try(ctx, current, stream, revision, events)
		if err == nil {
			return result, nil
		}
		switch judge(err) {
		case conflict:
			return nil, err
		case refused, missing:
			return nil, refusal(err)
		case unclear:
			if unclears++; unclears >= maxUnclear {
				return nil, fmt.Errorf("append to %q: its outcome is unknown: %w", stream, err)
			}
		}
		last = err
		s.opts.Logger.Debug("append is repeated", "stream", stream, "reason", err)
		if sleep(ctx, wait.step()) != nil {
			return nil, fmt.Errorf("append to %q: its outcome is unknown: %w (last try: %w)", stream, ctx.Err(), last)
		}
	}
}

// try is one append under its own deadline.
func (s *Store) try(ctx context.Context, current *session, stream string, revision esdb.ExpectedRevision, events []esdb.EventData) (*esdb.WriteResult, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.AttemptTimeout)
	defer cancel()
	timeout := s.opts.AttemptTimeout
	options := esdb.AppendToStreamOptions{ExpectedRevision: revision, Deadline: &timeout, RequiresLeader: true}
	result, err := call(ctx, current, func(ctx context.Context) (*esdb.WriteResult, error) {
		return current.client.AppendToStream(ctx, stream, options, events...)
	})
	if err != nil && judge(err) == passing {
		s.suspect()
	}
	return result, err
}

// conflict learns where the stream is: the cluster says it only in a text.
func (s *Store) conflict(ctx context.Context, stream string, expected int64) error {
	actual := eventstore.NoStream
	for r, err := range s.pages(ctx, page{stream: stream, revision: eventstore.End, direction: eventstore.Backwards, limit: 1}) {
		if err != nil {
			// Nothing was written: that much is known.
			return fmt.Errorf("%w: a conflict on %q, and its revision can't be read: %w", eventstore.ErrUnavailable, stream, err)
		}
		actual = r.Revision
	}
	return &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: actual}
}

// proposed gives events the client's form. The ids are always set: without one
// the client makes one up at every try, and a repeat would be a second event.
func proposed(events []eventstore.Event) []esdb.EventData {
	all := make([]esdb.EventData, len(events))
	for i, e := range events {
		content := esdb.ContentTypeBinary
		if jsontext.Value(e.Data).IsValid() {
			content = esdb.ContentTypeJson
		}
		all[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: content, Data: e.Data, Metadata: e.Metadata}
	}
	return all
}
