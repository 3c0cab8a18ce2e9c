package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/pebblestore"
)

// TestToolsReadAnEventStore: the same tools, the same log, over the real protocol.
func TestToolsReadAnEventStore(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	direct, _, err := run(t, "export", "--format", "ndjson", "--data", data)
	require.NoError(t, err)

	store, err := pebblestore.Open(filepath.Join(data, "log"), pebblestore.Options{ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	url := "esdb://" + serveProtocol(t, store) + "?tls=false"

	elsewhere := t.TempDir()
	out, _, err := run(t, "verify", "--eventstore", url, "--data", elsewhere)
	require.NoError(t, err, out)
	require.Contains(t, out, "7 events of 1 accounts")
	require.Contains(t, out, "no findings")
	out, _, err = run(t, "replay", "demo-1", "--eventstore", url, "--data", elsewhere)
	require.NoError(t, err, out)
	require.Contains(t, out, "balance 90")
	out, _, err = run(t, "diff", "demo-1", "--eventstore", url, "--data", elsewhere)
	require.NoError(t, err, out)
	require.Contains(t, out, "no findings")
	out, _, err = run(t, "export", "--format", "ndjson", "--eventstore", url, "--data", elsewhere)
	require.NoError(t, err, out)
	require.Equal(t, direct, out)
	out, _, err = run(t, "export", "--format", "csv", "--eventstore", url, "--data", elsewhere)
	require.NoError(t, err, out)
	require.Contains(t, out, "revenue:vm")
}

// TestToolsBesideEnginesOnACluster: the log over the protocol, read models and
// checkpoints from the data directory of an engine, running and stopped.
func TestToolsBesideEnginesOnACluster(t *testing.T) {
	cluster, secret, data := startEventstore(t, t.TempDir(), "127.0.0.1:0"), keyringSecret(t), t.TempDir()
	e := serve(t, data, "--eventstore", cluster.connection, "--keyring-secret", secret)
	e.trade("demo-1")
	e.must("auditor", http.MethodGet, "/v1/audit/checkpoint", "", "")
	pub, receipt := filepath.Join(data, "dev-signer.pub"), filepath.Join(t.TempDir(), "receipt.json")
	tool := func(name string, args ...string) string {
		out, log, err := run(t, append([]string{name, "--eventstore", cluster.connection, "--data", data}, args...)...)
		require.NoError(t, err, out)
		if name != "export" { // its manifest
			require.Empty(t, log, "nothing is wrong")
		}
		return out
	}
	all := func() {
		out := tool("verify", "--key", pub)
		require.Contains(t, out, "no findings")
		require.Regexp(t, `checkpoints +[1-9]`, out)
		require.Regexp(t, `read models  \d+ rows compared`, out)
		require.Regexp(t, `[1-9]\d* rows`, tool("diff", "demo-1"))
		require.Contains(t, tool("replay", "demo-1", "--keyring-secret", secret, "--revision", "2"), "a private note")
		require.NotContains(t, tool("replay", "demo-1"), "a private note")
		require.Contains(t, tool("export", "--format", "hledger"), "revenue:vm")
		tool("receipt", "demo-1", "3", "--out", receipt)
		out, _, err := run(t, "verify-receipt", receipt, "--key", pub)
		require.NoError(t, err)
		require.Contains(t, out, "valid: event 3 of account demo-1, deducted")
	}
	all()
	_, _, err := run(t, "verify", "--data", data)
	require.ErrorContains(t, err, "named with --eventstore")
	_, _, err = run(t, "receipt", "demo-1", "3", "--eventstore", cluster.connection, "--data", t.TempDir())
	require.ErrorContains(t, err, "name the data directory of an engine")
	require.NoError(t, e.stop())
	require.NoError(t, os.Remove(receipt))
	before := listing(t, data)
	all()
	require.Equal(t, before, listing(t, data), "a tool that only reads has written")

	editRow(t, filepath.Join(data, "views"))
	for _, args := range [][]string{{"verify"}, {"diff", "demo-1"}} {
		out, _, err := run(t, append(args, "--eventstore", cluster.connection, "--data", data)...)
		require.ErrorIs(t, err, errFindings, args)
		require.Contains(t, out, `read-model "transaction" account=demo-1 revision=0`)
	}
}

// TestForgetOnACluster: two engines that have the text in front of them forget
// it, and go on; no engine is asked.
func TestForgetOnACluster(t *testing.T) {
	cluster, secret := startEventstore(t, t.TempDir(), "127.0.0.1:0"), keyringSecret(t)
	engines := []*engine{onCluster(t, cluster, secret), onCluster(t, cluster, secret)}
	engines[0].trade("demo-1")
	forget := func(account string, args ...string) (string, error) {
		out, _, err := run(t, append([]string{"forget", account, "--reason", "case 7", "--eventstore", cluster.connection}, args...)...)
		return out, err
	}
	shows := func(e *engine, text string) {
		t.Helper()
		require.Eventually(t, func() bool {
			page, err := e.call("support", http.MethodGet, "/v1/accounts/demo-1/transactions", "", "")
			return err == nil && strings.Contains(page.Text, text)
		}, patience, 5*time.Millisecond, "never %s", text)
	}
	for _, e := range engines {
		shows(e, "a private note")
	}
	other := filepath.Join(t.TempDir(), "other-secret")
	require.NoError(t, os.WriteFile(other, []byte(strings.Repeat("6b", 32)), 0o600))
	for want, args := range map[string][]string{
		"--keyring-secret is required":               {"demo-1"},
		"wrapped under another secret":               {"demo-1", "--keyring-secret", other},
		"nothing has happened to account nobody yet": {"nobody", "--keyring-secret", secret},
		"reason is 0 bytes long":                     {"demo-1", "--keyring-secret", secret, "--reason", ""},
	} {
		out, err := forget(args[0], args[1:]...)
		require.ErrorContains(t, err, want, out)
		require.NotContains(t, err.Error(), "\n")
	}
	shows(engines[1], "a private note")

	out, err := forget("demo-1", "--keyring-secret", secret)
	require.NoError(t, err)
	require.Equal(t, "demo-1: key destroyed; event 7 says so\n", out)
	for i, e := range engines {
		shows(e, "[erased]")
		page, err := e.call("support", http.MethodGet, "/v1/accounts/demo-1/transactions?limit=1000", "", "")
		require.NoError(t, err)
		require.NotContains(t, page.Text, "a private note")
		e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", fmt.Sprint("after-", i),
			`{"amount":"1","service":"vm","reference":"vm-1","description":"a newer note"}`)
		shows(engines[1-i], "a newer note")
	}
	out, err = forget("demo-1", "--keyring-secret", secret)
	require.NoError(t, err, "as often as one likes")
	require.Contains(t, out, "event 10 says so")
	for _, e := range engines {
		require.Eventually(t, func() bool {
			page, err := e.call("support", http.MethodGet, "/v1/accounts/demo-1/transactions", "", "")
			return err == nil && !strings.Contains(page.Text, "newer note")
		}, patience, 5*time.Millisecond)
	}
	checkChains(t, cluster.connection)
	tool := []string{"--eventstore", cluster.connection, "--data", t.TempDir()}
	out, _, err = run(t, append([]string{"verify"}, tool...)...)
	require.NoError(t, err, out)
	require.Contains(t, out, "11 events of 1 accounts")
	out, _, err = run(t, append([]string{"replay", "demo-1", "--keyring-secret", secret}, tool...)...)
	require.NoError(t, err)
	require.NotContains(t, out, "note")
	require.Contains(t, out, "[erased]")
	require.Contains(t, out, `{"reason":"case 7"}`)
}

// serveProtocol serves a store as EventStoreDB does, to be read.
func serveProtocol(t *testing.T, store *pebblestore.Store) (addr string) {
	t.Helper()
	server, err := esdbserver.New(esdbserver.Options{Store: store, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Shutdown(context.Background())
		require.ErrorIs(t, <-served, esdbserver.ErrClosed)
	})
	return listener.Addr().String()
}
