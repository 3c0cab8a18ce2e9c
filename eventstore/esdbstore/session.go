package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"iocredits/eventstore"
)

// session is one client with its one connection. It never lives through a
// second discovery: retire comes first.
type session struct {
	client *esdb.Client
	// done is closed by retire; cause is set before.
	done  chan struct{}
	cause error
	once  sync.Once
	// calls under way, of this and of other sessions of the store.
	calls *sync.WaitGroup
	log   *slog.Logger
}

// discovery is how the client's log announces that it has let go of its
// connection, from the goroutine that would make the next one. It would never
// close the old one, and if the new one can't be made it would end with no way
// to tell. Should a later client say it in other words, the session ends at the
// failed call that came before.
const discovery = "starting a new discovery process"

func newSession(config esdb.Configuration, calls *sync.WaitGroup, log *slog.Logger) (*session, error) {
	s := &session{done: make(chan struct{}), calls: calls, log: log}
	config.Logger = func(level esdb.LogLevel, format string, args ...any) {
		log.Debug("client: "+fmt.Sprintf(format, args...), "level", level)
		if strings.HasPrefix(format, discovery) {
			s.retire(errors.New("connection lost"))
		}
	}
	client, err := esdb.NewClient(&config)
	if err != nil {
		return nil, err
	}
	s.client = client
	return s, nil
}

// retire ends the session: its connection is closed, and calls under way end.
func (s *session) retire(cause error) {
	s.once.Do(func() {
		s.cause = cause
		close(s.done)
		_ = s.client.Close() // never fails
	})
}

// call runs f and leaves it behind when ctx ends: the client may wait for ever
// for a goroutine of its own that has gone. Closing the client makes such a call
// panic, on a channel that is closed, and that ends it.
func call[T any](ctx context.Context, s *session, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	s.calls.Go(func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("%w: %v", errClientEnded, p)
			}
			results <- r
		}()
		r.value, r.err = f()
	})
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
	}
}

// connect makes the session's connection and sees that an EventStoreDB answers.
func (s *session) connect(ctx context.Context) error {
	version, err := call(ctx, s, s.client.GetServerVersion)
	if err != nil {
		return err
	}
	if _, err := s.read(ctx, page{all: true, position: eventstore.EndOfLog, direction: eventstore.Backwards, limit: 1}); err != nil {
		if judge(err) == refused {
			return fmt.Errorf("it doesn't let this user read $all, or is no EventStoreDB: %w", err)
		}
		return err
	}
	s.log.Info("connected to the event store", "version", fmt.Sprintf("%d.%d.%d", version.Major, version.Minor, version.Patch))
	return nil
}
