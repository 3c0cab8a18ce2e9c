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
	"hash/maphash"
	"sync"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Writer appends to streams of notices. Safe for concurrent use; MUST NOT be copied.
//
// Those who write to one account wait for each other here: a page that marks
// all its notices as seen asks for many appends at once, of which one would win
// each round and the rest run out of attempts. Other engines are met by conflicts.
type Writer struct {
	Store eventstore.Store
	Codec *eventstore.Codec
	Clock func() time.Time

	// turns have room for who is writing. Accounts share them, so that who waits for
	// one account's append gives up with its own time, and not with that append.
	turns [64]chan struct{}
	once  sync.Once
}

var turnSeed = maphash.MakeSeed()

// turn waits for the turn of an account, and gives it back with leave.
func (w *Writer) turn(ctx context.Context, name string) (leave func(), err error) {
	w.once.Do(func() {
		for i := range w.turns {
			w.turns[i] = make(chan struct{}, 1)
		}
	})
	turn := w.turns[maphash.String(turnSeed, name)%uint64(len(w.turns))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the notices of %s: %w", name, ctx.Err())
	}
}

// By is who makes an event happen.
type By struct{ Actor, Role, Key, RequestID string }

// maxAttempts bounds how often an append gives way to another's.
const maxAttempts = 5

// maxMarks bounds how far MarkSeen looks back.
const maxMarks = 1_000

// MarkSeen records that a notice was seen. The caller knows that the log has no mark of it
// up to position shown. If there is one after that, nothing is written: while the read
// models stand still clients ask again and again, and each mark would be in the log for
// ever.
func (w *Writer) MarkSeen(ctx context.Context, name, notice string, shown eventstore.Position, by By) (eventstore.Position, error) {
	leave, err := w.turn(ctx, name)
	if err != nil {
		return 0, err
	}
	defer leave()
	if at, marked, err := w.marked(ctx, name, notice, shown); marked || err != nil {
		return at, err
	}
	return w.append(ctx, name, &account.NoticeSeen{Notice: notice}, by)
}

// marked looks for a mark behind a position.
func (w *Writer) marked(ctx context.Context, name, notice string, shown eventstore.Position) (at eventstore.Position, marked bool, err error) {
	stream := eventstore.NoticesStream(name)
	for r, err := range w.Store.ReadStream(ctx, stream, eventstore.End, eventstore.Backwards, maxMarks) {
		if err != nil {
			return 0, false, fmt.Errorf("read the end of %s: %w", stream, err)
		}
		if r.Position <= shown {
			break
		}
		f, err := w.Codec.Open(r)
		if err != nil {
			return 0, false, err
		}
		if mark, ok := f.Body.(*account.NoticeSeen); ok && mark.Notice == notice {
			return r.Position, true, nil
		}
	}
	return 0, false, nil
}

// AnnounceExpiry records that credits will expire soon.
func (w *Writer) AnnounceExpiry(ctx context.Context, name string, announced account.ExpiryAnnounced) (eventstore.Position, error) {
	leave, err := w.turn(ctx, name)
	if err != nil {
		return 0, err
	}
	defer leave()
	return w.append(ctx, name, &announced, By{Actor: "engine", Role: "engine"})
}

// append puts an event at the end of the account's notices. The caller MUST have the
// account's turn. Refusals: conflict if others were always there first; unavailable.
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
