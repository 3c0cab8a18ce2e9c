package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/httpapi"
)

// TestKeysCreateAppendsToAMount: a file that is mounted by itself, as containers have it,
// can't be replaced.
func TestKeysCreateAppendsToAMount(t *testing.T) {
	dir := t.TempDir()
	file, mounted := filepath.Join(dir, "file"), filepath.Join(dir, "keys.yaml")
	require.NoError(t, os.WriteFile(mounted, nil, 0o600))
	_, _, err := run(t, "keys", "create", "--role", "service", "--actor", "a", "--append", file)
	require.NoError(t, err)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, before[:len(before)-1], 0o600), "without a newline at its end")
	err = syscall.Mount(file, mounted, "", syscall.MS_BIND, "")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("SKIPPED: mounting takes a right that this process lacks")
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Unmount(mounted, 0)) }()

	out, _, err := run(t, "keys", "create", "--role", "admin", "--actor", "b", "--append", mounted)
	require.NoError(t, err)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(after), string(before)+"- id: "), "%s", after)
	require.Contains(t, string(after), httpapi.HashKey(strings.TrimSpace(out)))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
}
