package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExitCodesTable holds README and --help to the one table.
func TestExitCodesTable(t *testing.T) {
	help, _, err := run(t, "--help")
	require.NoError(t, err)
	table := "| code | |\n|---|---|\n"
	for _, e := range exitCodes {
		table += fmt.Sprintf("| %d | %s |\n", e.code, e.meaning)
		require.Contains(t, help, fmt.Sprintf("\n  %d  %s\n", e.code, e.meaning))
	}
	holdTable(t, "exit codes", "TestExitCodesTable", table)
	help, _, err = run(t, "verify", "--help")
	require.NoError(t, err)
	require.NotContains(t, help, "Exit codes")
}

// TestExitCodes: a failure, a mistake in the call and a finding are told apart,
// whichever command it is.
func TestExitCodes(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	none, junk, pipe := filepath.Join(dir, "none", "x"), filepath.Join(dir, "junk"), filepath.Join(dir, "pipe")
	require.NoError(t, errors.Join(os.WriteFile(junk, []byte("junk"), 0o600), syscall.Mkfifo(pipe, 0o600)))
	pub, empty := filepath.Join(data, "dev-signer.pub"), t.TempDir()
	require.NoError(t, os.Mkdir(dataDir(empty).log(), 0o700))
	for _, c := range []struct {
		want int
		args []string
	}{
		{0, []string{"verify", "--data", data}},
		{exitFailed, []string{"diff", "nobody", "--data", data}},
		{exitFailed, []string{"replay", "nobody", "--data", data}},
		{exitFailed, []string{"receipt", "demo-1", "99", "--data", data}},
		{exitFailed, []string{"forget", "nobody", "--reason", "x", "--data", data}},
		{exitUsage, []string{"verify", "--data", none}},
		{exitUsage, []string{"verify", "--data", data, "--scratch", none}},
		{exitUsage, []string{"verify", "--data", data, "--key", none}},
		{exitUsage, []string{"export", "--data", none}},
		{exitUsage, []string{"export", "--data", data, "--out", none}},
		{exitUsage, []string{"export", "--data", data, "--out", junk}},
		{exitUsage, []string{"export", "--data", data, "--out", dir}},
		{exitUsage, []string{"export", "--data", data, "--out", pipe}},
		{exitUsage, []string{"export", "--data", data, "--eventstore", "nonsense"}},
		{exitUsage, []string{"verify", "--data", data, "--eventstore", "nonsense"}},
		{exitUsage, []string{"receipt", "demo-1", "1", "--data", data, "--out", none}},
		{exitUsage, []string{"verify-receipt", none, "--key", pub}},
		{exitUsage, []string{"load", none, "--key", "k"}},
		{exitUsage, []string{"load", junk, "--key", "k"}},
		{exitUsage, []string{"explain", "demo-1", "7", "--key", "k"}},
		{exitUsage, []string{"rebuild", "--data", none}},
		{exitUsage, []string{"rebuild", "--data", empty}},
		{exitUsage, []string{"verify", "--data", empty}},
		{exitUsage, []string{"verify", "--data", junk}},
		{exitUsage, []string{"serve", "--dev", "--data", junk}},
		{exitUsage, []string{"scavenge", "--data", empty}},
		{exitUsage, []string{"forget", "demo-1", "--reason", "x", "--data", empty}},
		{exitUsage, []string{"forget", "demo-1", "--reason", "", "--data", data}},
		{exitUsage, []string{"forget", "demo 1", "--reason", "x", "--data", data}},
		{exitUsage, []string{"keys", "create", "--role", "admin", "--actor", "a", "--append", none}},
		{exitUsage, []string{"keys", "create-signer", "--name", "example.org/x", "--out", none}},
		{exitUsage, []string{"serve", "--dev", "--data", data, "--samples", none}},
		{exitUsage, []string{"bench", "--dir", none}},
		{exitFindings, []string{"verify-receipt", junk, "--key", pub}},
	} {
		_, _, err := run(t, c.args...)
		require.Equal(t, c.want, exitCode(err), "%v: %v", c.args, err)
	}
	_, err := os.Stat(filepath.Dir(none))
	require.ErrorIs(t, err, fs.ErrNotExist, "a command has made a folder that was misspelt")
	require.Empty(t, listing(t, empty), "a command has made an event log")

	editRow(t, filepath.Join(data, "views"))
	for _, args := range [][]string{{"verify"}, {"diff", "demo-1"}} {
		var failed *exec.ExitError
		require.ErrorAs(t, program(t, append(args, "--data", data)...).Run(), &failed)
		require.Equal(t, exitFindings, failed.ExitCode(), "%v", args)
	}
	require.ErrorIs(t, foundf("x: %w", fs.ErrInvalid), fs.ErrInvalid)
	require.Equal(t, exitFindings, exitCode(errors.Join(fs.ErrInvalid, foundf("x"))))
	for n, says := range map[int]string{1: ": 1 finding", 2: ": 2 findings"} {
		require.Equal(t, exitFindings, exitCode(foundSome(n)))
		require.True(t, strings.HasSuffix(foundSome(n).Error(), says), foundSome(n))
	}
}

// TestNamesThatNameNothing are mistakes in the call, and the message says which name it is.
func TestNamesThatNameNothing(t *testing.T) {
	trace := filepath.Join("..", "..", "testdata", "samples", "llm-trace.csv")
	for _, c := range []struct {
		says string
		args []string
	}{
		{`--url "localhost:8080" is not the address`, []string{"explain", "demo-1", "00000000-0000-8000-8000-000000000000", "--key", "k", "--url", "localhost:8080"}},
		{`--url "engine" is not the address`, []string{"load", trace, "--key", "k", "--url", "engine"}},
		{"--data is empty: name a folder", []string{"verify", "--data", ""}},
		{"--data is empty: name a folder", []string{"rebuild", "--data", ""}},
		{"--out: stat /nowhere", []string{"export", "--data", t.TempDir(), "--out", "/nowhere/books"}}, // before any copy is made
		{"is a folder: name a file", []string{"keys", "create", "--role", "admin", "--actor", "a", "--append", t.TempDir()}},
		{"--out is empty: name a file", []string{"keys", "create-signer", "--name", "example.org/x", "--out", ""}},
	} {
		_, _, err := run(t, c.args...)
		require.Equal(t, exitUsage, exitCode(err), "%v: %v", c.args, err)
		require.ErrorContains(t, err, c.says)
	}
}

// TestBareCallAndVersion print, and do nothing else.
func TestBareCallAndVersion(t *testing.T) {
	help, _, err := run(t, "--help")
	require.NoError(t, err)
	bare, _, err := run(t)
	require.NoError(t, err)
	require.Equal(t, help, bare)

	want, _, err := run(t, "version")
	require.NoError(t, err)
	out, _, err := run(t, "--version")
	require.NoError(t, err)
	require.Equal(t, want, out)
	require.Equal(t, 1, strings.Count(out, "\n"))
}

// TestHelpShowsDefaults, those behind a placeholder too, and the names of bench.
func TestHelpShowsDefaults(t *testing.T) {
	for command, want := range map[string][]string{
		"serve": {"(default .data).", "(default 127.0.0.1:8080)."}, "verify": {"(default .data)."}, "rebuild": {"(default .data)."},
		"eventstore": {"(default .data).", "(default 127.0.0.1:2113)."}, "forget": {"(default .data)."}, "bench": {"deduct-hot, "},
	} {
		out, _, err := run(t, command, "--help")
		require.NoError(t, err)
		for _, text := range want {
			require.Contains(t, strings.Join(strings.Fields(out), " "), text, command)
		}
	}
}

// TestDataWithoutName: --data "$DATA" with a variable that isn't set begins no engine
// in the folder that it was typed in.
func TestDataWithoutName(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := dataDir("").open()
	require.ErrorContains(t, err, "--data is empty")
	require.Equal(t, exitUsage, exitCode(err))
	require.Empty(t, listing(t, "."))
}
