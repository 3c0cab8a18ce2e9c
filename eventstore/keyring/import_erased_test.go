package keyring_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/keyring"
)

// mayEnd lets any key end.
func mayEnd(context.Context) error { return nil }

// TestImportFollowsAnErasure: a copy to a cluster that broke off is run again, and
// meanwhile an account was forgotten in the log to copy. The erasure is copied too.
func TestImportFollowsAnErasure(t *testing.T) {
	ctx := context.Background()
	k := logKeys(t, newLog(t))
	key := keyring.Key{Generation: 1, Secret: [64]byte{7}}
	require.NoError(t, k.Import(ctx, "a", key, keyring.Live, mayEnd))
	require.NoError(t, k.Import(ctx, "a", keyring.Key{Generation: 1}, keyring.Destroyed, mayEnd))
	_, status, err := k.Find(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, keyring.Destroyed, status)
}

// TestImportOfALaterKey: what the account was forgotten under before ends, if nobody needs
// it; never the other way round.
func TestImportOfALaterKey(t *testing.T) {
	ctx := context.Background()
	first, second := keyring.Key{Generation: 1, Secret: [64]byte{7}}, keyring.Key{Generation: 2, Secret: [64]byte{8}}
	needed := errors.New("needed")
	isNeeded := func(context.Context) error { return needed }
	for name, c := range map[string]struct {
		there, then keyring.Status
		of          keyring.Key
		mayEnd      func(context.Context) error
		want        error
	}{
		"of a live one":            {keyring.Live, keyring.Live, second, mayEnd, nil},
		"of a live one, destroyed": {keyring.Live, keyring.Destroyed, keyring.Key{Generation: 2}, mayEnd, nil},
		"of a destroyed one":       {keyring.Destroyed, keyring.Live, second, isNeeded, nil},
		"of one that is needed":    {keyring.Live, keyring.Live, second, isNeeded, needed},
	} {
		k := logKeys(t, newLog(t))
		require.NoError(t, k.Import(ctx, "a", first, keyring.Live, isNeeded), name)
		if c.there == keyring.Destroyed {
			require.NoError(t, k.Destroy(ctx, "a"), name)
		}
		for range 2 { // the second time it is there
			require.ErrorIs(t, k.Import(ctx, "a", c.of, c.then, c.mayEnd), c.want, name)
		}
		key, status, err := k.Find(ctx, "a")
		require.NoError(t, err, name)
		if c.want != nil {
			require.Equal(t, first, key, name)
			continue
		}
		require.Equal(t, c.of, key, name)
		require.Equal(t, c.then, status, name)
		require.ErrorContains(t, k.Import(ctx, "a", first, keyring.Live, mayEnd), "not the newest", name)
	}
}
