package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForgetTwice: one event for each key, however often it is asked for, by a
// running engine and without one.
func TestForgetTwice(t *testing.T) {
	data, backup := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	copyKeyring(t, filepath.Join(data, "keyring"), backup)
	forget := func(reason string) string {
		out, _, err := run(t, "forget", "demo-1", "--reason", reason, "--data", data, "--backup", backup)
		require.NoError(t, err)
		return strings.ReplaceAll(out, backup, "backup")
	}
	const before = "backup: this copy has no key of the account that could be destroyed\n" +
		"demo-1: the key was destroyed before; event 7 says so, and nothing was added\n"
	require.Equal(t, "backup: key destroyed in this copy\ndemo-1: key destroyed; event 7 says so\n", forget("case 7"))
	require.Equal(t, before, forget("case 7 again"))
	_, _, err := run(t, "forget", "demo-1", "--reason", "", "--data", data)
	require.ErrorContains(t, err, "reason")

	e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "later", `{"amount":"1","service":"vm","reference":"r","description":"a new note"}`)
	require.Contains(t, forget("case 8"), "event 9 says so (event 7 did of the key before: the account was used since, and got another)")
	require.NoError(t, e.stop())
	require.Contains(t, forget("case 8 again"), "destroyed before; event 9 says so")
	out, _, err := run(t, "replay", "demo-1", "--data", data)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(out, "account-forgotten"))
}

// forgetCutShort gives the data of an engine that forgot demo-1 and crashed between the
// key's end and its event.
func forgetCutShort(t *testing.T) (data string) {
	t.Helper()
	data = t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	_, err := destroyIn(t.Context(), filepath.Join(data, "keyring"), "demo-1")
	require.NoError(t, err)
	return data
}

// TestForgetAfterACrash between the key's end and its event: the event is made up for.
func TestForgetAfterACrash(t *testing.T) {
	data := forgetCutShort(t)
	for _, want := range []string{"key destroyed; event 7 says so", "destroyed before; event 7"} {
		out, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
		require.NoError(t, err)
		require.Contains(t, out, want)
	}
}

// TestForgetByAClockThatCannotBeRead: the event would have the wrong time. Nothing is done.
func TestForgetByAClockThatCannotBeRead(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	clock := dataDir(data).devClock()
	require.NoError(t, os.WriteFile(clock, []byte("tomorrow"), privateMode))
	_, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
	require.ErrorContains(t, err, "dev clock: ")
	require.NoError(t, os.Remove(clock))
	out, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
	require.NoError(t, err)
	require.Contains(t, out, "key destroyed; event 7 says so")
}

// TestForgetThatCannotBegin changes nothing, in the copies of the keyring neither, and
// names what is missing.
func TestForgetThatCannotBegin(t *testing.T) {
	data, backup := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	copyKeyring(t, filepath.Join(data, "keyring"), backup)
	for name, args := range map[string][]string{
		"--keyring-secret":         {"--reason", "case 7", "--eventstore", "esdb://127.0.0.1:1?tls=false"},
		"IOCREDITS_KEYRING_SECRET": {"--reason", "case 7", "--eventstore", "esdb://127.0.0.1:1?tls=false"},
		"reason":                   {"--reason", "", "--data", data},
	} {
		out, _, err := run(t, append([]string{"forget", "demo-1", "--backup", backup}, args...)...)
		require.ErrorContains(t, err, name)
		require.Empty(t, out)
	}
	done, err := destroyIn(t.Context(), backup, "demo-1")
	require.NoError(t, err)
	require.Equal(t, backup+": key destroyed in this copy", done)
	help, _, err := run(t, "forget", "--help")
	require.NoError(t, err)
	require.Contains(t, oneLine(errors.New(help)), "Required with --eventstore: file with 32")
}

// TestForgetLeavesTheLogFree when the keyring can't be opened: this process, too, can
// open the log again.
func TestForgetLeavesTheLogFree(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	file := filepath.Join(data, "keyring", "keys")
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append([]byte{1}, good[1:]...), 0o600))
	_, _, err = run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
	require.ErrorContains(t, err, "damaged keyring")
	require.NoError(t, os.WriteFile(file, good, 0o600))
	_, _, err = run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
	require.NoError(t, err)
}

// TestForgetOfWhoWaitsForMoney: the address to pay to goes only with --force, and without
// it no copy of the keyring has lost a key, beside an engine and without one.
func TestForgetOfWhoWaitsForMoney(t *testing.T) {
	data, backup := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	asked := e.must("customer:demo-1", http.MethodPost, "/v1/accounts/demo-1/withdrawals", "w",
		`{"amount":"10","wallet_address":"acct_1032D82eZvKYlo2C","network":"stripe"}`)
	id, _ := asked["withdrawal"].(map[string]any)["id"].(string)
	copyKeyring(t, filepath.Join(data, "keyring"), backup)
	forget := func(more ...string) (string, error) {
		out, _, err := run(t, append([]string{"forget", "demo-1", "--data", data, "--backup", backup}, more...)...)
		return out, err
	}
	t.Setenv("IOCREDITS_REASON", "case 7")
	t.Setenv("IOCREDITS_FORCE", "true")
	_, err := forget()
	require.ErrorContains(t, err, "missing flags: --reason", "an environment erases nothing")
	for range 2 {
		out, err := forget("--reason", "case 7")
		require.ErrorContains(t, err, "open: withdrawals "+id)
		require.Equal(t, exitFailed, exitCode(err))
		require.Empty(t, out)
		require.NoError(t, e.stop())
	}
	out, err := forget("--reason", "case 7", "--force")
	require.NoError(t, err)
	require.Regexp(t, `: key destroyed in this copy\ndemo-1: key destroyed; event \d+ says so\n$`, out)
}

// TestForgetInABackup of the whole data directory, as the operators' page makes it: the
// text there is gone too.
func TestForgetInABackup(t *testing.T) {
	data, backup := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	for _, folder := range []string{"log", "keyring", "checkpoints"} {
		require.NoError(t, os.CopyFS(filepath.Join(backup, folder), os.DirFS(filepath.Join(data, folder))))
	}
	out, _, err := run(t, "replay", "demo-1", "--data", backup)
	require.NoError(t, err)
	require.Contains(t, out, "a private note")
	out, _, err = run(t, "forget", "demo-1", "--reason", "case 7", "--data", data, "--backup", backup)
	require.NoError(t, err)
	require.Contains(t, out, filepath.Join(backup, "keyring")+": key destroyed in this copy\n")
	require.NoFileExists(t, filepath.Join(backup, "keys"))
	out, _, err = run(t, "replay", "demo-1", "--data", backup)
	require.NoError(t, err)
	require.NotContains(t, out, "a private note")
	require.Contains(t, out, "[erased]")
}

// TestForgetInWhatIsNoCopy: all copies are looked at before a key is gone, and nothing is
// made or cut in a folder that is none.
func TestForgetInWhatIsNoCopy(t *testing.T) {
	data, good, other := t.TempDir(), t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	copyKeyring(t, filepath.Join(data, "keyring"), good)
	before := readAll(t, good)
	require.NoError(t, os.WriteFile(filepath.Join(other, "keys"), []byte("hello"), 0o600))
	for name, backup := range map[string]string{
		"none": good + "/none", "empty": t.TempDir(), "other": other, "file": other + "/keys", "own": data, "its own": data + "/keyring",
	} {
		out, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data, "--backup", good+","+backup)
		require.ErrorContains(t, err, "--backup "+backup+": ", name)
		require.Equal(t, exitUsage, exitCode(err), name)
		require.Empty(t, out)
		require.Equal(t, before, readAll(t, good), name)
	}
	require.Equal(t, "hello", readAll(t, other))
	_, _, err := run(t, "forget", "demo-1", "--reason", "case 7", "--data", data, "--backup", "")
	require.ErrorContains(t, err, "--backup is empty", "as of a variable that isn't set")
	t.Setenv("IOCREDITS_BACKUP", "")
	_, _, err = run(t, "forget", "demo-1", "--reason", "case 7", "--data", data)
	require.ErrorContains(t, err, "IOCREDITS_BACKUP is empty")
	require.Equal(t, exitUsage, exitCode(err))
	out, _, err := run(t, "replay", "demo-1", "--data", data)
	require.NoError(t, err)
	require.Contains(t, out, "a private note")
}
