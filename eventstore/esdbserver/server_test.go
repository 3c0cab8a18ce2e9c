package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/pebblestore"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// serve runs a server over an empty store on loopback.
func serve(t *testing.T, opts esdbserver.Options) (eventstore.Store, string) {
	t.Helper()
	store := memory(t)
	return store, serveOn(t, store, opts)
}

func memory(t *testing.T) eventstore.Store {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func serveOn(t *testing.T, store eventstore.Store, opts esdbserver.Options) (addr string) {
	t.Helper()
	return serveAs(t, net.IPv4(127, 0, 0, 1), store, opts)
}

// listensAs is a listener on loopback that says it is on another address.
type listensAs struct {
	net.Listener
	ip net.IP
}

func (l listensAs) Addr() net.Addr {
	return &net.TCPAddr{IP: l.ip, Port: l.Listener.Addr().(*net.TCPAddr).Port}
}

func serveAs(t *testing.T, ip net.IP, store eventstore.Store, opts esdbserver.Options) (addr string) {
	t.Helper()
	opts.Store, opts.Logger = store, quiet()
	server, err := esdbserver.New(opts)
	require.NoError(t, err)
	loopback, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := listensAs{loopback, ip}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(ctx)
		require.ErrorIs(t, <-served, esdbserver.ErrClosed)
	})
	return listener.Addr().String()
}

func dial(t *testing.T, connection string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(connection)
	require.NoError(t, err)
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func open(t *testing.T, mode esdbserver.Mode) (eventstore.Store, *esdb.Client) {
	t.Helper()
	store, addr := serve(t, esdbserver.Options{Mode: mode})
	return store, dial(t, "esdb://"+addr+"?tls=false")
}

func data(n int) esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: fmt.Sprint("type-", n), ContentType: esdb.ContentTypeJson,
		Data: fmt.Appendf(nil, `{"n":%d}`, n), Metadata: []byte(`{"by":"test"}`),
	}
}

func several(n int) []esdb.EventData {
	all := make([]esdb.EventData, n)
	for i := range all {
		all[i] = data(i)
	}
	return all
}

func put(t *testing.T, c *esdb.Client, stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) *esdb.WriteResult {
	t.Helper()
	result, err := c.AppendToStream(background(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
	require.NoError(t, err)
	return result
}

// drained reads to the end of what a read gives.
func drained(t *testing.T, stream *esdb.ReadStream, err error) []*esdb.RecordedEvent {
	t.Helper()
	require.NoError(t, err)
	defer stream.Close()
	var all []*esdb.RecordedEvent
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, e.OriginalEvent())
	}
}

func read(t *testing.T, c *esdb.Client, stream string, opts esdb.ReadStreamOptions, count uint64) []*esdb.RecordedEvent {
	t.Helper()
	s, err := c.ReadStream(background(t), stream, opts, count)
	return drained(t, s, err)
}

func numbers(events []*esdb.RecordedEvent) []uint64 {
	all := []uint64{}
	for _, e := range events {
		all = append(all, e.EventNumber)
	}
	return all
}

func requireCode(t *testing.T, code esdb.ErrorCode, err error) {
	t.Helper()
	var e *esdb.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code(), "%v", err)
}

func readError(t *testing.T, c *esdb.Client, stream string) error {
	t.Helper()
	s, err := c.ReadStream(background(t), stream, esdb.ReadStreamOptions{}, 10)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Recv()
	return err
}

func TestAppendAndRead(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	events := several(5)
	first := put(t, c, "s", esdb.NoStream{}, events...)
	require.EqualValues(t, 4, first.NextExpectedVersion)
	require.NotZero(t, first.CommitPosition)
	got := read(t, c, "s", esdb.ReadStreamOptions{}, 100)
	require.Equal(t, []uint64{0, 1, 2, 3, 4}, numbers(got))
	for i, e := range got {
		require.Equal(t, events[i].EventID, e.EventID)
		require.Equal(t, events[i].EventType, e.EventType)
		require.Equal(t, events[i].Data, e.Data)
		require.Equal(t, events[i].Metadata, e.UserMetadata)
		require.Equal(t, "application/json", e.ContentType)
		require.Equal(t, "s", e.StreamID)
		require.WithinDuration(t, time.Now(), e.CreatedDate, time.Minute)
	}
	require.Equal(t, first.CommitPosition, got[4].Position.Commit)
	for _, c2 := range []struct {
		opts  esdb.ReadStreamOptions
		count uint64
		want  []uint64
	}{
		{esdb.ReadStreamOptions{From: esdb.Revision(2)}, 2, []uint64{2, 3}},
		{esdb.ReadStreamOptions{From: esdb.Revision(9)}, 2, []uint64{}},
		{esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 2, []uint64{4, 3}},
		{esdb.ReadStreamOptions{From: esdb.Revision(2), Direction: esdb.Backwards}, 9, []uint64{2, 1, 0}},
		{esdb.ReadStreamOptions{From: esdb.Start{}}, 1<<63 + 5, []uint64{0, 1, 2, 3, 4}},
	} {
		require.Equal(t, c2.want, numbers(read(t, c, "s", c2.opts, c2.count)), "%+v", c2.opts)
	}
	requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "missing"))
}

func TestExpectedVersions(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	try := func(stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) error {
		_, err := c.AppendToStream(background(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
		return err
	}
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, try("s", esdb.StreamExists{}, data(1)))
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, try("s", esdb.Revision(0), data(1)))
	batch := several(3)
	put(t, c, "s", esdb.Any{}, batch...)
	put(t, c, "s", esdb.StreamExists{}, data(4))
	err := try("s", esdb.Revision(1), data(1))
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, err)
	require.ErrorContains(t, err, "expecting '1' but got '3'")
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, try("s", esdb.NoStream{}, data(1)))
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, try("s", esdb.Revision(1<<63+1), data(1)))

	for name, expected := range map[string]esdb.ExpectedRevision{"any": esdb.Any{}, "exists": esdb.StreamExists{}, "no stream": esdb.NoStream{}} {
		again, err := c.AppendToStream(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: expected}, batch...)
		require.NoError(t, err, name)
		require.EqualValues(t, 2, again.NextExpectedVersion, "%s: the repeat has the first one's answer", name)
	}
	require.Len(t, read(t, c, "s", esdb.ReadStreamOptions{}, 100), 4)
	require.EqualValues(t, 3, put(t, c, "s", esdb.Any{}).NextExpectedVersion, "an append of nothing")
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, try("s", esdb.Revision(1)))
}

// Writers at any revision all get in, and a repeat among them isn't doubled. All that
// the others write meanwhile is within the 64 events among which a repeat is found.
func TestWritersAtAnyRevision(t *testing.T) {
	store, c := open(t, esdbserver.Open)
	for _, stream := range []string{"s0", "s1", "account-0", "account-1"} { // with a lock, and without
		writersAtAnyRevision(t, store, c, stream)
	}
}

func writersAtAnyRevision(t *testing.T, store eventstore.Store, c *esdb.Client, stream string) {
	t.Helper()
	const writers, each = 8, 8
	results := make(chan error, writers)
	for range writers {
		go func() {
			for i := range each {
				e := data(i)
				for range 2 {
					if _, err := c.AppendToStream(background(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, e); err != nil {
						results <- err
						return
					}
				}
			}
			results <- nil
		}()
	}
	for range writers {
		require.NoError(t, <-results)
	}
	seen := map[uuid.UUID]bool{}
	for r, err := range store.ReadStream(background(t), stream, 0, eventstore.Forwards, 1<<20) {
		require.NoError(t, err)
		require.False(t, seen[r.ID])
		seen[r.ID] = true
	}
	require.Len(t, seen, writers*each)
}

func TestDeleteAndTombstone(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	ctx := background(t)
	put(t, c, "s", esdb.NoStream{}, several(3)...)
	_, err := c.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(7)})
	require.ErrorContains(t, err, "wrong expected version") // the client has no code for it here
	_, err = c.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(2)})
	require.NoError(t, err)
	requireCode(t, esdb.ErrorCodeResourceNotFound, readError(t, c, "s"))
	require.EqualValues(t, 4, put(t, c, "s", esdb.NoStream{}, several(2)...).NextExpectedVersion, "it goes on at the next revision")
	require.Equal(t, []uint64{3, 4}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 100)))
	require.Equal(t, []uint64{4, 3}, numbers(read(t, c, "s", esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 100)))

	_, err = c.TombstoneStream(ctx, "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	requireCode(t, esdb.ErrorCodeStreamDeleted, readError(t, c, "s"))
	for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.StreamExists{}, esdb.Revision(4), esdb.Revision(5)} {
		_, err = c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: expected}, data(1))
		requireCode(t, esdb.ErrorCodeStreamDeleted, err)
	}
	_, err = c.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	requireCode(t, esdb.ErrorCodeStreamDeleted, errors.Unwrap(err))
	all, err := c.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
	last := drained(t, all, err)
	require.Equal(t, "$streamDeleted", last[0].EventType)
	_, err = c.AppendToStream(ctx, "x", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.EventData{EventType: "$streamDeleted"})
	require.ErrorContains(t, err, "Tombstone only")
}

func TestStreamMetadata(t *testing.T) {
	now := time.Now()
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, Now: func() time.Time { return now }})
	c := dial(t, "esdb://"+addr+"?tls=false")
	put(t, c, "s", esdb.NoStream{}, several(10)...)
	set := func(change func(*esdb.StreamMetadata)) {
		m := esdb.StreamMetadata{}
		change(&m)
		m.AddCustomProperty("owner", "support")
		_, err := c.SetStreamMetadata(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
		require.NoError(t, err)
	}
	set(func(m *esdb.StreamMetadata) { m.SetMaxCount(3) })
	require.Equal(t, []uint64{7, 8, 9}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 100)))
	set(func(m *esdb.StreamMetadata) { m.SetTruncateBefore(5) })
	require.Equal(t, []uint64{5, 6}, numbers(read(t, c, "s", esdb.ReadStreamOptions{}, 2)))
	require.Equal(t, []uint64{6, 5}, numbers(read(t, c, "s", esdb.ReadStreamOptions{From: esdb.Revision(6), Direction: esdb.Backwards}, 9)))
	set(func(m *esdb.StreamMetadata) { m.SetMaxAge(time.Hour) })
	require.Len(t, read(t, c, "s", esdb.ReadStreamOptions{}, 100), 10)
	now = now.Add(2 * time.Hour)
	require.Empty(t, read(t, c, "s", esdb.ReadStreamOptions{}, 100))

	_, err := c.DeleteStream(background(t), "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	m, err := c.GetStreamMetadata(background(t), "s", esdb.ReadStreamOptions{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, *m.TruncateBefore(), uint64(eventstore.End)) // this client reads numbers as floats
	require.Nil(t, m.MaxAge(), "a delete keeps nothing else")
	require.Nil(t, m.CustomProperty("owner"))
}

// Metadata of which one field that the server knows is wrong bounds nothing at all, as
// on the real server: what an odd access list came with isn't cut away.
func TestOddMetadataBoundsNothing(t *testing.T) {
	store, c := open(t, esdbserver.Open)
	put(t, c, "odd", esdb.NoStream{}, several(5)...)
	for metadata, left := range map[string]int{
		`{"$maxCount":2}`: 2, `{"$maxCount":2,"$acl":{"$r":["a","$all"],"$w":"b","$d":[],"$mr":"c","$mw":"d"}}`: 2,
		`{"$maxCount":1,"$maxCount":2,"$maxAge":-1,"$tb":-4,"$cacheControl":0,"$tempStream":true,"owner":{"$acl":1}}`: 2,
		`{"$maxCount":-1,"$tb":4}`: 1, "{\"$maxCount\":2,\"owner\":\"\xff\\ud800\"}": 2,

		`null`: 5, `[]`: 5, ``: 5, `{"$maxCount":"2"}`: 5, `{"$maxCount":2.0}`: 5, `{"$maxCount":null,"$tb":4}`: 5, `{"$tb":9223372036854775808}`: 5,
		`{"$maxCount":2,"$maxAge":null}`: 5, `{"$maxCount":2,"$maxAge":"1h"}`: 5, `{"$maxCount":2,"$tb":true}`: 5,
		`{"$maxCount":2,"$cacheControl":"x"}`: 5, `{"$maxCount":2,"$tempStream":1}`: 5, `{"$maxCount":2,"$acl":"$admins"}`: 5, `{"$maxCount":2,"$acl":null}`: 5,
		`{"$maxCount":2,"$acl":{"$r":5}}`: 5, `{"$maxCount":2,"$acl":{"$w":["a",5]}}`: 5, `{"$maxCount":2,"$acl":{"readers":"a"}}`: 5,
	} {
		_, err := store.Append(background(t), "$$odd", odder(t, store), []eventstore.Event{{ID: uuid.New(), Type: "$metadata", Data: []byte(metadata)}})
		require.NoError(t, err)
		require.Len(t, read(t, c, "odd", esdb.ReadStreamOptions{}, 100), left, metadata)
	}
}

func odder(t *testing.T, store eventstore.Store) int64 {
	for r, err := range store.ReadStream(background(t), "$$odd", eventstore.End, eventstore.Backwards, 1) {
		require.NoError(t, err)
		return r.Revision
	}
	return eventstore.NoStream
}
