// Package notices writes the stream that stands beside an account's own: what a
// customer was told ahead of time, and what they have seen. It is chained and
// coded as an account's stream is, but nothing is decided on it, so it needs no
// state: an event is put at its end. What is written twice has one effect,
// because the read model takes the first.
package notices

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Writer appends to streams of notices. Safe for concurrent use.
type Writer struct {
	Store eventstore.Store
	Codec *eventstore.Codec
	Clock func() time.Time
}

// By is who makes an event happen.
type By struct{ Actor, Role, Key, RequestID string }

// maxAttempts bounds how often an append gives way to another's.
const maxAttempts = 5

// MarkSeen records that a notice was seen.
func (w *Writer) MarkSeen(ctx context.Context, name, notice string, by By) (eventstore.Position, error) {
	return w.append(ctx, name, &account.NoticeSeen{Notice: notice}, by)
}

// AnnounceExpiry records that credits will expire soon.
func (w *Writer) AnnounceExpiry(ctx context.Context, name string, announced account.ExpiryAnnounced) (eventstore.Position, error) {
	return w.append(ctx, name, &announced, By{Actor: "engine", Role: "engine"})
}

// append puts an event at the end of the account's notices. Refusals: conflict
// if others were always there first; unavailable.
func (w *Writer) append(ctx context.Context, name string, body domain.Event, by By) (eventstore.Position, error) {
	stream := eventstore.NoticesStream(name)
	for range maxAttempts {
		end, err := w.end(ctx, stream)
		if err != nil {
			return 0, err
		}
		event, err := w.encode(stream, end, body, by)
		if err != nil {
			return 0, err
		}
		appended, err := w.Store.Append(ctx, stream, end.revision, []eventstore.Event{event})
		var conflict *eventstore.ConflictError
		switch {
		case err == nil:
			return appended.Positions[0], nil
		case errors.As(err, &conflict):
		case errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, eventstore.ErrClosed):
			return 0, domain.Refuse(domain.CodeUnavailable, "the log can't take writes now; nothing was written, try again later")
		default:
			return 0, fmt.Errorf("append to %s: %w", stream, err)
		}
	}
	return 0, domain.Refuse(domain.CodeConflict, "the notices of the account were changed by others %d times in a row; try again", maxAttempts)
}

// end is where a stream ends.
type end struct {
	revision   int64
	hash       eventstore.Hash
	recordedAt time.Time
}

func (w *Writer) end(ctx context.Context, stream string) (end, error) {
	at := end{revision: eventstore.NoStream}
	for r, err := range w.Store.ReadStream(ctx, stream, eventstore.End, eventstore.Backwards, 1) {
		if err != nil {
			return end{}, fmt.Errorf("read the end of %s: %w", stream, err)
		}
		meta, err := eventstore.DecodeMetadata(r.Metadata)
		if err != nil {
			return end{}, &eventstore.CorruptError{Position: r.Position, Stream: stream, Revision: r.Revision, Reason: err.Error()}
		}
		at = end{r.Revision, eventstore.ChainHash(stream, r.Revision, r.Event, meta.Previous), meta.RecordedAt}
	}
	return at, nil
}

func (w *Writer) encode(stream string, at end, body domain.Event, by By) (eventstore.Event, error) {
	data, err := w.Codec.Encode(body)
	if err != nil {
		return eventstore.Event{}, err
	}
	now := w.Clock().UTC().Truncate(time.Microsecond)
	if at.recordedAt.After(now) {
		now = at.recordedAt
	}
	metadata, err := eventstore.EncodeMetadata(eventstore.Metadata{
		RecordedAt: now, Actor: by.Actor, Role: by.Role, Key: by.Key, RequestID: by.RequestID,
		Command: eventstore.Command{Count: 1}, Previous: at.hash,
	})
	if err != nil {
		return eventstore.Event{}, err
	}
	event := eventstore.Event{Type: body.EventName(), Data: data, Metadata: metadata}
	event.ID = eventstore.EventID(stream, at.revision+1, event.Type, data, metadata, at.hash)
	return event, nil
}
