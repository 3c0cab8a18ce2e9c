package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"iocredits/httpapi"
)

func TestKeysCreatePrintsTheKeyOnce(t *testing.T) {
	out, _, err := run(t, "keys", "create", "--role", "customer", "--actor", "customer-7", "--account", "demo-7", "--id", "k7")
	require.NoError(t, err)
	_, rest, found := strings.Cut(out, "once:\n\n")
	require.True(t, found, out)
	key, entry, found := strings.Cut(rest, "\n\nIts entry for the file of serve --keys:\n\n")
	require.True(t, found, out)
	require.Equal(t, "- id: k7\n  role: customer\n  account: demo-7\n  actor: customer-7\n  sha256: "+httpapi.HashKey(key)+"\n", entry)
	_, err = httpapi.ParseKeys(strings.NewReader(entry))
	require.NoError(t, err)

	for _, wrong := range [][]string{
		{"--role", "customer", "--actor", "a"}, {"--role", "service", "--actor", "a", "--account", "x"},
		{"--role", "service", "--actor", "a b"}, {"--role", "service"}, {"--role", "service", "--actor", "a", "--id", "/"},
	} {
		_, _, err := run(t, append([]string{"keys", "create"}, wrong...)...)
		var usage *usageError
		require.ErrorAs(t, err, &usage, "%v", wrong)
	}
}

// TestKeysThatAreMadeCanBeLoaded: what create takes, serve does.
func TestKeysThatAreMadeCanBeLoaded(t *testing.T) {
	for name, fits := range map[string]bool{"demo-7": true, "a@b": true, "7": true, "true": true, "@x": false, "@": false, "a b": false, "a/b": false} {
		file := filepath.Join(t.TempDir(), "keys.yaml")
		_, _, err := run(t, "keys", "create", "--role", "customer", "--actor", "a", "--account", name, "--append", file)
		if !fits {
			var usage *usageError
			require.ErrorAs(t, err, &usage, name)
			require.ErrorContains(t, err, "--account")
			require.NoFileExists(t, file)
			continue
		}
		require.NoError(t, err, name)
		text, err := os.Open(file)
		require.NoError(t, err)
		_, err = httpapi.ParseKeys(text)
		require.NoError(t, err, name)
		require.NoError(t, text.Close())
	}
}

// TestServeWithKeysOfAFile: production has the keys of its file and no dev routes.
func TestServeWithKeysOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	keys := devKeys{}
	for _, role := range []string{"service", "admin"} {
		out, log, err := run(t, "keys", "create", "--role", role, "--actor", "machine-"+role, "--append", file)
		require.NoError(t, err)
		require.Contains(t, log, "is in "+file+"; a running engine reads that file again at SIGHUP")
		keys[role] = strings.TrimSpace(out)
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(content), keys["service"])

	e := serveArgs(t, "serve", "--create", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--keys", file)
	e.keys = keys
	require.Equal(t, "0", e.balance("a"))
	for _, path := range []string{"/dev/clock", "/dev/accounts/a/purchases"} {
		a, err := e.call("admin", http.MethodPost, path, "k", `{"amount":"1","advance":"1h"}`)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, a.Status)
	}
	require.NoError(t, e.stop())
	for role, actors := range map[string]string{"finance": "2", "bd": "2", "support": "1"} {
		require.Contains(t, e.log.String(), "role="+role+" actors=0 needed="+actors+" ")
	}

	for text, want := range map[string]string{"": "keys", "- id: x\n": "key 1 (x)", "nonsense": "keys"} {
		bad := filepath.Join(t.TempDir(), "keys.yaml")
		require.NoError(t, os.WriteFile(bad, []byte(text), 0o600))
		_, _, err := run(t, "serve", "--create", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--keys", bad)
		var usage *usageError
		require.ErrorAs(t, err, &usage)
		require.ErrorContains(t, err, want)
	}
}

// TestKeysCreateAppends: what is in the file stays as it is, whatever becomes of the call.
func TestKeysCreateAppends(t *testing.T) {
	hash := httpapi.HashKey("x")
	entry := "- id: first\n  role: service\n  actor: a\n  sha256: " + hash
	for name, c := range map[string]struct{ before, id, refusal string }{
		"another":           {before: "# mine\n" + entry + "\n", id: "second"},
		"no newline at end": {before: entry, id: "second"},
		"empty":             {before: "", id: "second"},
		"the same id":       {before: entry + "\n", id: "first", refusal: "key 2 (first): its id or its sha256 is there twice"},
		"no keys":           {before: "nonsense", id: "second", refusal: "stays as it is"},
		"twice before":      {before: entry + "\n" + entry + "\n", id: "second", refusal: "its id or its sha256 is there twice"},
		"another list":      {before: "[]\n", id: "second", refusal: "stays as it is"},
	} {
		file := filepath.Join(t.TempDir(), "keys.yaml")
		require.NoError(t, os.WriteFile(file, []byte(c.before), 0o640))
		require.NoError(t, os.Chmod(file, 0o640), "whatever the umask")
		out, _, err := run(t, "keys", "create", "--role", "service", "--actor", "b", "--id", c.id, "--append", file)
		content, readErr := os.ReadFile(file)
		require.NoError(t, readErr)
		if c.refusal != "" {
			var usage *usageError
			require.ErrorAs(t, err, &usage, name)
			require.ErrorContains(t, err, c.refusal, name)
			require.Equal(t, c.before, string(content), name)
			require.Empty(t, out, name)
			continue
		}
		require.NoError(t, err, name)
		require.True(t, strings.HasPrefix(string(content), c.before), name)
		_, err = httpapi.ParseKeys(strings.NewReader(string(content)))
		require.NoError(t, err, name)
		require.Contains(t, string(content), httpapi.HashKey(strings.TrimSpace(out)), name)
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o640), info.Mode().Perm(), name)
	}
}

// TestKeysCreateReplacesTheFile as a whole: what a crash leaves of the old one or of the
// new one is whole, so a name that had the old one still has all of it.
func TestKeysCreateReplacesTheFile(t *testing.T) {
	dir := t.TempDir()
	file, old := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "old")
	args := []string{"keys", "create", "--role", "service", "--actor", "a", "--append", file}
	_, _, err := run(t, args...)
	require.NoError(t, err)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.Link(file, old))
	_, _, err = run(t, args...)
	require.NoError(t, err)
	after, err := os.ReadFile(old)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

// TestKeysCreateAtOnce: of those who add a key at the same time none undoes another's.
func TestKeysCreateAtOnce(t *testing.T) {
	const callers = 8
	file := filepath.Join(t.TempDir(), "keys.yaml")
	var group errgroup.Group
	for range callers {
		group.Go(func() error {
			_, _, err := run(t, "keys", "create", "--role", "service", "--actor", "a", "--append", file)
			return err
		})
	}
	require.NoError(t, group.Wait())
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, callers, strings.Count(string(content), "- id:"))
}
