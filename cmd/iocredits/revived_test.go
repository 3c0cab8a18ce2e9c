package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
)

const endedAgain, sealedWithIt = "is destroyed again", "newer text is sealed with it"

// TestAKeyringFromBeforeAForgetIsMended by the engine that starts with it: what the log
// says is gone is gone again, and nobody else's key with it.
func TestAKeyringFromBeforeAForgetIsMended(t *testing.T) {
	data, old := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	e.trade("demo-2")
	require.NoError(t, e.stop())
	copyKeyring(t, filepath.Join(data, "keyring"), old)
	_, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
	require.NoError(t, err)
	copyKeyring(t, old, filepath.Join(data, "keyring"))
	require.NotEmpty(t, unsaidBy(t, "--data", data))

	e = serve(t, data)
	require.Eventually(t, func() bool { return strings.Contains(e.log.String(), endedAgain) }, patience, time.Millisecond)
	require.Contains(t, e.log.String(), "account=demo-1 forgotten=7")
	require.NotContains(t, e.log.String(), "account=demo-2")
	e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "later", `{"amount":"1","service":"vm","description":"a new note"}`)
	require.NoError(t, e.stop())
	require.Empty(t, unsaidBy(t, "--data", data))
	text := func(account string) string {
		out, _, err := run(t, "replay", account, "--data", data)
		require.NoError(t, err)
		return out
	}
	require.NotContains(t, text("demo-1"), "a private note")
	require.Contains(t, text("demo-2"), "a private note")
	require.Empty(t, compareAlone(t, data, nil), "the key since then is a new one")
	require.Contains(t, text("demo-1"), "a new note")
}

// TestARevivedKeyThatWasUsed is left to a person: newer text would go with it.
func TestARevivedKeyThatWasUsed(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	e.trade("demo-2")
	require.NoError(t, e.stop())
	said := func(l *ledger.Ledger, name string) {
		by := operator(name)
		by.Do = account.RecordForgotten{Reason: "case 7"} // as if the key had been destroyed
		_, err := l.Execute(t.Context(), by)
		require.NoError(t, err)
	}
	told := compareAlone(t, data, func(l *ledger.Ledger, sealer *keyring.Sealer) {
		said(l, "demo-1")
		said(l, "demo-2")
		note, err := sealer.Seal(t.Context(), "demo-1", "a new note")
		require.NoError(t, err)
		by := operator("demo-1")
		by.Do = account.Deduct{Amount: 1, Service: domain.ServiceVM, Description: note}
		_, err = l.Execute(t.Context(), by)
		require.NoError(t, err)
	})
	require.Equal(t, 1, strings.Count(told, sealedWithIt), told)
	require.Equal(t, 1, strings.Count(told, endedAgain), told)
	for name, want := range map[string]keyring.Status{"demo-1": keyring.Live, "demo-2": keyring.Destroyed} {
		was, err := destroyIn(t.Context(), filepath.Join(data, "keyring"), name)
		require.NoError(t, err)
		require.Equal(t, want, was, name)
	}
}

// compareAlone compares keyring and log as the start of an engine does, after what is to
// be done first, and gives what it logs.
func compareAlone(t *testing.T, data string, first func(*ledger.Ledger, *keyring.Sealer)) string {
	t.Helper()
	var told bytes.Buffer
	quiet := slog.New(slog.DiscardHandler)
	log, err := openWithKeys(dataDir(data), pebblestore.Options{Logger: quiet})
	require.NoError(t, err)
	s, err := openViews(t.Context(), dataDir(data), log, projections.Options{Logger: quiet})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	s.sealer, s.logger = keyring.NewSealer(log.keys, 1), slog.New(slog.NewTextHandler(&told, nil))
	require.NoError(t, s.views.RunToEnd(t.Context(), nil))
	if first != nil {
		l := ledger.New(ledger.Options{Store: log.store, Snapshots: log.snapshots, Codec: s.codec, Names: s.views, Clock: time.Now, Logger: quiet})
		first(l, s.sealer)
		require.NoError(t, l.Close(t.Context()))
		require.NoError(t, s.views.RunToEnd(t.Context(), nil))
	}
	s.endRevived(t.Context())
	return told.String()
}
