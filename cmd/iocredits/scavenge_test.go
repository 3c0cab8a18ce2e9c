package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"iocredits/eventstore"
)

// holding lists the files below a folder that have any piece of these bytes: in a
// table they are compressed, and a few that also stand elsewhere are cut out. A store that
// runs replaces tables meanwhile: then all is looked at again.
func holding(t *testing.T, dir, text string) []string {
	t.Helper()
	for {
		found, err := filesWith(dir, text)
		if errors.Is(err, fs.ErrNotExist) && t.Context().Err() == nil {
			continue
		}
		require.NoError(t, err)
		return found
	}
}

func filesWith(dir, text string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		const piece = 12 // of random base64: it stands nowhere else by chance
		for at := 0; at+piece <= len(text); at++ {
			if bytes.Contains(content, []byte(text[at:at+piece])) {
				found = append(found, filepath.Base(path))
				break
			}
		}
		return err
	})
	return found, err
}

// wrappedKey is an account's key as it lies in the log: wrapped, in base64.
func wrappedKey(t *testing.T, c *esdb.Client, account string) string {
	t.Helper()
	s, err := c.ReadStream(t.Context(), eventstore.KeyStream(account), esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
	require.NoError(t, err)
	defer s.Close()
	e, err := s.Recv()
	require.NoError(t, err)
	var content struct {
		Secret string `json:"secret"`
	}
	require.NoError(t, json.Unmarshal(e.Event.Data, &content))
	require.Greater(t, len(content.Secret), 60)
	return content.Secret
}

// scavengeOver starts a scavenge over the wire and waits until its stream tells
// that it succeeded.
func scavengeOver(t *testing.T, s *standIn, c *esdb.Client) {
	t.Helper()
	conn, err := grpc.NewClient(s.addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response := new(emptypb.Empty)
	require.NoError(t, conn.Invoke(ctx, "/event_store.client.operations.Operations/StartScavenge", new(emptypb.Empty), response))
	id, n := protowire.ConsumeString(response.ProtoReflect().GetUnknown()[1:])
	require.Positive(t, n)
	told, err := c.SubscribeToStream(ctx, "$scavenges-"+id, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer func() { _ = told.Close() }()
	for {
		e := told.Recv()
		require.Nil(t, e.SubscriptionDropped)
		if e.EventAppeared != nil && e.EventAppeared.Event.EventType == "$scavengeCompleted" {
			require.Contains(t, string(e.EventAppeared.Event.Data), `"Success"`)
			return
		}
	}
}

// An account is forgotten: its key is in the log's files until the scavenge, and
// in none afterwards. The keys of others are, and open their text.
func TestErasureIsRealAfterAScavenge(t *testing.T) {
	t.Parallel()
	for _, offline := range []bool{false, true} {
		data := t.TempDir()
		cluster := startEventstore(t, data, freeAddr(t))
		client := esdbClient(t, cluster.connection)
		secret := keyringSecret(t)
		e := onCluster(t, cluster, secret)
		for _, account := range []string{"gone", "stays"} {
			e.fund(account, "10")
			e.must("service", http.MethodPost, "/v1/accounts/"+account+"/deductions", "k",
				`{"amount":"1","service":"ray","reference":"r","description":"a secret note"}`)
		}
		gone, stays := wrappedKey(t, client, "gone"), wrappedKey(t, client, "stays")
		scavenge := func() {
			if !offline {
				scavengeOver(t, cluster, client)
				cluster.stop()
				return
			}
			cluster.stop()
			out, _, err := run(t, "scavenge", "--data", data)
			require.NoError(t, err)
			require.Contains(t, out, "events erased in ")
		}
		if !offline { // so that it is in a table, too, and not only in a log
			scavengeOver(t, cluster, client)
			require.NotEmpty(t, holding(t, data, gone), "a key in use is not erased")
		}
		e.must("admin", http.MethodPost, "/v1/accounts/gone/forget", "f", `{"reason":"case 7"}`)
		require.NotEmpty(t, holding(t, data, gone), "a destroyed key is there until the scavenge")
		scavenge()
		require.Empty(t, holding(t, data, gone))
		require.NotEmpty(t, holding(t, data, stays))

		startEventstore(t, data, cluster.addr())
		fresh := serve(t, t.TempDir(), "--eventstore", cluster.connection, "--keyring-secret", secret)
		history := func(account string) string {
			return fresh.text("support", "/v1/accounts/"+account+"/transactions")
		}
		require.Contains(t, history("stays"), "a secret note")
		require.NotContains(t, history("gone"), "a secret note")
		require.Equal(t, "9", fresh.balance("gone"), "the money is as it was")
		checkChains(t, cluster.connection)
		out, _, err := run(t, "verify", "--eventstore", cluster.connection, "--data", t.TempDir())
		require.NoError(t, err, out)
		require.Contains(t, out, "no findings")
	}
}
