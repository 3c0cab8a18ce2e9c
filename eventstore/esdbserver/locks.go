package esdbserver

import (
	"context"
	"hash/maphash"

	"iocredits/eventstore"
)

// lockStripes is enough that streams which are written at once rarely share one:
// those that do aren't made durable with one fsync.
const lockStripes = 1 << 12

// locks let one writer at a time look at a stream's end and write there. The
// Store's expected revision orders the writers of one stream, but a stream and its
// metadata are two: a soft delete at a revision is written to the one for what was
// seen in the other, and so is the append that ends it.
//
// A writer holds one lock, never two, so that none can wait for another in a ring.
// It takes it only when the request is there in full: a slow client holds nobody up.
// It is for this server's writers: other writers to its Store go around it.
type locks struct {
	seed    maphash.Seed
	stripes [lockStripes]chan struct{}
}

func newLocks() *locks {
	l := &locks{seed: maphash.MakeSeed()}
	for i := range l.stripes {
		l.stripes[i] = make(chan struct{}, 1)
	}
	return l
}

// lock waits for the stream, which it has in common with its metadata, until ctx
// ends. It is held until unlock. The streams that are Kept have no lock: nothing
// hides their events, and their writers shall share an fsync.
func (l *locks) lock(ctx context.Context, stream string) (unlock func(), err error) {
	of, _ := eventstore.MetadataOf(stream)
	if eventstore.Kept(of) {
		return func() {}, nil
	}
	stripe := l.stripes[maphash.String(l.seed, of)%lockStripes]
	select {
	case stripe <- struct{}{}:
		return func() { <-stripe }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// write appends under the stream's lock, and waits for the outcome though the
// client may have left: a write that ends after the lock could still hide an
// event, or be hidden.
func (s *Server) write(ctx context.Context, stream string, at int64, events []eventstore.Event) (eventstore.Appended, error) {
	return s.opts.Store.Append(context.WithoutCancel(ctx), stream, at, events)
}
