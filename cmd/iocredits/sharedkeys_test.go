package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSharedKeysFitTheLog: an engine with another secret, or on a log without the keys,
// would make accounts keys that nobody can do anything with.
func TestSharedKeysFitTheLog(t *testing.T) {
	secret, another := keyringSecret(t), filepath.Join(t.TempDir(), "another")
	require.NoError(t, os.WriteFile(another, []byte(strings.Repeat("a5", 32)), 0o600))
	start := func(s *standIn, secret string) error {
		_, _, err := run(t, "serve", "--dev", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--eventstore", s.connection, "--keyring-secret", secret)
		return err
	}
	cluster := startEventstore(t, t.TempDir(), "127.0.0.1:0")
	e := onCluster(t, cluster, secret)
	e.fund("a", "5")
	require.NoError(t, e.stop())
	err := start(cluster, another)
	require.ErrorContains(t, err, "is not the one of this log")
	require.Equal(t, exitUsage, exitCode(err))

	data := t.TempDir()
	e = serve(t, data)
	e.fund("b", "5")
	require.NoError(t, e.stop())
	events := &firstAppends{left: 10}
	bare := startEventstore(t, t.TempDir(), "127.0.0.1:0")
	events.copy(t, data, bare.connection)
	require.ErrorContains(t, start(bare, secret), "run iocredits copy again")

	events.copy(t, data, cluster.connection)
	e = onCluster(t, cluster, secret)
	require.Contains(t, e.log.String(), "the keyring in the log lacks a key")
	require.Equal(t, "5", e.balance("a"), "one account without a key is no reason to stop all")
}
