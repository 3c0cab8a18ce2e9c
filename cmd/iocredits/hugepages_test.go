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
	if testing.Short() {
		t.Skip("-short: it starts four processes, and nothing in it is concurrent")
	}
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

	require.NoError(t, os.Unsetenv("GLIBC_TUNABLES")) // t.Setenv puts back what was there
	t.Setenv("IOCREDITS_STARTED_OVER", "1")
	c = serveChild(t, t.TempDir())
	assert.NotContains(t, environOf(t, c.cmd.Process.Pid), hugePages, "once is enough, also where glibc takes its variable away")
	require.NoError(t, c.stop())

	require.NoError(t, os.Unsetenv("IOCREDITS_STARTED_OVER"))
	c.cmd = program(t, "serve", "--config", "/dev/stdin", "--data", t.TempDir())
	c.cmd.Stdin = strings.NewReader("no-such-setting: 1\n")
	out, err := c.cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "no-such-setting", "what is read once is read by the one that goes on")
}

func TestABinaryIsWhatItWasStartedAs(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), "iocredits")
	require.NoError(t, os.Symlink(binary, link))
	assert.True(t, isBinary(binary, binary))
	assert.True(t, isBinary(link, binary))
	assert.False(t, isBinary(link, "/lib64/ld-linux-x86-64.so.2"), "a loader started it")
	assert.False(t, isBinary("no-such-program", binary))
}

// environOf is the environment that a process was started with.
func environOf(t *testing.T, pid int) []string {
	t.Helper()
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	require.NoError(t, err)
	return strings.Split(string(environ), "\x00")
}
