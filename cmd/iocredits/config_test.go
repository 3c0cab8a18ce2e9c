package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore/storetest"
)

var update = flag.Bool("update", false, "write the tables into README.md instead of comparing them")

const readme = repoRoot + "/README.md"

// holdTable holds a table of README to what it is made from.
func holdTable(t *testing.T, what, by, table string) {
	t.Helper()
	begin := "<!-- " + what + ": written by go test ./cmd/iocredits -run " + by + " -update -->\n"
	end := "<!-- end of " + what + " -->\n"
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found, "README.md lacks the line %s", begin)
	current, after, found := strings.Cut(rest, end)
	require.True(t, found, "README.md lacks the line %s", end)
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(before+begin+table+end+after), 0o600))
		return
	}
	require.Equal(t, table, current)
}

// TestSettingsTable holds README's table to the flags that there are.
func TestSettingsTable(t *testing.T) {
	parser, err := newParser(&Main{Stdout: &storetest.Buffer{}, Stderr: &storetest.Buffer{}})
	require.NoError(t, err)
	var table strings.Builder
	table.WriteString("| command | flag | environment | default | |\n|---|---|---|---|---|\n")
	settingRows(&table, parser.Model.Node, "all")
	holdTable(t, "settings", "TestSettingsTable", table.String())
}

func settingRows(table *strings.Builder, node *kong.Node, command string) {
	for _, f := range node.Flags {
		if f.Name == "help" || f.Hidden {
			continue
		}
		env := "–"
		if len(f.Envs) > 0 {
			env = "`" + f.Envs[0] + "`"
		}
		value := "–"
		if f.HasDefault {
			value = "`" + f.Default + "`"
		}
		fmt.Fprintf(table, "| %s | `--%s` | %s | %s | %s |\n", command, f.Name, env, value, strings.TrimSuffix(f.Help, "."))
	}
	for _, child := range node.Children {
		if !child.Hidden {
			settingRows(table, child, strings.TrimSpace(strings.TrimPrefix(command, "all")+" "+child.Name))
		}
	}
}

// parse gives the command line as serve would see it.
func parse(t *testing.T, args ...string) (*cli, error) {
	t.Helper()
	parser, err := newParser(&Main{Stdout: &storetest.Buffer{}, Stderr: &storetest.Buffer{}})
	require.NoError(t, err)
	_, err = parser.Parse(args)
	c, ok := parser.Model.Target.Interface().(cli)
	require.True(t, ok)
	return &c, err
}

func TestSettingsPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("addr: from-file:1\ntop-up-url: from-file\nesdb-writable: true\nmax-queue: 7\n"), 0o600))
	t.Setenv("IOCREDITS_ADDR", "from-environment:2")
	t.Setenv("IOCREDITS_CONFIG", file)

	c, err := parse(t, "serve", "--data", "x", "--top-up-url", "from-flag")
	require.NoError(t, err)
	require.Equal(t, "from-flag", c.Serve.TopUpURL)
	require.Equal(t, "from-environment:2", c.Serve.Addr)
	require.True(t, c.Serve.EsdbWritable)
	require.Equal(t, 7, c.Serve.MaxQueue)

	c, err = parse(t, "serve", "--addr", "from-flag:3")
	require.NoError(t, err)
	require.Equal(t, "from-flag:3", c.Serve.Addr)
}

func TestConfigFileMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"adr: x\n":            `"adr" is no setting`,
		"addr: [a, b]\n":      `"addr" takes one plain value`,
		"addr: x\n  y: z\n":   "yaml",
		"- addr: x\n":         "line 1: it takes lines of a setting and its value",
		"# why\naddr\n":       "line 2: it takes lines of a setting and its value",
		"max-queue: lots\n":   "max-queue",
		"config: other.yml\n": `"config" is no setting`,

		"log-format: json\n---\nlog-level: warn\n": "more than one document",
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := parse(t, "serve", "--dev", "--config", file)
		require.ErrorContains(t, err, want, text)
	}
	_, err := parse(t, "serve", "--dev", "--config", "/nowhere/config.yaml")
	require.ErrorContains(t, err, "/nowhere/config.yaml")
}

// TestUsage: a mistake in the call is one line, and is told from a failure.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	keyless := filepath.Join(dir, "keyless.json")
	require.NoError(t, os.WriteFile(keyless, []byte(`{"admin":"k"}`), 0o600))
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unexpected argument nothing", []string{"nothing"}},
		{"unknown flag --nothing", []string{"serve", "--nothing"}},
		{"--keys is required without --dev", []string{"serve", "--data", dir}},
		{"--dev binds to loopback only", []string{"serve", "--dev", "--data", dir, "--addr", "0.0.0.0:0"}},
		{"--dev binds to loopback only", []string{"serve", "--dev", "--data", dir, "--addr", ":0"}},
		{"--dev binds to loopback only", []string{"serve", "--dev", "--data", dir, "--addr", "example.com:80"}},
		{"--samples needs --dev", []string{"serve", "--keys", "x", "--data", dir, "--samples", "x"}},
		{"need --payment-url", []string{"serve", "--keys", "x", "--data", dir, "--payment-key", "k", "--payment-secret", "s"}},
		{"--request-timeout -5s is not above zero", []string{"serve", "--dev", "--data", dir, "--request-timeout=-5s"}},
		{"--shutdown-timeout 0s is not above zero", []string{"serve", "--dev", "--data", dir, "--shutdown-timeout=0s"}},
		{"--reconcile-every 0s is not above zero", []string{"serve", "--dev", "--data", dir, "--reconcile-every=0s"}},
		{"role", []string{"keys", "create", "--role", "king", "--actor", "a"}},
		{"--account", []string{"keys", "create", "--role", "customer", "--actor", "a"}},
		{"--batch 0", []string{"load", "x.csv", "--key", "k", "--batch", "0"}},
		{"x.csv", []string{"load", "x.csv", "--key", "k"}},
		{"no --key", []string{"load", "x.csv", "--dev-keys", filepath.Join(dir, "none")}},
		{"no --key, and --dev-keys " + keyless + " has none of service", []string{"load", "x.csv", "--dev-keys", keyless}},
	} {
		_, _, err := run(t, c.args...)
		var usage *usageError
		require.ErrorAs(t, err, &usage, "%v", c.args)
		require.Contains(t, oneLine(err), c.want, "%v", c.args)
	}
}

// TestUsageInOrder: of several mistakes each try tells the same one.
func TestUsageInOrder(t *testing.T) {
	for range 20 {
		_, _, err := run(t, "serve", "--dev", "--data", t.TempDir(), "--snapshot-every=0", "--max-queue=0", "--max-in-flight=0", "--max-streams=0")
		require.ErrorContains(t, err, "--max-queue")
		_, _, err = run(t, "serve", "--dev", "--data", t.TempDir(), "--shutdown-timeout=0s", "--request-timeout=0s", "--reconcile-every=0s")
		require.ErrorContains(t, err, "--reconcile-every")
		_, _, err = run(t, "bench", "--lines=0", "--runs=0", "--overload=0")
		require.ErrorContains(t, err, "--runs")
	}
}

func TestHelpAndVersion(t *testing.T) {
	out, _, err := run(t, "--help")
	require.NoError(t, err)
	require.Contains(t, out, "serve")
	out, _, err = run(t, "version")
	require.NoError(t, err)
	require.Contains(t, out, "iocredits ")
}

// sharedSettings are the names that several commands take. Whoever adds one here
// says that it means the same for all of them.
var sharedSettings = map[string]string{
	"IOCREDITS_DATA":           "the data directory",
	"IOCREDITS_EVENTSTORE":     "the cluster that has the log",
	"IOCREDITS_KEYRING_SECRET": "the file with the secret of the cluster's keyring",
	"IOCREDITS_KEYS":           "the file of API keys",
	"IOCREDITS_MIN_FREE_MB":    "room on the disk below which writes are refused",
	"IOCREDITS_URL":            "the engine that a client asks",
	"IOCREDITS_API_KEY":        "the API key that a client shows",
	"IOCREDITS_DEV_KEYS":       "the keys of a dev engine",
	"IOCREDITS_INPUT_PRICE":    "credits for context tokens",
	"IOCREDITS_OUTPUT_PRICE":   "credits for generated tokens",
	"IOCREDITS_PUBLIC_KEY":     "the public key of the signer",
	"IOCREDITS_SCRATCH":        "the folder in which read models are built anew",
}

// TestSettingsMeanOneThing: no two commands share a name with different meanings.
func TestSettingsMeanOneThing(t *testing.T) {
	parser, err := newParser(&Main{Stdout: &storetest.Buffer{}, Stderr: &storetest.Buffer{}})
	require.NoError(t, err)
	byEnv, byName := map[string][]*kong.Flag{}, map[string]string{}
	var walk func(node *kong.Node)
	walk = func(node *kong.Node) {
		for _, f := range node.Flags {
			for _, env := range f.Envs {
				byEnv[env] = append(byEnv[env], f)
			}
			if name := settingName(f); name != "" {
				require.Contains(t, []string{"", f.Envs[0]}, byName[name], name)
				byName[name] = f.Envs[0]
			}
		}
		for _, child := range node.Children {
			walk(child)
		}
	}
	walk(parser.Model.Node)
	for env, flags := range byEnv {
		require.Len(t, flags[0].Envs, 1, env)
		if len(flags) == 1 {
			continue
		}
		require.Contains(t, sharedSettings, env, "several commands take it: does it mean the same?")
		for _, f := range flags {
			require.Equal(t, flags[0].Name, f.Name, env)
			require.Equal(t, flags[0].Default, f.Default, env)
			require.Equal(t, flags[0].Target.Type(), f.Target.Type(), env)
		}
	}
	for env := range sharedSettings {
		require.Greater(t, len(byEnv[env]), 1, "%s isn't shared", env)
	}
	require.Equal(t, "IOCREDITS_API_KEY", byName["api-key"])
	require.NotContains(t, byName, "key")
	require.NotContains(t, byName, "account")
}
