package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/disk"
)

// TestLock is held once at a time. What keeps everybody from it is no lock of another's.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "LOCK")
	t.Chdir(dir)
	for range 2 {
		lock, err := disk.Lock(name)
		require.NoError(t, err)
		_, err = disk.Lock(name)
		require.ErrorIs(t, err, disk.ErrLocked)
		_, err = disk.Lock("LOCK")
		require.ErrorIs(t, err, disk.ErrLocked, "by another name")
		require.NoError(t, lock.Close())
	}
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	folder := filepath.Join(dir, "folder")
	require.NoError(t, os.Mkdir(folder, 0o700))
	for _, other := range []string{folder, filepath.Join(dir, "none", "LOCK")} {
		_, err := disk.Lock(other)
		require.NotErrorIs(t, err, disk.ErrLocked)
		require.ErrorContains(t, err, other)
	}
}
