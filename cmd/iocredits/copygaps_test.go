package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbstore"
)

// scavenged is the data of a stand-in that has lost events of many kinds.
type scavenged struct {
	t            *testing.T
	data, secret string
	history      string
}

// standInWithGaps has an account that was forgotten and used again, and streams of
// others: one that keeps its newest two, one that was deleted and written to again.
func standInWithGaps(t *testing.T) *scavenged {
	t.Helper()
	s := &scavenged{t: t, data: t.TempDir(), secret: keyringSecret(t)}
	cluster := startEventstore(t, s.data, freeAddr(t))
	client := esdbClient(t, cluster.connection)
	e := onCluster(t, cluster, s.secret)
	for _, account := range []string{"gone", "stays"} {
		e.fund(account, "10")
		e.must("service", http.MethodPost, "/v1/accounts/"+account+"/deductions", "k",
			`{"amount":"1","service":"ray","reference":"r","description":"a secret note"}`)
	}
	e.must("admin", http.MethodPost, "/v1/accounts/gone/forget", "f", `{"reason":"case 7"}`)
	e.must("service", http.MethodPost, "/v1/accounts/gone/deductions", "k2", `{"amount":"1","service":"ray","reference":"r","description":"another note"}`)
	for range 2 { // its metadata is overwritten, too
		writeNotes(t, client, "notes-1", 3)
		_, err := client.SetStreamMetadata(t.Context(), "notes-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, maxCount(2))
		require.NoError(t, err)
	}
	writeNotes(t, client, "notes-2", 3)
	_, err := client.DeleteStream(t.Context(), "notes-2", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	writeNotes(t, client, "notes-2", 2)
	s.history = positionless(e.text("support", "/v1/accounts/stays/transactions")) + positionless(e.text("support", "/v1/accounts/gone/transactions"))
	require.NoError(t, e.stop())
	cluster.stop()
	return s
}

func maxCount(n uint64) (m esdb.StreamMetadata) {
	m.SetMaxCount(n)
	return m
}

func writeNotes(t *testing.T, client *esdb.Client, stream string, n int) {
	t.Helper()
	for i := range n {
		_, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}},
			esdb.EventData{EventID: uuid.New(), EventType: "noted", ContentType: esdb.ContentTypeJson, Data: fmt.Appendf(nil, `{"n":%d}`, i)})
		require.NoError(t, err)
	}
}

func (s *scavenged) scavenge() {
	s.t.Helper()
	out, _, err := run(s.t, "scavenge", "--data", s.data)
	require.NoError(s.t, err)
	require.NotContains(s.t, out, "scavenged: 0 events")
}

func (s *scavenged) copy(to *standIn) (string, error) {
	s.t.Helper()
	out, _, err := run(s.t, "copy", "--from", s.data, "--to", to.connection, "--keyring-secret", s.secret)
	return out, err
}

// check compares what an engine tells and what clients of the cluster read.
func (s *scavenged) check(to *standIn) {
	s.t.Helper()
	e := onCluster(s.t, to, s.secret)
	require.Equal(s.t, s.history, positionless(e.text("support", "/v1/accounts/stays/transactions"))+positionless(e.text("support", "/v1/accounts/gone/transactions")))
	require.NoError(s.t, e.stop())
	client := esdbClient(s.t, to.connection)
	for stream, want := range map[string][]uint64{"notes-1": {4, 5}, "notes-2": {3, 4}} {
		require.Equal(s.t, want, revisionsOf(s.t, client, stream), stream)
	}
}

// revisionsOf are those of the notes that are to be read.
func revisionsOf(t *testing.T, client *esdb.Client, stream string) (at []uint64) {
	t.Helper()
	read, err := client.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{}, 100)
	require.NoError(t, err)
	defer read.Close()
	for e, err := read.Recv(); err == nil; e, err = read.Recv() {
		at = append(at, e.Event.EventNumber)
		require.Equal(t, "noted", e.Event.EventType)
	}
	return at
}

// A copy goes on over what a scavenge took, before it began or since it was
// interrupted: what is left has its place, and clients read the same.
func TestCopyAfterAScavenge(t *testing.T) {
	t.Parallel()
	s := standInWithGaps(t)
	before, part := startEventstore(t, t.TempDir(), "127.0.0.1:0"), startEventstore(t, t.TempDir(), "127.0.0.1:0")
	_, err := s.copy(before)
	require.NoError(t, err)
	(&firstAppends{left: 14}).copy(t, s.data, part.connection)

	s.scavenge()
	data := t.TempDir()
	after := startEventstore(t, data, "127.0.0.1:0")
	for name, to := range map[string]*standIn{"copied before": before, "copied in part": part, "not copied": after} {
		out, err := s.copy(to)
		require.NoError(t, err, name)
		require.Contains(t, out, "verified: both logs have", name)
		again, err := s.copy(to)
		require.NoError(t, err, name)
		require.Contains(t, again, "copied 0 events", name)
		s.check(to)
	}

	after.stop() // and from there to the next, with the gaps and without them
	s.data = data
	for _, gaps := range []bool{true, false} {
		if !gaps {
			s.scavenge()
		}
		next := startEventstore(t, t.TempDir(), "127.0.0.1:0")
		_, err := s.copy(next)
		require.NoError(t, err)
		s.check(next)
	}
}

// What the copy would overwrite is refused, scavenged or not.
func TestCopyAfterAScavengeToAnotherLog(t *testing.T) {
	s := standInWithGaps(t)
	s.scavenge()
	for stream, events := range map[string]int{"notes-1": 5, "notes-2": 6, eventstore.KeyStream("gone"): 3, eventstore.AccountStream("stays"): 1} {
		to := startEventstore(t, t.TempDir(), "127.0.0.1:0")
		store, err := esdbstore.Open(t.Context(), to.connection, esdbstore.Options{})
		require.NoError(t, err)
		for n := range events {
			_, err := store.Append(t.Context(), stream, int64(n)-1, []eventstore.Event{{ID: uuid.New(), Type: "noted", Data: []byte("{}")}})
			require.NoError(t, err)
		}
		require.NoError(t, store.Close())
		_, err = s.copy(to)
		require.ErrorContains(t, err, fmt.Sprintf("the cluster has other events in stream %q", stream))
	}
}

// A stream that was deleted and written to again is copied, whatever came in between and
// whatever became of its metadata later: a cluster adds some of its own behind a delete.
func TestCopyOfAStreamThatWasDeleted(t *testing.T) {
	t.Parallel()
	anywhere := esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}
	s := &scavenged{t: t, data: t.TempDir(), secret: keyringSecret(t)}
	from := startEventstore(t, s.data, "127.0.0.1:0")
	client := esdbClient(t, from.connection)
	for range 2 {
		writeNotes(t, client, "notes-1", 2)
		for range 2 {
			_, err := client.DeleteStream(t.Context(), "notes-1", anywhere)
			require.NoError(t, err)
			writeNotes(t, client, "notes-3", 1)
		}
	}
	writeNotes(t, client, "notes-1", 3)
	_, err := client.SetStreamMetadata(t.Context(), "notes-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, maxCount(2))
	require.NoError(t, err)
	writeNotes(t, client, "notes-2", 2)
	_, err = client.DeleteStream(t.Context(), "notes-2", anywhere)
	require.NoError(t, err)
	from.stop()

	to := startEventstore(t, t.TempDir(), "127.0.0.1:0")
	for range 2 { // what is hidden there is copied again, to no effect
		out, err := s.copy(to)
		require.NoError(t, err)
		require.Contains(t, out, "verified: both logs have 17 events")
	}
	client = esdbClient(t, to.connection)
	require.Equal(t, []uint64{5, 6}, revisionsOf(t, client, "notes-1"))
	require.Empty(t, revisionsOf(t, client, "notes-2"), "it is deleted still")
}

// A cluster takes each of two events of one stream, but not both at once. One that it
// doesn't take is named.
func TestCopyOfLargeEvents(t *testing.T) {
	t.Parallel()
	s := &scavenged{t: t, data: t.TempDir(), secret: keyringSecret(t)}
	from := startEventstoreWith(t, "--insecure", "--data", s.data, "--addr", "127.0.0.1:0", "--max-append-kb", "4096")
	client := esdbClient(t, from.connection)
	for i, kib := range []int{300, 900, 3000} {
		_, err := client.AppendToStream(t.Context(), fmt.Sprint("large-", i/2), esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}},
			esdb.EventData{EventID: uuid.New(), EventType: "noted", ContentType: esdb.ContentTypeBinary, Data: make([]byte, kib<<10)})
		require.NoError(t, err)
	}
	from.stop()
	_, err := s.copy(startEventstore(t, t.TempDir(), "127.0.0.1:0"))
	require.ErrorContains(t, err, `the cluster refuses stream "large-1", revisions 0 to 0: invalid append`)
	out, err := s.copy(startEventstoreWith(t, "--insecure", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--max-append-kb", "3001"))
	require.NoError(t, err)
	require.Contains(t, out, "verified: both logs have 3 events")
}

// A copy goes on over a gap of a stream of which the cluster has a beginning, all hidden.
func TestCopyOverAGapBehindWhatIsHidden(t *testing.T) {
	t.Parallel()
	s := &scavenged{t: t, data: t.TempDir(), secret: keyringSecret(t)}
	from := startEventstore(t, s.data, "127.0.0.1:0")
	client := esdbClient(t, from.connection)
	writeNotes(t, client, "notes-1", 2)
	hideBefore(t, client, "notes-1", 2)
	writeNotes(t, client, "notes-1", 4)
	hideBefore(t, client, "notes-1", 5)
	from.stop()
	to := startEventstore(t, t.TempDir(), "127.0.0.1:0")
	(&firstAppends{left: 3}).copy(t, s.data, to.connection)
	s.scavenge()
	out, err := s.copy(to)
	require.NoError(t, err)
	require.Contains(t, out, "verified: both logs have 2 events")
	require.Equal(t, []uint64{5}, revisionsOf(t, esdbClient(t, to.connection), "notes-1"))
}

func hideBefore(t *testing.T, client *esdb.Client, stream string, revision uint64) {
	t.Helper()
	var m esdb.StreamMetadata
	m.SetTruncateBefore(revision)
	_, err := client.SetStreamMetadata(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
	require.NoError(t, err)
}
