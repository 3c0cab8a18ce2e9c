package esdbserver

import (
	"context"
	"net"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
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

// Read tells the one member, which leads.
func (g gossipServer) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	g.server.mu.Lock()
	advertise := g.server.advertise
	g.server.mu.Unlock()
	host, port, err := net.SplitHostPort(advertise)
	if err != nil {
		host, port = advertise, "2113"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		number = 2113
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId: structured(g.server.instance), TimeStamp: ticks(g.server.opts.Now()),
		State: gossip.MemberInfo_Leader, IsAlive: true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(number)},
	}}}, nil
}
