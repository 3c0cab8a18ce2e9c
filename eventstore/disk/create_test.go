package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCreateFile makes all of a file where there is none, and has nothing in its place
// before: a kill must not leave a file that is in its own way.
func TestCreateFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	watched := func(from, to string) error {
		require.NoFileExists(t, to, "not before all is written")
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		require.Equal(t, "content", string(content))
		return os.Link(from, to)
	}
	require.NoError(t, createFile(path, []byte("content"), 0o644, watched))
	none := func(string, string) error { return syscall.EPERM }
	require.NoError(t, createFile(path+"2", []byte("content"), 0o600, none), "a file system without links")
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	for _, there := range []string{"file", "file2", "dangling"} {
		for _, link := range []func(string, string) error{os.Link, none} {
			err := createFile(filepath.Join(dir, there), []byte("another"), 0o600, link)
			require.ErrorIs(t, err, os.ErrExist)
			require.EqualError(t, err, "create "+filepath.Join(dir, there)+": file exists")
		}
	}
	for name, mode := range map[string]os.FileMode{"file": 0o644, "file2": 0o600} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "content", string(content))
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode())
	}
	unmovable := func(from, _ string) error { // a folder doesn't take a file's name
		return errors.Join(os.Remove(from), os.Mkdir(from, 0o700), syscall.EPERM)
	}
	require.ErrorIs(t, createFile(path+"3", []byte("content"), 0o600, unmovable), syscall.ENOTDIR)
	err := CreateFile(filepath.Join(dir, "none", "file"), nil, 0o600)
	require.EqualError(t, err, "create "+filepath.Join(dir, "none", "file")+": no such file or directory")
	var of *os.PathError
	require.True(t, errors.As(err, &of))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3, "no leftovers")
}
