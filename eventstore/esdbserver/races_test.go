package esdbserver_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

func appendError(t *testing.T, c *esdb.Client, stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) error {
	t.Helper()
	_, err := c.AppendToStream(background(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
	return err
}

func softDelete(ctx context.Context, c *esdb.Client, stream string, expected esdb.ExpectedRevision) error {
	_, err := c.DeleteStream(ctx, stream, esdb.DeleteStreamOptions{ExpectedRevision: expected})
	return err
}

// A soft delete and an append at the revision that both saw: whichever comes first,
// an event that was acknowledged is there.
func TestADeleteHidesNoEventThatItDidNotExpect(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	for i := range 60 {
		stream := fmt.Sprint("s", i)
		put(t, c, stream, esdb.NoStream{}, data(0))
		start, deleted, written := make(chan struct{}), make(chan error, 1), make(chan error, 1)
		go func() {
			<-start
			deleted <- softDelete(background(t), c, stream, esdb.Revision(0))
		}()
		go func() {
			<-start
			written <- appendError(t, c, stream, esdb.Revision(0), data(1))
		}()
		close(start)
		require.NoError(t, <-written)
		want := []uint64{1} // after the delete
		if err := <-deleted; err != nil {
			require.ErrorContains(t, err, "expected 0, actual 1")
			want = []uint64{0, 1}
		}
		require.Equal(t, want, numbers(read(t, c, stream, esdb.ReadStreamOptions{}, 10)))
	}
}

// gate is a Store whose appends to one stream wait, once it is shut. Like a
// cluster's, it may write what it was given though the caller has left.
type gate struct {
	eventstore.Store
	stream string
	shut   atomic.Bool
	waits  chan struct{}
	opened chan struct{}
}

func (g *gate) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if stream != g.stream || !g.shut.Load() {
		return g.Store.Append(ctx, stream, expected, events)
	}
	done := make(chan error, 1)
	var appended eventstore.Appended
	go func() {
		g.waits <- struct{}{}
		<-g.opened
		var err error
		appended, err = g.Store.Append(context.WithoutCancel(ctx), stream, expected, events)
		done <- err
	}()
	select {
	case err := <-done:
		return appended, err
	case <-ctx.Done():
		return eventstore.Appended{}, ctx.Err()
	}
}

// A writer who leaves doesn't let the next one in before the write is done; and
// one who waits can leave.
func TestAWriterThatLeavesIsWaitedFor(t *testing.T) {
	store := &gate{Store: memory(t), stream: "s", waits: make(chan struct{}, 8), opened: make(chan struct{})}
	c := dial(t, "esdb://"+serveOn(t, store, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
	put(t, c, "s", esdb.NoStream{}, data(0))
	release := sync.OnceFunc(func() { close(store.opened) })
	t.Cleanup(release)
	store.shut.Store(true)
	leaving, leave := context.WithCancel(background(t))
	left := make(chan error, 1)
	go func() {
		_, err := c.AppendToStream(leaving, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(0)}, data(1))
		left <- err
	}()
	<-store.waits
	leave()
	require.Error(t, <-left)
	for _, write := range []func(context.Context) error{
		func(ctx context.Context) error { return softDelete(ctx, c, "s", esdb.Revision(0)) },
		func(ctx context.Context) error {
			_, err := c.SetStreamMetadata(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.StreamMetadata{})
			return err
		},
	} {
		short, cancel := context.WithTimeout(background(t), 100*time.Millisecond)
		require.ErrorContains(t, write(short), "deadline exceeded")
		cancel()
	}
	release()
	store.shut.Store(false)
	require.ErrorContains(t, softDelete(background(t), c, "s", esdb.Revision(0)), "expected 0, actual 1")
	require.Equal(t, []uint64{0, 1}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 10)))
}

// A stream and its metadata have one writer at a time between them: a tombstone
// waits for metadata, which may not come after it.
func TestATombstoneWaitsForMetadata(t *testing.T) {
	store := &gate{Store: memory(t), stream: "$$s", waits: make(chan struct{}, 8), opened: make(chan struct{})}
	c := dial(t, "esdb://"+serveOn(t, store, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
	put(t, c, "s", esdb.NoStream{}, data(0))
	release := sync.OnceFunc(func() { close(store.opened) })
	t.Cleanup(release)
	store.shut.Store(true)
	set := make(chan error, 1)
	go func() {
		_, err := c.SetStreamMetadata(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.StreamMetadata{})
		set <- err
	}()
	<-store.waits
	short, cancel := context.WithTimeout(background(t), 100*time.Millisecond)
	defer cancel()
	_, err := c.TombstoneStream(short, "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.ErrorContains(t, err, "deadline exceeded")
	release()
	require.NoError(t, <-set)
}
