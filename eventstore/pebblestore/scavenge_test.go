package pebblestore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

func openQuiet(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("log", Options{FS: fs, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// holding lists the kinds of files with any piece of these bytes: in a table they
// are compressed, and a few that also stand elsewhere are cut out.
func holding(t *testing.T, fs vfs.FS, text string) map[string]bool {
	t.Helper()
	names, err := fs.List("log")
	require.NoError(t, err)
	found := map[string]bool{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin("log", name))
		if err != nil || name == "index" { // which has no bytes of events
			continue // removed meanwhile
		}
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		const piece = 12 // of a random secret: it stands nowhere else by chance
		for at := 0; at+piece <= len(text); at++ {
			if bytes.Contains(content, []byte(text[at:at+piece])) {
				found[filepath.Ext(name)] = true
				break
			}
		}
	}
	return found
}

func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func put(t *testing.T, s *Store, stream string, expected int64, texts ...string) []eventstore.Event {
	t.Helper()
	events := make([]eventstore.Event, len(texts))
	for i, text := range texts {
		events[i] = eventstore.Event{ID: uuid.New(), Type: "noted", Data: []byte(text), Metadata: []byte("{}")}
	}
	_, err := s.Append(t.Context(), stream, expected, events)
	require.NoError(t, err)
	return events
}

func goneBefore(stream string, revision int64) func(*eventstore.Recorded) (bool, error) {
	return func(r *eventstore.Recorded) (bool, error) { return r.Stream == stream && r.Revision < revision, nil }
}

// texts reads a stream, the log and a subscription: they tell the same.
func texts(t *testing.T, s *Store, stream string) (found []string) {
	t.Helper()
	for r, err := range s.ReadStream(t.Context(), stream, 0, eventstore.Forwards, 100) {
		require.NoError(t, err)
		found = append(found, string(r.Data))
	}
	var backwards, all []string
	for r, err := range s.ReadStream(t.Context(), stream, eventstore.End, eventstore.Backwards, len(found)) {
		require.NoError(t, err)
		backwards = append([]string{string(r.Data)}, backwards...)
	}
	require.Equal(t, found, backwards)
	for r, err := range s.ReadAll(t.Context(), 0, eventstore.Forwards, 100) {
		require.NoError(t, err)
		if r.Stream == stream {
			all = append(all, string(r.Data))
		}
	}
	require.Equal(t, found, all)
	all = nil
	for batch, err := range s.Subscribe(context.Background(), 0) {
		require.NoError(t, err)
		for _, r := range batch {
			if r.Stream == stream {
				all = append(all, string(r.Data))
			}
		}
		if batch[len(batch)-1].Position == s.durable() {
			break
		}
	}
	require.Equal(t, found, all)
	return found
}

// What was erased is in no file: not in the log in use, not in logs that are kept
// for reuse, not in a log that was written over one, not in a table.
func TestScavenge(t *testing.T) {
	fs := vfs.NewMem()
	s := openQuiet(t, fs)
	erased, kept := secret(), secret()
	first := put(t, s, "k", eventstore.NoStream, erased+"-1", erased+"-2")
	put(t, s, "k", 1, kept)
	require.NoError(t, s.db.Flush())
	for n := range 4 { // logs for reuse, and one in use that is shorter than what it was
		put(t, s, "k", int64(2+n), erased)
		require.NoError(t, s.db.Flush())
	}
	put(t, s, "k", 6, "newest")
	require.Equal(t, map[string]bool{".log": true, ".sst": true}, holding(t, fs, erased))

	n, err := s.Scavenge(t.Context(), goneBefore("other", 9))
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, map[string]bool{".sst": true}, holding(t, fs, erased), "what isn't gone stays")
	put(t, s, "k", 7, erased)
	put(t, s, "k", 8, "last")

	n, err = s.Scavenge(t.Context(), func(r *eventstore.Recorded) (bool, error) {
		return bytes.HasPrefix(r.Data, []byte(erased)), nil
	})
	require.NoError(t, err)
	require.Equal(t, 7, n)
	require.Empty(t, holding(t, fs, erased))
	require.NotEmpty(t, holding(t, fs, kept))
	want := []string{kept, "newest", "last"}
	require.Equal(t, want, texts(t, s, "k"))

	require.NoError(t, s.Close())
	require.Empty(t, holding(t, fs, erased))
	s = openQuiet(t, fs)
	require.Equal(t, want, texts(t, s, "k"))
	again, err := s.Append(t.Context(), "k", eventstore.NoStream, first)
	require.NoError(t, err, "a repeat is still one")
	require.Equal(t, int64(1), again.Revision)
	put(t, s, "k", 9, "after")
	require.Equal(t, append(want, "after"), texts(t, s, "k"))
}

// Pebble writes over old logs again as soon as a scavenge is over.
func TestScavengeLetsLogsBeReused(t *testing.T) {
	s := openQuiet(t, vfs.NewMem())
	_, err := s.Scavenge(t.Context(), goneBefore("", 0))
	require.NoError(t, err)
	require.False(t, s.logs.fresh)
}

func TestScavengeRefuses(t *testing.T) {
	s := openQuiet(t, vfs.NewMem())
	stream := eventstore.AccountStream("a")
	put(t, s, stream, eventstore.NoStream, "first", "second")
	put(t, s, "k", eventstore.NoStream, "first", "second")
	n, err := s.Scavenge(t.Context(), goneBefore(stream, 1))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.Zero(t, n)
	require.Equal(t, []string{"first", "second"}, texts(t, s, stream))
	_, err = s.Scavenge(t.Context(), func(*eventstore.Recorded) (bool, error) { return false, io.ErrUnexpectedEOF })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Scavenge(ctx, goneBefore("k", 1))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
	_, err = s.Scavenge(t.Context(), goneBefore("k", 1))
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

// A table that a read still holds keeps the scavenge from saying that it is done.
func TestScavengeWaitsForReads(t *testing.T) {
	fs := vfs.NewMem()
	s := openQuiet(t, fs)
	erased := secret()
	put(t, s, "k", eventstore.NoStream, erased)
	put(t, s, "k", 0, "newest")
	require.NoError(t, s.db.Flush())
	it, err := s.db.NewIter(nil)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := s.Scavenge(context.WithoutCancel(t.Context()), goneBefore("k", 1))
		done <- err
	}()
	require.Eventually(t, func() bool {
		for r, err := range s.ReadStream(context.Background(), "k", 0, eventstore.Forwards, 1) {
			return err == nil && r.Revision == 1
		}
		return false
	}, 10*time.Second, time.Millisecond)
	select {
	case err := <-done:
		t.Fatalf("scavenged while a read holds %v: %v", holding(t, fs, erased), err)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, it.Close())
	require.NoError(t, <-done)
	require.Empty(t, holding(t, fs, erased))
}

// Writers, a subscriber and scavenges at once: nobody misses or doubles what stays.
func TestScavengeWhileWritersRace(t *testing.T) {
	const writers, scavenges, least = 4, 5, 4
	s := openQuiet(t, vfs.NewMem())
	var done atomic.Bool
	var writing sync.WaitGroup
	var ends [writers]int64
	for w := range writers {
		writing.Go(func() {
			for ; ends[w] < least || !done.Load(); ends[w]++ {
				put(t, s, fmt.Sprint("s-", w), ends[w]-1, fmt.Sprint(ends[w]))
			}
			put(t, s, fmt.Sprint("s-", w), ends[w]-1, "end")
		})
	}
	seen, ended := map[string][]int64{}, make(chan struct{})
	defer done.Store(true)
	go func() {
		defer close(ended)
		left := writers
		for batch, err := range s.Subscribe(context.Background(), 0) {
			if err != nil {
				return
			}
			for _, r := range batch {
				if r.Revision%2 == 1 {
					seen[r.Stream] = append(seen[r.Stream], r.Revision)
				}
				if string(r.Data) == "end" {
					left--
				}
			}
			if left == 0 {
				return
			}
		}
	}()
	for range scavenges {
		_, err := s.Scavenge(t.Context(), func(r *eventstore.Recorded) (bool, error) { return r.Revision%2 == 0, nil })
		require.NoError(t, err)
	}
	done.Store(true)
	writing.Wait()
	require.False(t, t.Failed(), "who can't write has no end that the subscriber could see")
	<-ended
	for w := range writers {
		var want []int64
		for n := int64(1); n <= ends[w]; n += 2 {
			want = append(want, n)
		}
		require.NotEmpty(t, want)
		require.Equal(t, want, seen[fmt.Sprint("s-", w)])
	}
}
