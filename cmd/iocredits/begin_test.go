package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/httpapi"
)

// keysFile makes a file of keys for serve, and gives the keys by their roles.
func keysFile(t *testing.T, roles ...string) (file string, keys devKeys) {
	t.Helper()
	file, keys = filepath.Join(t.TempDir(), "keys.yaml"), devKeys{}
	for _, role := range roles {
		out, _, err := run(t, "keys", "create", "--role", role, "--actor", role+"-1", "--append", file)
		require.NoError(t, err)
		keys[role] = strings.TrimSpace(out)
	}
	return file, keys
}

// refusedUse runs a command that has to end as one that was called wrongly, and not to run.
func refusedUse(t *testing.T, says string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := (&Main{Stdout: io.Discard, Stderr: io.Discard}).Run(ctx, args)
	require.ErrorContains(t, err, says, "%v", args)
	require.Equal(t, exitUsage, exitCode(err), "%v", args)
}

// TestNoLogIsBegunByMistake: on a folder that is misspelt or whose disk isn't mounted an
// engine doesn't start, and leaves nothing there, unless it is told to begin a log.
func TestNoLogIsBegunByMistake(t *testing.T) {
	file, keys := keysFile(t, "service")
	none, empty, data := filepath.Join(t.TempDir(), "none"), t.TempDir(), t.TempDir()
	args := func(data string, more ...string) []string {
		return append([]string{"serve", "--keys", file, "--data", data, "--addr", "127.0.0.1:0"}, more...)
	}
	refusedUse(t, none+" is no data directory (is its disk mounted? --create begins a new log in it)", args(none)...)
	require.NoDirExists(t, none)
	t.Setenv("IOCREDITS_CREATE", "true") // must not be left in an environment
	refusedUse(t, empty+" is no data directory", args(empty)...)
	require.Empty(t, listing(t, empty))
	refusedUse(t, "the log is on the cluster", args(empty, "--create", "--eventstore", "esdb://x")...)

	for _, more := range [][]string{{"--create"}, nil, {"--create"}} {
		e := serveArgs(t, args(data, more...)...)
		e.keys = keys
		e.must("service", http.MethodPost, "/v1/accounts/a/incentives", "k", `{"amount":"5","campaign":"c"}`)
		require.Equal(t, "5", e.balance("a"), "%v", more)
		require.NoError(t, e.stop())
		if more == nil {
			require.Regexp(t, `level=INFO msg="the log is open" data=\S+ head=1\n`, e.log.String())
		}
	}
}

// TestNoLogIsServedByMistake: an eventstore, too, begins none where one was meant.
func TestNoLogIsServedByMistake(t *testing.T) {
	file, _ := keysFile(t, "admin")
	cert, key := writeCertificate(t, t.TempDir())
	none := filepath.Join(t.TempDir(), "none")
	args := []string{"eventstore", "--cert", cert, "--key", key, "--keys", file, "--data", none, "--addr", "127.0.0.1:0"}
	refusedUse(t, none+" is no data directory (is its disk mounted? --create begins a new log in it)", args...)
	require.NoDirExists(t, none)
	for _, more := range [][]string{{"--create"}, nil} {
		ctx, stop := context.WithCancel(t.Context())
		out, lines := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := (&Main{Stdout: lines, Stderr: io.Discard}).Run(ctx, append(args, more...))
			_ = lines.CloseWithError(errors.Join(io.EOF, err))
			ended <- err
		}()
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, eventstoreReady)
		stop()
		require.NoError(t, <-ended)
	}
}

// TestNoRoomToBegin: a log that can't be begun says what is missing, and nothing else.
func TestNoRoomToBegin(t *testing.T) {
	_, _, err := run(t, "serve", "--dev", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--min-free-mb", "1000000000")
	require.ErrorContains(t, err, "bytes are free on the disk of")
	require.NotContains(t, err.Error(), "move the index")
}

// TestDesksThatCanDecide are not warned of: what counts is actors, not keys.
func TestDesksThatCanDecide(t *testing.T) {
	var log bytes.Buffer
	warned := func(names ...string) string {
		specs := make([]httpapi.KeySpec, 0, len(names))
		for i, name := range names { // role and actor
			role, _, _ := strings.Cut(name, "-")
			id := strconv.Itoa(i)
			specs = append(specs, httpapi.KeySpec{ID: id, Role: httpapi.Role(role), Actor: name, SHA256: httpapi.HashKey(id)})
		}
		keys, err := httpapi.NewKeys(specs)
		require.NoError(t, err)
		log.Reset()
		warnOfDesks(keys, slog.New(slog.NewTextHandler(&log, nil)))
		return log.String()
	}
	require.Empty(t, warned("finance-1", "finance-2", "bd-1", "bd-2", "support-1"))
	require.Contains(t, warned("finance-1", "finance-1", "bd-1", "bd-2", "support-1"), "level=WARN msg=\"too few actors have a key of this role, so nobody can decide what waits\" role=finance actors=1 needed=2")
	require.Equal(t, 2, strings.Count(warned("finance-1", "finance-2", "bd-1"), "\n"))
}

// TestDevIsForItsOwnLogs: keys that lie in a file, purchases without payment and a clock
// that moves never come to a log of production.
func TestDevIsForItsOwnLogs(t *testing.T) {
	file, _ := keysFile(t, "service")
	data := t.TempDir()
	require.NoError(t, serveArgs(t, "serve", "--create", "--keys", file, "--data", data, "--addr", "127.0.0.1:0").stop())
	dev := []string{"serve", "--dev", "--data", data, "--addr", "127.0.0.1:0"}
	refusedUse(t, "wasn't made with --dev", dev...)
	require.NoFileExists(t, dataDir(data).devKeys())
	refusedUse(t, "is not for --dev", append(dev, "--keys", file)...)

	t.Setenv("IOCREDITS_DEV", "true") // must not be left in an environment
	refusedUse(t, "--keys is required without --dev", "serve", "--data", data)
}

// TestInsecureIsForThisMachine, and nobody writes by it into what an engine has made.
func TestInsecureIsForThisMachine(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "example.org:1"} {
		refusedUse(t, "--insecure binds to loopback only, not to "+addr, "eventstore", "--insecure", "--data", t.TempDir(), "--addr", addr)
	}
	t.Setenv("IOCREDITS_INSECURE", "true") // must not be left in an environment
	refusedUse(t, "required without --insecure", "eventstore", "--data", t.TempDir())

	data := t.TempDir()
	e := serve(t, data)
	e.fund("a", "5")
	require.NoError(t, e.stop())
	for folder, want := range map[string]codes.Code{data: codes.PermissionDenied, t.TempDir(): codes.OK} {
		client := esdbClient(t, startEventstore(t, folder, "127.0.0.1:0").connection)
		_, err := client.AppendToStream(t.Context(), "account-a", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.EventData{EventType: "made-up"})
		require.Equal(t, want, status.Code(err), "%v", err)
	}
}
