package esdbserver_test

import (
	"strconv"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

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

// appendSizes appends events of these sizes, half of it metadata, and gives the
// trailers, which the official client keeps to itself.
func appendSizes(t *testing.T, conn *grpc.ClientConn, sizes ...int) (metadata.MD, error) {
	t.Helper()
	call, err := streams.NewStreamsClient(conn).Append(background(t))
	require.NoError(t, err)
	require.NoError(t, call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("s")},
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}))
	for _, size := range sizes {
		require.NoError(t, call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id:   &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
			Data: make([]byte, size/2), CustomMetadata: make([]byte, size-size/2),
			Metadata: map[string]string{"type": "big", "content-type": "application/octet-stream"},
		}}}))
	}
	_, err = call.CloseAndRecv()
	return call.Trailer(), err
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
		"an append above":             {0, []int{event, event, event, event, 1}, 16 * mega},
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
