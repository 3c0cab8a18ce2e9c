package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"iocredits/eventstore"
)

// logFilter leaves out, on the server, what this store keeps beside the log and
// its metadata: a snapshot may be a thousand times the size of an event.
const logFilter = `^([^~$]|\$[^$]|\$\$[^~]|\$$)`

// checkpointEvery is the number of search windows of 32 events between two
// checkpoints.
const checkpointEvery = 32

// Subscribe implements eventstore.Store. The client's subscription ends with its
// connection and never comes back by itself; this one is made again, from the
// last event or checkpoint that was seen, for as long as ctx lives.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		if err := s.enter(); err != nil {
			yield(nil, err)
			return
		}
		defer s.leave()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.open, cancel)()
		var wait backoff
		for unclears := 0; ; {
			progress := after
			stopped, err := s.follow(ctx, &after, yield)
			if stopped {
				return
			}
			if ctx.Err() != nil {
				yield(nil, s.gone(ctx.Err()))
				return
			}
			if after > progress {
				unclears, wait = 0, backoff{}
			}
			switch judge(err) {
			case refused, conflict, missing:
				yield(nil, refusal(err))
				return
			case unclear:
				if unclears++; unclears >= maxUnclear {
					yield(nil, fmt.Errorf("subscription: %w", err))
					return
				}
			case passing:
				s.suspect()
			}
			s.opts.Logger.Debug("subscription goes on", "after", after, "reason", err)
			_ = sleep(ctx, wait.step())
		}
	}
}

// follow runs one subscription of the client until it ends. It moves after with
// everything that was yielded. stopped: the receiver wants no more.
func (s *Store) follow(ctx context.Context, after *eventstore.Position, yield func([]eventstore.Recorded, error) bool) (stopped bool, err error) {
	current, err := s.acquire(ctx, true)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(byLeader(ctx))
	defer cancel()
	defer context.AfterFunc(current.life, cancel)()
	subscription, err := s.subscribe(ctx, cancel, current, *after)
	if err != nil {
		return false, err
	}
	arrivals := make(chan arrival, ahead)
	s.calls.Go(func() { receive(ctx, subscription, arrivals) })
	defer func() { _ = subscription.Close() }() // never fails

	var b batch
	for {
		var a arrival
		select {
		case a = <-arrivals:
		case <-current.done:
			return false, current.ended()
		case <-ctx.Done():
			return false, fmt.Errorf("%w: %w", errClientEnded, ctx.Err())
		}
		for more := true; more; {
			if a.err != nil {
				err = a.err
				break
			}
			if b.take(a, *after); b.full() {
				break
			}
			select {
			case a = <-arrivals:
			default:
				more = false
			}
		}
		if !b.flush(after, yield) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// subscribe makes the client's subscription; the confirmation has a deadline,
// what follows has none but ctx.
func (s *Store) subscribe(ctx context.Context, cancel context.CancelFunc, current *session, after eventstore.Position) (*esdb.Subscription, error) {
	var from esdb.AllPosition = esdb.Start{}
	if after != eventstore.BeforeFirst {
		from = esdb.Position{Commit: uint64(after), Prepare: uint64(after)}
	}
	attempt, stop := context.WithTimeout(ctx, s.opts.AttemptTimeout)
	defer stop()
	subscription, err := call(attempt, current, func(inner context.Context) (*esdb.Subscription, error) {
		return current.client.SubscribeToAll(following{ctx, inner}, esdb.SubscribeToAllOptions{
			From: from, RequiresLeader: true, CheckpointInterval: checkpointEvery,
			Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: logFilter},
		})
	})
	if err != nil {
		cancel() // or it may still succeed, with nobody to receive
	}
	return subscription, err
}

// following is the context of a subscription: it passes the entrance of its call
// and outlives it.
type following struct {
	context.Context
	entrance context.Context
}

// Deadline implements context.Context.
func (f following) Deadline() (time.Time, bool) {
	f.entrance.Deadline()
	return f.Context.Deadline()
}

// arrival is an event, a checkpoint or the end of a subscription.
type arrival struct {
	event      *esdb.RecordedEvent
	checkpoint eventstore.Position
	err        error
}

// receive passes on what arrives until the subscription ends.
func receive(ctx context.Context, subscription *esdb.Subscription, arrivals chan<- arrival) {
	for {
		a := next(subscription)
		if a == (arrival{}) { // caught up or fallen behind: nothing is done with that
			continue
		}
		select {
		case arrivals <- a:
		case <-ctx.Done():
			return
		}
		if a.err != nil {
			return
		}
	}
}

// next waits for what comes next. The client panics at an event that lacks a part, here
// on a goroutine that nobody else would catch it on.
func next(subscription *esdb.Subscription) (a arrival) {
	defer func() {
		if p := recover(); p != nil {
			a.err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	switch e := subscription.Recv(); {
	case e.EventAppeared != nil:
		a.event = e.EventAppeared.OriginalEvent()
	case e.CheckPointReached != nil:
		a.checkpoint = eventstore.Position(e.CheckPointReached.Commit)
	case e.SubscriptionDropped != nil:
		if a.err = e.SubscriptionDropped.Error; a.err == nil {
			a.err = errors.New("subscription dropped")
		}
	}
	return a
}

// batch is what has arrived and isn't handed on.
type batch struct {
	events     []eventstore.Recorded
	bytes      int
	checkpoint eventstore.Position
}

// take adds an arrival. A server that repeats itself after a reconnection must
// not double an event.
func (b *batch) take(a arrival, after eventstore.Position) {
	if a.event == nil {
		b.checkpoint = max(b.checkpoint, a.checkpoint)
		return
	}
	r := recorded(a.event)
	if n := len(b.events); n > 0 {
		after = b.events[n-1].Position
	}
	if r.Position <= after || !visible(&r) {
		return
	}
	b.events = append(b.events, r)
	b.bytes += len(r.Data) + len(r.Metadata)
}

func (b *batch) full() bool { return len(b.events) >= batchEvents || b.bytes >= batchBytes }

// flush hands the batch on and moves after behind it.
func (b *batch) flush(after *eventstore.Position, yield func([]eventstore.Recorded, error) bool) bool {
	events, checkpoint := b.events, b.checkpoint
	*b = batch{}
	if n := len(events); n > 0 {
		*after = max(*after, events[n-1].Position)
		if !yield(events, nil) {
			return false
		}
	}
	*after = max(*after, checkpoint)
	return true
}
