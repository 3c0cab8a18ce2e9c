package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
)

// TestLogThatEndsBeforeTheViews: views follow what is durable only. If they are ahead
// of the log, the log has lost what was acknowledged, and the views may be all that is
// left of it. They must not be thrown away as if they were of an older format.
func TestLogThatEndsBeforeTheViews(t *testing.T) {
	ctx, quiet, disk := context.Background(), slog.New(slog.DiscardHandler), vfs.NewMem()
	open := func(log string, events int) *pebblestore.Store {
		store, err := pebblestore.Open(log, pebblestore.Options{FS: disk, Logger: quiet})
		require.NoError(t, err)
		for i := range events {
			_, err := store.Append(ctx, "foreign", int64(i-1), []eventstore.Event{{ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)), Type: "t", Data: []byte("{}"), Metadata: []byte("{}")}})
			require.NoError(t, err)
		}
		return store
	}
	options := func(s eventstore.Store) projections.Options {
		return projections.Options{Store: s, Codec: eventstore.NewCodec(account.EventTypes()...), FS: disk, Logger: quiet}
	}
	whole := open("whole", 10)
	v, err := projections.Open(ctx, "views", options(whole))
	require.NoError(t, err)
	require.NoError(t, v.RunToEnd(ctx, nil))
	require.EqualValues(t, 10, v.Through())
	require.NoError(t, v.Close())
	require.NoError(t, whole.Close())

	short := open("short", 7) // the same log, without its last three events
	defer func() { require.NoError(t, short.Close()) }()
	v, err = projections.Open(ctx, "views", options(short))
	if err == nil {
		require.NoError(t, v.Close())
	}
	require.ErrorIs(t, err, projections.ErrLogLost, "the views of a log that had more were replaced by empty ones")
	_, found, err := projections.OpenImage("views", options(short))
	require.NoError(t, err)
	require.True(t, found)
}
