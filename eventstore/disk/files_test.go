package disk_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
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

// TestRewriteFile keeps what a file is, and replaces what is in it: who has it open goes
// on reading what it was.
func TestRewriteFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, os.Symlink("file", link))
	owner := os.Getuid()
	if owner == 0 {
		owner = 7 // only root can give a file away
		require.NoError(t, os.Chown(path, owner, owner))
	}
	reader, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()

	require.NoError(t, disk.RewriteFile(link, []byte("new")))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(content))
	before, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, "old", string(before))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
	require.EqualValues(t, owner, info.Sys().(*syscall.Stat_t).Uid)
	info, err = os.Lstat(link)
	require.NoError(t, err)
	require.Equal(t, os.ModeSymlink, info.Mode().Type())
	require.ErrorIs(t, disk.RewriteFile(filepath.Join(dir, "none"), nil), os.ErrNotExist)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no leftovers")
}
