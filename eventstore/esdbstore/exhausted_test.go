package esdbstore_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// quotaStore is the log of a cluster that has a quota.
type quotaStore struct {
	eventstore.Store
	used  atomic.Pointer[error]
	asked atomic.Int32
}

func (q *quotaStore) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	q.asked.Add(1)
	if err := q.used.Load(); err != nil {
		return eventstore.Appended{}, *err
	}
	return q.Store.Append(ctx, stream, expected, events)
}

// TestWhatIsExhausted: a quota comes back, so an append that met its end isn't invalid,
// which would tell the caller that it never fits. What is larger than a message may be
// never does. The cluster says the same code of both, and neither is tried again.
func TestWhatIsExhausted(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	quota := &quotaStore{Store: r.store}
	server, err := esdbserver.New(esdbserver.Options{Mode: esdbserver.Open, Store: quota, Logger: quiet()})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(ctx)
		require.ErrorIs(t, <-served, esdbserver.ErrClosed)
	}()
	s := r.open(t, listener.Addr().String())
	defer func() { require.NoError(t, s.Close()) }()

	usedUp := status.Error(codes.ResourceExhausted, "the tenant's quota is used up")
	quota.used.Store(&usedUp)
	batch := several(1)
	_, err = s.Append(t.Context(), "account-1", eventstore.NoStream, batch)
	require.ErrorContains(t, err, "quota is used up")
	require.ErrorContains(t, err, "refused by the cluster")
	require.NotErrorIs(t, err, eventstore.ErrInvalid)
	require.NotErrorIs(t, err, eventstore.ErrUnavailable, "nobody but the cluster knows what it wrote")
	require.EqualValues(t, 1, quota.asked.Load())
	quota.used.Store(nil)
	_, err = s.Append(t.Context(), "account-1", eventstore.NoStream, batch)
	require.NoError(t, err)

	quota.asked.Store(0)
	tooLarge := status.Error(codes.ResourceExhausted, "grpc: received message larger than max (18874448 vs. 17825792)") // as grpc-go says it
	quota.used.Store(&tooLarge)
	_, err = s.Append(t.Context(), "account-2", eventstore.NoStream, several(1))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.EqualValues(t, 1, quota.asked.Load())

	quota.asked.Store(0)
	odd := status.Error(codes.Unknown, "something went wrong")
	quota.used.Store(&odd)
	_, err = s.Append(t.Context(), "account-3", eventstore.NoStream, several(1))
	require.ErrorContains(t, err, "its outcome is unknown")
	require.EqualValues(t, 5, quota.asked.Load(), "what says nothing is tried a few times, and not for ever")
}
