package projections

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore/ledger"
)

// A filter that has grown over several layers lacks no name that was put in,
// while others are being put in, and nearly all that were not.
func TestNameFilterNeverMissesAName(t *testing.T) {
	const each = firstLayer // four writers fill the first layer and most of the second
	f := newNameFilter()
	f.complete.Store(true)
	name := func(n int) []byte { return binary.BigEndian.AppendUint64([]byte("n"), uint64(n)) }
	var writers sync.WaitGroup
	for from := range 4 {
		writers.Go(func() {
			for n := from * each; n < (from+1)*each; n++ {
				f.add(name(n))
				if f.lacks(name(n)) {
					t.Errorf("name %d is missing at once", n)
				}
			}
		})
	}
	writers.Wait()
	require.Len(t, *f.layers.Load(), 2)
	if testing.Short() {
		return // one goroutine asks for all of them, and as many more
	}
	perhaps := 0
	for n := range 4 * each {
		require.False(t, f.lacks(name(n)))
		if !f.lacks(name(n + 4*each)) {
			perhaps++
		}
	}
	require.Less(t, perhaps, 4*each/200, "a full layer may say so to 0.17 %, and there are two")
}

// After a start the filter says nothing until it has all names of the disk.
func TestNameFilterIsSilentUntilItIsComplete(t *testing.T) {
	db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	names := make([][]byte, 1000)
	for n := range names {
		names[n] = nameKey("a", ledger.NameOfCommand(fmt.Sprint(n)))
		require.NoError(t, db.Set(names[n], nil, nil))
	}
	f := newNameFilter()
	require.False(t, f.lacks(nameKey("a", ledger.NameOfCommand("never"))))
	done := make(chan error, 1)
	require.NoError(t, f.load(context.Background(), db, func(err error) { done <- err }))
	require.NoError(t, <-done)
	require.True(t, f.lacks(nameKey("a", ledger.NameOfCommand("never"))))
	for _, k := range names {
		require.False(t, f.lacks(k))
	}

	ended, end := context.WithCancel(context.Background())
	end()
	cut := newNameFilter()
	if err := cut.load(ended, db, func(error) { done <- nil }); err == nil {
		require.NoError(t, <-done)
	}
	require.False(t, cut.lacks(nameKey("a", ledger.NameOfCommand("never"))), "a load that was cut short is not complete")
}
