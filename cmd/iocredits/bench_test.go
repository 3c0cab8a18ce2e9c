package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/cmd/iocredits/bench"
)

// TestBenchMeasuresEverything with runs too short to mean anything: each scenario
// has a figure, and bench itself compares all balances with what it sent.
func TestBenchMeasuresEverything(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	out, err := program(t, "bench", "--dir", t.TempDir(), "--duration", "30ms", "--runs", "1", "--accounts", "3",
		"--connections", "2", "--lines", "10", "--batch-connections", "2", "--json", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var figures []bench.Figure
	require.NoError(t, json.Unmarshal(content, &figures))
	require.Len(t, figures, 10, "%s", out)
	for _, f := range figures {
		require.Positive(t, f.PerSecond, f.Scenario)
		require.Contains(t, string(out), f.Scenario)
		if f.Limit != "" {
			require.Positive(t, f.Ratio, f.Scenario)
		}
	}

	_, _, err = run(t, "bench", "--runs", "0")
	var usage *usageError
	require.ErrorAs(t, err, &usage)
}
