package esdbserver

import (
	"context"
	"net"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/metadata"
)

// protocolVersion is the first version of the server whose subscriptions tell
// when they have caught up. Clients parse it: three whole numbers, nothing else.
const protocolVersion = "23.10.0"

// persistentSubscriptions is a service that isn't served.
const persistentSubscriptions = "event_store.client.persistent_subscriptions.persistentsubscriptions"

// GetSupportedMethods lists what is served. BatchAppend is left out, and clients
// then append with Append. Four methods of persistent subscriptions are listed all the
// same, as Node clients ask for them, with their feature: without them clients turn to
// HTTP/1, of which they understand no answer here, and with them they are told that these
// aren't served.
func (s *Server) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	methods := &serverfeatures.SupportedMethods{EventStoreServerVersion: protocolVersion}
	for _, m := range [][]string{ // service, method, features
		{"event_store.client.streams.streams", "append"},
		{"event_store.client.streams.streams", "read"},
		{"event_store.client.streams.streams", "delete"},
		{"event_store.client.streams.streams", "tombstone"},
		{"event_store.client.operations.operations", "startscavenge"},
		{"event_store.client.operations.operations", "stopscavenge"},
		{persistentSubscriptions, "getinfo", "stream"},
		{persistentSubscriptions, "replayparked", "stream"},
		{persistentSubscriptions, "list", "stream"},
		{persistentSubscriptions, "restartsubsystem"},
		{"event_store.client.gossip.gossip", "read"},
		{"event_store.client.server_features.serverfeatures", "getsupportedmethods"},
	} {
		methods.Methods = append(methods.Methods, &serverfeatures.SupportedMethod{ServiceName: m[0], MethodName: m[1], Features: m[2:]})
	}
	return methods, nil
}

// gossipServer answers for a cluster of one. It is a type of its own because
// its Read would clash with the streams'.
type gossipServer struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read tells the one member, which leads, and how to get to it.
func (g gossipServer) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	address := g.server.address(ctx)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "2113"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		number = 2113
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // clients put a colon and the port behind it
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId: structured(g.server.instance), TimeStamp: ticks(g.server.opts.Now()),
		State: gossip.MemberInfo_Leader, IsAlive: true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(number)},
	}}}, nil
}

// address is where the client finds this server: as it is told, or else as the client
// called it to get here. The listener's own address is none where it listens everywhere,
// and no name of a certificate that has only names.
func (s *Server) address(ctx context.Context) string {
	if s.opts.Advertise != "" {
		return s.opts.Advertise
	}
	for _, called := range metadata.ValueFromIncomingContext(ctx, ":authority") {
		if _, _, err := net.SplitHostPort(called); err == nil {
			return called
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.advertise
}
