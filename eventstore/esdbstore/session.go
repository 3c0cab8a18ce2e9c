package esdbstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// session is one client with its one connection.
//
// A client that lost its connection discovers anew at the next call, never
// closes the old connection, and is dead for good if it finds nobody: calls
// under way then wait for ever. And whoever closes it while a call is on its
// way makes that call panic. So a session takes no call once one has failed, ends
// those under way, and closes the client after the last of them.
type session struct {
	client *esdb.Client
	log    *slog.Logger

	// entering is held for reading by a call until it has the connection in
	// hand: past that point it asks the client for nothing that could discover.
	entering sync.RWMutex
	// life ends with the session, and with it every call under way.
	life  context.Context
	end   context.CancelFunc
	done  chan struct{} // closed at the end; cause is set before
	cause error
	// inside counts the calls under way, those that were left behind too; goingOn has
	// them, and the end of the session, for the store: Store.calls.
	inside  sync.WaitGroup
	goingOn *sync.WaitGroup
}

// unexpected is how the client's log announces, on the goroutine of the call,
// that it failed. Right after that the client lets go of its connection, so this
// is where the session has to end. Should a later client say it in other words,
// the session ends when the call returns, and a connection may be lost to memory.
const unexpected = "unexpected exception"

func newSession(config esdb.Configuration, goingOn *sync.WaitGroup, log *slog.Logger) (*session, error) {
	s := &session{done: make(chan struct{}), goingOn: goingOn, log: log}
	config.Logger = func(level esdb.LogLevel, format string, args ...any) {
		log.Debug("client: "+fmt.Sprintf(format, args...), "level", level)
		if !strings.HasPrefix(format, unexpected) || len(args) != 1 {
			return
		}
		if err, ok := args[0].(error); ok && status.Code(err) == codes.Unavailable {
			s.retire(fmt.Errorf("connection lost: %w", err))
		}
	}
	client, err := esdb.NewClient(&config)
	if err != nil {
		return nil, err
	}
	s.client = client
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// retire ends the session. It doesn't wait for the calls under way: one of them
// may be what calls it.
func (s *session) retire(cause error) {
	s.entering.Lock()
	defer s.entering.Unlock()
	if s.life.Err() != nil {
		return
	}
	s.cause = cause
	s.end()
	close(s.done)
	s.goingOn.Go(func() {
		s.inside.Wait()
		_ = s.client.Close() // never fails
	})
}

// entrance is the context of a call that is about to take the connection. The
// client looks at its context only after that, and the first thing that it asks
// is the deadline.
type entrance struct {
	context.Context
	passed func()
}

// Deadline implements context.Context.
func (e entrance) Deadline() (time.Time, bool) {
	e.passed()
	return e.Context.Deadline()
}

var errRetired = fmt.Errorf("%w: it takes no more calls", errClientEnded)

// call runs f with a context that ends with the session too, and leaves f behind
// when ctx ends. f MUST make exactly one call of the client with its context.
func call[T any](ctx context.Context, s *session, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	s.entering.RLock()
	if s.life.Err() != nil {
		s.entering.RUnlock()
		return none, errRetired
	}
	s.inside.Add(1)
	results := make(chan result, 1)
	s.goingOn.Go(func() {
		defer s.inside.Done()
		passed := sync.OnceFunc(s.entering.RUnlock)
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.life, cancel)()
		var r result
		defer func() {
			passed()
			// It panics at what it doesn't know, such as a message of a later protocol.
			if p := recover(); p != nil {
				r.err = fmt.Errorf("%w: %v", errPanic, p)
			}
			results <- r
		}()
		r.value, r.err = f(entrance{inner, passed})
	})
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
	}
}

// connect makes the session's connection and sees that an EventStoreDB answers.
// MUST be the session's first call, and the only one of its time.
func (s *session) connect(ctx context.Context) error {
	type result struct {
		version *esdb.ServerVersion
		err     error
	}
	results := make(chan result, 1)
	s.inside.Add(1)
	s.goingOn.Go(func() {
		defer s.inside.Done()
		version, err := s.client.GetServerVersion()
		results <- result{version, err}
	})
	var first result
	select {
	case first = <-results:
	case <-ctx.Done():
		first.err = fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
	}
	if first.err != nil {
		return first.err
	}
	if err := s.ping(ctx); err != nil {
		if judge(err) == refused {
			return fmt.Errorf("it doesn't let this user read $all, or is no EventStoreDB: %w", err)
		}
		return err
	}
	v := first.version
	s.log.Info("connected to the event store", "version", fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch))
	return nil
}

// ping reads the newest event.
func (s *session) ping(ctx context.Context) error {
	_, err := s.read(ctx, page{all: true, position: eventstore.EndOfLog, direction: eventstore.Backwards, limit: 1})
	return err
}

// ended is the error of whoever waits when the session ends.
func (s *session) ended() error { return fmt.Errorf("%w: %w", errClientEnded, s.cause) }
