package esdbstore_test

import (
	"context"
	"net"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbstore"
)

// garbled is a server whose events are of no stream, at which the client panics.
type garbled struct {
	streams.UnimplementedStreamsServer
}

func (garbled) Read(request *streams.ReadReq, out streams.Streams_ReadServer) error {
	if request.GetOptions().GetSubscription() == nil {
		return nil // the log is empty
	}
	id := uuid.NewString()
	err := out.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: id}}})
	if err != nil {
		return err
	}
	event := &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: id}},
		Metadata: map[string]string{"type": "t", "content-type": "application/json", "created": "1"},
	}
	return out.Send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{Event: event}}})
}

// A subscription at which the client panics ends with an error, and not the process.
func TestAPanicOfTheClientInASubscription(t *testing.T) {
	noLeaks(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	serverfeatures.RegisterServerFeaturesServer(server, features{version: "24.10.0"})
	streams.RegisterStreamsServer(server, garbled{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	s, err := esdbstore.Open(t.Context(), "esdb://"+listener.Addr().String()+"?tls=false", impatient())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, err := range s.Subscribe(ctx, eventstore.BeforeFirst) {
		require.ErrorContains(t, err, "the client panicked")
		return
	}
	t.Fatal("the subscription ended without an error")
}
