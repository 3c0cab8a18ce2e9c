// Package storetest holds every event store to the contract of
// eventstore.Store. An adapter's test is a few lines: make a Factory, call Run.
// The package knows no store and opens none. It also has what the tests of several
// packages need: a clock that stands still, a log that may be read.
package storetest

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

// Instance is one store and a way to open it again on the same data.
type Instance struct {
	Store eventstore.Store
	// Reopen closes nothing: the suite closes the store first. Nil: the store
	// can't be opened again, and those tests are skipped.
	Reopen func(t *testing.T) eventstore.Store
	// Cluster: a subscription's batch may end inside an append, because the
	// protocol doesn't tell where one ends, and only an event's position is one.
	Cluster bool
	// MaxAppendBytes is what a server that isn't ours to configure takes in one
	// append; 0: MaxEventBytes and more.
	MaxAppendBytes int
}

// Factory opens an empty store. The suite closes it.
type Factory func(t *testing.T) Instance

// Run runs the whole suite.
func Run(t *testing.T, open Factory) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Factory)
	}{
		{"append", testAppend},
		{"conflict", testConflict},
		{"repeat", testRepeat},
		{"invalid", testInvalid},
		{"handover", testHandover},
		{"names", testNames},
		{"big", testBig},
		{"read stream", testReadStream},
		{"read all", testReadAll},
		{"subscribe", testSubscribe},
		{"slow subscriber", testSlowSubscriber},
		{"subscription ends", testSubscriptionEnds},
		{"race for one revision", testRaceForOneRevision},
		{"appends are atomic", testAtomic},
		{"subscribe while writers race", testSubscribeWhileWritersRace},
		{"reopen", testReopen},
		{"close", testClose},
		{"snapshots", testSnapshots},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// patience bounds every wait of the suite.
const patience = 30 * time.Second

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func fresh(t *testing.T, open Factory) eventstore.Store {
	s := open(t).Store
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// event makes an event whose data tells it apart.
func event(label string) eventstore.Event {
	return eventstore.Event{
		ID: uuid.New(), Type: "tested",
		Data: fmt.Appendf(nil, `{"label":%q}`, label), Metadata: fmt.Appendf(nil, `{"about":%q}`, label),
	}
}

func events(label string, n int) []eventstore.Event {
	all := make([]eventstore.Event, n)
	for i := range all {
		all[i] = event(fmt.Sprintf("%s/%d", label, i))
	}
	return all
}

// must appends and insists on success.
func must(t *testing.T, s eventstore.Store, stream string, expected int64, batch ...eventstore.Event) eventstore.Appended {
	t.Helper()
	a, err := s.Append(background(t), stream, expected, batch)
	require.NoError(t, err)
	require.Len(t, a.Positions, len(batch))
	require.Equal(t, expected+int64(len(batch)), a.Revision)
	return a
}

func stream(t *testing.T, s eventstore.Store, name string, from int64, d eventstore.Direction, limit int) []eventstore.Recorded {
	t.Helper()
	var all []eventstore.Recorded
	for r, err := range s.ReadStream(background(t), name, from, d, limit) {
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

func log(t *testing.T, s eventstore.Store, from eventstore.Position, d eventstore.Direction, limit int) []eventstore.Recorded {
	t.Helper()
	var all []eventstore.Recorded
	for r, err := range s.ReadAll(background(t), from, d, limit) {
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

// take reads n events of a subscription, in whole batches.
func take(t *testing.T, s eventstore.Store, after eventstore.Position, n int) []eventstore.Recorded {
	t.Helper()
	return <-follow(t, s, after, n)
}

// follow is take in the background. It always gives something: fewer events than n
// fail the test.
func follow(t *testing.T, s eventstore.Store, after eventstore.Position, n int) <-chan []eventstore.Recorded {
	taken := make(chan []eventstore.Recorded, 1)
	ctx := background(t)
	go func() {
		var all []eventstore.Recorded
		defer func() { taken <- all }()
		for batch, err := range s.Subscribe(ctx, after) {
			if err != nil || len(batch) == 0 {
				t.Errorf("after %d: %d of %d events, then a batch of %d and error %v", after, len(all), n, len(batch), err)
				return
			}
			if all = append(all, batch...); len(all) >= n {
				return
			}
		}
	}()
	return taken
}

// lastError reads a sequence to its end. It MUST NOT be nil where the caller or the store is
// gone: an empty sequence says that there are no events.
func lastError[T any](sequence iter.Seq2[T, error]) error {
	var last error
	for _, err := range sequence {
		last = err
	}
	return last
}

func revisions(rs []eventstore.Recorded) []int64 {
	var all []int64
	for _, r := range rs {
		all = append(all, r.Revision)
	}
	return all
}
