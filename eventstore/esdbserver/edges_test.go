package esdbserver_test

import (
	"context"
	"encoding/base64"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// A client that names no window (the Go client always does) is told every 32 events how far
// the log was searched.
func TestTheWindowOfWhoNamesNone(t *testing.T) {
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open})
	put(t, dial(t, "esdb://"+addr+"?tls=false"), "many", esdb.NoStream{}, several(70)...)
	call, err := streams.NewStreamsClient(connect(t, addr)).Read(background(t), &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
		CountOption:  &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}},
		FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Window: &streams.ReadReq_Options_FilterOptions_Count{Count: &shared.Empty{}},
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"rare"}}},
		}},
	}})
	require.NoError(t, err)
	var at []uint64
	for m := new(streams.ReadResp); m.GetCaughtUp() == nil; {
		m, err = call.Recv()
		require.NoError(t, err)
		if m.GetCheckpoint() != nil {
			at = append(at, m.GetCheckpoint().GetCommitPosition())
		}
	}
	require.Equal(t, []uint64{32, 64, 70}, at)
}

// An age of centuries, more nanoseconds than there are, hides nothing.
func TestAnAgeOfCenturies(t *testing.T) {
	var later atomic.Int64
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	c := dial(t, "esdb://"+addr+"?tls=false")
	put(t, c, "s", esdb.NoStream{}, data(0))
	later.Store(int64(time.Hour))
	for _, seconds := range []string{"18446744074", "9223372036854775807"} {
		put(t, c, "$$s", esdb.Any{}, esdb.EventData{EventID: uuid.New(), EventType: "$metadata", Data: []byte(`{"$maxAge":` + seconds + `}`)})
		require.Len(t, read(t, c, "s", esdb.ReadStreamOptions{}, 10), 1, seconds)
	}
}

// Who sends two users is none.
func TestTwoUsersAreNone(t *testing.T) {
	config, ca := certificate(t)
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, TLS: config, Authorize: func(string, string) (esdbserver.Access, bool) { return esdbserver.MayRead, true }})
	transport, err := credentials.NewClientTLSFromFile(ca, "")
	require.NoError(t, err)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(transport))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("auditor:x"))
	for sent, want := range map[int]codes.Code{1: codes.InvalidArgument, 2: codes.Unauthenticated} {
		ctx := background(t)
		for range sent {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", basic)
		}
		call, err := streams.NewStreamsClient(conn).Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{}})
		require.NoError(t, err)
		_, err = call.Recv()
		require.Equal(t, want, status.Code(err), "%d: %v", sent, err)
	}
}

// buriesFirst is a Store in which somebody else ends a stream right before the append to it.
type buriesFirst struct{ eventstore.Store }

func (b buriesFirst) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if expected >= 0 {
		if _, err := b.Store.Append(ctx, stream, expected, []eventstore.Event{{ID: uuid.New(), Type: eventstore.TypeTombstone}}); err != nil {
			return eventstore.Appended{}, err
		}
	}
	return b.Store.Append(ctx, stream, expected, events)
}

// Who loses to a tombstone is told that the stream is deleted, not that it is elsewhere.
func TestATombstoneThatComesFirst(t *testing.T) {
	c := dial(t, "esdb://"+serveOn(t, buriesFirst{memory(t)}, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
	put(t, c, "s", esdb.NoStream{}, data(0))
	requireCode(t, esdb.ErrorCodeStreamDeleted, appendError(t, c, "s", esdb.Revision(0), data(1)))
}
