package main

import (
	"encoding/binary"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
)

// TestAnAccountThatTheIndexLost is found by verify and diff, and no engine begins it anew.
func TestAnAccountThatTheIndexLost(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("lost-1")
	require.NoError(t, e.stop())
	index, err := pebble.Open(filepath.Join(data, "log", "index"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quietPebble{}})
	require.NoError(t, err)
	const lost = "account-lost-1"
	key := append(binary.BigEndian.AppendUint16([]byte{'s'}, uint16(len(lost))), lost...)
	from := binary.BigEndian.AppendUint64(key[:len(key):len(key)], 0)
	require.NoError(t, index.DeleteRange(from, binary.BigEndian.AppendUint64(key, 1<<62), pebble.Sync))
	require.NoError(t, index.Close())

	out, _, err := run(t, "verify", "--data", data)
	require.ErrorIs(t, err, errFindings)
	require.Regexp(t, `index account=lost-1 revision=0 position=\d+ expected="position \d+" found="no entry"`, out)
	out, _, err = run(t, "diff", "lost-1", "--data", data)
	require.ErrorIs(t, err, errFindings)
	require.Contains(t, out, "index account=lost-1 revision=0")
	require.Contains(t, out, "0 events, balance NOT ADDED UP, read models NOT COMPARED")

	e = serve(t, data)
	refused, err := e.call("admin", http.MethodPost, "/dev/accounts/lost-1/purchases", "again", `{"amount":"1"}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, refused.Status, refused.Text)
	require.Contains(t, e.log.String(), "run `iocredits verify`")
	e.fund("found-1", "1")
	require.NoError(t, e.stop())
}
