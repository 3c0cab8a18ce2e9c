package main

import (
	"encoding/binary"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
)

// TestDiskNearlyFull: writes are refused, everything can still be read, and with
// room again all is well.
func TestDiskNearlyFull(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.fund("a", "5")
	require.NoError(t, e.stop())

	const noDiskHasThis = "100000000000" // MiB
	e = serve(t, data, "--min-free-mb", noDiskHasThis)
	a, err := e.call("service", http.MethodPost, "/v1/accounts/a/deductions", "k", `{"amount":"1","service":"vm"}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, a.Status, a.Text)
	require.Equal(t, "unavailable", a.Body["code"])
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Equal(t, "5", e.balance("a"))
	e.text("auditor", "/v1/accounts/a/events")
	require.NoError(t, e.stop())

	e = serve(t, data)
	e.must("service", http.MethodPost, "/v1/accounts/a/deductions", "k", `{"amount":"1","service":"vm"}`)
	require.Equal(t, "4", e.balance("a"))
}

// TestDamagedRecordStops: the engine names the position of a record that was
// changed on the disk, and never builds a balance without it.
func TestDamagedRecordStops(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.fund("a", "5")
	e.fund("b", "5")
	e.fund("c", "5")
	require.NoError(t, e.stop())
	position := damage(t, dataDir(data).log())
	require.NoError(t, os.RemoveAll(dataDir(data).views()))

	for _, command := range [][]string{
		{"serve", "--dev", "--data", data, "--addr", "127.0.0.1:0"},
		{"rebuild", "--data", data},
	} {
		out, log, err := run(t, command...)
		require.ErrorContains(t, err, "damaged record at position "+position, "%v", command)
		require.NotContains(t, out, readyLine)
		require.NotContains(t, strings.ToLower(log), "panic")
	}
	out, _, err := run(t, "verify", "--data", data)
	require.Equal(t, exitFindings, exitCode(err))
	require.Contains(t, out, "\nbooks        NOT ADDED UP: ")
	require.NotContains(t, out, "customers have", "what is there isn't what all have")
}

// damage changes one byte in the second record of the log, as a bad disk or a
// person might, and gives its position.
func damage(t *testing.T, dir string) (position string) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quietPebble{}})
	require.NoError(t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("e"), UpperBound: []byte("f")})
	require.NoError(t, err)
	require.True(t, it.First())
	require.True(t, it.Next())
	key, value := append([]byte{}, it.Key()...), append([]byte{}, it.Value()...)
	require.NoError(t, it.Close())
	value[len(value)-10] ^= 1
	require.NoError(t, db.Set(key, value, pebble.Sync))
	require.NoError(t, db.Close())
	return strconv.FormatUint(binary.BigEndian.Uint64(key[1:]), 10)
}

// quietPebble keeps Pebble's account of its start out of the test's output.
type quietPebble struct{ pebble.Logger }

func (quietPebble) Infof(string, ...any) {}

func history(e *engine) string {
	e.t.Helper()
	return e.stable("/v1/accounts/demo-1/transactions") + e.stable("/v1/accounts/demo-2/transactions?limit=1000")
}

func TestRebuild(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data, "--samples", repoRoot+"/testdata/samples")
	before := history(e)
	head, _ := e.must("auditor", http.MethodGet, "/readyz", "", "")["head"].(float64)
	require.NoError(t, e.stop())

	out, _, err := run(t, "rebuild", "--data", data)
	require.NoError(t, err)
	require.Regexp(t, `^rebuilt \d+ events in .*, \d+ a second\n$`, out)
	require.Contains(t, out, "rebuilt "+strconv.Itoa(int(head))+" events")

	// Read models that are beyond opening are no obstacle.
	current := dataDir(data).views() + "/CURRENT"
	require.NoError(t, os.Remove(current))
	require.NoError(t, os.Mkdir(current, 0o700))
	again, log, err := run(t, "rebuild", "--data", data)
	require.NoError(t, err)
	require.Contains(t, again, "rebuilt "+strconv.Itoa(int(head))+" events")
	require.Contains(t, log, "can't be opened")

	e = serve(t, data)
	require.Equal(t, before, history(e))
	require.NoError(t, e.stop())

	_, _, err = run(t, "rebuild", "--data", t.TempDir())
	var usage *usageError
	require.ErrorAs(t, err, &usage)
}

// TestRebuildWithoutALog: where it is the log that can't be opened, the read models stay:
// once it can be, they are there as before.
func TestRebuildWithoutALog(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.fund("a", "5")
	require.NoError(t, e.stop())
	index := filepath.Join(dataDir(data).log(), "index")
	require.NoError(t, os.Rename(index, index+"-away"))
	require.NoError(t, os.WriteFile(index, nil, privateMode))
	_, log, err := run(t, "rebuild", "--data", data)
	require.ErrorContains(t, err, "open the index of the event log")
	require.Empty(t, log)
	require.FileExists(t, filepath.Join(dataDir(data).views(), "CURRENT"))
}
