package keyring_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/keyring"
)

// TestImportFollowsAnErasure: a copy to a cluster that broke off is run again, and
// meanwhile an account was forgotten in the log to copy. The erasure is copied too.
func TestImportFollowsAnErasure(t *testing.T) {
	ctx := context.Background()
	k := logKeys(t, newLog(t))
	key := keyring.Key{Generation: 1, Secret: [64]byte{7}}
	require.NoError(t, k.Import(ctx, "a", key, keyring.Live))
	require.NoError(t, k.Import(ctx, "a", keyring.Key{Generation: 1}, keyring.Destroyed))
	_, status, err := k.Find(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, keyring.Destroyed, status)
}
