package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/transparency"
)

// TestReceiptIsOfTheEventThatWasAskedFor: an id that no event of the account has is
// refused, though another event is at the revision in it.
func TestReceiptIsOfTheEventThatWasAskedFor(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	e.trade("demo-2")
	e.must("auditor", http.MethodGet, "/v1/audit/checkpoint", "", "")
	require.NoError(t, e.stop())
	idOf := func(account, revision string) string {
		out, _, err := run(t, "receipt", account, revision, "--data", data)
		require.NoError(t, err)
		receipt, err := transparency.ParseReceipt([]byte(out))
		require.NoError(t, err)
		return receipt.ID.String()
	}
	own, other := idOf("demo-1", "3"), idOf("demo-2", "3")
	require.Equal(t, own, idOf("demo-1", own))
	changed := own[:35] + "0"
	if changed == own {
		changed = own[:35] + "1"
	}
	for _, c := range []struct {
		id   string
		want int
	}{
		{changed, exitFailed}, {other, exitFailed}, {"00000000-0000-0000-0000-000000000000", exitFailed}, {"99", exitFailed},
		{"{" + own + "}", exitUsage}, {"urn:uuid:" + own, exitUsage}, {strings.ReplaceAll(own, "-", ""), exitUsage}, {"-1", exitUsage},
	} {
		out, _, err := run(t, "receipt", "demo-1", c.id, "--data", data)
		require.Equal(t, c.want, exitCode(err), "%s: %v", c.id, err)
		require.Empty(t, out)
		if c.want == exitFailed {
			require.ErrorContains(t, err, "unknown-transaction")
		}
	}
}

// TestReceiptOut makes a file, or writes to what is there and no file; it replaces
// nothing.
func TestReceiptOut(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	in := func(name string) string { return filepath.Join(dir, name) }
	receipt := func(out string) error {
		_, _, err := run(t, "receipt", "demo-1", "3", "--data", data, "--out", out)
		return err
	}
	require.NoError(t, receipt(in("new")))
	want, err := os.ReadFile(in("new"))
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(in("there"), []byte("mine"), 0o600))
	require.NoError(t, errors.Join(os.Symlink(in("there"), in("link")), os.Symlink(in("nowhere"), in("dangling")), os.Mkdir(in("folder"), 0o700)))
	for name, says := range map[string]string{
		"new": "file exists", "there": "file exists", "link": "file exists", "dangling": "file exists", "folder": "is a folder",
	} {
		err := receipt(in(name))
		require.Equal(t, exitUsage, exitCode(err), name)
		require.ErrorContains(t, err, says, name)
	}
	mine, err := os.ReadFile(in("link"))
	require.NoError(t, err)
	require.Equal(t, "mine", string(mine))

	require.NoError(t, errors.Join(syscall.Mkfifo(in("pipe"), 0o600), os.Symlink(in("pipe"), in("to-pipe"))))
	for _, name := range []string{"pipe", "to-pipe"} {
		pipe, err := os.OpenFile(in("pipe"), os.O_RDWR, 0) // so that nobody waits to open it
		require.NoError(t, err)
		require.NoError(t, receipt(in(name)))
		got := make([]byte, len(want))
		_, err = io.ReadFull(pipe, got)
		require.NoError(t, errors.Join(err, pipe.Close()))
		require.Equal(t, want, got)
		info, err := os.Stat(in(name))
		require.NoError(t, err)
		require.Equal(t, os.ModeNamedPipe, info.Mode().Type())
	}
}
