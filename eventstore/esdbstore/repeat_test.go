package esdbstore_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/pebblestore"
)

// stutterer is a server's store that repeats itself: a subscription begins some
// positions before it was asked to, sends every batch twice, and breaks after
// some batches.
type stutterer struct{ eventstore.Store }

const (
	stutterBack    = 3
	stutterBatches = 2
)

func (s stutterer) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		left := stutterBatches
		for batch, err := range s.Store.Subscribe(ctx, after-min(after, stutterBack)) {
			if err != nil || left == 0 {
				yield(nil, errors.Join(eventstore.ErrUnavailable, err))
				return
			}
			left--
			for range 2 {
				if !yield(batch, nil) {
					return
				}
			}
		}
	}
}

// A server that tells events again, within a subscription and when it is made
// again, doubles none of them.
func TestAServerThatRepeatsItself(t *testing.T) {
	noLeaks(t)
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: quiet()})
	require.NoError(t, err)
	server, err := esdbserver.New(esdbserver.Options{Store: stutterer{store}, Mode: esdbserver.Open, Logger: quiet()})
	require.NoError(t, err)
	listener := listenLow(t, "")
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Shutdown(context.Background())
		require.ErrorIs(t, <-served, esdbserver.ErrClosed)
		require.NoError(t, store.Close())
	})
	s, err := esdbstore.Open(t.Context(), "esdb://"+listener.Addr().String()+"?tls=false", impatient())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	const before, events = 10, 30
	last := eventstore.NoStream
	put := func(n int) {
		appended, err := store.Append(t.Context(), "account-1", last, several(n))
		require.NoError(t, err)
		last = appended.Revision
	}
	put(before)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var seen []int64
	for batch, err := range s.Subscribe(ctx, before/2) {
		require.NoError(t, err, "seen %d", seen)
		for _, r := range batch {
			require.EqualValues(t, before/2+len(seen), r.Revision, "after %d", seen)
			seen = append(seen, r.Revision)
		}
		if last+1 == events && len(seen) == events-before/2 {
			break
		}
		if last+1 < events && len(seen) == int(last)+1-before/2 {
			put(2) // in small batches, so that the subscription is made again often
		}
	}
	require.Len(t, seen, events-before/2)
}
