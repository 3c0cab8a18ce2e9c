package esdbserver

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/proto"

	"iocredits/eventstore"
)

const (
	// maxDrain bounds what is read of an append that is refused already.
	maxDrain = 64 << 20
	// messageOverhead is what a message costs beside its bytes.
	messageOverhead = 64
	// maxRaces bounds how often a write without an exact revision tries again
	// after somebody else's.
	maxRaces = 100
)

// appendRequest is a whole append.
type appendRequest struct {
	stream   string
	expected expectation
	events   []eventstore.Event
}

// Append writes a client's events to a stream, all or none.
func (s *Server) Append(stream streams.Streams_AppendServer) error {
	request, err := s.receive(stream)
	if err != nil {
		return fail(stream, err)
	}
	response, err := s.append(stream.Context(), request)
	if err != nil {
		return fail(stream, err)
	}
	return stream.SendAndClose(response)
}

// receive reads the request to its end, even when it is refused at its first
// message; see drain.
func (s *Server) receive(stream streams.Streams_AppendServer) (appendRequest, error) {
	var r appendRequest
	var refused error
	refuse := func(err error) {
		if refused == nil {
			refused, r.events = err, nil
		}
	}
	bytes := 0
	for received := 0; received < maxDrain; {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if refused == nil && r.stream == "" {
				refused = errNoName
			}
			return r, refused
		}
		if err != nil {
			return r, err
		}
		received += messageOverhead + proto.Size(m)
		if o := m.GetOptions(); o != nil {
			r.stream, r.expected = string(o.GetStreamIdentifier().GetStreamName()), expectationOf(o)
			if err := s.mayAppend(r.stream); err != nil {
				refuse(err)
			}
			continue
		}
		e, err := proposed(m.GetProposedMessage())
		if err != nil {
			refuse(err)
		}
		size := len(e.Data) + len(e.Metadata)
		if size > eventstore.MaxEventBytes && eventstore.MaxEventBytes < s.opts.MaxAppendBytes {
			refuse(errTooBig("event", eventstore.MaxEventBytes))
		}
		if bytes += len(e.Type) + size; bytes > s.opts.MaxAppendBytes {
			refuse(errTooBig("append", s.opts.MaxAppendBytes))
		}
		if refused == nil {
			r.events = append(r.events, e)
		}
	}
	return r, errTooBig("append", s.opts.MaxAppendBytes)
}

// append decides what the expectation means on the stream as it is. A race with
// a writer who goes around this server is decided by the Store, at the exact
// revision that was seen.
func (s *Server) append(ctx context.Context, r appendRequest) (*streams.AppendResp, error) {
	unlock, err := s.locks.lock(ctx, r.stream)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range maxRaces {
		end, err := s.endOf(ctx, r.stream)
		if err != nil {
			return nil, err
		}
		if end.goneFor(r.expected) {
			return nil, errDeleted(r.stream)
		}
		if len(r.events) == 0 {
			if !r.expected.holds(end) {
				return wrongVersion(r.expected, end.revision), nil
			}
			return success(eventstore.Appended{Revision: end.visible()}), nil
		}
		response, again, err := s.appendAt(ctx, r, end)
		if !again || err != nil {
			return response, err
		}
	}
	return nil, errTooBusy(r.stream)
}

// appendAt tries once; again: somebody else wrote, and the outcome may differ.
func (s *Server) appendAt(ctx context.Context, r appendRequest, end end) (response *streams.AppendResp, again bool, err error) {
	at := int64(r.expected)
	recreates := end.deleted() && r.expected == expectNoStream
	if r.expected == expectAny || r.expected == expectExists || recreates {
		repeated := s.repeated
		if recreates {
			repeated = s.began
		}
		if response, found, err := repeated(ctx, r, end); found || err != nil {
			return response, false, err
		}
		if r.expected == expectExists && !r.expected.holds(end) {
			return wrongVersion(r.expected, eventstore.NoStream), false, nil
		}
		at = end.revision
	}
	appended, err := s.writeVisibly(ctx, r, at, end)
	var conflict *eventstore.ConflictError
	switch {
	case err == nil:
		s.tails.appended(r, at, appended)
		n := len(r.events) // writeVisibly may have written one more
		return success(eventstore.Appended{Revision: at + int64(n), Positions: appended.Positions[:n]}), false, nil
	case !errors.As(err, &conflict):
		return nil, false, err
	case at != int64(r.expected):
		return nil, true, nil // the revision was ours, not the client's
	}
	if now, err := s.endOf(ctx, r.stream); err != nil || now.tombstoned {
		return nil, now.tombstoned, err
	}
	return wrongVersion(r.expected, conflict.Actual), false, nil
}

// writeVisibly appends, and ends the soft delete of the stream where there is one.
// Metadata ends that of its stream too, but brings back nothing that was deleted: it
// is followed, in the same append, by itself with the right $tb.
func (s *Server) writeVisibly(ctx context.Context, r appendRequest, at int64, end end) (eventstore.Appended, error) {
	if end.deletes && at == end.revision {
		if again, ok := truncation(r.events[len(r.events)-1].Data, end.next); ok {
			return s.write(ctx, r.stream, at, append(slices.Clip(r.events), again))
		}
	}
	if !end.deleted() || at != end.revision {
		return s.write(ctx, r.stream, at, r.events)
	}
	if err := eventstore.CheckAppend(r.stream, at, r.events); err != nil {
		return eventstore.Appended{}, err
	}
	// First the metadata: the other way round a crash would hide an event
	// that its writer, who repeats it, is told is there.
	if err := s.undelete(ctx, r.stream, end); err != nil {
		return eventstore.Appended{}, err
	}
	appended, err := s.write(ctx, r.stream, at, r.events)
	// Only where it is certain that nothing is in the stream which that would hide:
	// not after an unknown outcome, nor after a conflict, which is another's event.
	if errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrInvalid) {
		if err := s.truncate(context.WithoutCancel(ctx), r.stream, deletedBefore); err != nil {
			s.opts.Logger.Warn("a stream that was deleted is empty instead, after an append that was refused", "stream", r.stream, "error", err)
		}
	}
	return appended, err
}

func success(a eventstore.Appended) *streams.AppendResp {
	done := &streams.AppendResp_Success{PositionOption: &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}}
	if a.Revision == eventstore.NoStream {
		done.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
	} else {
		done.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(a.Revision)}
	}
	if n := len(a.Positions); n > 0 {
		p := uint64(a.Positions[n-1])
		done.PositionOption = &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{CommitPosition: p, PreparePosition: p}}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: done}}
}
