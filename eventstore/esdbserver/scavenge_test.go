package esdbserver_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// operate calls the operators' service with a message in wire format. It gives
// the scavenge's id and the result.
func operate(t *testing.T, addr, method string, request []byte, opts ...any) (id string, result uint64, trailer metadata.MD, err error) {
	t.Helper()
	ctx, transport := background(t), insecure.NewCredentials()
	for _, o := range opts {
		switch o := o.(type) {
		case credentials.TransportCredentials:
			transport = o
		case string:
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", o)
		}
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(transport))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	in, out := new(emptypb.Empty), new(emptypb.Empty)
	in.ProtoReflect().SetUnknown(request)
	err = conn.Invoke(ctx, "/event_store.client.operations.Operations/"+method, in, out, grpc.Trailer(&trailer))
	for b := []byte(out.ProtoReflect().GetUnknown()); len(b) > 0; {
		number, typ, n := protowire.ConsumeTag(b)
		require.Positive(t, n)
		b = b[n:]
		switch number {
		case 1:
			id, n = protowire.ConsumeString(b)
		case 2:
			result, n = protowire.ConsumeVarint(b)
		default:
			t.Fatalf("field %d of type %d", number, typ)
		}
		require.Positive(t, n)
		b = b[n:]
	}
	return id, result, trailer, err
}

// stopRequest is StopScavengeReq{options = 1: {scavenge_id = 1}}.
func stopRequest(id string) []byte {
	options := append([]byte{1<<3 | 2, byte(len(id))}, id...)
	return append([]byte{1<<3 | 2, byte(len(options))}, options...)
}

// scavenged starts a scavenge over the wire and reads in its stream how it ended.
func scavenged(t *testing.T, addr string, c *esdb.Client) string {
	t.Helper()
	id, result, _, err := operate(t, addr, "StartScavenge", nil)
	require.NoError(t, err)
	require.Zero(t, result)
	s, err := c.SubscribeToStream(background(t), "$scavenges-"+id, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	for {
		e := s.Recv()
		require.Nil(t, e.SubscriptionDropped)
		if e.EventAppeared != nil && e.EventAppeared.Event.EventType == "$scavengeCompleted" {
			return string(e.EventAppeared.Event.Data)
		}
	}
}

// left counts what is in the log of each stream.
func left(t *testing.T, c *esdb.Client) map[string][]uint64 {
	t.Helper()
	s, err := c.ReadAll(background(t), esdb.ReadAllOptions{}, 1000)
	found := map[string][]uint64{}
	for _, e := range drained(t, s, err) {
		found[e.StreamID] = append(found[e.StreamID], e.EventNumber)
	}
	return found
}

// What metadata and tombstones hide is gone from the log afterwards; the newest
// event of each stream and all of an account's stay.
func TestScavenge(t *testing.T) {
	now := time.Now()
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, Now: func() time.Time { return now }})
	c := dial(t, "esdb://"+addr+"?tls=false")
	ctx := background(t)
	for _, stream := range []string{"plain", "counted", "truncated", "aged", "deleted", "buried", "account-1"} {
		put(t, c, stream, esdb.NoStream{}, several(5)...)
	}
	set := func(stream string, change func(*esdb.StreamMetadata)) {
		m := esdb.StreamMetadata{}
		change(&m)
		_, err := c.SetStreamMetadata(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
		require.NoError(t, err)
	}
	set("counted", func(m *esdb.StreamMetadata) { m.SetMaxCount(4) })
	set("counted", func(m *esdb.StreamMetadata) { m.SetMaxCount(2) })
	set("truncated", func(m *esdb.StreamMetadata) { m.SetTruncateBefore(3) })
	set("aged", func(m *esdb.StreamMetadata) { m.SetMaxAge(time.Hour) })
	_, err := c.DeleteStream(ctx, "deleted", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	_, err = c.TombstoneStream(ctx, "buried", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	before := left(t, c)
	require.Equal(t, []uint64{0, 1, 2, 3, 4}, before["counted"])
	require.Equal(t, []uint64{0, 1}, before["$$counted"])
	now = now.Add(2 * time.Hour)

	require.Contains(t, scavenged(t, addr, c), `"result":"Success"`)
	after, all := left(t, c), []uint64{0, 1, 2, 3, 4}
	for stream, want := range map[string][]uint64{
		"plain": all, "account-1": all, "counted": {3, 4}, "$$counted": {1},
		"truncated": {3, 4}, "$$truncated": {0}, "aged": {4}, "deleted": {4}, "buried": {uint64(eventstore.End)},
	} {
		require.Equal(t, want, after[stream], stream)
	}
	require.EqualValues(t, 5, put(t, c, "counted", esdb.Revision(4), data(5)).NextExpectedVersion)
	require.Equal(t, []uint64{4, 5}, numbers(read(t, c, "counted", esdb.ReadStreamOptions{}, 100)))
	require.EqualValues(t, 5, put(t, c, "deleted", esdb.NoStream{}, data(5)).NextExpectedVersion)
	requireCode(t, esdb.ErrorCodeStreamDeleted, readError(t, c, "buried"))
	put(t, c, "links", esdb.NoStream{}, esdb.EventData{EventType: "$>", Data: []byte("0@counted")})
	s, err := c.ReadStream(ctx, "links", esdb.ReadStreamOptions{ResolveLinkTos: true}, 1)
	require.NoError(t, err)
	defer s.Close()
	e, err := s.Recv()
	require.NoError(t, err)
	require.Nil(t, e.Event, "a link to what is gone leads nowhere, and not to what comes after")
}

// slowScavenger scavenges until it is stopped.
type slowScavenger struct {
	eventstore.Store
	begun chan struct{}
}

func (s *slowScavenger) Scavenge(ctx context.Context, _ func(*eventstore.Recorded) (bool, error)) (int, error) {
	s.begun <- struct{}{}
	<-ctx.Done()
	return 0, ctx.Err()
}

// One runs at a time; it can be stopped by its id, and ends with the server.
func TestScavengesOneAtATime(t *testing.T) {
	slow := &slowScavenger{Store: memory(t), begun: make(chan struct{}, 1)}
	addr := serveOn(t, slow, esdbserver.Options{Mode: esdbserver.Open})
	c := dial(t, "esdb://"+addr+"?tls=false")
	_, _, trailer, err := operate(t, addr, "StopScavenge", stopRequest("guessed"))
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Equal(t, []string{"scavenge-not-found"}, trailer.Get("exception"))
	require.Equal(t, []string{"guessed"}, trailer.Get("scavenge-id"))

	for _, by := range []string{"", "current"} {
		id, result, _, err := operate(t, addr, "StartScavenge", nil)
		require.NoError(t, err)
		require.EqualValues(t, 0, result)
		<-slow.begun
		again, result, _, err := operate(t, addr, "StartScavenge", nil)
		require.NoError(t, err)
		require.EqualValues(t, 1, result, "in progress")
		require.Equal(t, id, again)
		_, _, _, err = operate(t, addr, "StopScavenge", stopRequest("guessed"))
		require.Equal(t, codes.NotFound, status.Code(err))
		if by == "" {
			by = id
		}
		stopped, result, _, err := operate(t, addr, "StopScavenge", stopRequest(by))
		require.NoError(t, err)
		require.EqualValues(t, 2, result, "stopped")
		require.Equal(t, id, stopped)
		require.Eventually(t, func() bool {
			events := read(t, c, "$scavenges-"+id, esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
			return string(events[0].Data) != "" && events[0].EventType == "$scavengeCompleted"
		}, 10*time.Second, time.Millisecond)
	}
	_, _, _, err = operate(t, addr, "StartScavenge", nil)
	require.NoError(t, err)
	<-slow.begun // the server's end, in the cleanup, ends it
}

// Only who may write to the log alone may scavenge it.
func TestWhoMayScavenge(t *testing.T) {
	for _, mode := range []esdbserver.Mode{esdbserver.ReadOnly, esdbserver.Foreign} {
		_, addr := serve(t, esdbserver.Options{Mode: mode})
		for _, method := range []string{"StartScavenge", "StopScavenge"} {
			_, _, trailer, err := operate(t, addr, method, stopRequest("current"))
			require.Equal(t, codes.PermissionDenied, status.Code(err))
			require.Equal(t, []string{"access-denied"}, trailer.Get("exception"))
		}
	}
	config, ca := certificate(t)
	access := map[string]esdbserver.Access{"auditor": esdbserver.MayRead, "admin": esdbserver.MayWrite, "customer": esdbserver.NoAccess}
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, TLS: config, Authorize: func(user, _ string) (esdbserver.Access, bool) {
		a, known := access[user]
		return a, known
	}})
	trusted, err := credentials.NewClientTLSFromFile(ca, "")
	require.NoError(t, err)
	for user, want := range map[string]codes.Code{
		"auditor": codes.PermissionDenied, "customer": codes.PermissionDenied, "nobody": codes.Unauthenticated, "admin": codes.OK,
	} {
		_, _, _, err := operate(t, addr, "StartScavenge", nil, trusted, "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":x")))
		require.Equal(t, want, status.Code(err), fmt.Sprint(user, ": ", err))
	}
	_, _, _, err = operate(t, addr, "StartScavenge", nil, trusted)
	require.Equal(t, codes.Unauthenticated, status.Code(err))
}
