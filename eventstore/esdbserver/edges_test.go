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

// A subscription to a stream begins with what can be read of it.
func TestSubscribeToWhatIsHidden(t *testing.T) {
	var later atomic.Int64
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	c := dial(t, "esdb://"+addr+"?tls=false")
	subscribe := func(want ...string) *esdb.Subscription {
		t.Helper()
		s, err := c.SubscribeToStream(background(t), "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		requireNext(t, s, append(want, "caught up")...)
		return s
	}
	put(t, c, "s", esdb.NoStream{}, several(5)...)
	later.Store(int64(time.Hour))
	for _, limits := range []struct {
		metadata string
		want     []string
	}{
		{`{"$tb":3}`, []string{"s/3", "s/4"}},
		{`{"$maxCount":1}`, []string{"s/4"}},
		{`{"$maxAge":60}`, nil},
		{`{}`, []string{"s/0", "s/1", "s/2", "s/3", "s/4"}},
	} {
		put(t, c, "$$s", esdb.Any{}, esdb.EventData{EventID: uuid.New(), EventType: "$metadata", Data: []byte(limits.metadata)})
		subscribe(limits.want...)
	}
	require.NoError(t, softDelete(background(t), c, "s", esdb.Any{}))
	deleted := subscribe()
	put(t, c, "s", esdb.NoStream{}, data(5))
	requireNext(t, deleted, "s/5")
}

// No position is before the first: an empty log was searched up to nowhere.
func TestNoCheckpointOfAnEmptyLog(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	s, err := c.SubscribeToAll(background(t), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: esdb.ExcludeSystemEventsFilter()})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	requireNext(t, s, "caught up")
}

// A log that has ended is one that is away: clients look for another server, and try again.
func TestALogThatHasEndedIsAway(t *testing.T) {
	store, c := open(t, esdbserver.Open)
	require.NoError(t, store.Close())
	requireCode(t, esdb.ErrorUnavailable, appendError(t, c, "s", esdb.Any{}, data(1)))
}
