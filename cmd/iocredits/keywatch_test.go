package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAKeyringFromBeforeAForget opens what an event says is gone: verify tells, also
// when the account was used and forgotten once more, until it is forgotten again.
func TestAKeyringFromBeforeAForget(t *testing.T) {
	data, first, second := t.TempDir(), t.TempDir(), t.TempDir()
	keys := filepath.Join(data, "keyring")
	restore := func(from string) { copyKeyring(t, from, keys) }
	forget := func() {
		_, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
		require.NoError(t, err)
		require.Empty(t, unsaidBy(t, "--data", data))
	}
	e := serve(t, data)
	e.trade("demo-1")
	e.trade("demo-2")
	require.NoError(t, e.stop())
	copyKeyring(t, keys, first)
	forget()
	after := t.TempDir()
	copyKeyring(t, keys, after)

	restore(first)
	out, _, err := run(t, "replay", "demo-1", "--data", data)
	require.NoError(t, err)
	require.Contains(t, out, "a private note", "the test is about text that can be read again")
	require.Contains(t, unsaidBy(t, "--data", data), `key "account-forgotten" account=demo-1 revision=7 position=15 expected="no key of what was sealed before this event"`)
	forget()

	e = serve(t, data)
	require.Empty(t, unsaidBy(t, "--data", data))
	e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "later", `{"amount":"1","service":"vm","description":"a new note"}`)
	require.Empty(t, unsaidBy(t, "--data", data), "it has a new key now, which opens nothing old")
	require.NoError(t, e.stop())
	copyKeyring(t, keys, second)
	forget()
	restore(second)
	require.Contains(t, unsaidBy(t, "--data", data), `account=demo-1 revision=10`, "of the second key")
	restore(after)
	require.Empty(t, unsaidBy(t, "--data", data), "it never had the second key, and nothing opens")
}

// TestVerifyOfAnotherKeyring: what an engine doesn't start with, verify doesn't pass.
func TestVerifyOfAnotherKeyring(t *testing.T) {
	data, old := t.TempDir(), t.TempDir()
	keys := filepath.Join(data, "keyring")
	e := serve(t, data)
	e.trade("demo-1")
	copyKeyring(t, keys, old)
	e.trade("demo-2")
	require.NoError(t, e.stop())
	require.Empty(t, unsaidBy(t, "--data", data))

	copyKeyring(t, old, keys)
	_, _, err := run(t, "serve", "--dev", "--data", data, "--addr", "127.0.0.1:0")
	require.ErrorContains(t, err, "Put the right keyring back")
	require.Contains(t, unsaidBy(t, "--data", data), `key account=demo-2 revision=- position=8 expected="a key of the account"`)

	require.NoError(t, os.RemoveAll(keys))
	out, _, err := run(t, "verify", "--data", data)
	require.NoError(t, err, "who has a copy of the log alone can check it")
	require.Contains(t, out, "keyring      NOT COMPARED: there is none in "+data)
}
