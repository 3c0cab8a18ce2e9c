package esdbserver_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"iocredits/eventstore/esdbserver"
)

// TestDiscovery: a client that asks gossip for the leader gets back to where it is, though
// the server listens everywhere and its certificate has no address.
func TestDiscovery(t *testing.T) {
	config, ca := certificateOf(t, []string{"localhost"})
	for name, at := range map[string]net.IP{"everywhere": net.IPv6zero, "everywhere by IPv4": net.IPv4zero, "loopback": net.IPv4(127, 0, 0, 1)} {
		t.Run(name, func(t *testing.T) {
			_, port, err := net.SplitHostPort(serveAs(t, at, memory(t), esdbserver.Options{Mode: esdbserver.Open, TLS: config}))
			require.NoError(t, err)
			c := dial(t, "esdb+discover://localhost:"+port+"?tlsCAFile="+ca+"&maxDiscoverAttempts=1")
			put(t, c, "s", esdb.NoStream{}, data(1))
			require.Len(t, read(t, c, "s", esdb.ReadStreamOptions{}, 10), 1)
		})
	}
}

// TestWhereGossipSendsClients: to the address they called, if that is one.
func TestWhereGossipSendsClients(t *testing.T) {
	addr := serveOn(t, memory(t), esdbserver.Options{})
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	told := serveOn(t, memory(t), esdbserver.Options{Advertise: "told.example:4"})
	for _, c := range []struct{ addr, called, want string }{
		{addr, "", addr},
		{addr, "log.example:443", "log.example:443"},
		{addr, "[2001:db8::1]:2113", "[2001:db8::1]:2113"},
		{addr, "log.example", "127.0.0.1:" + port},
		{told, "log.example:443", "told.example:4"},
	} {
		connection, err := grpc.NewClient(c.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(c.called))
		require.NoError(t, err)
		info, err := gossip.NewGossipClient(connection).Read(background(t), &shared.Empty{})
		require.NoError(t, err)
		require.NoError(t, connection.Close())
		require.Len(t, info.Members, 1)
		end := info.Members[0].HttpEndPoint
		require.Equal(t, c.want, end.Address+":"+strconv.Itoa(int(end.Port)), "called as %q", c.called)
	}
}
