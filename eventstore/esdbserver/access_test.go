package esdbserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
)

// What each Mode lets a client do to which stream.
func TestModes(t *testing.T) {
	const denied, allowed = false, true
	for _, c := range []struct {
		name          string
		mode          esdbserver.Mode
		stream        string
		append, bury  bool
		setMetadataOf bool
	}{
		{"read only, an account", esdbserver.ReadOnly, "account-1", denied, denied, denied},
		{"read only, another", esdbserver.ReadOnly, "notes-1", denied, denied, denied},
		{"foreign, an account", esdbserver.Foreign, "account-1", denied, denied, denied},
		{"foreign, a lease", esdbserver.Foreign, "lease-reactor", denied, denied, denied},
		{"foreign, a claim", esdbserver.Foreign, "claim-1", denied, denied, denied},
		{"foreign, a snapshot", esdbserver.Foreign, "~snapshot-account-1", denied, denied, denied},
		{"foreign, a system stream", esdbserver.Foreign, "$ce-notes", denied, denied, denied},
		{"foreign, another", esdbserver.Foreign, "notes-1", allowed, allowed, allowed},
		{"open, an account", esdbserver.Open, "account-1", allowed, denied, denied},
		{"open, a claim", esdbserver.Open, "claim-1", allowed, denied, denied},
		{"open, a snapshot", esdbserver.Open, "~snapshot-account-1", allowed, allowed, allowed},
		{"open, another", esdbserver.Open, "notes-1", allowed, allowed, allowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, client := open(t, c.mode)
			require.NoError(t, appendTo(t, store, c.stream))
			ctx := background(t)
			verdict := func(may bool, err error) {
				t.Helper()
				if may {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, "access denied")
				}
			}
			_, err := client.AppendToStream(ctx, c.stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, several(3)...)
			verdict(c.append, err)
			if !c.append {
				requireCode(t, esdb.ErrorCodeAccessDenied, err)
			}
			_, err = client.SetStreamMetadata(ctx, c.stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.StreamMetadata{})
			verdict(c.setMetadataOf, err)
			_, err = client.DeleteStream(ctx, c.stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
			verdict(c.bury, err)
			if !c.bury {
				require.NotEmpty(t, read(t, client, c.stream, esdb.ReadStreamOptions{}, 10))
			}
			_, err = client.TombstoneStream(ctx, c.stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
			verdict(c.bury, err)
		})
	}
}

func appendTo(t *testing.T, store eventstore.Store, stream string) error {
	_, err := store.Append(background(t), stream, eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "tested", Data: []byte(`{}`)}})
	return err
}

// Metadata that somebody wrote about an account while there was no ledger bounds nothing.
func TestAnAccountIsNeverTruncated(t *testing.T) {
	store, client := open(t, esdbserver.ReadOnly)
	for i := range int64(5) {
		_, err := store.Append(background(t), "account-1", i-1, []eventstore.Event{{ID: uuid.New(), Type: "tested"}})
		require.NoError(t, err)
	}
	_, err := store.Append(background(t), "$$account-1", eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "$metadata", Data: []byte(`{"$maxCount":1,"$tb":4}`)}})
	require.NoError(t, err)
	require.Len(t, read(t, client, "account-1", esdb.ReadStreamOptions{}, 10), 5)
}

// A refused append of many big events still tells its reason, and an append that
// is too big another one.
func TestARefusedAppendTellsWhy(t *testing.T) {
	_, client := open(t, esdbserver.ReadOnly)
	big := several(40)
	for i := range big {
		big[i].Data = make([]byte, 100<<10)
	}
	for range 5 {
		_, err := client.AppendToStream(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, big...)
		requireCode(t, esdb.ErrorCodeAccessDenied, err)
	}
	store, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open, MaxAppendBytes: 1 << 20})
	client = dial(t, "esdb://"+addr+"?tls=false")
	_, err := client.AppendToStream(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, big...)
	require.ErrorContains(t, err, "maximum append size of 1048576 bytes exceeded")
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	head, err := store.Head(background(t))
	require.NoError(t, err)
	require.Equal(t, eventstore.BeforeFirst, head)
}

// certificate makes one for loopback that signs itself.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	return certificateOf(t, nil, net.IPv4(127, 0, 0, 1))
}

// certificateOf makes one of names and addresses.
func certificateOf(t *testing.T, names []string, addresses ...net.IP) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, IPAddresses: addresses, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, path
}

func TestUsers(t *testing.T) {
	config, ca := certificate(t)
	access := map[string]esdbserver.Access{"auditor:a:b": esdbserver.MayRead, "writer:w": esdbserver.MayWrite, "customer:c": esdbserver.NoAccess}
	_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Foreign, TLS: config, Authorize: func(user, password string) (esdbserver.Access, bool) {
		a, known := access[user+":"+password]
		return a, known
	}})
	for _, c := range []struct {
		user        string
		read, write codes.Code
	}{
		{"", codes.Unauthenticated, codes.Unauthenticated},
		{"auditor:wrong@", codes.Unauthenticated, codes.Unauthenticated},
		{"auditor:a%3Ab@", codes.OK, codes.PermissionDenied}, // a password with a colon
		{"customer:c@", codes.PermissionDenied, codes.PermissionDenied},
		{"writer:w@", codes.OK, codes.OK},
	} {
		client := dial(t, "esdb+discover://"+c.user+addr+"?tlsCAFile="+ca)
		_, err := client.AppendToStream(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, data(1))
		require.Equal(t, c.write, status.Code(err), "%s writes: %v", c.user, err)
		s, err := client.ReadAll(background(t), esdb.ReadAllOptions{}, 1)
		require.NoError(t, err)
		if _, err = s.Recv(); c.read == codes.OK {
			require.True(t, err == nil || err.Error() == "EOF", "%s reads: %v", c.user, err)
		} else {
			require.Equal(t, c.read, status.Code(err), "%s reads: %v", c.user, err)
		}
		s.Close()
	}
	_, err := esdbserver.New(esdbserver.Options{Authorize: func(string, string) (esdbserver.Access, bool) { return 0, false }})
	require.ErrorContains(t, err, "TLS")
}

func TestBadInputIsNamed(t *testing.T) {
	_, c := open(t, esdbserver.Open)
	for name, f := range map[string]struct {
		stream string
		event  esdb.EventData
		want   string
	}{
		"no type":         {"s", esdb.EventData{}, "no type"},
		"no stream":       {"", data(1), "no stream"},
		"no one's":        {"$$", data(1), "metadata of no stream"},
		"name too long":   {strings.Repeat("n", 2000), data(1), "2000 bytes"},
		"name isn't text": {"a\xff", data(1), "UTF-8"},
	} {
		_, err := c.AppendToStream(background(t), f.stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, f.event)
		require.ErrorContains(t, err, f.want, name)
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
	}
	twin := data(1)
	_, err := c.AppendToStream(background(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, twin, twin)
	require.ErrorContains(t, err, "two events have one id")
}
