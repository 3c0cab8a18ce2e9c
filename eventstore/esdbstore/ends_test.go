package esdbstore_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// damaged is the log of a cluster of which a stream can't be read.
type damaged struct{ eventstore.Store }

func (d damaged) ReadStream(ctx context.Context, stream string, from int64, direction eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	if stream != "account-damaged" {
		return d.Store.ReadStream(ctx, stream, from, direction, limit)
	}
	return func(yield func(eventstore.Recorded, error) bool) {
		yield(eventstore.Recorded{}, &eventstore.CorruptError{Position: 7, Stream: stream, Revision: 3, Reason: "checksum is wrong"})
	}
}

// Before its beginning a stream has nothing to be read backwards; and a record that is
// damaged on the cluster is told as such, with its place, and isn't tried again.
func TestReadsAtTheEdges(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	listener := listenLow(t, "")
	server, err := esdbserver.New(esdbserver.Options{Mode: esdbserver.Open, Store: damaged{r.store}, Logger: quiet()})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Shutdown(t.Context())
		require.ErrorIs(t, <-served, esdbserver.ErrClosed)
	}()
	s := r.open(t, listener.Addr().String())
	defer func() { require.NoError(t, s.Close()) }()

	_, err = s.Append(t.Context(), "account-1", eventstore.NoStream, several(2))
	require.NoError(t, err)
	for r, err := range s.ReadStream(t.Context(), "account-1", -1, eventstore.Backwards, 10) {
		t.Fatalf("revision %d, error %v", r.Revision, err)
	}
	for _, err := range s.ReadStream(t.Context(), "account-damaged", 0, eventstore.Forwards, 10) {
		var corrupt *eventstore.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.ErrorContains(t, err, `position 7 (stream "account-damaged", revision 3): checksum is wrong`)
		return
	}
	t.Fatal("the damaged record is passed over")
}
