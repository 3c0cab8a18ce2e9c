package keyring_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/keyring"
)

// TestLostKeys: no account that must have had a key gets a first one, and one that is
// given up gets its second, after a restart too.
func TestLostKeys(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	broken := errors.New("the log can't be read")
	options := keyring.Options{Lost: func(_ context.Context, account string) (bool, error) {
		if account == "broken" {
			return false, broken
		}
		return account == "lost", nil
	}}
	keys, err := keyring.Open(dir, options)
	require.NoError(t, err)
	s := keyring.NewSealer(keys, 0)
	seal(t, s, "new", "a note")
	for account, want := range map[string]error{"lost": keyring.ErrKeyLost, "broken": broken} {
		_, err = s.Seal(ctx, account, "a note")
		require.ErrorIs(t, err, want)
		_, err = s.Fingerprint(ctx, account, "POST", "/", "actor", nil)
		require.ErrorIs(t, err, want)
	}
	require.ErrorIs(t, s.Destroy(ctx, "broken"), broken)
	require.NoError(t, s.Destroy(ctx, "new"))
	for range 2 {
		require.NoError(t, s.Destroy(ctx, "lost"))
		require.NoError(t, s.Destroy(ctx, "never seen"))
		require.Equal(t, map[string]keyring.Ended{"new": {Keys: 1}, "lost": {Keys: 1}}, keys.Ended())
		require.NoError(t, keys.Close())
		keys, err = keyring.Open(dir, options)
		require.NoError(t, err)
		s = keyring.NewSealer(keys, 0)
	}
	defer func() { require.NoError(t, keys.Close()) }()
	require.Contains(t, string(seal(t, s, "lost", "a note")), "s1.2.")
	require.Contains(t, string(seal(t, s, "new", "a note")), "s1.2.")
	require.Equal(t, keyring.Erased, open(t, s, "lost", "s1.1.AAAAAAAAAAAAAAAAAAAAAA"))
}
