package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMakeDir: every name that wasn't there is durable before there is one below it.
func TestMakeDir(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b", "c")
	var synced []string
	sync := func(parent string) error {
		if parent == filepath.Dir(top) {
			synced = append(synced, parent)
			return os.ErrPermission // what was there needn't be anybody's who may make it durable
		}
		entries, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Len(t, entries, 1, "what is to be made durable isn't there")
		below, err := os.ReadDir(filepath.Join(parent, entries[0].Name()))
		require.NoError(t, err)
		require.Empty(t, below)
		synced = append(synced, parent)
		return nil
	}
	require.NoError(t, makeDir(dir, sync))
	require.Equal(t, []string{filepath.Dir(top), top, filepath.Join(top, "a"), filepath.Join(top, "a", "b")}, synced)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	synced = nil
	require.NoError(t, makeDir(dir, sync), "it is there")
	require.Equal(t, []string{filepath.Dir(dir)}, synced)
	require.NoError(t, MakeDir(filepath.Join(dir, "d")))

	full := errors.New("no sync")
	require.ErrorIs(t, makeDir(filepath.Join(top, "x", "y"), func(parent string) error {
		if parent == top {
			return full
		}
		return nil
	}), full)
	require.NoDirExists(t, filepath.Join(top, "x", "y"), "what is above it is not durable")
	file := filepath.Join(top, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorIs(t, MakeDir(file), syscall.ENOTDIR)
	require.Error(t, MakeDir(filepath.Join(file, "below")))
}

// TestMakeDirHere makes what is named from where the process is.
func TestMakeDirHere(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, MakeDir(filepath.Join("a", "b")))
	require.DirExists(t, filepath.Join("a", "b"))
}
