package keyring_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/keyring"
)

func TestReadOnlyBesideAnEngine(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	engine, err := keyring.Open(dir, keyring.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	live := keyring.NewSealer(engine, 0)
	sealed, err := live.Seal(ctx, "a", "a note")
	require.NoError(t, err)

	tool, err := keyring.OpenReadOnly(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, tool.Close()) }()
	text, err := keyring.NewSealer(tool, 0).Open(ctx, "a", sealed)
	require.NoError(t, err)
	require.Equal(t, "a note", text)
	_, err = keyring.NewSealer(tool, 0).Seal(ctx, "b", "another")
	require.ErrorIs(t, err, keyring.ErrReadOnly)
	require.ErrorIs(t, tool.Destroy(ctx, "a"), keyring.ErrReadOnly)

	require.NoError(t, live.Destroy(ctx, "a"))
	text, err = keyring.NewSealer(tool, 0).Open(ctx, "a", sealed)
	require.NoError(t, err, "what was destroyed since is no damage")
	require.Equal(t, keyring.Erased, text)
	_, err = live.Seal(ctx, "a", "of another life")
	require.NoError(t, err)
	text, err = keyring.NewSealer(tool, 0).Open(ctx, "a", sealed)
	require.NoError(t, err)
	require.Equal(t, keyring.Erased, text)
	again, err := keyring.OpenReadOnly(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, again.Close()) }()
	text, err = keyring.NewSealer(again, 0).Open(ctx, "a", sealed)
	require.NoError(t, err)
	require.Equal(t, keyring.Erased, text)
}
