package esdbstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"iocredits/eventstore"
)

// Store is the log on a cluster.
type Store struct {
	opts   Options
	config *esdb.Configuration

	// open ends when Close begins, and with it subscriptions and reads; life
	// when appends under way have had their time, and with it everything.
	open, life       context.Context
	beginEnd, endAll context.CancelFunc

	mu      sync.Mutex
	current *session
	// changed is closed, and replaced, when current changes.
	changed     chan struct{}
	down        time.Time
	downBecause error
	closed      bool

	suspects chan struct{}
	// users counts calls of the store, calls those of the client beneath, which
	// may be left behind; see call.
	users, calls, supervisor sync.WaitGroup
}

var (
	_ eventstore.Store     = (*Store)(nil)
	_ eventstore.Snapshots = (*Store)(nil)
)

// Open connects to the cluster that a connection string names: esdb://… or
// esdb+discover://…, as the official clients write it. A string that is wrong, a
// cluster that doesn't answer for Options.Patience, or before ctx ends, and a
// server that is no EventStoreDB are errors; what goes out of reach later is waited for.
func Open(ctx context.Context, connection string, opts Options) (*Store, error) {
	opts.defaults()
	config, err := parseConfig(connection)
	if err != nil {
		return nil, err
	}
	if config.SkipCertificateVerification {
		opts.Logger.Warn("tlsVerifyCert=false: whoever answers is taken for the event store")
	}
	s := &Store{opts: opts, config: config, changed: make(chan struct{}), suspects: make(chan struct{}, 1)}
	s.life, s.endAll = context.WithCancel(context.Background())
	s.open, s.beginEnd = context.WithCancel(s.life)
	first, err := s.dialFirst(ctx)
	if err != nil {
		s.endAll()
		s.calls.Wait()
		return nil, fmt.Errorf("event store %s can't be reached: %w", hosts(config), err)
	}
	s.supervisor.Go(func() { s.supervise(first) })
	s.publish(first, nil)
	return s, nil
}

// dialFirst tries until Patience is over: a cluster that is electing its leader
// is there in a moment.
func (s *Store) dialFirst(ctx context.Context) (*session, error) {
	until := time.Now().Add(s.opts.Patience)
	for wait := (backoff{}); ; {
		first, err := s.dial(ctx)
		if err == nil || judge(err) == refused || time.Now().After(until) {
			return first, err
		}
		if sleep(ctx, wait.step()) != nil {
			return nil, err
		}
	}
}

// hosts names the cluster without its credentials.
func hosts(c *esdb.Configuration) string {
	if len(c.GossipSeeds) == 0 {
		return c.Address
	}
	text := ""
	for i, seed := range c.GossipSeeds {
		if i > 0 {
			text += ","
		}
		text += seed.String()
	}
	return text
}

// enter begins a call; leave ends it.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	s.users.Add(1)
	return nil
}

func (s *Store) leave() { s.users.Done() }

// Close implements eventstore.Store. It gives appends under way CloseGrace to
// find out what became of them.
func (s *Store) Close() error {
	s.mu.Lock()
	twice := s.closed
	s.closed = true
	s.mu.Unlock()
	s.beginEnd()
	if !twice {
		finished := make(chan struct{})
		go func() {
			s.users.Wait()
			close(finished)
		}()
		timer := time.NewTimer(s.opts.CloseGrace)
		defer timer.Stop()
		select {
		case <-finished:
		case <-timer.C:
		}
		s.endAll()
		<-finished
	}
	s.supervisor.Wait()
	s.calls.Wait()
	return nil
}

// bound gives a call its deadline, and ends it with open or life.
func (s *Store) bound(ctx, with context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Deadline)
	stop := context.AfterFunc(with, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
