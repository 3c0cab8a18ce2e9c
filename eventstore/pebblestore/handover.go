package pebblestore

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"iocredits/eventstore"
)

// handover is appends that came together, on their way to the committer.
type handover struct {
	appends []pending
	// met is how many of them the committer has come to, left how many have no answer.
	met, left int
	// created is when it came to the first of them, by the store's own clock.
	created time.Time
	// done is called once all have their answers.
	done func()
	// one is room for the most common handover.
	one [1]pending
}

// pending is one of them. The committer puts its answer into it.
type pending struct {
	*eventstore.Append
	of    *handover
	bytes int64
	// state decides between the committer, which takes, and the caller, who
	// leaves: an append is written as a whole or never begun.
	state atomic.Int32
	// position is room for Appended's, of the most common append: one event.
	position [1]eventstore.Position
}

const (
	waiting int32 = iota
	taken
	abandoned
)

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Appended{}, err
	}
	done := make(chan struct{})
	a := &eventstore.Append{Stream: stream, Expected: expected, Events: events}
	h := s.newHandover([]*eventstore.Append{a}, func() { close(done) })
	if !s.submit(h) {
		return a.Appended, a.Err
	}
	select {
	case <-done:
	case <-ctx.Done():
		if h.appends[0].state.CompareAndSwap(waiting, abandoned) {
			s.unanswered.Add(-1)
			s.leave()
			return eventstore.Appended{}, ctx.Err()
		}
		<-done // taken: its outcome is near, and worth knowing
	}
	return a.Appended, a.Err
}

// AppendAsync implements eventstore.AsyncAppender.
func (s *Store) AppendAsync(appends []*eventstore.Append, done func()) {
	if !s.submit(s.newHandover(appends, done)) {
		done()
	}
}

// newHandover weighs each append, and holds it to the contract.
func (s *Store) newHandover(appends []*eventstore.Append, done func()) *handover {
	h := &handover{done: done, left: len(appends)}
	if h.appends = h.one[:]; len(appends) != 1 {
		h.appends = make([]pending, len(appends))
	}
	for i, a := range appends {
		p := &h.appends[i]
		p.Append, p.of = a, h
		if p.Err = eventstore.CheckAppend(p.Stream, p.Expected, p.Events); p.Err != nil {
			continue
		}
		for e := range p.Events {
			p.bytes += int64(recordSize(p.Stream, &p.Events[e]))
		}
		if limit := s.opts.MaxQueueBytes; p.bytes > limit { // it would never find room
			p.Err, p.bytes = fmt.Errorf("%w: an append of %d bytes, %d are allowed", eventstore.ErrInvalid, p.bytes, limit), 0
		}
	}
	return h
}

// submit hands appends to the committer, who answers them; the store stays open until it
// has. False: it has answered all of them itself, and done is the caller's to call.
func (s *Store) submit(h *handover) bool {
	bytes, valid := int64(0), false
	for i := range h.appends {
		bytes += h.appends[i].bytes
		valid = valid || h.appends[i].Err == nil
	}
	if !valid {
		return false
	}
	err := s.enter()
	if err == nil {
		s.unanswered.Add(int64(len(h.appends)))
		if err = s.enqueue(h, bytes); err == nil {
			return true
		}
		s.unanswered.Add(-int64(len(h.appends)))
		s.leave()
	}
	for i := range h.appends {
		if p := &h.appends[i]; p.Err == nil {
			p.Err = err
		}
	}
	return false
}

func (s *Store) enqueue(h *handover, bytes int64) error {
	if s.opts.ReadOnly {
		return fmt.Errorf("%w: opened to read only", eventstore.ErrUnavailable)
	}
	if failed := s.failed.Load(); failed != nil {
		return fmt.Errorf("%w: %w", eventstore.ErrUnavailable, *failed)
	}
	appends := int64(len(h.appends))
	if s.queued.Load()+appends > int64(s.opts.MaxQueue) {
		return s.queueFull()
	}
	if s.queuedBytes.Add(bytes) > s.opts.MaxQueueBytes {
		s.queuedBytes.Add(-bytes)
		return fmt.Errorf("%w: %d bytes wait", eventstore.ErrUnavailable, s.opts.MaxQueueBytes)
	}
	select {
	case s.queue <- h:
		s.crowd.came(s.queued.Add(appends)) // in the queue first: who sees the figure finds them
		return nil
	default:
		s.queuedBytes.Add(-bytes)
		return s.queueFull()
	}
}

func (s *Store) queueFull() error {
	return fmt.Errorf("%w: %d appends wait", eventstore.ErrUnavailable, s.opts.MaxQueue)
}
