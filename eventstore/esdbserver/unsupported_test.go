package esdbserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"iocredits/eventstore/esdbserver"
)

// persistentRead is the method of a service that this server doesn't have.
const persistentRead = "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read"

// The official client is told every time that it asked for what isn't served.
func TestPersistentSubscriptionsAreUnsupported(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	for range 300 {
		_, err := c.SubscribeToPersistentSubscription(background(t), "s", "group", esdb.SubscribeToPersistentSubscriptionOptions{})
		requireCode(t, esdb.ErrorCodeUnsupportedFeature, err)
	}
	requireCode(t, esdb.ErrorCodeUnsupportedFeature, c.CreatePersistentSubscription(background(t), "s", "group", esdb.PersistentStreamSubscriptionOptions{}))

	// These turn to HTTP/1 where they aren't said to be served.
	ctx := background(t)
	_, err := c.ListAllPersistentSubscriptions(ctx, esdb.ListPersistentSubscriptionsOptions{})
	requireCode(t, esdb.ErrorCodeUnsupportedFeature, err)
	_, err = c.ListPersistentSubscriptionsForStream(ctx, "s", esdb.ListPersistentSubscriptionsOptions{})
	requireCode(t, esdb.ErrorCodeUnsupportedFeature, err)
	_, err = c.GetPersistentSubscriptionInfo(ctx, "s", "group", esdb.GetPersistentSubscriptionOptions{})
	requireCode(t, esdb.ErrorCodeUnsupportedFeature, err)
	requireCode(t, esdb.ErrorCodeUnsupportedFeature, c.ReplayParkedMessages(ctx, "s", "group", esdb.ReplayParkedMessagesOptions{}))
	requireCode(t, esdb.ErrorCodeUnsupportedFeature, c.RestartPersistentSubscriptionSubsystem(ctx, esdb.RestartPersistentSubscriptionSubsystemOptions{}))
}

// Node clients look for each method by itself, and most of them for a feature too.
func TestPersistentSubscriptionsAreListed(t *testing.T) {
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open})
	supported, err := serverfeatures.NewServerFeaturesClient(connect(t, addr)).GetSupportedMethods(background(t), &shared.Empty{})
	require.NoError(t, err)
	listed := map[string][]string{}
	for _, m := range supported.GetMethods() {
		if m.GetServiceName() == "event_store.client.persistent_subscriptions.persistentsubscriptions" {
			listed[m.GetMethodName()] = m.GetFeatures()
		}
	}
	require.Equal(t, map[string][]string{"getinfo": {"stream"}, "list": {"stream"}, "replayparked": {"stream"}, "restartsubsystem": nil}, listed)
}

// both opens a call that sends and receives.
func both(ctx context.Context, t *testing.T, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	call, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	require.NoError(t, err)
	return call
}

// A method that isn't served asks who the client is, as the others do; and whoever
// may read is told that it isn't served.
func TestWhoIsToldWhatIsUnsupported(t *testing.T) {
	config, ca := certificate(t)
	access := map[string]esdbserver.Access{"auditor": esdbserver.MayRead, "admin": esdbserver.MayWrite, "customer": esdbserver.NoAccess}
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, TLS: config, Authorize: func(user, _ string) (esdbserver.Access, bool) {
		a, known := access[user]
		return a, known
	}})
	transport, err := credentials.NewClientTLSFromFile(ca, "")
	require.NoError(t, err)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(transport))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	for user, want := range map[string]codes.Code{
		"": codes.Unauthenticated, "nobody": codes.Unauthenticated, "customer": codes.PermissionDenied,
		"auditor": codes.Unimplemented, "admin": codes.Unimplemented,
	} {
		ctx := background(t)
		if user != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":x")))
		}
		for range 50 {
			for _, method := range []string{persistentRead, streams.Streams_BatchAppend_FullMethodName} {
				call := both(ctx, t, conn, method)
				require.NoError(t, call.SendMsg(new(emptypb.Empty)), "the call ended before its first message")
				require.Equal(t, want, status.Code(call.RecvMsg(new(emptypb.Empty))), "%s: %s", user, method)
			}
		}
	}
}

// A client that never sends is answered all the same, and nothing waits for it then.
func TestAClientThatNeverSendsIsAnswered(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open})
	call := both(background(t), t, connect(t, addr), persistentRead)
	require.Equal(t, codes.Unimplemented, status.Code(call.RecvMsg(new(emptypb.Empty))))
	require.Eventually(t, func() bool {
		var stacks bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&stacks, 2))
		return !strings.Contains(stacks.String(), "esdbserver.awaitFirst")
	}, 10*time.Second, 10*time.Millisecond)
}

// Whoever may only read is denied a delete in the way that clients know a denial by: some
// of them look at nothing else.
func TestADeniedDeleteTellsSo(t *testing.T) {
	config, ca := certificate(t)
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, TLS: config, Authorize: func(string, string) (esdbserver.Access, bool) { return esdbserver.MayRead, true }})
	transport, err := credentials.NewClientTLSFromFile(ca, "")
	require.NoError(t, err)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(transport))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ctx := metadata.AppendToOutgoingContext(background(t), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("auditor:x")))
	var deleted, buried metadata.MD
	_, err = streams.NewStreamsClient(conn).Delete(ctx, &streams.DeleteReq{}, grpc.Trailer(&deleted))
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = streams.NewStreamsClient(conn).Tombstone(ctx, &streams.TombstoneReq{}, grpc.Trailer(&buried))
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	for _, trailer := range []metadata.MD{deleted, buried} {
		require.Equal(t, []string{"access-denied"}, trailer.Get("exception"))
	}
}
