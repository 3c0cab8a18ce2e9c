package esdbstore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/pebblestore"
)

func quiet() *slog.Logger {
	level := slog.LevelError + 4
	if os.Getenv("ESDB_LOG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// patience bounds what only a broken store would not do.
const patience = 30 * time.Second

// rig is a server over an embedded store, on a real TCP port that stays the
// same when the server is started again.
type rig struct {
	t     *testing.T
	store *pebblestore.Store
	tls   *tls.Config
	caPEM string
	addr  string
	opts  esdbserver.Options

	server *esdbserver.Server
	served chan error
}

func newRig(t *testing.T, secure bool) *rig {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: quiet()})
	require.NoError(t, err)
	r := &rig{t: t, store: store, opts: esdbserver.Options{Mode: esdbserver.Open}}
	if secure {
		r.tls, r.caPEM = certificate(t)
		r.opts.Authorize = func(user, password string) (esdbserver.Access, bool) {
			return esdbserver.MayWrite, user == "engine" && password == "secret"
		}
	}
	r.start()
	t.Cleanup(func() {
		r.stop(time.Second)
		require.NoError(t, store.Close())
	})
	return r
}

// start listens where it listened before.
func (r *rig) start() {
	r.t.Helper()
	r.opts.Store, r.opts.TLS, r.opts.Logger = r.store, r.tls, quiet()
	server, err := esdbserver.New(r.opts)
	require.NoError(r.t, err)
	listener := listenLow(r.t, r.addr)
	r.addr, r.server, r.served = listener.Addr().String(), server, make(chan error, 1)
	go func(served chan error) { served <- server.Serve(listener) }(r.served)
}

// listenLow listens at addr, or where it is free below the ports that connections
// are given: one of those would take the port while its server is stopped.
func listenLow(t testing.TB, addr string) (listener net.Listener) {
	t.Helper()
	require.Eventually(t, func() bool {
		at := addr
		if at == "" {
			at = fmt.Sprintf("127.0.0.1:%d", 20_000+mathrand.IntN(10_000))
		}
		var err error
		listener, err = net.Listen("tcp", at)
		return err == nil
	}, 10*time.Second, 5*time.Millisecond, "the port stays taken")
	return listener
}

// stop gives calls under way some time: none is a kill.
func (r *rig) stop(grace time.Duration) {
	if r.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	r.server.Shutdown(ctx)
	if err := <-r.served; !errors.Is(err, esdbserver.ErrClosed) {
		r.t.Errorf("the server ended: %v", err)
	}
	r.server = nil
}

// connection is the string that leads to addr, or to the server itself.
func (r *rig) connection(addr string) string {
	if addr == "" {
		addr = r.addr
	}
	if r.tls == nil {
		return "esdb://" + addr + "?tls=false&gossipTimeout=1"
	}
	return "esdb://engine:secret@" + addr + "?tlsCAFile=" + r.caPEM + "&gossipTimeout=1"
}

// impatient are options that find out about trouble within a test's time.
func impatient() esdbstore.Options {
	return esdbstore.Options{
		Logger: quiet(), AttemptTimeout: time.Second, Patience: 20 * time.Second,
		PingEvery: 200 * time.Millisecond, PingTimeout: 500 * time.Millisecond,
	}
}

func (r *rig) open(t *testing.T, addr string) *esdbstore.Store {
	t.Helper()
	s, err := esdbstore.Open(context.Background(), r.connection(addr), impatient())
	require.NoError(t, err)
	return s
}

// certificate makes one for loopback that signs itself.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, path
}

// noLeaks fails the test if goroutines of the client, of this store or of grpc
// are left when everything was closed. Those that were there before, and what they
// began, are another test's: the client forgets its connection to a leader that it
// doesn't reach, which then goes on trying.
func noLeaks(t *testing.T) {
	t.Helper()
	before := clientGoroutines()
	t.Cleanup(func() {
		var left string
		found := func() bool {
			for name, stack := range clientGoroutines() {
				_, creator, _ := strings.Cut(stack, " in goroutine ")
				creator, _, _ = strings.Cut(creator, "\n")
				if before[name] == "" && before[creator] == "" {
					left = stack
					return true
				}
			}
			return false
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); found() && time.Now().Before(deadline); {
			<-tick.C
		}
		if found() {
			t.Errorf("a goroutine is left:\n%s", left)
		}
	})
}

// clientGoroutines are the stacks of those that noLeaks looks for, by their numbers.
func clientGoroutines() map[string]string {
	stacks, all := make([]byte, 8<<20), map[string]string{}
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "esdbstore.") && !strings.Contains(stack, "noLeaks") || strings.Contains(stack, "/esdb.") || strings.Contains(stack, "google.golang.org/grpc") {
			name, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " [")
			all[name] = stack
		}
	}
	return all
}

// all reads the whole log of the embedded store beneath the server.
func (r *rig) all() []eventstore.Recorded {
	r.t.Helper()
	var all []eventstore.Recorded
	for e, err := range r.store.ReadAll(context.Background(), 0, eventstore.Forwards, 1<<30) {
		require.NoError(r.t, err)
		all = append(all, e)
	}
	return all
}
