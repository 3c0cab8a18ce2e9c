package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEngineThatHasItsProcessAloneAsksForHugePages(t *testing.T) {
	who, err := os.ReadFile(hugePagesOf)
	if err != nil || !strings.Contains(string(who), "[madvise]") {
		t.Skip("huge pages aren't for who asks, on this system")
	}
	require.NotContains(t, os.Environ(), hugePages)

	c := serveChild(t, t.TempDir())
	assert.Contains(t, environOf(t, c.cmd.Process.Pid), hugePages, "in the process that was started")
	require.NoError(t, c.stop())

	said := "GLIBC_TUNABLES=glibc.malloc.arena_max=8"
	t.Setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=8")
	c = serveChild(t, t.TempDir())
	environ := environOf(t, c.cmd.Process.Pid)
	assert.Contains(t, environ, said, "what the operator says stands")
	assert.NotContains(t, environ, hugePages)
	require.NoError(t, c.stop())
}

// environOf is the environment that a process was started with.
func environOf(t *testing.T, pid int) []string {
	t.Helper()
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	require.NoError(t, err)
	return strings.Split(string(environ), "\x00")
}
