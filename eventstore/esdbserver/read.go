package esdbserver

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// reader is one call of Read: what it sends and how.
type reader struct {
	server *Server
	ctx    context.Context
	out    streams.Streams_ReadServer
	opts   *streams.ReadReq_Options
	textID bool
}

// Read reads a stream or the log, once or as a subscription.
func (s *Server) Read(request *streams.ReadReq, out streams.Streams_ReadServer) error {
	o := request.GetOptions()
	r := &reader{server: s, ctx: out.Context(), out: out, opts: o, textID: o.GetUuidOption().GetString_() != nil}
	if err := r.run(); err != nil {
		return fail(out, err)
	}
	return nil
}

func (r *reader) run() error {
	subscribes := r.opts.GetSubscription() != nil
	switch {
	case subscribes && r.opts.GetReadDirection() == streams.ReadReq_Options_Backwards:
		return status.Error(codes.InvalidArgument, "a subscription reads forwards")
	case r.opts.GetStream() != nil && r.streamName() == "":
		return errNoName
	case r.opts.GetStream() != nil && subscribes:
		return r.followStream(r.streamName())
	case r.opts.GetStream() != nil:
		return r.readStream(r.streamName())
	case r.opts.GetAll() != nil && subscribes:
		return r.followAll()
	case r.opts.GetAll() != nil:
		return r.readAll()
	}
	return status.Error(codes.InvalidArgument, "read names neither a stream nor $all")
}

func (r *reader) streamName() string {
	return string(r.opts.GetStream().GetStreamIdentifier().GetStreamName())
}

func (r *reader) direction() eventstore.Direction {
	if r.opts.GetReadDirection() == streams.ReadReq_Options_Backwards {
		return eventstore.Backwards
	}
	return eventstore.Forwards
}

func (r *reader) limit() int { return int(min(r.opts.GetCount(), math.MaxInt)) }

// readStream sends events of a stream from a revision on, that one included.
func (r *reader) readStream(stream string) error {
	end, err := r.server.endOf(r.ctx, stream)
	switch {
	case err != nil:
		return err
	case end.tombstoned:
		return errDeleted(stream)
	case end.visible() == eventstore.NoStream:
		return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
		}}})
	}
	from := int64(min(r.opts.GetStream().GetRevision(), uint64(eventstore.End)))
	switch {
	case r.opts.GetStream().GetStart() != nil:
		from = 0
	case r.opts.GetStream().GetEnd() != nil:
		from = eventstore.End
	}
	if r.direction() == eventstore.Forwards {
		from = max(from, end.first())
	}
	left, now := r.limit(), r.server.opts.Now()
	for e, err := range r.server.opts.Store.ReadStream(r.ctx, stream, from, r.direction(), math.MaxInt) {
		if err != nil {
			return err
		}
		if left <= 0 || e.Revision < end.first() {
			break
		}
		if end.hides(&e, now) {
			continue
		}
		if err := r.send(&e); err != nil {
			return err
		}
		left--
	}
	return nil
}

// readAll sends events of the log. Deleted and truncated ones are there, as
// they are on the real server until it scavenges.
func (r *reader) readAll() error {
	f, err := filterOf(r.opts)
	if err != nil {
		return err
	}
	from := r.position(eventstore.BeforeFirst)
	if r.direction() == eventstore.Backwards && r.opts.GetAll().GetEnd() != nil {
		from = eventstore.EndOfLog
	}
	last := eventstore.BeforeFirst
	for left, more := r.limit(), true; more && left > 0; from = last {
		var page []eventstore.Recorded
		if page, more, err = r.page(from, &last, f, left); err != nil {
			return err
		}
		for i := range page {
			if err := r.send(&page[i]); err != nil {
				return err
			}
		}
		left -= len(page)
	}
	return nil
}

// What is read of the log before it is sent. Then the Store is let go: a client that
// takes nothing would hold up a scavenge, which waits for reads that began before it.
const (
	pageEvents = 512
	pageBytes  = 4 << 20
)

// page reads on in the log from a position after the last event that was read, which may
// be the one there. It gives at most count events that the filter takes; more: it
// didn't come to the end.
func (r *reader) page(from eventstore.Position, last *eventstore.Position, f filter, count int) (page []eventstore.Recorded, more bool, err error) {
	seen, bytes, before := 0, 0, *last
	for e, err := range r.server.opts.Store.ReadAll(r.ctx, from, r.direction(), pageEvents) {
		if err != nil {
			return nil, false, err
		}
		if seen++; e.Position == before {
			continue
		}
		if *last = e.Position; !f.matches(&e) {
			continue
		}
		page = append(page, e)
		if bytes += len(e.Data) + len(e.Metadata); len(page) == count || bytes >= pageBytes {
			return page, true, nil
		}
	}
	return page, seen == pageEvents, nil
}

// position is where the client wants to begin in the log; head stands for the end.
func (r *reader) position(head eventstore.Position) eventstore.Position {
	switch all := r.opts.GetAll(); {
	case all.GetStart() != nil:
		return eventstore.BeforeFirst
	case all.GetEnd() != nil:
		if r.opts.GetSubscription() == nil {
			return eventstore.EndOfLog
		}
		return head
	default:
		return eventstore.Position(all.GetPosition().GetCommitPosition())
	}
}

// send sends an event, and what it links to where the client asked for that.
func (r *reader) send(e *eventstore.Recorded) error {
	event := &streams.ReadResp_ReadEvent{
		Event:    recordedEvent(e, r.textID),
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: uint64(e.Position)},
	}
	if e.Type == typeLink && r.opts.GetResolveLinks() {
		target, found, err := r.target(e)
		if err != nil {
			return err
		}
		if event.Link = event.Event; found {
			event.Event = recordedEvent(&target, r.textID)
		} else {
			event.Event = nil
		}
	}
	return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: event}})
}

// target reads the event that a link, "revision@stream", points to. One that can't be
// read in its stream isn't found either.
func (r *reader) target(link *eventstore.Recorded) (eventstore.Recorded, bool, error) {
	number, stream, isLink := strings.Cut(string(link.Data), "@")
	revision, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !isLink || revision < 0 || stream == "" || len(stream) > eventstore.MaxStreamName {
		return eventstore.Recorded{}, false, nil
	}
	end, err := r.server.endOf(r.ctx, stream)
	if err != nil || end.tombstoned || revision < end.first() {
		return eventstore.Recorded{}, false, err
	}
	for e, err := range r.server.opts.Store.ReadStream(r.ctx, stream, revision, eventstore.Forwards, 1) {
		return e, err == nil && e.Revision == revision && !end.hides(&e, r.server.opts.Now()), err
	}
	return eventstore.Recorded{}, false, nil
}
