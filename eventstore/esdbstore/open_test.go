package esdbstore_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/esdbstore"
)

// hasty gives up soon, for clusters that will never be there. One that answers has
// all the time of a slow machine for it.
func hasty() esdbstore.Options {
	return esdbstore.Options{Logger: quiet(), Patience: 100 * time.Millisecond, AttemptTimeout: 10 * time.Second}
}

func TestMalformedConnectionStrings(t *testing.T) {
	noLeaks(t)
	for connection, want := range map[string]string{
		"":                                                      "empty",
		" esdb://localhost":                                     "spaces",
		"localhost:2113":                                        `not with "localhost:2113"`,
		"kurrentdb://localhost:2113":                            `not with "kurrentdb"`,
		"http://localhost:2113":                                 `not with "http"`,
		"esdb://":                                               "host is missing",
		"esdb://:2113":                                          "host is missing",
		"esdb://a:2113,,b:2113":                                 "host is missing",
		"esdb://localhost:port":                                 "no port from 1 to 65535",
		"esdb://localhost:0":                                    "no port from 1 to 65535",
		"esdb://localhost:67649":                                "no port from 1 to 65535",
		"esdb://[::1]:2113?tls=false":                           "host [::1]:2113: the client takes no IPv6 address",
		"esdb://localhost:2113/path":                            "no port",
		"esdb://localhost/path":                                 "path",
		"esdb://localhost?tls=perhaps":                          "tls",
		"esdb://localhost?tsl=false":                            `"tsl" is unknown`,
		"esdb://localhost?tls=false&tls=true":                   "given 2 times",
		"esdb://localhost?defaultDeadline=soon":                 "defaultDeadline",
		"esdb://localhost?nodePreference=follower":              "leader",
		"esdb://localhost?tlsCAFile=/nowhere/ca.pem":            "no such file",
		"esdb://localhost?userCertFile=a.pem":                   "userKeyFile",
		"esdb://:secret@localhost":                              "username",
		"esdb://engine:secret@localhost:2113?tls=false":         "must not cross the wire in clear",
		"esdb+discover://engine:secret@a:2113,b:2113?tls=false": "must not cross the wire in clear",
		"esdb://engine:secret%zz@localhost:2113":                "invalid URL escape",
		"esdb://localhost:2113?tls=false&userCertFile=/a&userKeyFile=/b": "must not cross the wire in clear",
	} {
		s, err := esdbstore.Open(context.Background(), connection, hasty())
		require.Nil(t, s, connection)
		require.ErrorContains(t, err, want, "%s", connection)
		require.NotContains(t, err.Error(), "secret", "a password is no reader's business")
		require.NotContains(t, err.Error(), "\n")
	}
}

// features is a server that tells a version and knows nothing else.
type features struct {
	serverfeatures.UnimplementedServerFeaturesServer
	version string
}

func (f features) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: f.version}, nil
}

func serveFeatures(t *testing.T, version string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	serverfeatures.RegisterServerFeaturesServer(server, features{version: version})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// Whatever is at the address, Open says in one line what is wrong, in time.
func TestServersThatAreNone(t *testing.T) {
	noLeaks(t)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	for name, c := range map[string]struct{ addr, want string }{
		"a web server":             {strings.TrimPrefix(web.URL, "http://"), "can't be reached"},
		"one that never answers":   {silent.Addr().String(), "no answer in time"},
		"none":                     {gone.Addr().String(), "connection refused"},
		"an unreadable version":    {serveFeatures(t, "24.10.0-alpha"), "version format"},
		"no version":               {serveFeatures(t, ""), "version format"},
		"another service of gRPC":  {serveFeatures(t, "24.10.0"), "is no EventStoreDB"},
		"a name that nobody knows": {"nobody.invalid:2113", "can't be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			opts, gossip := hasty(), "20"
			if c.addr == silent.Addr().String() { // this store gives up long before its client does
				skipUnderRace(t)
				opts.AttemptTimeout, gossip = 100*time.Millisecond, "2"
			}
			s, err := esdbstore.Open(ctx, "esdb://"+c.addr+"?tls=false&gossipTimeout="+gossip, opts)
			require.Nil(t, s)
			require.NoError(t, ctx.Err())
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, c.addr)
		})
	}
}

func TestWrongCredentialsAndCertificates(t *testing.T) {
	noLeaks(t)
	r := newRig(t, true)
	for name, c := range map[string]struct{ connection, want string }{
		"no user":           {"esdb://" + r.addr + "?tlsCAFile=" + r.caPEM, "API key"},
		"wrong password":    {"esdb://engine:guessed@" + r.addr + "?tlsCAFile=" + r.caPEM, "user or password is wrong"},
		"unknown authority": {"esdb://engine:secret@" + r.addr, "certificate"},
		"no TLS":            {"esdb://" + r.addr + "?tls=false", "can't be reached"},
	} {
		s, err := esdbstore.Open(context.Background(), c.connection, hasty())
		require.Nil(t, s, name)
		require.ErrorContains(t, err, c.want, name)
	}
	s, err := esdbstore.Open(context.Background(), "esdb+discover://engine:secret@"+r.addr+"?tlsCAFile="+r.caPEM, hasty())
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// A user who may not write is told so at once, not after repeats.
func TestARefusalIsNotRepeated(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	r.stop(0)
	r.opts.Mode = esdbserver.ReadOnly
	r.start()
	s := r.open(t, "")
	start := time.Now()
	_, err := s.Append(context.Background(), "account-1", -1, several(1))
	require.ErrorContains(t, err, "access denied")
	require.Less(t, time.Since(start), 10*time.Second)
	require.NoError(t, s.Close())
}
