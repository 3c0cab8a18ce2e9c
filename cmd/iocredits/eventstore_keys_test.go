package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// securely starts an `eventstore` on an address that its certificate doesn't cover: it has
// only a name. It gives the file of its keys and a key of its first user, an admin.
func securely(t *testing.T) (s *standIn, file, key string, connect func(scheme, key string) *esdb.Client) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "keys.yaml")
	key = addAdmin(t, file, "first")
	cert, private := writeCertificate(t, dir, "localhost")
	s = startEventstoreWith(t, "--data", filepath.Join(dir, "data"), "--addr", "127.0.0.1:0", "--cert", cert, "--key", private, "--keys", file, "--create")
	return s, file, key, func(scheme, key string) *esdb.Client {
		return esdbClient(t, scheme+"://user:"+key+"@"+strings.TrimPrefix(s.connection, "esdb://")+"?tlsCAFile="+cert+"&maxDiscoverAttempts=1")
	}
}

func addAdmin(t *testing.T, file, id string) (key string) {
	t.Helper()
	out, _, err := run(t, "keys", "create", "--role", "admin", "--id", id, "--actor", id, "--append", file)
	require.NoError(t, err)
	return strings.TrimSpace(out)
}

// appendWith is the code of an append.
func appendWith(t *testing.T, client *esdb.Client) codes.Code {
	t.Helper()
	_, err := client.AppendToStream(t.Context(), "notes-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.EventData{EventType: "noted"})
	return status.Code(err)
}

// TestTheLineLeadsToTheEventstore: what it prints at its start can be connected to, with
// gossip and without, wherever it listens and whatever its certificate names.
func TestTheLineLeadsToTheEventstore(t *testing.T) {
	_, _, key, connect := securely(t)
	for _, scheme := range []string{"esdb", "esdb+discover"} {
		require.Equal(t, codes.OK, appendWith(t, connect(scheme, key)), scheme)
	}
	named := func(names ...string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{{Leaf: &x509.Certificate{DNSNames: names}}}}
	}
	for _, c := range []struct {
		listens, want string
		secure        *tls.Config
	}{
		{"127.0.0.1", "esdb://127.0.0.1:2113?tls=false", nil},
		{"::1", "esdb://localhost:2113?tls=false", nil},
		{"::", "esdb://localhost:2113", named()},
		{"0.0.0.0", "esdb://localhost:2113", named("log.example", "localhost")},
		{"0.0.0.0", "esdb://log.example:2113", named("log.example", "log")},
		{"192.0.2.7", "esdb://log.example:2113", named("*.log.example", "log.example")},
		{"192.0.2.7", "esdb://192.0.2.7:2113", named("*.log.example")},
	} {
		require.Equal(t, c.want, connectionTo(listening{at: net.ParseIP(c.listens)}, c.secure), c.listens)
	}
}

// listening is a listener as far as its address goes.
type listening struct {
	net.Listener
	at net.IP
}

func (l listening) Addr() net.Addr { return &net.TCPAddr{IP: l.at, Port: 2113} }

// TestTheEventstoreReadsItsKeysAgain: at SIGHUP, as an engine does.
func TestTheEventstoreReadsItsKeysAgain(t *testing.T) {
	s, file, first, connect := securely(t)
	second := addAdmin(t, file, "second")
	require.Equal(t, codes.Unauthenticated, appendWith(t, connect("esdb", second)), "nobody has asked for it")
	hup := func(want string) {
		t.Helper()
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		require.Eventually(t, func() bool { return strings.Contains(s.log.String(), want) }, patience, time.Millisecond)
	}
	hup("now=2")
	require.Equal(t, codes.OK, appendWith(t, connect("esdb", first)))
	require.Equal(t, codes.OK, appendWith(t, connect("esdb", second)))
	require.NotContains(t, s.log.String(), "too few actors", "it has no desks")

	require.NoError(t, os.Remove(file))
	hup("the keys of before stay")
	second = addAdmin(t, file, "third")
	hup("now=1")
	require.Equal(t, codes.Unauthenticated, appendWith(t, connect("esdb", first)))
	require.Equal(t, codes.OK, appendWith(t, connect("esdb", second)))
}
