package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iocredits/eventstore"
)

// supervise keeps a session current until the store is closed. first is the one
// that Open made.
func (s *Store) supervise(first *session) {
	current := first
	var wait backoff
	for s.life.Err() == nil {
		if current != nil {
			s.publish(current, nil)
			s.watch(current)
			s.publish(nil, current.cause)
			if s.life.Err() == nil { // else Close ended it, and nothing is wrong
				s.opts.Logger.Warn("event store out of reach", "reason", current.cause)
			}
			wait = backoff{}
		}
		var err error
		if current, err = s.dial(s.life); err != nil {
			s.publish(nil, err)
			s.opts.Logger.Debug("event store still out of reach", "reason", err)
			_ = sleep(s.life, wait.step())
		}
	}
	if current != nil {
		current.retire(eventstore.ErrClosed)
	}
}

// dial makes a session that answers.
func (s *Store) dial(ctx context.Context) (*session, error) {
	current, err := newSession(*s.config, &s.calls, s.opts.Logger)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*s.opts.AttemptTimeout)
	defer cancel()
	if err := current.connect(ctx); err != nil {
		current.retire(err)
		return nil, err
	}
	return current, nil
}

// watch returns when the session has ended. It looks now and then, and at once
// when a call was left behind, whether the cluster still answers: a connection
// that only stalls fails no call of its own.
func (s *Store) watch(current *session) {
	timer := time.NewTimer(s.opts.PingEvery)
	defer timer.Stop()
	for {
		select {
		case <-current.done:
			return
		case <-s.life.Done():
			current.retire(eventstore.ErrClosed)
			return
		case <-timer.C:
		case <-s.suspects:
		}
		ctx, cancel := context.WithTimeout(s.life, s.opts.PingTimeout)
		err := current.ping(ctx)
		cancel()
		if err != nil {
			current.retire(fmt.Errorf("ping: %w", err))
			return
		}
		timer.Reset(s.opts.PingEvery)
	}
}

// suspect asks for a ping now.
func (s *Store) suspect() {
	select {
	case s.suspects <- struct{}{}:
	default:
	}
}

// publish makes a session the one that calls use; nil: there is none, because.
func (s *Store) publish(current *session, because error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = current
	if current != nil {
		s.down, s.downBecause = time.Time{}, nil
	} else {
		if s.down.IsZero() {
			s.down = time.Now()
		}
		s.downBecause = because
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// acquire gives the current session. In an outage it waits; insist: until ctx
// ends, otherwise only as long as the outage is younger than Patience.
func (s *Store) acquire(ctx context.Context, insist bool) (*session, error) {
	for {
		s.mu.Lock()
		current, changed, down, because := s.current, s.changed, s.down, s.downBecause
		s.mu.Unlock()
		if current != nil {
			select {
			case <-current.done: // the supervisor is about to notice
			default:
				return current, nil
			}
		}
		var over <-chan time.Time
		if current == nil && !insist {
			timer := time.NewTimer(time.Until(down.Add(s.opts.Patience)))
			over = timer.C
			defer timer.Stop()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.life.Done():
			return nil, eventstore.ErrClosed
		case <-over:
			return nil, outOfReach(down, because)
		}
	}
}

// outOfReach is an eventstore.ErrUnavailable that says since when, and why.
func outOfReach(since time.Time, because error) error {
	if because == nil {
		because = errors.New("unknown")
	}
	return fmt.Errorf("%w: out of reach since %s: %w", eventstore.ErrUnavailable, since.UTC().Format(time.RFC3339), because)
}

// Healthy answers nil while the cluster is in reach. Errors: eventstore.ErrUnavailable,
// saying since when and why; eventstore.ErrClosed.
func (s *Store) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return eventstore.ErrClosed
	case s.current != nil:
		return nil
	}
	return outOfReach(s.down, s.downBecause)
}

// sleep waits for d; ctx's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
