package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// loseKey cuts the keyring behind its first account, which has the log's first and
// newest event, and gives the whole file: an engine starts with what is left.
func loseKey(t *testing.T) (data, keys string, whole []byte) {
	t.Helper()
	data = t.TempDir()
	keys = filepath.Join(data, "keyring", "keys")
	e := serve(t, data)
	e.trade("demo-1")
	e.trade("demo-2")
	e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "last", `{"amount":"1","service":"vm"}`)
	require.NoError(t, e.stop())
	require.Empty(t, unsaidBy(t, "--data", data))
	whole, err := os.ReadFile(keys)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(keys, int64(len(whole))/2))
	return data, keys, whole
}

// TestALostKey is found, and none takes its place: a repeat isn't told to be another
// request, and with the right keyring all goes on.
func TestALostKey(t *testing.T) {
	data, keys, whole := loseKey(t)
	require.Contains(t, unsaidBy(t, "--data", data), `key account=demo-2 revision=- position=`)
	e := serve(t, data)
	ask := func(account, key, note string) answer {
		a, err := e.call("service", http.MethodPost, "/v1/accounts/"+account+"/deductions", key, `{"amount":"3","service":"vm","reference":"vm-1","description":"`+note+`"}`)
		require.NoError(t, err)
		return a
	}
	for _, c := range []struct{ key, note string }{{"d0-demo-2", "a private note"}, {"new", "a new note"}, {"none", ""}} {
		a := ask("demo-2", c.key, c.note)
		require.Equal(t, http.StatusServiceUnavailable, a.Status, a.Text)
		require.Equal(t, "unavailable", a.Body["code"])
		require.Contains(t, a.Text, "the right keyring")
	}
	require.Equal(t, http.StatusCreated, ask("demo-1", "later", "a new note").Status)
	require.Equal(t, "90", e.balance("demo-2"), "what needs no key goes on")
	require.Equal(t, 1, strings.Count(e.log.String(), "the keyring lacks the key of an account"))
	require.NoError(t, e.stop())
	left, err := os.ReadFile(keys)
	require.NoError(t, err)
	require.NotContains(t, string(left), "demo-2")

	require.NoError(t, os.WriteFile(keys, whole, privateMode))
	e = serve(t, data)
	a := ask("demo-2", "d0-demo-2", "a private note")
	require.Equal(t, "true", a.Header.Get("Idempotency-Replayed"), a.Text)
}

// TestALostKeyGivenUp: what is forgotten gets a new key, which isn't taken for the old.
func TestALostKeyGivenUp(t *testing.T) {
	for _, running := range []bool{false, true} {
		data, _, _ := loseKey(t)
		e := (*engine)(nil)
		if running {
			e = serve(t, data)
		}
		out, _, err := run(t, "forget", "demo-2", "--reason", "case 7", "--data", data)
		require.NoError(t, err, out)
		require.Empty(t, unsaidBy(t, "--data", data))
		if !running {
			e = serve(t, data)
		}
		e.must("service", http.MethodPost, "/v1/accounts/demo-2/deductions", "new", `{"amount":"1","service":"vm","description":"a new note"}`)
		require.Empty(t, unsaidBy(t, "--data", data))
		require.NotContains(t, e.log.String(), "is back")
		require.NoError(t, e.stop())
	}
}
