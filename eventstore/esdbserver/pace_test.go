package esdbserver_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// A subscriber that reads more slowly than others write is told that it has fallen
// behind, loses nothing, and is told when it has caught up again.
func TestASlowSubscriberFallsBehind(t *testing.T) {
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open})
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10)) // else grpc takes in as much as it can
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	log := &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}}
	subscribers := map[string]*streams.ReadReq_Options{
		"log": {StreamOption: log, FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}},
		"filtered log": {StreamOption: log, FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"s"}}},
		}}},
		"stream": {StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}, RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}}},
	}
	calls := map[string]streams.Streams_ReadClient{}
	for name, options := range subscribers {
		options.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
		calls[name], err = streams.NewStreamsClient(conn).Read(t.Context(), &streams.ReadReq{Options: options})
		require.NoError(t, err)
		for m := new(streams.ReadResp); m.GetCaughtUp() == nil; {
			m, err = calls[name].Recv()
			require.NoError(t, err)
		}
	}
	const appends, each = 12, 1000
	writer := dial(t, "esdb://"+addr+"?tls=false")
	for range appends {
		put(t, writer, "s", esdb.Any{}, several(each)...)
	}
	for name, call := range calls {
		var told []string
		for n := 0; len(told) < 2; {
			m, err := call.Recv()
			require.NoError(t, err, name)
			switch {
			case m.GetEvent() != nil:
				require.EqualValues(t, n, m.GetEvent().GetEvent().GetStreamRevision(), name)
				n++
			case m.GetFellBehind() != nil:
				require.Less(t, n, appends*each, name)
				told = append(told, "fell behind")
			case m.GetCaughtUp() != nil:
				require.Equal(t, appends*each, n, name)
				told = append(told, "caught up")
			}
		}
		require.Equal(t, []string{"fell behind", "caught up"}, told, name)
	}
}

// growing is a log to which somebody writes whenever its end is asked for, so many times.
type growing struct {
	eventstore.Store
	more atomic.Int64
}

func (g *growing) Head(ctx context.Context) (eventstore.Position, error) {
	if g.more.Add(-1) >= 0 {
		id := uuid.New()
		if _, err := g.Append(ctx, id.String(), eventstore.NoStream, []eventstore.Event{{ID: id, Type: "a"}}); err != nil {
			return 0, err
		}
	}
	return g.Store.Head(ctx)
}

// A subscriber has caught up when it has all that there is by then, not what there was when
// it began.
func TestCaughtUpWithWhatCameMeanwhile(t *testing.T) {
	const events = 5
	log := &growing{Store: memory(t)}
	log.more.Store(events)
	c := dial(t, "esdb://"+serveOn(t, log, esdbserver.Options{Mode: esdbserver.Open})+"?tls=false")
	subscription, err := c.SubscribeToAll(background(t), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer func() { require.NoError(t, subscription.Close()) }()
	for n := 0; ; n++ {
		e := subscription.Recv()
		require.Nil(t, e.SubscriptionDropped)
		if e.CaughtUp != nil {
			require.Equal(t, events, n)
			return
		}
	}
}
