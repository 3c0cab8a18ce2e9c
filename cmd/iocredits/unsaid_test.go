package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/keyring"
)

const unsaidFinding = `key account=demo-1 revision=- position=0 expected="an event that says that the key was destroyed"`

// unsaidBy gives the lines of verify that name the key of an account.
func unsaidBy(t *testing.T, args ...string) string {
	t.Helper()
	out, _, err := run(t, append([]string{"verify"}, args...)...)
	if strings.Contains(out, "no findings") {
		require.NoError(t, err)
		return ""
	}
	require.ErrorIs(t, err, errFindings)
	return out
}

// TestCutShortForgetIsTold: between the end of the key and its event comes a crash. The
// next start says so, and verify; doing it again mends it, beside a running engine too.
func TestCutShortForgetIsTold(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		data := t.TempDir()
		e := serve(t, data)
		e.trade("demo-1")
		e.trade("demo-2")
		require.NoError(t, e.stop())
		require.NotContains(t, e.log.String(), "no event says so")
		require.Empty(t, unsaidBy(t, "--data", data))
		_, err := destroyIn(t.Context(), filepath.Join(data, "keyring"), "demo-1")
		require.NoError(t, err)
		require.Contains(t, unsaidBy(t, "--data", data), unsaidFinding)

		e = serve(t, data)
		require.Eventually(t, func() bool { return strings.Contains(e.log.String(), "no event says so") }, patience, time.Millisecond)
		require.Contains(t, e.log.String(), "account=demo-1")
		require.Contains(t, unsaidBy(t, "--data", data), unsaidFinding)
		if !running {
			require.NoError(t, e.stop())
		}
		out, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
		require.NoError(t, err)
		require.Contains(t, out, "key destroyed; event")
		require.Empty(t, unsaidBy(t, "--data", data))
		require.NoError(t, e.stop())
		e = serve(t, data)
		require.NoError(t, e.stop())
		require.NotContains(t, e.log.String(), "no event says so")
	}
}

// TestForgetOfTwoKeys: an event may say it of two, if a crash left the first without one
// and the account was used before it was asked for again.
func TestForgetOfTwoKeys(t *testing.T) {
	data := forgetCutShort(t)
	use := func(key string) {
		e := serve(t, data)
		e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", key, `{"amount":"1","service":"vm","reference":"r","description":"a new note"}`)
		require.NoError(t, e.stop())
	}
	use("later")
	require.Contains(t, unsaidBy(t, "--data", data), unsaidFinding, "though it has a key again")
	_, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
	require.NoError(t, err)
	require.Empty(t, unsaidBy(t, "--data", data))
	use("much later")
	require.Empty(t, unsaidBy(t, "--data", data))
	_, err = destroyIn(t.Context(), filepath.Join(data, "keyring"), "demo-1")
	require.NoError(t, err)
	require.Contains(t, unsaidBy(t, "--data", data), unsaidFinding, "the last key's end is unsaid")
}

// TestCutShortForgetOnACluster: verify needs no secret to see it.
func TestCutShortForgetOnACluster(t *testing.T) {
	cluster, secret := startEventstore(t, t.TempDir(), "127.0.0.1:0"), keyringSecret(t)
	e := onCluster(t, cluster, secret)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	empty := t.TempDir()
	require.Empty(t, unsaidBy(t, "--eventstore", cluster.connection, "--data", empty))

	store, err := esdbstore.Open(t.Context(), cluster.connection, esdbstore.Options{})
	require.NoError(t, err)
	wrapping, err := readKeyringSecret(secret)
	require.NoError(t, err)
	keys, err := keyring.NewLogKeys(store, wrapping, keyring.Options{})
	require.NoError(t, err)
	require.NoError(t, keys.Destroy(t.Context(), "demo-1"))
	require.NoError(t, store.Close())
	require.Contains(t, unsaidBy(t, "--eventstore", cluster.connection, "--data", empty), unsaidFinding)
	_, _, err = run(t, "forget", "demo-1", "--reason", "case 7", "--eventstore", cluster.connection, "--keyring-secret", secret)
	require.NoError(t, err)
	require.Empty(t, unsaidBy(t, "--eventstore", cluster.connection, "--data", empty))
}
