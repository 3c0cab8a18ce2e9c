package main

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFailedKeyringEndsTheProgram: without new keys every new account would be refused
// for as long as the engine runs.
func TestFailedKeyringEndsTheProgram(t *testing.T) {
	dir := dataDir(t.TempDir())
	log, err := openWithKeys(dir, pebbleQuiet())
	require.NoError(t, err)
	defer func() { _ = log.close() }()
	_, err = log.keys.Key(t.Context(), "a")
	require.NoError(t, err)
	readOnly(t, filepath.Join(dir.keyring(), "keys"))
	_, err = log.keys.Key(t.Context(), "b")
	require.ErrorIs(t, err, syscall.EBADF)
	err = log.watch(t.Context())
	require.ErrorIs(t, err, syscall.EBADF)
	require.Equal(t, exitDisk, exitCode(err))
	log.fail(err)
	log.fail(err) // nobody waits where both fail
}

// readOnly puts a file that takes no writes behind what this process has open at path.
func readOnly(t *testing.T, path string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer func() { require.NoError(t, null.Close()) }()
	const open = "/proc/self/fd"
	files, err := os.ReadDir(open)
	require.NoError(t, err)
	found := 0
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(open, f.Name())); err == nil && to == path {
			number, err := strconv.Atoi(f.Name())
			require.NoError(t, err)
			require.NoError(t, syscall.Dup3(int(null.Fd()), number, syscall.O_CLOEXEC))
			found++
		}
	}
	require.Equal(t, 1, found)
}
