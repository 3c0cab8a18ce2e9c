package esdbserver

import (
	"context"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// subscribe sends the confirmation and gives the subscription a life of its
// own, which Shutdown ends.
func (r *reader) subscribe() (end func(), err error) {
	outer := r.ctx
	ctx, cancel := context.WithCancelCause(outer)
	stop := make(chan struct{})
	go func() {
		select {
		case <-r.server.ended:
			cancel(status.Error(codes.Unavailable, "the server is shutting down"))
		case <-stop:
		}
	}()
	r.ctx = ctx
	end = func() {
		close(stop)
		cancel(nil)
	}
	err = r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}})
	return end, err
}

// ended is why a subscription's Store gave up: the server's reason goes first.
func (r *reader) ended(err error) error {
	if cause := context.Cause(r.ctx); cause != nil {
		return cause
	}
	return err
}

// followStream sends what comes after a revision, for ever. A stream that
// doesn't exist is waited for.
func (r *reader) followStream(stream string) error {
	end, err := r.subscribe()
	defer end()
	if err != nil {
		return err
	}
	// What is written after this is found in the log, what is before in the stream.
	head, err := r.server.opts.Store.Head(r.ctx)
	if err != nil {
		return r.ended(err)
	}
	last, err := r.catchUp(stream)
	if err != nil {
		return r.ended(err)
	}
	if err := r.sendCaughtUp(); err != nil {
		return err
	}
	p := pace{live: true}
	for batch, err := range r.server.opts.Store.Subscribe(r.ctx, head) {
		if err != nil {
			return r.ended(err)
		}
		for i := range batch {
			e := &batch[i]
			if e.Stream != stream || e.Revision <= last {
				continue
			}
			if e.Type == eventstore.TypeTombstone {
				return errDeleted(stream)
			}
			if err := r.send(e); err != nil {
				return err
			}
			last = e.Revision
		}
		if err := r.keepPace(&p, filter{}, batch[len(batch)-1].Position); err != nil {
			return err
		}
	}
	return nil
}

// catchUp sends what is in the stream after the client's revision, and answers
// with the last revision that is done.
func (r *reader) catchUp(stream string) (last int64, err error) {
	end, err := r.server.endOf(r.ctx, stream)
	switch {
	case err != nil:
		return 0, err
	case end.tombstoned:
		return 0, errDeleted(stream)
	case r.opts.GetStream().GetEnd() != nil:
		return end.revision, nil
	}
	last = eventstore.NoStream
	if r.opts.GetStream().GetStart() == nil {
		last = int64(min(r.opts.GetStream().GetRevision(), uint64(eventstore.End-1)))
	}
	if end.deleted() {
		return max(last, end.revision), nil
	}
	now := r.server.opts.Now()
	for e, err := range r.server.opts.Store.ReadStream(r.ctx, stream, max(last+1, end.first()), eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return 0, err
		}
		if e.Type == eventstore.TypeTombstone {
			return 0, errDeleted(stream)
		}
		if last = e.Revision; end.hides(&e, now) {
			continue
		}
		if err := r.send(&e); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// followAll sends what comes after a position of the log, for ever. With a
// filter it also sends checkpoints, so that a client that sees few events needn't
// begin at the last one.
func (r *reader) followAll() error {
	f, err := filterOf(r.opts)
	if err != nil {
		return err
	}
	end, err := r.subscribe()
	defer end()
	if err != nil {
		return err
	}
	head, err := r.server.opts.Store.Head(r.ctx)
	if err != nil {
		return r.ended(err)
	}
	after := r.position(head)
	p := pace{live: after >= head, head: head}
	if p.live {
		if err := r.goLive(f, after); err != nil {
			return err
		}
	}
	considered := 0
	for batch, err := range r.server.opts.Store.Subscribe(r.ctx, after) {
		if err != nil {
			return r.ended(err)
		}
		for i := range batch {
			if err := r.consider(&batch[i], f, &considered); err != nil {
				return err
			}
		}
		if err := r.keepPace(&p, f, batch[len(batch)-1].Position); err != nil {
			return err
		}
	}
	return nil
}

// consider sends the event if it matches, and the checkpoint if it is due.
func (r *reader) consider(e *eventstore.Recorded, f filter, considered *int) error {
	if f.matches(e) {
		if err := r.send(e); err != nil {
			return err
		}
	}
	if *considered++; f.every > 0 && *considered >= f.every {
		*considered = 0
		return r.sendCheckpoint(e.Position)
	}
	return nil
}

// fellBehind is how many positions a subscriber that was live may be behind the end of
// the log before it is told so.
const fellBehind = 4096

// pace is what a subscriber was told last: that it is live, or else it has head to get to.
type pace struct {
	live bool
	head eventstore.Position
}

// keepPace tells a subscriber that has got to a position that it has caught up with the
// log, or that it has fallen behind, because it reads more slowly than others write.
func (r *reader) keepPace(p *pace, f filter, at eventstore.Position) error {
	if !p.live && at < p.head {
		return nil
	}
	var err error
	if p.head, err = r.server.opts.Store.Head(r.ctx); err != nil {
		return r.ended(err)
	}
	switch {
	case !p.live && at >= p.head:
		p.live = true
		return r.goLive(f, at)
	case p.live && at < p.head && p.head-at > fellBehind:
		p.live = false
		return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_FellBehind_{FellBehind: &streams.ReadResp_FellBehind{}}})
	}
	return nil
}

func (r *reader) goLive(f filter, at eventstore.Position) error {
	if f.every > 0 && at > eventstore.BeforeFirst {
		if err := r.sendCheckpoint(at); err != nil {
			return err
		}
	}
	return r.sendCaughtUp()
}

func (r *reader) sendCheckpoint(at eventstore.Position) error {
	return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
		Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: uint64(at), PreparePosition: uint64(at)},
	}})
}

func (r *reader) sendCaughtUp() error {
	return r.out.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}
