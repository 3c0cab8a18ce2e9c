package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

func testAppend(t *testing.T, open Factory) {
	s := fresh(t, open)
	head, err := s.Head(background(t))
	require.NoError(t, err)
	require.Equal(t, eventstore.BeforeFirst, head)

	batch := events("first", 3)
	a := must(t, s, "s", eventstore.NoStream, batch...)
	b := must(t, s, "s", 2, event("second"))
	require.NotZero(t, a.Positions[0])
	require.Greater(t, b.Positions[0], a.Positions[2])

	got := stream(t, s, "s", 0, eventstore.Forwards, 100)
	require.Equal(t, []int64{0, 1, 2, 3}, revisions(got))
	for i, e := range batch {
		require.Equal(t, e, got[i].Event, "a store alters nothing")
		require.Equal(t, "s", got[i].Stream)
		require.LessOrEqual(t, got[i].Position, a.Positions[i])
		require.False(t, got[i].Created.IsZero())
	}
	head, err = s.Head(background(t))
	require.NoError(t, err)
	require.Equal(t, b.Positions[0], head)
}

// Appends that are handed over together have an answer each, of their own.
func testHandover(t *testing.T, open Factory) {
	s := fresh(t, open)
	same := event("same")
	before := must(t, s, "repeated", eventstore.NoStream, same)
	must(t, s, "taken", eventstore.NoStream, event("first"))
	appends := []*eventstore.Append{
		{Stream: "a", Expected: eventstore.NoStream, Events: events("a", 3)},
		{Stream: "taken", Expected: eventstore.NoStream, Events: events("late", 1)},
		{Stream: "empty", Expected: eventstore.NoStream},
		{Stream: "repeated", Expected: eventstore.NoStream, Events: []eventstore.Event{same}},
		{Stream: "b", Expected: eventstore.NoStream, Events: events("b", 1)},
	}
	handOver(t, s, appends)
	for _, i := range []int{0, 4} {
		a := appends[i]
		require.NoError(t, a.Err)
		require.Equal(t, int64(len(a.Events)-1), a.Appended.Revision)
		require.Len(t, a.Appended.Positions, len(a.Events))
		require.Len(t, stream(t, s, a.Stream, 0, eventstore.Forwards, 100), len(a.Events))
	}
	require.Greater(t, appends[4].Appended.Positions[0], before.Positions[0])
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, appends[1].Err, &conflict)
	require.Equal(t, eventstore.ConflictError{Stream: "taken", Expected: eventstore.NoStream, Actual: 0}, *conflict)
	require.ErrorIs(t, appends[2].Err, eventstore.ErrInvalid)
	require.NoError(t, appends[3].Err)
	require.Equal(t, before, appends[3].Appended)
	require.Len(t, log(t, s, 0, eventstore.Forwards, 100), 6)

	require.NoError(t, s.Close())
	late := []*eventstore.Append{{Stream: "c", Expected: eventstore.NoStream, Events: events("c", 1)}, {Stream: "d", Expected: eventstore.NoStream, Events: events("d", 1)}}
	handOver(t, s, late)
	require.ErrorIs(t, late[0].Err, eventstore.ErrClosed)
	require.ErrorIs(t, late[1].Err, eventstore.ErrClosed)
}

// handOver waits until the appends have their answers.
func handOver(t *testing.T, s eventstore.Store, appends []*eventstore.Append) {
	t.Helper()
	ctx, done := background(t), make(chan struct{})
	eventstore.Async(ctx, s).AppendAsync(appends, func() { close(done) })
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("no answer")
	}
}

func testConflict(t *testing.T, open Factory) {
	s := fresh(t, open)
	must(t, s, "s", eventstore.NoStream, events("first", 2)...)
	for expected, actual := range map[int64]int64{eventstore.NoStream: 1, 0: 1, 5: 1, eventstore.End: 1} {
		_, err := s.Append(background(t), "s", expected, []eventstore.Event{event("late")})
		var conflict *eventstore.ConflictError
		require.ErrorAs(t, err, &conflict, "expected %d", expected)
		require.Equal(t, eventstore.ConflictError{Stream: "s", Expected: expected, Actual: actual}, *conflict)
	}
	_, err := s.Append(background(t), "missing", 0, []eventstore.Event{event("early")})
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, eventstore.NoStream, conflict.Actual)
	require.Len(t, log(t, s, 0, eventstore.Forwards, 100), 2)
}

func testRepeat(t *testing.T, open Factory) {
	s := fresh(t, open)
	first, second := events("first", 2), events("second", 3)
	must(t, s, "other", eventstore.NoStream, event("noise"))
	a := must(t, s, "s", eventstore.NoStream, first...)
	require.Equal(t, a, must(t, s, "s", eventstore.NoStream, first...), "at once")
	b := must(t, s, "s", 1, second...)
	require.Equal(t, a, must(t, s, "s", eventstore.NoStream, first...), "after others")
	require.Equal(t, b, must(t, s, "s", 1, second...))

	for name, batch := range map[string][]eventstore.Event{
		"another first":  {event("x"), first[1]},
		"another second": {first[0], event("x")},
		"more":           append(append([]eventstore.Event{}, first...), event("x")),
	} {
		_, err := s.Append(background(t), "s", eventstore.NoStream, batch)
		var conflict *eventstore.ConflictError
		require.ErrorAs(t, err, &conflict, name)
	}
	require.Equal(t, []int64{0, 1, 2, 3, 4}, revisions(stream(t, s, "s", 0, eventstore.Forwards, 100)))
	must(t, s, "s", 4, first[0]) // at the end it is an append, whatever its id
}

func testInvalid(t *testing.T, open Factory) {
	s := fresh(t, open)
	twin := event("twin")
	big := event("big")
	big.Data = make([]byte, eventstore.MaxEventBytes)
	for name, c := range map[string]struct {
		stream string
		events []eventstore.Event
	}{
		"no events":     {"s", nil},
		"no name":       {"", []eventstore.Event{event("x")}},
		"name too long": {strings.Repeat("n", eventstore.MaxStreamName+1), []eventstore.Event{event("x")}},
		"name not text": {"a\xff", []eventstore.Event{event("x")}},
		"type not text": {"s", []eventstore.Event{{ID: uuid.New(), Type: "a\xff"}}},
		"type too long": {"s", []eventstore.Event{{ID: uuid.New(), Type: strings.Repeat("t", eventstore.MaxTypeName+1)}}},
		"ids twice":     {"s", []eventstore.Event{twin, twin}},
		"event too big": {"s", []eventstore.Event{big}},
	} {
		_, err := s.Append(background(t), c.stream, eventstore.NoStream, c.events)
		require.ErrorIs(t, err, eventstore.ErrInvalid, name)
	}
	require.Empty(t, log(t, s, 0, eventstore.Forwards, 10))
}

// Names whose keys would run into each other in a careless encoding.
func testNames(t *testing.T, open Factory) {
	s := fresh(t, open)
	names := []string{
		"a", "a|0", "a|00000000", "a\x00", "a\x00\x00", "aa", "ab", "a b", "a/b", "$a", "ä", "日本", "\u202e",
		"account-1", "account-10", strings.Repeat("n", eventstore.MaxStreamName), strings.Repeat("n", eventstore.MaxStreamName-1),
	}
	for round := range 3 {
		for _, name := range names {
			must(t, s, name, int64(round)-1, event(name))
		}
	}
	for _, name := range names {
		got := stream(t, s, name, 0, eventstore.Forwards, 10)
		require.Equal(t, []int64{0, 1, 2}, revisions(got), "%q", name)
		for _, r := range got {
			require.Equal(t, name, r.Stream)
		}
	}
	require.Len(t, log(t, s, 0, eventstore.Forwards, 1000), 3*len(names))
}

func testBig(t *testing.T, open Factory) {
	instance := open(t)
	s := instance.Store
	t.Cleanup(func() { _ = s.Close() })
	size := 1 << 20
	if most := instance.MaxAppendBytes; most > 0 {
		size = min(size, most)
	}
	big := event("big")
	big.Data = bytes.Repeat([]byte("0123456789abcdef"), size/16)
	must(t, s, "s", eventstore.NoStream, big, event("small"), event("small"))
	got := stream(t, s, "s", 0, eventstore.Forwards, 10)
	require.True(t, bytes.Equal(big.Data, got[0].Data))
	require.Len(t, take(t, s, eventstore.BeforeFirst, 3), 3)
}

// Of N writers on one revision exactly one wins, and the others learn where the
// stream is.
func testRaceForOneRevision(t *testing.T, open Factory) {
	s := fresh(t, open)
	const writers, rounds = 16, 30
	for round := range int64(rounds) {
		results := make(chan error, writers)
		start := make(chan struct{})
		for w := range writers {
			go func() {
				<-start
				_, err := s.Append(context.Background(), "s", round-1, []eventstore.Event{event(fmt.Sprint(w))})
				results <- err
			}()
		}
		close(start)
		won := 0
		for range writers {
			err := <-results
			var conflict *eventstore.ConflictError
			if err == nil {
				won++
				continue
			}
			require.True(t, errors.As(err, &conflict), "%v", err)
			require.Equal(t, []int64{round - 1, round}, []int64{conflict.Expected, conflict.Actual})
		}
		require.Equal(t, 1, won)
	}
	require.Len(t, stream(t, s, "s", 0, eventstore.Forwards, 1000), rounds)
}

func testReopen(t *testing.T, open Factory) {
	instance := open(t)
	if instance.Reopen == nil {
		t.Skip("this store can't be opened again")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	s := instance.Store
	last := map[string]int64{}
	for range 5 {
		for range 40 {
			name := fmt.Sprint("s", rng.IntN(5))
			if _, known := last[name]; !known {
				last[name] = eventstore.NoStream
			}
			batch := events(name, 1+rng.IntN(4))
			last[name] = must(t, s, name, last[name], batch...).Revision
		}
		before := log(t, s, 0, eventstore.Forwards, 10_000)
		require.NoError(t, s.Close())
		s = instance.Reopen(t)
		require.Equal(t, before, log(t, s, 0, eventstore.Forwards, 10_000))
		head, err := s.Head(background(t))
		require.NoError(t, err)
		require.Equal(t, before[len(before)-1].Position, head)
	}
	require.NoError(t, s.Close())
}

func testClose(t *testing.T, open Factory) {
	s := open(t).Store
	must(t, s, "s", eventstore.NoStream, event("x"))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice is fine")
	_, err := s.Append(background(t), "s", 0, []eventstore.Event{event("y")})
	require.ErrorIs(t, err, eventstore.ErrClosed)
	_, err = s.Head(background(t))
	require.ErrorIs(t, err, eventstore.ErrClosed)
	require.ErrorIs(t, lastError(s.ReadStream(background(t), "s", 0, eventstore.Forwards, 1)), eventstore.ErrClosed)
	require.ErrorIs(t, lastError(s.ReadAll(background(t), 0, eventstore.Forwards, 1)), eventstore.ErrClosed)
	require.ErrorIs(t, lastError(s.Subscribe(background(t), 0)), eventstore.ErrClosed)
}

func testSnapshots(t *testing.T, open Factory) {
	s := fresh(t, open)
	snapshots, ok := s.(eventstore.Snapshots)
	if !ok {
		t.Skip("this store keeps no snapshots")
	}
	ctx := background(t)
	_, found, err := snapshots.LoadSnapshot(ctx, "s")
	require.NoError(t, err)
	require.False(t, found)
	for revision := range int64(3) {
		for _, name := range []string{"s", "s2"} {
			want := eventstore.Snapshot{Revision: revision, Fold: "1", Data: fmt.Appendf(nil, "%s at %d %s", name, revision, uuid.New())}
			require.NoError(t, snapshots.SaveSnapshot(ctx, name, want))
			got, found, err := snapshots.LoadSnapshot(ctx, name)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, want, got)
		}
	}
}
