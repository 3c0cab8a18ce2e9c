package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysCreateSigner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signer")
	out, _, err := run(t, "keys", "create-signer", "--name", "example.org/credits", "--out", path)
	require.NoError(t, err)
	public, err := os.ReadFile(path + ".pub")
	require.NoError(t, err)
	require.Equal(t, out, string(public))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	info, err = os.Stat(path + ".pub")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode(), "it is there to be published")
	s, err := readSigner(path)
	require.NoError(t, err)
	require.Equal(t, "example.org/credits", s.Name())
	require.Equal(t, s.KeyHash(), s.verifier.KeyHash())

	_, _, err = run(t, "keys", "create-signer", "--name", "example.org/credits", "--out", path)
	require.ErrorContains(t, err, "exists", "a key is never overwritten")
	_, _, err = run(t, "keys", "create-signer", "--name", "two words", "--out", path+"2")
	require.ErrorContains(t, err, "--name")
	_, _, err = run(t, "keys", "create-signer", "--name", "two\u00a0words", "--out", path+"2")
	require.ErrorContains(t, err, "--name")
	require.NoFileExists(t, path+"2")
	_, _, err = run(t, "keys", "create-signer", "--name", "https://example.org/credits", "--out", path+"2")
	require.ErrorContains(t, err, `--name "https://example.org/credits" has a scheme`)
	require.Equal(t, exitUsage, exitCode(err))
	require.NoFileExists(t, path+"2")
	_, err = readSigner(path + ".pub")
	require.ErrorContains(t, err, "create-signer")
}

// TestKeysCreateSignerOverwritesNothing: the public key of a signer that was moved away
// is what its checkpoints are checked with.
func TestKeysCreateSignerOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signer")
	require.NoError(t, os.WriteFile(path+".pub", []byte("another's\n"), 0o600))
	out, _, err := run(t, "keys", "create-signer", "--name", "example.org/credits", "--out", path)
	var usage *usageError
	require.ErrorAs(t, err, &usage)
	require.ErrorContains(t, err, path+".pub exists")
	require.Empty(t, out)
	require.NoFileExists(t, path)
	public, err := os.ReadFile(path + ".pub")
	require.NoError(t, err)
	require.Equal(t, "another's\n", string(public))
}
