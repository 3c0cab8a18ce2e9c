package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

const azureTrace = repoRoot + "/../shared/data/azure-llm-2023-conv.csv"

// loadTrace charges a file to an account and gives what load printed by name.
func (e *engine) loadTrace(file, account string) map[string]string {
	e.t.Helper()
	out, _, err := run(e.t, "load", file, "--url", e.url, "--key", e.keys["service"], "--account", account)
	require.NoError(e.t, err)
	printed := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(line, "  ")
		printed[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	require.Contains(e.t, printed, "equal", out)
	require.Equal(e.t, printed["computed exactly"], printed["charged"])
	return printed
}

// TestLoadChargesExactlyWhatATraceCosts, and a second time nothing. The real
// trace takes seconds, and under the race detector minutes.
func TestLoadChargesExactlyWhatATraceCosts(t *testing.T) {
	for _, c := range []struct {
		name, file     string
		requests, from string
	}{
		{"sample", repoRoot + "/testdata/samples/llm-trace.csv", "60 (120 readings", "1"},
		{"azure", azureTrace, "19366 (38732 readings", "100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			published := c.name == "azure"
			if _, err := os.Stat(c.file); published && errors.Is(err, os.ErrNotExist) {
				t.Skipf("SKIPPED: the real trace is not here: %s", c.file)
			}
			if published && testing.Short() {
				t.Skip("SKIPPED: the real trace, with -short")
			}
			e := serve(t, t.TempDir())
			e.fund(c.name, c.from)
			printed := e.loadTrace(c.file, c.name)
			require.Contains(t, printed["requests"], c.requests)
			from, err := domain.ParseAmount("amount", c.from)
			require.NoError(t, err)
			charged, err := domain.ParseAmount("amount", printed["charged"])
			require.NoError(t, err)
			require.Positive(t, charged)
			require.Equal(t, (from - charged).String(), e.balance(c.name), "right to the micro-credit")
			t.Logf("%s requests: charged %s", printed["requests"], printed["charged"])

			if published {
				return
			}
			again := e.loadTrace(c.file, c.name)
			require.Equal(t, printed["charged"], again["charged"])
			require.Equal(t, (from - charged).String(), e.balance(c.name), "charged once")
		})
	}
}

func TestLoadTellsWhatIsWrong(t *testing.T) {
	e := serve(t, t.TempDir())
	sample := repoRoot + "/testdata/samples/llm-trace.csv"
	_, _, err := run(t, "load", sample, "--url", e.url, "--key", e.keys["service"], "--account", "poor")
	require.ErrorContains(t, err, "insufficient-credits")
	_, _, err = run(t, "load", sample, "--url", e.url, "--key", "wrong")
	require.ErrorContains(t, err, "unauthenticated")
	require.NoError(t, e.stop())
	_, _, err = run(t, "load", sample, "--url", e.url, "--key", "any")
	require.ErrorContains(t, err, "connection refused")

	bad := filepath.Join(t.TempDir(), "bad.csv")
	require.NoError(t, os.WriteFile(bad, []byte("TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,1\n"), 0o600))
	_, _, err = run(t, "load", bad, "--key", "any")
	require.ErrorContains(t, err, "line 2")
}
