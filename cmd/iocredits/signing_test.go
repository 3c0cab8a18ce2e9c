package main

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore/transparency"
)

// loseRecord takes the record at the middle of a log away, as a lost file does.
func loseRecord(t *testing.T, dir string) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quietPebble{}})
	require.NoError(t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("e"), UpperBound: []byte("f")})
	require.NoError(t, err)
	require.True(t, it.First())
	for range 5 {
		require.True(t, it.Next())
	}
	key := append([]byte{}, it.Key()...)
	require.True(t, it.Next(), "it is the newest")
	require.NoError(t, it.Close())
	require.NoError(t, db.Delete(key, pebble.Sync))
	require.NoError(t, db.Close())
}

// TestALogThatLostItsMiddleIsNotSigned, though the read models still have the tree of
// all of it.
func TestALogThatLostItsMiddleIsNotSigned(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	e.must("auditor", http.MethodGet, "/v1/audit/checkpoint", "", "")
	e.trade("demo-2")
	require.NoError(t, e.stop())
	loseRecord(t, dataDir(data).log())
	signed := len(checkpointsIn(t, data))

	e = serve(t, data)
	got, err := e.call("auditor", http.MethodGet, "/v1/audit/checkpoint", "", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, got.Status, got.Text)
	require.Contains(t, got.Text, "event 6 of the tree is at position 6; in the log there is a damaged record at position 6")
	require.Contains(t, e.log.String(), "no checkpoint will be signed")
	require.NoError(t, e.stop())
	require.Len(t, checkpointsIn(t, data), signed, "the stop signs neither")
}

// TestAStopSigns everything: nobody does while the engine is down.
func TestAStopSigns(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	require.NoError(t, e.stop())
	require.Empty(t, checkpointsIn(t, data), "there is nothing to sign")
	for i, account := range []string{"demo-1", "demo-2"} {
		e = serve(t, data)
		e.trade(account)
		require.NoError(t, e.stop())
		all := checkpointsIn(t, data)
		require.NotEmpty(t, all)
		require.EqualValues(t, 7*(i+1), all[len(all)-1].Size)
	}
	e = serve(t, data)
	before := len(checkpointsIn(t, data))
	require.NoError(t, e.stop())
	require.Len(t, checkpointsIn(t, data), before, "nothing is new")
	out, _, err := run(t, "verify", "--data", data, "--key", filepath.Join(data, "dev-signer.pub"))
	require.NoError(t, err, out)
}

func checkpointsIn(t *testing.T, data string) (all []transparency.Signed) {
	t.Helper()
	require.NoError(t, transparency.ReadFile(filepath.Join(data, "checkpoints"), func(s transparency.Signed) error {
		all = append(all, s)
		return nil
	}))
	return all
}
