package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCopiesGoThroughNoMemory: an engine's checkpoints are gigabytes after a year, and
// every tool that reads a running engine asks for a copy.
func TestCopiesGoThroughNoMemory(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	content := bytes.Repeat([]byte("a checkpoint\n"), 4<<20)
	require.NoError(t, os.WriteFile(filepath.Join(from, "large"), content, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(from, "empty"), nil, 0o600))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, copyFiles(from, to))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(content)/4))
	copied, err := os.ReadFile(filepath.Join(to, "large"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, copied))
	require.FileExists(t, filepath.Join(to, "empty"))
	require.NoError(t, copyFiles(filepath.Join(from, "none"), to))
}

// TestAnEngineThatDoesNotAnswer holds no tool up for ever.
func TestAnEngineThatDoesNotAnswer(t *testing.T) {
	dir := dataDir(t.TempDir())
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", dir.control())
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	_, _, err = askEngineWithin(t.Context(), 10*time.Millisecond, dir, controlRequest{Do: "copy"})
	require.ErrorContains(t, err, "didn't answer within 10ms")
	require.NotErrorIs(t, err, errNoEngine)
}
