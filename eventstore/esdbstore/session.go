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
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// session is one client with its one connection.
//
// A client that lost its connection discovers anew at the next call, never
// closes the old connection, and is dead for good if it finds nobody: calls
// on their way to it then wait for ever, whatever their context says. And whoever
// closes it while a call is on its way makes that call panic. So a session takes no
// call once one has lost the connection, ends those under way, and closes the client
// after the last of them, or when the rest had their time.
//
// A session outlives a change of the leader: the client closes the old connection then,
// and goes to the one that it was named. Where it doesn't get there, the ping that the
// failed call asks for ends the session.
type session struct {
	client *esdb.Client
	log    *slog.Logger

	// mu is held for no longer than it takes to count a call, or to end.
	mu sync.Mutex
	// life ends with the session, and with it every call under way.
	life  context.Context
	end   context.CancelFunc
	done  chan struct{} // closed at the end; cause is set before
	cause error
	// entering counts the calls that may not have the connection in hand yet: past that
	// point a call asks the client for nothing that could discover. inside counts all
	// that are under way, those that were left behind too. Neither grows after the end.
	entering, inside sync.WaitGroup
	// goingOn has the calls and the end of the session, for the store: Store.calls.
	goingOn *sync.WaitGroup
}

// settling is how long the end of a session waits for its calls. Those that have the
// connection end at once; who doesn't get it may be waiting for a client that is dead.
const settling = time.Second

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
			s.settle(&s.entering)
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

// retire ends the session. It waits for no call: one of them may be what calls it,
// and another one may never end by itself.
func (s *session) retire(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return
	}
	s.cause = cause
	s.end()
	close(s.done)
	s.goingOn.Go(func() {
		s.settle(&s.inside)
		_ = s.client.Close() // never fails; calls that it still keeps waiting panic, see call
	})
}

// settle waits for calls, but no longer than settling. Only after the end.
func (s *session) settle(calls *sync.WaitGroup) {
	settled := make(chan struct{})
	s.goingOn.Go(func() {
		calls.Wait()
		close(settled)
	})
	timer := time.NewTimer(settling)
	defer timer.Stop()
	select {
	case <-settled:
	case <-timer.C:
	}
}

// enter counts a call; false: the session has ended.
func (s *session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return false
	}
	s.entering.Add(1)
	s.inside.Add(1)
	return true
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
// when ctx or the session ends. f MUST make exactly one call of the client, with its
// context if the client takes one.
func call[T any](ctx context.Context, s *session, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if !s.enter() {
		return none, errRetired
	}
	results := make(chan result, 1)
	s.goingOn.Go(func() {
		defer s.inside.Done()
		passed := sync.OnceFunc(s.entering.Done)
		inner, cancel := context.WithCancel(byLeader(ctx))
		defer cancel()
		defer context.AfterFunc(s.life, cancel)()
		var r result
		defer func() {
			passed()
			// It panics at what it doesn't know, such as a message of a later protocol, and
			// where it was closed.
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
	case <-s.done:
		return none, s.ended()
	}
}

// byLeader asks of every call that the leader answers it: another node answers reads with
// what it has, which may be old, unless it is told not to. The client's own RequiresLeader
// says so too (v4.2.0, esdb/options.go), but in the metadata of calls that come in.
func byLeader(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
}

// connect makes the session's connection and sees that an EventStoreDB answers.
// MUST be the session's first call, and the only one of its time.
func (s *session) connect(ctx context.Context) error {
	v, err := call(ctx, s, func(context.Context) (*esdb.ServerVersion, error) { return s.client.GetServerVersion() })
	if err != nil {
		return err
	}
	if err := s.ping(ctx); err != nil {
		if judge(err) == refused {
			return fmt.Errorf("it doesn't let this user read $all, or is no EventStoreDB: %w", err)
		}
		return err
	}
	s.log.Info("connected to the event store", "version", fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch))
	return nil
}

// ping reads the newest event. A node that names another one, that leads, isn't the last
// word: the client has gone there.
func (s *session) ping(ctx context.Context) error {
	newest := page{all: true, position: eventstore.EndOfLog, direction: eventstore.Backwards, limit: 1}
	_, err := s.read(ctx, newest)
	if notLeader(err) {
		_, err = s.read(ctx, newest)
	}
	return err
}

// ended is the error of whoever waits when the session ends.
func (s *session) ended() error { return fmt.Errorf("%w: %w", errClientEnded, s.cause) }
