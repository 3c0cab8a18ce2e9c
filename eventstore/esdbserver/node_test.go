package esdbserver_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore/esdbserver"
)

const nodeFolder = "../../testdata/esdb-node"

// nodeModules installs the clients into the user's cache, once a version of the
// lock file. It asks for nothing but what that names.
func nodeModules(t *testing.T) string {
	t.Helper()
	if os.Getenv("ESDB_NODE") == "" {
		t.Skip("the Node clients are tested by make test-esdb (ESDB_NODE=1)")
	}
	skip := func(why string, err error) { t.Skipf("\n*** THE NODE CLIENTS ARE NOT TESTED: %s: %v ***", why, err) }
	npm, err := exec.LookPath("npm")
	if err != nil {
		skip("npm is missing", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	lock, err := os.ReadFile(filepath.Join(nodeFolder, "package-lock.json"))
	require.NoError(t, err)
	dir := filepath.Join(cache, "iocredits", "esdb-node-"+uuid.NewSHA1(uuid.Nil, lock).String())
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"package.json", "package-lock.json", "test.mjs"} {
		content, err := os.ReadFile(filepath.Join(nodeFolder, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	if _, err := os.Stat(filepath.Join(dir, "installed")); err == nil {
		return dir
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		skip("npm can't install them", fmt.Errorf("%w\n%s", err, out))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "installed"), nil, 0o600))
	return dir
}

// The official Node clients work with this server, or with the one at ESDB_URL.
func TestNodeClients(t *testing.T) {
	dir := nodeModules(t)
	for _, client := range []string{"@eventstore/db-client", "@kurrent/kurrentdb-client"} {
		t.Run(client, func(t *testing.T) {
			connection := os.Getenv("ESDB_URL")
			if connection == "" {
				_, addr := serve(t, esdbserver.Options{Mode: esdbserver.Open})
				connection = "esdb://" + addr + "?tls=false"
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			run := exec.CommandContext(ctx, "node", "test.mjs", client, connection, "node"+uuid.NewString()[:8])
			run.Dir = dir
			out, err := run.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, 12, strings.Count("\n"+string(out), "\nok "), "%s", out)
		})
	}
}
