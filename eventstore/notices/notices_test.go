package notices_test

import (
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/notices"
	"iocredits/eventstore/pebblestore"
)

// TestManySeenAtOnce: a page marks all that it shows; each mark is written, and
// the chain is whole.
func TestManySeenAtOnce(t *testing.T) {
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	codec := eventstore.NewCodec(account.EventTypes()...)
	w := &notices.Writer{Store: store, Codec: codec, Clock: time.Now}
	const marks = 50
	var wg sync.WaitGroup
	for i := range marks {
		wg.Go(func() {
			_, err := w.MarkSeen(t.Context(), "a", fmt.Sprintf("a%d.0", i), notices.By{Actor: "ann", Role: "customer"})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	var hash eventstore.Hash
	seen := map[string]bool{}
	for r, err := range store.ReadStream(t.Context(), eventstore.NoticesStream("a"), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(t, err)
		f, err := codec.Open(r)
		require.NoError(t, err)
		require.Equal(t, hash, f.Meta.Previous)
		hash = eventstore.ChainHash(f.Stream, f.Revision, f.Event, hash)
		mark, ok := f.Body.(*account.NoticeSeen)
		require.True(t, ok, f.Type)
		seen[mark.Notice] = true
	}
	require.Len(t, seen, marks)
}
