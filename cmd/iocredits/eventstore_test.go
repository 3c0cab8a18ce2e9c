package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/storetest"
)

// standIn is a running `eventstore`, in this process.
type standIn struct {
	connection string
	log        *storetest.Buffer
	stop       func()
}

func startEventstore(t *testing.T, data, addr string) *standIn {
	t.Helper()
	return startEventstoreWith(t, "--insecure", "--data", data, "--addr", addr)
}

func startEventstoreWith(t *testing.T, args ...string) *standIn {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, lines := io.Pipe()
	done := make(chan error, 1)
	log := &storetest.Buffer{}
	go func() {
		m := &Main{Stdout: lines, Stderr: log}
		err := m.Run(ctx, append([]string{"eventstore"}, args...))
		_ = lines.CloseWithError(io.EOF)
		done <- err
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "%s", log)
	s := &standIn{connection: strings.TrimSpace(strings.TrimPrefix(line, eventstoreReady)), log: log}
	s.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(s.stop)
	return s
}

func (s *standIn) addr() string {
	return strings.TrimSuffix(strings.TrimPrefix(s.connection, "esdb://"), "?tls=false")
}

func keyringSecret(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring-secret")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("5a", 32)+"\n"), 0o600))
	return path
}

func onCluster(t *testing.T, s *standIn, secret string) *engine {
	t.Helper()
	return serve(t, t.TempDir(), "--eventstore", s.connection, "--keyring-secret", secret)
}

// checkChains reads every account's stream and follows its hash chain. It gives
// the number of events of each command id.
func checkChains(t *testing.T, connection string) (commands map[string]int) {
	t.Helper()
	store, err := esdbstore.Open(t.Context(), connection, esdbstore.Options{})
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	type link struct {
		revision int64
		hash     eventstore.Hash
	}
	heads := map[string]link{}
	commands = map[string]int{}
	for r, err := range store.ReadAll(t.Context(), eventstore.BeforeFirst, eventstore.Forwards, math.MaxInt) {
		require.NoError(t, err)
		account, ours := eventstore.AccountOf(r.Stream)
		if !ours {
			continue
		}
		head, known := heads[account]
		if !known {
			head.revision = eventstore.NoStream
		}
		meta, err := eventstore.DecodeMetadata(r.Metadata)
		require.NoError(t, err)
		require.Equal(t, head.revision+1, r.Revision, account)
		require.Equal(t, head.hash, meta.Previous, "the chain of %s is broken at %d", account, r.Revision)
		heads[account] = link{r.Revision, eventstore.ChainHash(r.Stream, r.Revision, r.Event, head.hash)}
		if meta.Command.ID != "" {
			commands[account+" "+meta.Command.ID]++
		}
	}
	return commands
}

// Two engines on one log, under load on the same accounts and the same keys: each
// key has one effect, whole chains, the right sum, and both tell the same.
func TestTwoEngines(t *testing.T) {
	t.Parallel()
	const accounts, keys, workers = 3, 240, 12
	cluster, secret := startEventstore(t, t.TempDir(), "127.0.0.1:0"), keyringSecret(t)
	engines := []*engine{onCluster(t, cluster, secret), onCluster(t, cluster, secret)}
	for a := range accounts {
		engines[a%2].fund(fmt.Sprint("two-", a), "100")
	}
	var mu sync.Mutex
	told := map[string]string{}
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := range next {
				// Every key goes to both engines, from different workers at about the same time.
				key := fmt.Sprint("key-", n/2)
				id := deductTwice(engines[n%2], fmt.Sprint("two-", n/2%accounts), key)
				mu.Lock()
				if before, known := told[key]; known && before != id || id == "" {
					t.Errorf("%s was answered with %q and %q", key, before, id)
				}
				told[key] = id
				mu.Unlock()
			}
		})
	}
	for n := range 2 * keys {
		next <- n
	}
	close(next)
	wg.Wait()

	commands := checkChains(t, cluster.connection)
	for n := range keys {
		require.Equal(t, 1, commands[fmt.Sprintf("two-%d key-%d", n%accounts, n)], "key-%d", n)
	}
	total := domain.Amount(0)
	for a := range accounts {
		account := fmt.Sprint("two-", a)
		read := func(e *engine) string {
			b := e.must("service", http.MethodGet, "/v1/accounts/"+account+"/balance?consistency=strong", "", "")
			text, _ := b["balance"].(string)
			return text
		}
		require.Equal(t, read(engines[0]), read(engines[1]))
		left, err := domain.ParseAmount("balance", read(engines[0]))
		require.NoError(t, err)
		total += left
		require.Eventually(t, func() bool {
			return engines[0].balance(account) == left.String() && engines[1].balance(account) == left.String()
		},
			patience, 10*time.Millisecond, "the views of both engines end equal")
		history := func(e *engine) []any {
			items, _ := e.must("service", http.MethodGet, "/v1/accounts/"+account+"/transactions?limit=1000", "", "")["items"].([]any)
			return items
		}
		require.Equal(t, history(engines[0]), history(engines[1]))
	}
	require.Equal(t, "299.76", total.String(), "300 minus 240 times 0.001")
}

// deductTwice sends a deduction, and again while engines are in each other's way.
func deductTwice(e *engine, account, key string) string {
	for range 50 {
		a, err := e.call("service", http.MethodPost, "/v1/accounts/"+account+"/deductions", key,
			`{"amount":"0.001","service":"inference","reference":"two"}`)
		if err == nil && a.Status/100 == 2 {
			return firstTransaction(a)
		}
		if err != nil || a.Status != http.StatusConflict && a.Status != http.StatusServiceUnavailable {
			return fmt.Sprint(a.Status, a.Text, err)
		}
	}
	return "always in conflict"
}

// While the cluster is out of reach commands fail fast and reads go on; then
// everything goes on by itself.
func TestClusterOutage(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	cluster := startEventstore(t, data, freeAddr(t))
	e := onCluster(t, cluster, keyringSecret(t))
	e.fund("demo-1", "10")
	require.Equal(t, "10", e.balance("demo-1"))
	cluster.stop()
	reason := ""
	ready := func() int {
		a, err := e.call("", http.MethodGet, "/readyz", "", "")
		require.NoError(t, err)
		reason = a.Text
		return a.Status
	}
	require.Eventually(t, func() bool { return ready() == http.StatusServiceUnavailable }, patience, 50*time.Millisecond)
	require.Contains(t, reason, "the log is out of reach", "which passes, as a log that takes no more writes doesn't")
	require.Eventually(t, func() bool {
		start := time.Now()
		a, err := e.call("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "k1", `{"amount":"1","service":"ray","reference":"r"}`)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, a.Status, "%s", a.Text)
		return time.Since(start) < time.Second
	}, patience, 50*time.Millisecond, "commands don't fail fast")
	require.Equal(t, "10", e.balance("demo-1"), "reads go on")

	startEventstore(t, data, cluster.addr())
	require.Eventually(t, func() bool { return ready() == http.StatusOK }, patience, 50*time.Millisecond)
	e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "k1", `{"amount":"1","service":"ray","reference":"r"}`)
	require.Equal(t, "9", e.balance("demo-1"))
}

// A company moves from the embedded log to a cluster: an interrupted copy goes
// on, what is there is compared, and an engine on the copy tells the same.
func TestCopy(t *testing.T) {
	data, secret := t.TempDir(), keyringSecret(t)
	e := serve(t, data)
	for a := range 4 {
		account := fmt.Sprint("copied-", a)
		e.fund(account, "50")
		for n := range 30 {
			e.must("service", http.MethodPost, "/v1/accounts/"+account+"/deductions", fmt.Sprint("k", n),
				`{"amount":"0.5","service":"ray","reference":"r","description":"a secret note"}`)
		}
	}
	history := func(e *engine) string {
		a, err := e.call("support", http.MethodGet, "/v1/accounts/copied-2/transactions?limit=1000", "", "")
		require.NoError(t, err)
		return a.Text
	}
	want := history(e)
	require.Contains(t, want, "a secret note")
	require.NoError(t, e.stop())

	cluster := startEventstore(t, t.TempDir(), "127.0.0.1:0")
	part := &firstAppends{left: 40}
	part.copy(t, data, cluster.connection)
	out, log, err := run(t, "copy", "--from", data, "--to", cluster.connection, "--keyring-secret", secret)
	require.NoError(t, err)
	require.Empty(t, log, "nothing is wrong")
	require.Contains(t, out, "40 events were there before")
	require.Contains(t, out, "verified: both logs have 124 events")
	again, _, err := run(t, "copy", "--from", data, "--to", cluster.connection, "--keyring-secret", secret)
	require.NoError(t, err)
	require.Contains(t, again, "copied 0 events and 4 keys, 124 events were there before")
	require.Equal(t, out[strings.Index(out, "verified"):], again[strings.Index(again, "verified"):])
	require.Equal(t, positionless(want), positionless(history(onCluster(t, cluster, secret))))

	other := t.TempDir()
	e = serve(t, other)
	e.fund("copied-1", "7")
	require.NoError(t, e.stop())
	_, _, err = run(t, "copy", "--from", other, "--to", cluster.connection, "--keyring-secret", secret)
	require.ErrorContains(t, err, `the key of account "copied-1", generation 1: the log has another one`)
	require.NoError(t, os.RemoveAll(filepath.Join(other, "keyring")))
	require.NoError(t, os.CopyFS(filepath.Join(other, "keyring"), os.DirFS(filepath.Join(data, "keyring"))))
	_, _, err = run(t, "copy", "--from", other, "--to", cluster.connection, "--keyring-secret", secret)
	require.ErrorContains(t, err, `the cluster has other events in stream "account-copied-1"`)
	require.NoError(t, os.RemoveAll(filepath.Join(other, "keyring")))
	_, _, err = run(t, "copy", "--from", other, "--to", startEventstore(t, t.TempDir(), "127.0.0.1:0").connection, "--keyring-secret", secret)
	require.ErrorContains(t, err, "Put the right keyring back", "nobody could read a text there")
}

// positionless takes out what a copy can't keep, and how late the answer may be.
func positionless(history string) string {
	var kept []string
	for _, member := range strings.Split(history, ",") {
		if !strings.Contains(member, `"position"`) && !strings.Contains(member, `"next_cursor"`) && !strings.Contains(member, `"lag"`) {
			kept = append(kept, strings.TrimRight(member, "}]"))
		}
	}
	return strings.Join(kept, ",")
}

// firstAppends copies the beginning of a log, as a copy that was interrupted.
type firstAppends struct{ left int }

func (f *firstAppends) copy(t *testing.T, data, connection string) {
	t.Helper()
	from, err := openEmbedded(dataDir(data), pebbleQuiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, from.close()) }()
	to, err := esdbstore.Open(t.Context(), connection, esdbstore.Options{})
	require.NoError(t, err)
	defer func() { _ = to.Close() }()
	for r, err := range from.store.ReadAll(t.Context(), 0, eventstore.Forwards, f.left) {
		require.NoError(t, err)
		_, err = to.Append(t.Context(), r.Stream, r.Revision-1, []eventstore.Event{r.Event})
		require.NoError(t, err)
	}
}

// An official client reads the log of a running engine, and can't write to it
// but where it is allowed.
func TestEsdbAddr(t *testing.T) {
	for _, writable := range []bool{false, true} {
		addr := freeAddr(t)
		args := []string{"--esdb-addr", addr}
		if writable {
			args = append(args, "--esdb-writable")
		}
		e := serve(t, t.TempDir(), args...)
		e.fund("demo-1", "10")
		client := esdbClient(t, "esdb://"+addr+"?tls=false")
		stream, err := client.ReadStream(t.Context(), "account-demo-1", esdb.ReadStreamOptions{}, 100)
		require.NoError(t, err)
		event, err := stream.Recv()
		require.NoError(t, err)
		require.NotEmpty(t, event.Event.Data)
		stream.Close()
		put := func(stream string) error {
			_, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.EventData{EventType: "noted", Data: []byte("{}")})
			return err
		}
		require.ErrorContains(t, put("account-demo-1"), "access denied")
		if writable {
			require.NoError(t, put("notes-1"))
		} else {
			require.ErrorContains(t, put("notes-1"), "access denied")
		}
		require.Equal(t, "10", e.balance("demo-1"), "what others write is nothing to the ledger")
		require.NoError(t, e.stop())
	}
}

func esdbClient(t *testing.T, connection string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(connection)
	require.NoError(t, err)
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// freeAddr is below the ports that connections are given: one of those could take it
// while no server has it.
func freeAddr(t *testing.T) (addr string) {
	t.Helper()
	require.Eventually(t, func() bool {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+mathrand.IntN(10_000)))
		if err != nil {
			return false
		}
		addr = listener.Addr().String()
		return listener.Close() == nil
	}, patience, time.Millisecond)
	return addr
}

// In production the protocol asks for TLS and an API key, as the API does.
func TestEsdbAddrWithKeys(t *testing.T) {
	dir := t.TempDir()
	keys, addr := filepath.Join(dir, "keys.yaml"), freeAddr(t)
	made := map[string]string{}
	for _, role := range []string{"auditor", "finance", "admin"} {
		out, _, err := run(t, "keys", "create", "--role", role, "--actor", role+"-1", "--append", keys)
		require.NoError(t, err)
		made[role] = strings.TrimSpace(out)
	}
	cert, key := writeCertificate(t, dir)
	serveArgs(t, "serve", "--create", "--keys", keys, "--data", filepath.Join(dir, "data"), "--addr", "127.0.0.1:0",
		"--esdb-addr", addr, "--esdb-writable", "--esdb-cert", cert, "--esdb-key", key)
	for role, want := range map[string]codes.Code{"auditor": codes.PermissionDenied, "finance": codes.PermissionDenied, "admin": codes.OK} {
		client := esdbClient(t, "esdb://"+role+":"+made[role]+"@"+addr+"?tlsCAFile="+cert)
		_, err := client.AppendToStream(t.Context(), "notes-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.EventData{EventType: "noted"})
		require.Equal(t, want, status.Code(err), "%s writes: %v", role, err)
		stream, err := client.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1)
		require.NoError(t, err)
		if _, err = stream.Recv(); role == "finance" {
			require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
		} else {
			require.True(t, err == nil || errors.Is(err, io.EOF), "%s reads: %v", role, err)
		}
		stream.Close()
	}
	stream, err := esdbClient(t, "esdb://auditor:guessed@"+addr+"?tlsCAFile="+cert).ReadAll(t.Context(), esdb.ReadAllOptions{}, 1)
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
}

// writeCertificate makes one that signs itself: of names, or else for loopback.
func writeCertificate(t *testing.T, dir string, names ...string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if len(names) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

func TestEventstoreMistakes(t *testing.T) {
	secret, short := keyringSecret(t), filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(short, []byte("5a5a"), 0o600))
	for want, args := range map[string][]string{
		"--keyring-secret is required":        {"serve", "--dev", "--eventstore", "esdb://127.0.0.1:1?tls=false"},
		"has 4 characters, not the 64":        {"serve", "--dev", "--eventstore", "esdb://127.0.0.1:1?tls=false", "--keyring-secret", short},
		"--keyring-secret needs --eventstore": {"serve", "--dev", "--keyring-secret", secret},
		"must not cross the wire in clear":    {"serve", "--dev", "--eventstore", "esdb://a:b@127.0.0.1:1?tls=false", "--keyring-secret", secret},
		"can't be reached":                    {"serve", "--dev", "--eventstore", "esdb://127.0.0.1:1?tls=false", "--keyring-secret", secret},
		"need --esdb-addr":                    {"serve", "--dev", "--esdb-writable"},
		"binds to loopback only":              {"serve", "--dev", "--esdb-addr", "0.0.0.0:2113"},
		"connect to the cluster itself":       {"serve", "--dev", "--esdb-addr", "127.0.0.1:2113", "--eventstore", "esdb://x"},
		"required without --insecure":         {"eventstore"},
		"leave --cert":                        {"eventstore", "--insecure", "--cert", "x"},
		"--min-free-mb 0 is not from 1":       {"eventstore", "--insecure", "--min-free-mb", "0"},
		"--min-free-mb 0 is not from 1 to":    {"serve", "--dev", "--min-free-mb", "0"},
		"--min-free-mb 17592186044416 is not": {"serve", "--dev", "--min-free-mb", "17592186044416"}, // 2^64 bytes
		"is no data directory":                {"copy", "--from", t.TempDir(), "--to", "esdb://x"},
	} {
		full := args
		if args[0] != "copy" {
			full = append(args, "--data", t.TempDir(), "--addr", "127.0.0.1:0")
		}
		_, _, err := run(t, full...)
		require.ErrorContains(t, err, want, "%v", args)
		require.NotContains(t, err.Error(), "\n", "%v", args)
	}
}

func pebbleQuiet() pebblestore.Options {
	return pebblestore.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}
