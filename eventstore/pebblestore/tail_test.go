package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/eventstore"
)

// TestTailIsWhatIsOnTheDisk: an event is the same to who follows the log closely
// and to who reads it back.
func TestTailIsWhatIsOnTheDisk(t *testing.T) {
	fs := vfs.NewMem()
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("far", 3600))
	open := func() *Store {
		s, err := Open("log", Options{FS: fs, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		return s
	}
	s := open()
	var near []eventstore.Recorded // the tail forgets what is old: it is asked after each append
	for i, events := range [][]eventstore.Event{
		{{ID: uuid.New(), Type: "a", Data: []byte("data"), Metadata: []byte("meta")}},
		{{ID: uuid.New(), Type: "b"}, {ID: uuid.New(), Type: "c", Data: []byte{}, Metadata: []byte{}}},
	} {
		_, err := s.Append(t.Context(), fmt.Sprint("stream-", i), eventstore.NoStream, events)
		require.NoError(t, err)
		near = append(near, s.tail.after(eventstore.Position(len(near)))...)
	}
	require.Len(t, near, 3)
	require.NoError(t, s.Close())
	s = open()
	defer func() { require.NoError(t, s.Close()) }()
	require.Nil(t, s.tail.after(0))
	read, err := s.nextBatch(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, read, near)
}

// TestASubscriptionThatKeepsUpEnds with its context, though there is more to give: what the
// tail has needs no read that would tell.
func TestASubscriptionThatKeepsUpEnds(t *testing.T) {
	s, err := Open("log", Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	put := func(stream string) {
		_, err := s.Append(t.Context(), stream, eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "a"}})
		require.NoError(t, err)
	}
	put("first")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ended error
	batches := 0
	for _, err := range s.Subscribe(ctx, eventstore.BeforeFirst) {
		if ended = err; err == nil {
			if batches++; batches > 1 {
				break
			}
			put(fmt.Sprint("more-", batches))
			cancel()
		}
	}
	require.ErrorIs(t, ended, context.Canceled)
	require.Equal(t, 1, batches)
}

// TestTail holds the tail to a plain list of the same records.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			tail tail
			all  []eventstore.Recorded
			ends = map[eventstore.Position]bool{}
			now  time.Time
		)
		for range rapid.IntRange(1, 60).Draw(t, "groups") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, tailAge / 2, 2 * tailAge}).Draw(t, "pause"))
			r := run{begun: now}
			for range rapid.SampledFrom([]int{1, 2, 5, 900}).Draw(t, "appends") {
				data := make([]byte, rapid.SampledFrom([]int{1, 10, 3000}).Draw(t, "bytes"))
				for range rapid.SampledFrom([]int{1, 1, 1, 3}).Draw(t, "events") {
					rec := eventstore.Recorded{Event: eventstore.Event{Data: data}, Position: eventstore.Position(len(all) + 1)}
					r.records = append(r.records, rec)
					r.bytes += len(data)
					all = append(all, rec)
				}
				r.ends = append(r.ends, len(r.records)-1)
				ends[all[len(all)-1].Position] = true
			}
			tail.add(r)
			checkTail(t, &tail, all, ends)
		}
	})
}

func checkTail(t *rapid.T, tail *tail, all []eventstore.Recorded, ends map[eventstore.Position]bool) {
	head := all[len(all)-1].Position
	if newest := len(tail.runs[len(tail.runs)-1].records); tail.events > max(newest, tailEvents) {
		t.Fatalf("%d events are kept", tail.events)
	}
	if oldest, newest := tail.runs[0], tail.runs[len(tail.runs)-1]; newest.begun.Sub(oldest.begun) > tailAge {
		t.Fatalf("a run is kept for %v", newest.begun.Sub(oldest.begun))
	}
	if tail.after(head) != nil || tail.after(math.MaxUint64) != nil {
		t.Fatal("there are events after the head")
	}
	if first := tail.runs[0].first(); first > 1 && tail.after(first-2) != nil {
		t.Fatal("a gap")
	}
	at := tail.runs[0].first() - 1 + eventstore.Position(rapid.IntRange(0, tail.events-1).Draw(t, "after"))
	for at < head && !ends[at] { // a subscriber is always at the end of an append
		at++
	}
	for at < head {
		batch := tail.after(at)
		want := all[at : int(at)+len(batch)]
		if len(batch) == 0 || !slices.EqualFunc(batch, want, func(a, b eventstore.Recorded) bool { return a.Position == b.Position }) {
			t.Fatalf("after %d: %d events", at, len(batch))
		}
		at = batch[len(batch)-1].Position
		if !ends[at] {
			t.Fatalf("a batch ends inside an append, at %d", at)
		}
		if cut := len(batch) - 4; cut > 0 && (cut > batchEvents || sizeOf(batch[:cut]) > batchBytes) {
			t.Fatalf("a batch of %d events and %d bytes", len(batch), sizeOf(batch))
		}
	}
}
