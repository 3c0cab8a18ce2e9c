package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/disk"
)

// TestWriteFile replaces all of a file or nothing, and leaves nothing beside it.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, c := range []struct {
		content string
		mode    os.FileMode
	}{{"first", 0o600}, {"second, and longer", 0o644}, {"", 0o600}} {
		require.NoError(t, disk.WriteFile(path, []byte(c.content), c.mode))
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, c.content, string(content))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, c.mode, info.Mode().Perm())
	}
	folder := filepath.Join(dir, "folder")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "full"), 0o700))
	require.Error(t, disk.WriteFile(folder, []byte("x"), 0o600), "a folder stays one")
	require.ErrorIs(t, disk.WriteFile(filepath.Join(dir, "none", "file"), nil, 0o600), os.ErrNotExist)
	require.ErrorIs(t, disk.SyncDir(filepath.Join(dir, "none")), os.ErrNotExist)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no leftovers")
}
