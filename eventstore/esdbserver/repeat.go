package esdbserver

import (
	"context"
	"slices"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"iocredits/eventstore"
	"iocredits/eventstore/recency"
)

const (
	// recentEvents is how far back in the log an append at any revision looks for its
	// ids; one of many events looks back twice as far as it is long.
	recentEvents = 64
	// rememberedEvents is how far back it looks among those that were written through this
	// server, and at most twice as far: many others may have written before a client that
	// had no answer repeats its append.
	rememberedEvents = 4096
	// maxTailBytes bounds what is remembered of all streams together, counted as
	// placeBytes an event, and tailBytes and the length of its name a stream.
	maxTailBytes = 8 << 20
	placeBytes   = 32
	tailBytes    = 256
)

// repeated answers an append at any revision whose first event is in the stream already:
// with the answer of the last one if all are, wherever they are, because their writer
// may have put them together anew. If one isn't, to write it would be wrong, and to
// write all of them would double the others.
func (s *Server) repeated(ctx context.Context, r appendRequest, end end) (response *streams.AppendResp, found bool, err error) {
	tail, err := s.tailOf(ctx, r, end)
	if err != nil || !slices.ContainsFunc(tail.places, func(p place) bool { return p.id == r.events[0].ID }) {
		return nil, false, err
	}
	known := make(map[uuid.UUID]place, len(tail.places))
	for _, p := range tail.places {
		known[p.id] = p
	}
	var last place
	for i := range r.events {
		if last, found = known[r.events[i].ID]; !found {
			return wrongVersion(r.expected, end.revision), true, nil
		}
	}
	return success(eventstore.Appended{Revision: last.revision, Positions: []eventstore.Position{last.position}}), true, nil
}

// began answers an append that expects no stream, to one that is deleted, if its first event
// is the one that the stream once began with: as the Store does where it isn't deleted.
func (s *Server) began(ctx context.Context, r appendRequest, end end) (response *streams.AppendResp, found bool, err error) {
	var last eventstore.Appended
	n := 0
	for e, err := range s.opts.Store.ReadStream(ctx, r.stream, 0, eventstore.Forwards, len(r.events)) {
		if err != nil {
			return nil, false, err
		}
		if e.Revision != int64(n) || e.ID != r.events[n].ID {
			break
		}
		last, n = eventstore.Appended{Revision: e.Revision, Positions: []eventstore.Position{e.Position}}, n+1
	}
	switch n {
	case 0:
		return nil, false, nil
	case len(r.events):
		return success(last), true, nil
	}
	return wrongVersion(r.expected, end.revision), true, nil
}

// tailOf gives the part of a stream in which the repeat of an append is found.
func (s *Server) tailOf(ctx context.Context, r appendRequest, end end) (tail, error) {
	want := window(r)
	if known, ok := s.tails.at(r.stream, end.revision); ok && (known.whole || len(known.places) >= want) {
		return known, nil
	}
	read := tail{stream: r.stream, head: end.revision}
	for e, err := range s.opts.Store.ReadStream(ctx, r.stream, end.revision, eventstore.Backwards, want) {
		if err != nil {
			return tail{}, err
		}
		read.places = append(read.places, place{e.ID, e.Revision, e.Position})
	}
	read.whole = len(read.places) < want
	slices.Reverse(read.places)
	s.tails.keep(read)
	return read, nil
}

func window(r appendRequest) int { return max(recentEvents, 2*len(r.events)) }

// place is where an event is.
type place struct {
	id       uuid.UUID
	revision int64
	position eventstore.Position
}

// tail is the newest events of a stream that ends at revision head, the oldest first;
// whole: there are no others. Nobody changes its places, but the tail that goes on from
// there may be in the same memory behind them.
type tail struct {
	stream string
	head   int64
	places []place
	whole  bool
}

func (t *tail) bytes() int { return tailBytes + len(t.stream) + placeBytes*cap(t.places) }

// tails remembers the tails of streams, lest each append at any revision reads so many
// events for their ids. Who else writes to the Store needn't tell: what is appended
// to a stream moves its head, and a tail with another head counts for nothing.
type tails struct {
	mu       sync.Mutex
	byStream map[string]*recency.Entry[tail]
	order    recency.Order[tail]
	bytes    int
}

// at finds the tail of a stream whose last revision is head.
func (t *tails) at(stream string, head int64) (tail, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byStream[stream]; e != nil && e.Value.head == head {
		return e.Value, true
	}
	return tail{}, false
}

func (t *tails) keep(n tail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replace(n)
}

// appended lengthens the tail of a stream that was at a revision by what was written
// there.
func (t *tails) appended(r appendRequest, at int64, appended eventstore.Appended) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byStream[r.stream]
	if e == nil || e.Value.head != at {
		return // another writer was faster
	}
	n := e.Value
	if keep, length := max(rememberedEvents, window(r)), len(n.places)+len(r.events); length > 2*keep {
		n.places, n.whole = slices.Clone(n.places[length-keep:]), false
	}
	for i := range r.events {
		n.places = append(n.places, place{r.events[i].ID, at + 1 + int64(i), appended.Positions[i]})
	}
	n.head = appended.Revision
	t.replace(n)
}

// replace puts a tail in, and the oldest out as long as they are too much.
func (t *tails) replace(n tail) {
	t.drop(t.byStream[n.stream])
	e := &recency.Entry[tail]{Value: n}
	t.byStream[n.stream] = e
	t.order.Add(e)
	t.bytes += n.bytes()
	for t.bytes > maxTailBytes {
		t.drop(t.order.Oldest())
	}
}

func (t *tails) drop(e *recency.Entry[tail]) {
	if e != nil {
		delete(t.byStream, e.Value.stream)
		t.order.Remove(e)
		t.bytes -= e.Value.bytes()
	}
}
