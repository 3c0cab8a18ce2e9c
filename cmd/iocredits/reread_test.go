package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKeysAreReadAgainAtSIGHUP: one is added and one is taken out while the engine serves.
func TestKeysAreReadAgainAtSIGHUP(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	create := func(id string) (key, entry string) {
		t.Helper()
		before, _ := os.ReadFile(file)
		out, _, err := run(t, "keys", "create", "--role", "support", "--id", id, "--actor", "support-4", "--append", file)
		require.NoError(t, err)
		after, err := os.ReadFile(file)
		require.NoError(t, err)
		return strings.TrimSpace(out), strings.TrimPrefix(string(after), string(before))
	}
	keys := devKeys{}
	keys["first"], _ = create("first")
	e := serveArgs(t, "serve", "--create", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--keys", file)
	e.keys = keys
	status := func(key string) int {
		a, err := e.call(key, http.MethodGet, "/v1/accounts/a/balance", "", "")
		require.NoError(t, err)
		return a.Status
	}
	hup := func() { require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP)) }
	becomes := func(key string, want int) {
		t.Helper()
		require.Eventually(t, func() bool { return status(key) == want }, patience, time.Millisecond, "%s: %d", key, want)
	}

	var second string
	keys["second"], second = create("second")
	require.Equal(t, http.StatusUnauthorized, status("second"), "nobody has asked for it")
	hup()
	becomes("second", http.StatusOK)
	require.Equal(t, http.StatusOK, status("first"))

	require.NoError(t, os.WriteFile(file, []byte(second), 0o600))
	hup()
	becomes("first", http.StatusUnauthorized)
	require.Equal(t, http.StatusOK, status("second"))

	require.NoError(t, os.WriteFile(file, []byte("- id: x\n"), 0o600))
	hup()
	require.Eventually(t, func() bool { return strings.Contains(e.log.String(), "the keys of before stay") }, patience, time.Millisecond)
	require.Equal(t, http.StatusOK, status("second"))
	require.NoError(t, e.stop())
}
