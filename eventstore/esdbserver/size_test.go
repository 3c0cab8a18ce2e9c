package esdbserver_test

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

func connect(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// beginAppend opens an append to s at any revision, to which events can be sent that
// the official client doesn't make.
func beginAppend(t *testing.T, conn *grpc.ClientConn) streams.Streams_AppendClient {
	t.Helper()
	call, err := streams.NewStreamsClient(conn).Append(background(t))
	require.NoError(t, err)
	require.NoError(t, call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("s")},
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}))
	return call
}

// proposal is an event of this size, half of it metadata.
func proposal(typ string, size int) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id:   &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Data: make([]byte, size/2), CustomMetadata: make([]byte, size-size/2),
		Metadata: map[string]string{"type": typ, "content-type": "application/octet-stream"},
	}}}
}

// appendAll appends events and gives the trailers, which the official client keeps to
// itself.
func appendAll(t *testing.T, conn *grpc.ClientConn, events ...*streams.AppendReq) (metadata.MD, error) {
	t.Helper()
	call := beginAppend(t, conn)
	for _, e := range events {
		require.NoError(t, call.Send(e))
	}
	_, err := call.CloseAndRecv()
	return call.Trailer(), err
}

func appendSizes(t *testing.T, conn *grpc.ClientConn, sizes ...int) (metadata.MD, error) {
	t.Helper()
	var events []*streams.AppendReq
	for _, size := range sizes {
		events = append(events, proposal("big", size))
	}
	return appendAll(t, conn, events...)
}

// An event that no store takes is too big in the way that clients know, as is an
// append; and the largest ones are not.
func TestSizes(t *testing.T) {
	const event, mega = eventstore.MaxEventBytes, 1 << 20
	for name, c := range map[string]struct {
		most  int
		sizes []int
		limit int
	}{
		"the largest event":           {0, []int{event}, 0},
		"the largest append":          {0, []int{event, event, event, event}, 0},
		"an event above":              {0, []int{event + 1}, event},
		"an event beside others":      {0, []int{1, 5 * mega, 1}, event},
		"an event above both":         {0, []int{16*mega + 1}, event},
		"an append above":             {0, []int{event, event, event, event, esdbserver.DefaultMaxAppendBytes - 4*event}, esdbserver.DefaultMaxAppendBytes},
		"an append is less":           {2 * mega, []int{mega, mega, 1}, 2 * mega},
		"an event above a small most": {2 * mega, []int{5 * mega}, 2 * mega},
		"a most above 16 MiB":         {64 * mega, []int{event + 1}, event},
	} {
		t.Run(name, func(t *testing.T) {
			store, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, MaxAppendBytes: c.most})
			trailer, err := appendSizes(t, connect(t, addr), c.sizes...)
			if c.limit == 0 {
				require.NoError(t, err)
				return
			}
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
			require.Equal(t, []string{"maximum-append-size-exceeded"}, trailer.Get("exception"))
			require.Equal(t, []string{strconv.Itoa(c.limit)}, trailer.Get("maximum-append-size"))
			head, err := store.Head(background(t))
			require.NoError(t, err)
			require.Equal(t, eventstore.BeforeFirst, head)
		})
	}
}

// A type counts as data does. One is as long as a name at most: an event that is taken
// can be read again, with the whole log behind it.
func TestTypesCount(t *testing.T) {
	const most = 1 << 20
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, MaxAppendBytes: most})
	conn := connect(t, addr)
	typed := func(n, size int) []*streams.AppendReq {
		events := make([]*streams.AppendReq, n)
		for i := range events {
			events[i] = proposal(strings.Repeat("t", size), 0)
		}
		return events
	}
	largest := 17<<20 - 64<<10
	largest -= proto.Size(typed(1, largest)[0]) - largest
	for _, n := range []int{eventstore.MaxTypeName + 1, 15 << 20, largest} {
		_, err := appendAll(t, conn, typed(1, n)...)
		require.Equal(t, codes.InvalidArgument, status.Code(err), "a type of %d bytes: %v", n, err)
		require.ErrorContains(t, err, "more than 1024")
	}
	trailer, err := appendAll(t, conn, typed(most/eventstore.MaxTypeName+1, eventstore.MaxTypeName)...)
	require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	require.Equal(t, []string{strconv.Itoa(most)}, trailer.Get("maximum-append-size"))
	_, err = appendAll(t, conn, typed(most/eventstore.MaxTypeName, eventstore.MaxTypeName)...)
	require.NoError(t, err)
	all, err := dial(t, "esdb://"+addr+"?tls=false").ReadAll(background(t), esdb.ReadAllOptions{}, 1<<62)
	require.Len(t, drained(t, all, err), most/eventstore.MaxTypeName)
}

// However little of a refused append is data, no more of it is read than is of data.
func TestARefusedAppendIsReadSoFar(t *testing.T) {
	config, ca := certificate(t)
	transport, err := credentials.NewClientTLSFromFile(ca, "")
	require.NoError(t, err)
	nobody := func(string, string) (esdbserver.Access, bool) { return 0, false }
	event := proposal("small", 0)
	event.GetProposedMessage().Metadata["more"] = strings.Repeat("m", 4<<20)
	for name, c := range map[string]struct {
		opts      esdbserver.Options
		transport credentials.TransportCredentials
		code      codes.Code
	}{
		"too big":     {esdbserver.Options{Mode: esdbserver.Open}, insecure.NewCredentials(), codes.InvalidArgument},
		"by a nobody": {esdbserver.Options{TLS: config, Authorize: nobody}, transport, codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, c.opts)
			conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(c.transport))
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			call, sent := beginAppend(t, conn), 0
			for ; err == nil && sent < 64; sent++ {
				err = call.Send(event)
			}
			require.ErrorIs(t, err, io.EOF, "after %d times 4 MiB it still reads", sent)
			_, err = call.CloseAndRecv()
			require.Equal(t, c.code, status.Code(err), "%v", err)
		})
	}
}
