package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/cmd/iocredits/bench"
)

// measure runs bench on a small scale, too short to mean anything.
func measure(t *testing.T, args ...string) []bench.Figure {
	t.Helper()
	file := filepath.Join(t.TempDir(), "made", "figures.json")
	args = append([]string{"bench", "--dir", t.TempDir(), "--duration", "30ms", "--runs", "1", "--accounts", "3",
		"--connections", "2", "--lines", "10", "--batch-connections", "2", "--entries", "60", "--slow-connections", "4", "--json", file}, args...)
	out, err := program(t, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var figures []bench.Figure
	require.NoError(t, json.Unmarshal(content, &figures))
	names := map[string]bool{}
	for _, f := range figures {
		require.Contains(t, string(out), f.Scenario)
		require.False(t, names[f.Name], "%s is there twice", f.Name)
		names[f.Name] = true
		if f.Name != "recovery" { // it may be at once
			require.Positive(t, f.Value, f.Name)
		}
	}
	for _, f := range figures {
		if f.Limit != "" {
			require.True(t, names[f.Limit], "%s lacks its limit %s", f.Name, f.Limit)
			require.Positive(t, f.Ratio, f.Name)
		}
	}
	return figures
}

// Each scenario has a figure, and bench itself compares all balances with what
// it sent, after every one.
func TestBenchMeasuresEverything(t *testing.T) {
	t.Parallel()
	if testing.Short() { // as under the race detector: these have all that runs side by side
		measure(t, "--only", "deduct,batch")
		return
	}
	figures := measure(t, "--trace", filepath.Join(repoRoot, "testdata/samples/llm-trace.csv"), "--profile", filepath.Join(t.TempDir(), "made"))
	var names []string
	for _, f := range figures {
		names = append(names, f.Name)
	}
	for _, name := range bench.Names() {
		require.Contains(t, names, name)
	}
}

// skipShort is for tests whose engines do what TestBenchMeasuresEverything has them do.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: TestBenchMeasuresEverything runs the same engine")
	}
}

func TestBenchGrowth(t *testing.T) {
	skipShort(t)
	figures := measure(t, "--growth", "--growth-events", "50,100", "--growth-accounts", "2,4")
	require.Len(t, figures, 8)
	require.Equal(t, "deduct-events-50", figures[2].Limit)
}

// PostgreSQL and the engine in turn; bench compares the money of both.
func TestBenchPeers(t *testing.T) {
	skipShort(t)
	if _, err := bench.PostgresPrograms(); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	figures := measure(t, "--peers", "--dir", os.TempDir()) // where PostgreSQL's user may go, if root tests
	require.Len(t, figures, 8)
	require.Equal(t, "postgres-deduct", figures[1].Limit)
	require.Positive(t, figures[0].P50)
	require.Positive(t, figures[0].ServerCPU)
}

// A delay of each sync is in the latency of what waits for one.
func TestBenchDelaysSyncs(t *testing.T) {
	skipShort(t)
	figures := measure(t, "--only", "deduct-slow", "--sync-delay", "20ms", "--duration", "100ms")
	require.Len(t, figures, 2)
	require.Equal(t, "deduct-slow", figures[1].Name)
	require.Greater(t, figures[1].P50, 20*time.Millisecond)
}

// TestBenchInterrupted: what each of many connections came to then is no message.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	child := program(t, "bench", "--dir", dir, "--duration", "1m", "--runs", "1", "--accounts", "3", "--connections", "8", "--only", "deduct")
	child.Stdout, child.Stderr = &out, &out
	require.NoError(t, child.Start())
	require.Eventually(t, func() bool {
		begun, err := os.ReadDir(dir)
		return err == nil && len(begun) > 0
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, child.Process.Signal(os.Interrupt))
	var failed *exec.ExitError
	require.ErrorAs(t, child.Wait(), &failed)
	require.Equal(t, exitFailed, failed.ExitCode())
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Equal(t, "iocredits: interrupted: context canceled", lines[len(lines)-1])
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestBenchUsage(t *testing.T) {
	for _, args := range [][]string{{"--runs", "0"}, {"--only", "nothing"}, {"--growth", "--growth-events", "0"}, {"--growth", "--peers"}, {"--trace", "no-such-file"}, {"--profile", "bench_test.go/in"}, {"--json", "bench_test.go/in/it"}} {
		_, _, err := run(t, append([]string{"bench"}, args...)...)
		var usage *usageError
		require.ErrorAs(t, err, &usage, "%v", args)
	}
	_, _, err := run(t, "serve", "--data", t.TempDir(), "--keys", "k", "--sync-delay", "1ms")
	require.ErrorContains(t, err, "--sync-delay is for --dev")
}
