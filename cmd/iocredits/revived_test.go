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

const isBackAgain = "the key of a forgotten account is back"

// TestAKeyringFromBeforeAForgetIsTold by the engine that starts with it, which destroys
// nothing: whoever forgets the account again does.
func TestAKeyringFromBeforeAForgetIsTold(t *testing.T) {
	data, old := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	e.trade("demo-2")
	require.NoError(t, e.stop())
	copyKeyring(t, filepath.Join(data, "keyring"), old)
	forget := func() {
		t.Helper()
		_, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
		require.NoError(t, err)
	}
	forget()
	copyKeyring(t, old, filepath.Join(data, "keyring"))
	require.NotEmpty(t, unsaidBy(t, "--data", data))

	e = serve(t, data)
	require.Eventually(t, func() bool { return strings.Contains(e.log.String(), isBackAgain) }, patience, time.Millisecond)
	require.Contains(t, e.log.String(), "account=demo-1 forgotten=7")
	require.NotContains(t, e.log.String(), "account=demo-2")
	require.NoError(t, e.stop())
	text := func(account string) string {
		t.Helper()
		out, _, err := run(t, "replay", account, "--data", data)
		require.NoError(t, err)
		return out
	}
	require.Contains(t, text("demo-1"), "a private note")
	forget()
	require.NotContains(t, text("demo-1"), "a private note")
	require.Contains(t, text("demo-2"), "a private note")
	require.Empty(t, unsaidBy(t, "--data", data))

	e = serve(t, data)
	e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "later", `{"amount":"1","service":"vm","description":"a new note"}`)
	require.NoError(t, e.stop())
	require.Empty(t, backAccordingTo(t, data, nil), "the key since then is a new one")
	require.Contains(t, text("demo-1"), "a new note")
}

// TestKeysThatAreNotBack: of an account that was forgotten as it should be, and used again,
// whatever its texts look like; and of one that had no key then.
func TestKeysThatAreNotBack(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	told := backAccordingTo(t, data, func(l *ledger.Ledger, sealer *keyring.Sealer) {
		deduct := func(name string, sealed bool) {
			by := operator(name)
			do := account.Deduct{Amount: 1, Service: domain.ServiceVM, Reference: "s1.9.example.com"}
			if sealed {
				note, err := sealer.Seal(t.Context(), name, "a note")
				require.NoError(t, err)
				do.Description = note
			}
			by.Do = do
			_, err := l.Execute(t.Context(), by)
			require.NoError(t, err)
		}
		said := func(name string) {
			by := operator(name)
			by.Do = account.RecordForgotten{Reason: "case 7"}
			_, err := l.Execute(t.Context(), by)
			require.NoError(t, err)
		}
		require.NoError(t, sealer.Destroy(t.Context(), "demo-1"))
		deduct("demo-1", true) // between the key's end and the event that says so
		said("demo-1")
		deduct("demo-1", true)

		by := operator("demo-3")
		by.Do = account.RecordPurchase{Purchase: "p", Amount: domain.Credit}
		_, err := l.Execute(t.Context(), by)
		require.NoError(t, err)
		said("demo-3")
		deduct("demo-3", true)
	})
	require.Empty(t, told)
}

// backAccordingTo compares keyring and log as the start of an engine does, after what is to
// be done first, and gives what it logs.
func backAccordingTo(t *testing.T, data string, first func(*ledger.Ledger, *keyring.Sealer)) string {
	t.Helper()
	var told bytes.Buffer
	quiet := slog.New(slog.DiscardHandler)
	log, err := openWithKeys(dataDir(data), pebblestore.Options{Logger: quiet})
	require.NoError(t, err)
	s, err := openViews(t.Context(), dataDir(data), log, projections.Options{Logger: quiet})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	s.logger = slog.New(slog.NewTextHandler(&told, nil))
	require.NoError(t, s.views.RunToEnd(t.Context(), nil))
	if first != nil {
		l := ledger.New(ledger.Options{Store: log.store, Snapshots: log.snapshots, Codec: s.codec, Names: s.views, Clock: time.Now, Logger: quiet})
		first(l, keyring.NewSealer(log.keys, 1))
		require.NoError(t, l.Close(t.Context()))
		require.NoError(t, s.views.RunToEnd(t.Context(), nil))
	}
	s.tellRevived(t.Context())
	return told.String()
}
