package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

func testReadStream(t *testing.T, open Factory) {
	s := fresh(t, open)
	for i := range int64(10) {
		must(t, s, "s", i-1, event("x"))
		must(t, s, "noise", i-1, event("y"))
	}
	for _, c := range []struct {
		from      int64
		direction eventstore.Direction
		limit     int
		want      []int64
	}{
		{0, eventstore.Forwards, 3, []int64{0, 1, 2}},
		{7, eventstore.Forwards, 100, []int64{7, 8, 9}},
		{9, eventstore.Forwards, 1, []int64{9}},
		{10, eventstore.Forwards, 5, nil},
		{0, eventstore.Forwards, 0, nil},
		{eventstore.End, eventstore.Backwards, 3, []int64{9, 8, 7}},
		{2, eventstore.Backwards, 100, []int64{2, 1, 0}},
		{0, eventstore.Backwards, 5, []int64{0}},
		{99, eventstore.Backwards, 1, []int64{9}},
	} {
		require.Equal(t, c.want, revisions(stream(t, s, "s", c.from, c.direction, c.limit)), "%+v", c)
	}
	require.Empty(t, stream(t, s, "missing", 0, eventstore.Forwards, 5))
	require.Empty(t, stream(t, s, "missing", eventstore.End, eventstore.Backwards, 5))

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, read := range []iter.Seq2[eventstore.Recorded, error]{
		s.ReadStream(ctx, "s", 0, eventstore.Forwards, 5), s.ReadAll(ctx, eventstore.BeforeFirst, eventstore.Forwards, 5),
	} {
		require.ErrorIs(t, lastError(read), context.Canceled)
	}
}

func testReadAll(t *testing.T, open Factory) {
	instance := open(t)
	s := instance.Store
	defer func() { _ = s.Close() }()
	var positions []eventstore.Position
	for i := range int64(6) {
		positions = append(positions, must(t, s, fmt.Sprint("s", i), eventstore.NoStream, event("x")).Positions...)
	}
	at := func(rs []eventstore.Recorded) []eventstore.Position {
		var all []eventstore.Position
		for _, r := range rs {
			all = append(all, r.Position)
		}
		return all
	}
	backwards := []eventstore.Position{positions[5], positions[4], positions[3], positions[2], positions[1], positions[0]}
	require.Equal(t, positions, at(log(t, s, eventstore.BeforeFirst, eventstore.Forwards, 100)))
	require.Equal(t, positions[2:4], at(log(t, s, positions[2], eventstore.Forwards, 2)), "forwards: the bound is included")
	require.Equal(t, backwards, at(log(t, s, eventstore.EndOfLog, eventstore.Backwards, 100)))
	require.Equal(t, backwards[3:5], at(log(t, s, positions[3], eventstore.Backwards, 2)), "backwards: the bound is excluded")
	if !instance.Cluster {
		require.Empty(t, log(t, s, positions[5]+1, eventstore.Forwards, 5))
	}
	require.Empty(t, log(t, s, positions[0], eventstore.Backwards, 5))
	require.Empty(t, log(t, s, eventstore.BeforeFirst, eventstore.Backwards, 5))
}

func testSubscribe(t *testing.T, open Factory) {
	s := fresh(t, open)
	var last int64 = eventstore.NoStream
	for range 5 {
		last = must(t, s, "s", last, events("x", 2)...).Revision
	}
	all := log(t, s, 0, eventstore.Forwards, 100)
	for skip := range all {
		after := eventstore.BeforeFirst
		if skip > 0 {
			after = all[skip-1].Position
		}
		require.Equal(t, all[skip:], take(t, s, after, len(all)-skip), "from %d on", skip)
	}
	live := follow(t, s, all[len(all)-1].Position, 2)
	must(t, s, "s", last, events("live", 2)...)
	require.Equal(t, []int64{10, 11}, revisions(<-live))
}

// A receiver that is far behind reads from the log; writers never wait for it.
func testSlowSubscriber(t *testing.T, open Factory) {
	s := fresh(t, open)
	must(t, s, "s", eventstore.NoStream, event("first"))
	const more = 20_000
	seen := 0
	var last eventstore.Position
	for batch, err := range s.Subscribe(background(t), eventstore.BeforeFirst) {
		require.NoError(t, err)
		if seen == 0 {
			for i := range int64(more / 1000) {
				must(t, s, "s", i*1000, events("more", 1000)...)
			}
		}
		for _, r := range batch {
			require.Greater(t, r.Position, last)
			require.EqualValues(t, seen, r.Revision)
			last = r.Position
			seen++
		}
		if seen == more+1 {
			break
		}
	}
	require.Equal(t, more+1, seen)
}

func testSubscriptionEnds(t *testing.T, open Factory) {
	s := open(t).Store
	must(t, s, "s", eventstore.NoStream, event("x"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	started := make(chan struct{}, 2)
	follow := func(ctx context.Context) {
		for _, err := range s.Subscribe(ctx, eventstore.BeforeFirst) {
			if err != nil {
				ended <- err
				return
			}
			started <- struct{}{}
		}
	}
	begun := func() {
		select {
		case <-started:
		case err := <-ended:
			t.Fatalf("it ended before it gave an event: %v", err)
		}
	}
	go follow(ctx)
	begun()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	go follow(context.Background())
	begun()
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-ended, eventstore.ErrClosed)
}

// An append of several events is seen whole or not at all, by readers of the
// stream, of the log, and by subscribers.
func testAtomic(t *testing.T, open Factory) {
	instance := open(t)
	s := instance.Store
	defer func() { _ = s.Close() }()
	const size, appends = 5, 60
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	var wg sync.WaitGroup
	whole := func(n int, by string) {
		if n%size != 0 {
			t.Errorf("%s saw %d events, which is no number of whole appends", by, n)
		}
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			whole(len(stream(t, s, "s", 0, eventstore.Forwards, 10_000)), "a reader of the stream")
			whole(len(log(t, s, 0, eventstore.Forwards, 10_000)), "a reader of the log")
		}
	})
	wg.Go(func() {
		seen := 0
		for batch, err := range s.Subscribe(ctx, eventstore.BeforeFirst) {
			if err != nil {
				return
			}
			if seen += len(batch); !instance.Cluster {
				whole(seen, "a subscriber")
			}
		}
	})
	for i := range int64(appends) {
		must(t, s, "s", i*size-1, events("x", size)...)
	}
	cancel()
	wg.Wait()
}

// Each event once, in order, from any position, while writers race.
func testSubscribeWhileWritersRace(t *testing.T, open Factory) {
	s := fresh(t, open)
	const writers, appends = 8, 50
	var wg sync.WaitGroup
	seen := make(chan struct{}) // a part of the events; the others come after that
	for w := range writers {
		wg.Go(func() {
			name := fmt.Sprint("s", w%3)
			for i := range appends {
				if i == appends/2 {
					<-seen
				}
				insist(t, s, name, event(fmt.Sprint(w)))
			}
		})
	}
	first := <-follow(t, s, eventstore.BeforeFirst, writers*appends/4)
	close(seen)
	defer wg.Wait()
	require.NotEmpty(t, first)
	after := first[len(first)-1].Position
	rest := writers*appends - len(first)
	follower, another := follow(t, s, after, rest), follow(t, s, after, rest)
	one, two := <-follower, <-another
	wg.Wait()
	all := log(t, s, 0, eventstore.Forwards, 10_000)
	require.Len(t, all, writers*appends)
	require.Equal(t, all, append(first, one...))
	require.Equal(t, one, two)
	next := map[string]int64{}
	for _, r := range all {
		require.Equal(t, next[r.Stream], r.Revision)
		next[r.Stream]++
	}
}

// insist appends at the end, wherever that is.
func insist(t *testing.T, s eventstore.Store, name string, e eventstore.Event) {
	expected := eventstore.NoStream
	for {
		_, err := s.Append(context.Background(), name, expected, []eventstore.Event{e})
		var conflict *eventstore.ConflictError
		if errors.As(err, &conflict) {
			expected = conflict.Actual
			continue
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
}
