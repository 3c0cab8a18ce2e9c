package notices_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/notices"
	"iocredits/eventstore/pebblestore"
)

var codec = eventstore.NewCodec(account.EventTypes()...)

func newWriter(t *testing.T) (*notices.Writer, *pebblestore.Store) {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return &notices.Writer{Store: store, Codec: codec, Clock: time.Now}, store
}

// hangingStore begins appends that don't end until let go.
type hangingStore struct {
	eventstore.Store
	began, letGo chan struct{}
}

func (s hangingStore) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	close(s.began)
	<-s.letGo
	return s.Store.Append(ctx, stream, expected, events)
}

// TestWhoWaitsHasATimeOfItsOwn: accounts share turns, and an append may hang.
func TestWhoWaitsHasATimeOfItsOwn(t *testing.T) {
	w, store := newWriter(t)
	hanging := hangingStore{store, make(chan struct{}), make(chan struct{})}
	w.Store = hanging
	first, second := make(chan error, 1), make(chan error, 1)
	announce := func(ctx context.Context, to chan error) {
		_, err := w.AnnounceExpiry(ctx, "a", account.ExpiryAnnounced{})
		to <- err
	}
	go announce(t.Context(), first)
	<-hanging.began
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	go announce(ctx, second)
	select {
	case err := <-second:
		require.ErrorIs(t, err, context.DeadlineExceeded)
	case <-time.After(10 * time.Second):
		t.Error("it waits for another's append, though its time is over")
	}
	close(hanging.letGo)
	require.NoError(t, <-first)
}

// TestAMarkIsWrittenOnce behind what its caller knows.
func TestAMarkIsWrittenOnce(t *testing.T) {
	w, store := newWriter(t)
	mark := func(name, notice string, shown eventstore.Position) eventstore.Position {
		t.Helper()
		at, err := w.MarkSeen(t.Context(), name, notice, shown, notices.By{Actor: "ann", Role: "customer"})
		require.NoError(t, err)
		return at
	}
	first := mark("a", "a1.0", eventstore.BeforeFirst)
	second := mark("a", "a2.0", eventstore.BeforeFirst)
	_, err := w.AnnounceExpiry(t.Context(), "a", account.ExpiryAnnounced{})
	require.NoError(t, err)
	require.Equal(t, first, mark("a", "a1.0", eventstore.BeforeFirst))
	require.Equal(t, second, mark("a", "a2.0", first))
	require.Greater(t, mark("b", "a1.0", eventstore.BeforeFirst), second, "another account's")
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, head)
	require.Greater(t, mark("a", "a1.0", first), head, "who has seen the log there, and no mark, is believed")
}

// TestManySeenAtOnce: a page marks all that it shows; each mark is written, and
// the chain is whole.
func TestManySeenAtOnce(t *testing.T) {
	w, store := newWriter(t)
	const marks = 50
	var wg sync.WaitGroup
	for i := range marks {
		wg.Go(func() {
			_, err := w.MarkSeen(t.Context(), "a", fmt.Sprintf("a%d.0", i), eventstore.BeforeFirst, notices.By{Actor: "ann", Role: "customer"})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	var hash eventstore.Hash
	seen := map[string]bool{}
	for r, err := range store.ReadStream(t.Context(), eventstore.NoticesStream("a"), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(t, err)
		f, err := codec.Open(r)
		require.NoError(t, err)
		require.Equal(t, hash, f.Meta.Previous)
		hash = eventstore.ChainHash(f.Stream, f.Revision, f.Event, hash)
		mark, ok := f.Body.(*account.NoticeSeen)
		require.True(t, ok, f.Type)
		seen[mark.Notice] = true
	}
	require.Len(t, seen, marks)
}
