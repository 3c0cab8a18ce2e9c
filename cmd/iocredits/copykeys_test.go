package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCopyFollowsAForgottenAccount that was used again, since the copy before. What an
// engine on the cluster has sealed is never given up for that.
func TestCopyFollowsAForgottenAccount(t *testing.T) {
	data, secret := t.TempDir(), keyringSecret(t)
	cluster, used := startEventstore(t, t.TempDir(), "127.0.0.1:0"), startEventstore(t, t.TempDir(), "127.0.0.1:0")
	e := serve(t, data)
	e.fund("a", "5")
	note := func(e *engine, key, text string) {
		t.Helper()
		e.must("service", http.MethodPost, "/v1/accounts/a/deductions", key, `{"amount":"1","service":"vm","description":"`+text+`"}`)
	}
	note(e, "k1", "an old note")
	require.NoError(t, e.stop())
	copyTo := func(s *standIn) error {
		_, _, err := run(t, "copy", "--from", data, "--to", s.connection, "--keyring-secret", secret)
		return err
	}
	require.NoError(t, copyTo(cluster))
	require.NoError(t, copyTo(used))
	e = onCluster(t, used, secret)
	note(e, "k2", "a note of the cluster")
	require.NoError(t, e.stop())

	_, _, err := run(t, "forget", "a", "--reason", "case 7", "--data", data)
	require.NoError(t, err)
	e = serve(t, data)
	note(e, "k3", "a new note")
	require.NoError(t, e.stop())

	require.NoError(t, copyTo(cluster))
	history := onCluster(t, cluster, secret).text("support", "/v1/accounts/a/transactions")
	require.NotContains(t, history, "an old note")
	require.Contains(t, history, "a new note")

	require.ErrorContains(t, copyTo(used), "engines have run on it")
	require.Contains(t, onCluster(t, used, secret).text("support", "/v1/accounts/a/transactions"), "a note of the cluster")
}
