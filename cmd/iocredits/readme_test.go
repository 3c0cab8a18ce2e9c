package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain/journal"
)

// tourStep is a block of commands in a tour and what the page says they print.
type tourStep struct {
	line           int
	script, output string
}

// readTour finds the sh blocks of a page's tour and the text block after each.
func readTour(t *testing.T, page string) []tourStep {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	var steps []tourStep
	inTour, fence := false, ""
	for i, line := range strings.Split(string(content), "\n") {
		switch {
		case fence == "" && strings.HasPrefix(line, "## "):
			inTour = strings.HasPrefix(line, "## A tour")
		case !inTour:
		case fence == "" && strings.HasPrefix(line, "```"):
			if fence = line; line == "```sh" {
				steps = append(steps, tourStep{line: i + 1})
			}
		case line == "```":
			fence = ""
		case fence == "```sh":
			steps[len(steps)-1].script += line + "\n"
		case fence == "```text":
			require.NotEmpty(t, steps, "line %d: output before any command", i+1)
			steps[len(steps)-1].output += line + "\n"
		}
	}
	require.Greater(t, len(steps), 5)
	return steps
}

func TestReadmeTour(t *testing.T) {
	t.Parallel()
	runTour(t, readme)
}

func TestAuditorsTour(t *testing.T) {
	t.Parallel()
	runTour(t, repoRoot+"/httpapi/docs/auditors.md")
}

// TestAuditorsChart: the page has every line of the chart of accounts.
func TestAuditorsChart(t *testing.T) {
	page, err := os.ReadFile(repoRoot + "/httpapi/docs/auditors.md")
	require.NoError(t, err)
	_, chart, found := strings.Cut(string(page), "## The chart of accounts\n")
	require.True(t, found)
	chart, _, _ = strings.Cut(chart, "\n## ")
	for line := range journal.ChartSize {
		require.Contains(t, chart, "`"+line.String()+"`")
	}
}

// runTour runs what a page shows, in its order and in one shell, and compares
// what it prints with what the page says.
func runTour(t *testing.T, page string) {
	t.Helper()
	if testing.Short() { // as under the race detector: one request after the other
		t.Skip("-short: the run without it walks the tours")
	}
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: the tour needs %s", tool)
		}
	}
	data := t.TempDir()
	e := serve(t, data, "--samples", repoRoot+"/testdata/samples")
	binary, err := os.Executable()
	require.NoError(t, err)

	const mark = "--- end of step"
	var script strings.Builder
	steps := readTour(t, page)
	for _, s := range steps {
		fmt.Fprintf(&script, "%s\necho '%s'\n", s.script, mark)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", script.String())
	shell.Dir = repoRoot
	shell.Env = append(os.Environ(), asChild+"=1", "URL="+e.url, "DATA="+data, "IOCREDITS="+binary)
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", out)

	printed := strings.Split(string(out), mark+"\n")
	require.Len(t, printed, len(steps)+1, "%s", out)
	for i, s := range steps {
		require.Regexp(t, pattern(s.output), strings.ReplaceAll(printed[i], "\r", ""), "%s line %d prints something else", page, s.line)
	}
}

// pattern is text in which each … stands for anything within a line.
func pattern(text string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*") + "$")
}
