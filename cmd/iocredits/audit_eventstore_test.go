package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

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
	out, _, err = run(t, "export", "--format", "csv", "--eventstore", url, "--data", elsewhere)
	require.NoError(t, err, out)
	require.NotEmpty(t, direct)
	require.Contains(t, out, "revenue:vm")
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
