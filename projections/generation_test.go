package projections

import (
	"context"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// Who is late must neither show a batch on views that were replaced, under a
// reader who is still on them, nor stop the views that replaced them.
func TestReplacedViewsNeitherMoveNorStopOthers(t *testing.T) {
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: quiet})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	v, err := Open(ctx, "views", Options{Store: store, Codec: eventstore.NewCodec(account.EventTypes()...), FS: vfs.NewMem(), Logger: quiet})
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()

	old, leave, err := v.enter()
	require.NoError(t, err)
	rebuilt := make(chan error, 1)
	go func() { rebuilt <- v.Rebuild(ctx, nil) }()
	select {
	case <-old.retired.Done():
	case err := <-rebuilt:
		leave()
		t.Fatalf("the old views were not replaced: %v", err)
	}
	late := newChange()
	late.append(balanceKey("a"), []byte("late"))
	require.ErrorIs(t, v.show(old, late), context.Canceled)
	require.False(t, v.stop(old, ErrClosed))
	value, err := lookup(old.db, balanceKey("a"), func(value []byte) (string, error) { return string(value), nil })
	require.NoError(t, err)
	require.Empty(t, value)
	leave()
	require.NoError(t, <-rebuilt)
	status, err := v.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, Status{}, status)
}
