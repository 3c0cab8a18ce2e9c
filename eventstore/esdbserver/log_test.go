package esdbserver_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore/esdbserver"
)

// fill writes rounds of three events to streams a, b and c.
func fill(t *testing.T, c *esdb.Client, rounds int) (positions []uint64) {
	t.Helper()
	for i := range rounds {
		for _, stream := range []string{"a-1", "b-1", "c-1"} {
			positions = append(positions, put(t, c, stream, esdb.Any{}, data(i)).CommitPosition)
		}
	}
	return positions
}

func at(position uint64) esdb.Position { return esdb.Position{Commit: position, Prepare: position} }

func TestReadAll(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	p := fill(t, c, 4)
	positions := func(opts esdb.ReadAllOptions, count uint64) []uint64 {
		s, err := c.ReadAll(background(t), opts, count)
		got := []uint64{}
		for _, e := range drained(t, s, err) {
			got = append(got, e.Position.Commit)
		}
		return got
	}
	require.Equal(t, p, positions(esdb.ReadAllOptions{}, 100))
	require.Equal(t, p[3:5], positions(esdb.ReadAllOptions{From: at(p[3])}, 2), "forwards: the bound is included")
	require.Equal(t, []uint64{p[2], p[1]}, positions(esdb.ReadAllOptions{From: at(p[3]), Direction: esdb.Backwards}, 2), "backwards: it isn't")
	require.Equal(t, []uint64{p[11]}, positions(esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1))
	require.Empty(t, positions(esdb.ReadAllOptions{From: esdb.End{}}, 5))
	require.Empty(t, positions(esdb.ReadAllOptions{Direction: esdb.Backwards}, 5))
	require.Empty(t, positions(esdb.ReadAllOptions{}, 0))
}

// next gives the subscription's next item, and names it.
func next(t *testing.T, s *esdb.Subscription) (string, uint64) {
	t.Helper()
	switch e := s.Recv(); {
	case e.EventAppeared != nil:
		r := e.EventAppeared.OriginalEvent()
		return fmt.Sprintf("%s/%d", r.StreamID, r.EventNumber), r.Position.Commit
	case e.CheckPointReached != nil:
		return "checkpoint", e.CheckPointReached.Commit
	case e.CaughtUp != nil:
		return "caught up", 0
	default:
		return fmt.Sprintf("dropped: %v", e.SubscriptionDropped.Error), 0
	}
}

func requireNext(t *testing.T, s *esdb.Subscription, want ...string) {
	t.Helper()
	for _, w := range want {
		got, _ := next(t, s)
		require.Equal(t, w, got)
	}
}

func TestSubscribeToAll(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	p := fill(t, c, 2)
	subscribe := func(from esdb.AllPosition) *esdb.Subscription {
		s, err := c.SubscribeToAll(background(t), esdb.SubscribeToAllOptions{From: from})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	start, middle, end := subscribe(esdb.Start{}), subscribe(at(p[3])), subscribe(esdb.End{})
	requireNext(t, start, "a-1/0", "b-1/0", "c-1/0", "a-1/1", "b-1/1", "c-1/1", "caught up")
	requireNext(t, middle, "b-1/1", "c-1/1", "caught up")
	requireNext(t, end, "caught up")
	put(t, c, "d", esdb.NoStream{}, several(2)...)
	for _, s := range []*esdb.Subscription{start, middle, end} {
		requireNext(t, s, "d/0", "d/1")
	}
}

func TestFilters(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	p := fill(t, c, 3)
	for name, f := range map[string]struct {
		filter esdb.SubscriptionFilter
		want   []string
	}{
		"stream prefixes": {esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"b-", "c-"}}, []string{"b-1/0", "c-1/0", "b-1/1", "c-1/1", "b-1/2", "c-1/2"}},
		"stream regex":    {esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "^[^bc]"}, []string{"a-1/0", "a-1/1", "a-1/2"}},
		"type prefix":     {esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"type-2"}}, []string{"a-1/2", "b-1/2", "c-1/2"}},
		"type regex":      {esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "[01]$"}, []string{"a-1/0", "b-1/0", "c-1/0", "a-1/1", "b-1/1", "c-1/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := c.SubscribeToAll(background(t), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &f.filter, CheckpointInterval: 1})
			require.NoError(t, err)
			defer func() { _ = s.Close() }()
			requireNext(t, s, f.want...)
			got, position := next(t, s)
			require.Equal(t, "checkpoint", got, "going live tells how far the log was searched")
			require.Equal(t, p[8], position)
			requireNext(t, s, "caught up")
		})
	}
	s, err := c.SubscribeToAll(background(t), esdb.SubscribeToAllOptions{Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "(?!a)"}})
	require.Nil(t, s)
	require.ErrorContains(t, err, "filter")
}

// Every multiplier times window of considered events there is a checkpoint,
// however few of them match; a client resumes from it and misses nothing.
func TestCheckpoints(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	put(t, c, "many", esdb.NoStream{}, several(100)...)
	opts := esdb.SubscribeToAllOptions{
		From: esdb.Start{}, MaxSearchWindow: 10, CheckpointInterval: 2,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"rare"}},
	}
	s, err := c.SubscribeToAll(background(t), opts)
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	var last uint64
	for i := range 5 {
		got, position := next(t, s)
		require.Equal(t, "checkpoint", got)
		require.EqualValues(t, 20*(i+1), position)
		last = position
	}
	requireNext(t, s, "checkpoint", "caught up")
	put(t, c, "rare", esdb.NoStream{}, data(1))
	requireNext(t, s, "rare/0")
	opts.From = at(last)
	resumed, err := c.SubscribeToAll(background(t), opts)
	require.NoError(t, err)
	defer func() { _ = resumed.Close() }()
	requireNext(t, resumed, "rare/0", "checkpoint", "caught up")
}

func TestSubscribeToStream(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	subscribe := func(from esdb.StreamPosition) *esdb.Subscription {
		s, err := c.SubscribeToStream(background(t), "s", esdb.SubscribeToStreamOptions{From: from})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	early := subscribe(esdb.Start{})
	requireNext(t, early, "caught up")
	put(t, c, "s", esdb.NoStream{}, several(3)...)
	requireNext(t, early, "s/0", "s/1", "s/2")
	middle, end := subscribe(esdb.Revision(1)), subscribe(esdb.End{})
	requireNext(t, middle, "s/2", "caught up")
	requireNext(t, end, "caught up")
	put(t, c, "other", esdb.NoStream{}, data(1))
	put(t, c, "s", esdb.Any{}, data(3))
	for _, s := range []*esdb.Subscription{early, middle, end} {
		requireNext(t, s, "s/3")
	}
	_, err := c.TombstoneStream(background(t), "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	got, _ := next(t, early)
	require.Contains(t, got, "is deleted")
}

// Writers race while subscriptions begin: each event once, in order.
func TestSubscriptionsWhileWritersRace(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	const writers, each = 4, 60
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range each {
				if _, err := c.AppendToStream(context.Background(), fmt.Sprint("s", w%2), esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, data(i)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	type result struct {
		revisions []uint64
		err       error
	}
	results := make(chan result, 6)
	for range cap(results) {
		s, err := c.SubscribeToStream(background(t), "s0", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		require.NoError(t, err)
		go func() {
			var r result
			for len(r.revisions) < writers/2*each {
				e := s.Recv()
				if e.SubscriptionDropped != nil {
					r.err = e.SubscriptionDropped.Error
					break
				}
				if e.EventAppeared != nil {
					r.revisions = append(r.revisions, e.EventAppeared.OriginalEvent().EventNumber)
				}
			}
			_ = s.Close()
			results <- r
		}()
	}
	for range writers {
		require.NoError(t, <-done)
	}
	for range cap(results) {
		r := <-results
		require.NoError(t, r.err)
		for i, revision := range r.revisions {
			require.EqualValues(t, i, revision)
		}
	}
}

func TestLinks(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	put(t, c, "s", esdb.NoStream{}, several(2)...)
	for _, target := range []string{"1@s", "9@s", "x@s", "@", "1@"} {
		put(t, c, "links", esdb.Any{}, esdb.EventData{EventType: "$>", Data: []byte(target)})
	}
	s, err := c.ReadStream(background(t), "links", esdb.ReadStreamOptions{ResolveLinkTos: true}, 10)
	require.NoError(t, err)
	defer s.Close()
	e, err := s.Recv()
	require.NoError(t, err)
	require.Equal(t, "type-1", e.Event.EventType)
	require.Equal(t, "links", e.Link.StreamID)
	for range 4 {
		e, err = s.Recv()
		require.NoError(t, err)
		require.Nil(t, e.Event)
		require.Equal(t, "$>", e.OriginalEvent().EventType)
	}
}

// A link finds what can be read in its stream, and nothing else.
func TestLinksToWhatIsGone(t *testing.T) {
	now := time.Now()
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, Now: func() time.Time { return now }})
	c := dial(t, "esdb://"+addr+"?tls=false")
	ctx := background(t)
	set := func(change func(*esdb.StreamMetadata)) {
		var m esdb.StreamMetadata
		change(&m)
		_, err := c.SetStreamMetadata(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
		require.NoError(t, err)
	}
	found := func(want ...bool) {
		t.Helper()
		s, err := c.ReadStream(ctx, "links", esdb.ReadStreamOptions{ResolveLinkTos: true}, 10)
		require.NoError(t, err)
		defer s.Close()
		for i, w := range want {
			e, err := s.Recv()
			require.NoError(t, err)
			require.Equal(t, w, e.Event != nil, "revision %d", i)
			require.Equal(t, "links", e.OriginalEvent().StreamID)
		}
	}
	put(t, c, "s", esdb.NoStream{}, several(3)...)
	for i := range 4 {
		put(t, c, "links", esdb.Any{}, esdb.EventData{EventType: "$>", Data: fmt.Appendf(nil, "%d@s", i)})
	}
	found(true, true, true, false)
	set(func(m *esdb.StreamMetadata) { m.SetTruncateBefore(1) })
	found(false, true, true, false)
	set(func(m *esdb.StreamMetadata) { m.SetMaxCount(1) })
	found(false, false, true, false)
	set(func(m *esdb.StreamMetadata) { m.SetMaxAge(time.Hour) })
	found(true, true, true, false)
	now = now.Add(2 * time.Hour)
	found(false, false, false, false)
	set(func(*esdb.StreamMetadata) {})
	found(true, true, true, false)
	require.NoError(t, softDelete(ctx, c, "s", esdb.Any{}))
	found(false, false, false, false)
	put(t, c, "s", esdb.Any{}, data(3))
	found(false, false, false, true)
	_, err := c.TombstoneStream(ctx, "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	found(false, false, false, false)
}

// Clients ping every ten seconds, with a call under way or without. A server
// that takes offence, as grpc's default does, ends an idle subscription after
// half a minute.
func TestAnIdleSubscriptionLives(t *testing.T) {
	if os.Getenv("ESDB_NODE") == "" {
		t.Skip("takes three quarters of a minute: it runs in make test-esdb")
	}
	_, c := open(t, esdbserver.Open)
	s, err := c.SubscribeToAll(context.Background(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	requireNext(t, s, "caught up")
	<-time.After(45 * time.Second)
	put(t, c, "s", esdb.NoStream{}, data(1))
	requireNext(t, s, "s/0")
}
