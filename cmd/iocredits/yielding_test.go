package main

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// With one processor nobody else runs unless a table's writer gives its turn away.
func TestWritersOfTablesGiveWay(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	f, err := yieldingFS{vfs.NewMem()}.Create("000001.sst", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	table, ok := f.(*yieldingFile)
	require.True(t, ok)
	var ran atomic.Bool
	go ran.Store(true)
	// The scheduler may give the turn back at once, now and then; not each time. All
	// of these writes together take far less than the turn that Go would give.
	for i := 0; i < 100 && !ran.Load(); i++ {
		table.began = table.began.Add(-2 * yieldEvery)
		_, err := table.Write([]byte("block"))
		require.NoError(t, err)
	}
	require.True(t, ran.Load())
	require.NoError(t, table.Close())
}

// A log's writer is waited for: it keeps its turn.
func TestOnlyTablesGiveWay(t *testing.T) {
	f, err := yieldingFS{vfs.NewMem()}.Create("000002.log", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, yields := f.(*yieldingFile)
	require.False(t, yields)
	require.NoError(t, f.Close())
}
