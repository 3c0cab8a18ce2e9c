package keyring_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/keyring"
)

// TestACopy: keys end in it, and nothing else in it changes: a tail that a power cut tore
// stays, because whoever repairs it makes it shorter.
func TestACopy(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	engine, err := keyring.Open(filepath.Join(dir, "keyring"), keyring.Options{})
	require.NoError(t, err)
	sealed := seal(t, keyring.NewSealer(engine, 0), "a", "a note")
	seal(t, keyring.NewSealer(engine, 0), "b", "another")
	require.NoError(t, engine.Close())
	file := filepath.Join(dir, "keyring", "keys")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	before = append(before, make([]byte, 300)...)
	require.NoError(t, os.WriteFile(file, before, 0o600))

	for _, named := range []string{dir, filepath.Join(dir, "keyring")} {
		keys, err := keyring.OpenCopy(named)
		require.NoError(t, err)
		require.Equal(t, filepath.Dir(file), keys.Dir)
		was, err := keys.Destroy(ctx, "nobody")
		require.NoError(t, err)
		require.Equal(t, keyring.None, was)
		_, err = keyring.OpenCopy(named)
		require.ErrorContains(t, err, "in use")
		require.NotErrorIs(t, err, keyring.ErrNoKeyring)
		require.NoError(t, keys.Close())
	}
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after))

	keys, err := keyring.OpenCopy(dir)
	require.NoError(t, err)
	for _, want := range []keyring.Status{keyring.Live, keyring.Destroyed} {
		was, err := keys.Destroy(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, want, was)
	}
	require.NoError(t, keys.Close())
	again, err := keyring.Open(filepath.Join(dir, "keyring"), keyring.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, again.Close()) }()
	require.Equal(t, keyring.Erased, open(t, keyring.NewSealer(again, 0), "a", sealed))
	_, status, err := again.Find(ctx, "b")
	require.NoError(t, err)
	require.Equal(t, keyring.Live, status)
}

// TestNoCopy: what is no keyring is left as it is.
func TestNoCopy(t *testing.T) {
	dir := t.TempDir()
	_, err := keyring.OpenCopy("")
	require.ErrorIs(t, err, keyring.ErrNoKeyring)
	_, err = keyring.OpenCopy(dir)
	require.ErrorIs(t, err, keyring.ErrNoKeyring)
	_, err = keyring.OpenCopy(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, keyring.ErrNoKeyring)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	file := filepath.Join(dir, "keys")
	for _, text := range []string{"hello", string(bytes.Repeat([]byte("0123456789abcdef"), 32))} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		for _, named := range []string{dir, file} {
			_, err = keyring.OpenCopy(named)
			require.ErrorIs(t, err, keyring.ErrNoKeyring)
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, text, string(content))
	}
	left, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}
