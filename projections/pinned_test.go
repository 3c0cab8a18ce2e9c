package projections

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"weak"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore/disk"
)

// TestDroppedRowsAreFree: a row is one piece of memory with a hundred others, so the
// writer's list of a large batch long ago would keep a cache that was dropped.
func TestDroppedRowsAreFree(t *testing.T) {
	db, err := pebble.Open("views", &pebble.Options{FS: vfs.NewMem(), Logger: disk.Logger{To: slog.New(slog.DiscardHandler)}})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	g := &generation{db: db}
	w := newWriter(g)
	g.writer = w
	w.first = true
	var rows []weak.Pointer[accountRow]
	for i := range 10 * slabSize {
		row, err := w.account(fmt.Sprint(i))
		require.NoError(t, err)
		rows = append(rows, weak.Make(row))
	}
	w.flushRows()
	require.NoError(t, w.next().commit(g, []byte("{}")))
	g.accounts.clear() // as the applier does, once they are many
	_, err = w.account("another")
	require.NoError(t, err)
	runtime.GC()
	for _, row := range rows {
		require.Nil(t, row.Value())
	}
	runtime.KeepAlive(g)
}
