package main

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/esdbstore"
)

// reacts says whether an engine runs the reactor; false too if it doesn't answer.
func (c *child) reacts() bool {
	a, err := c.call("", http.MethodGet, "/metrics", "", "")
	return err == nil && strings.Contains(a.Text, "\niocredits_reactor_held 1\n")
}

// Two processes on one log. The one that holds the reactor's lease is stopped
// dead: the other does what becomes due after that. The first wakes, finds that
// the lease is gone, and takes it back when the second is killed. Each deadline
// has one effect, and all views end equal.
func TestLeaseMovesBetweenProcesses(t *testing.T) {
	t.Parallel()
	cluster, secret := startEventstore(t, t.TempDir(), "127.0.0.1:0"), keyringSecret(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	begin := func(dir string) *child {
		return serveChild(t, dir, "--eventstore", cluster.connection, "--keyring-secret", secret)
	}
	holder, other := begin(dirs[0]), begin(dirs[1])
	require.Eventually(t, func() bool { return holder.reacts() || other.reacts() }, patience, 20*time.Millisecond)
	if other.reacts() {
		holder, other = other, holder
		dirs[0], dirs[1] = dirs[1], dirs[0]
	}
	for n := range 2 {
		other.fund(fmt.Sprint("due-", n), "10")
	}

	require.NoError(t, holder.cmd.Process.Signal(syscall.SIGSTOP))
	other.reserve("due-0")
	require.False(t, other.reacts(), "a lease is not given up by who is silent for a moment")
	other.released("due-0")
	require.True(t, other.reacts())
	require.NoError(t, holder.cmd.Process.Signal(syscall.SIGCONT))
	require.Eventually(t, func() bool { return !holder.reacts() }, patience, 20*time.Millisecond, "who slept gives the lease up")
	holder.released("due-0")

	other.kill()
	holder.reserve("due-1")
	require.False(t, holder.reacts())
	holder.released("due-1")
	require.True(t, holder.reacts())
	other = begin(dirs[1])
	require.False(t, other.reacts(), "who holds it keeps it")

	for _, name := range []string{"due-0", "due-1"} {
		other.released(name)
		path := "/v1/accounts/" + name + "/transactions"
		require.Equal(t, positionless(holder.text("support", path)), positionless(other.text("support", path)))
	}
	checkDeadlines(t, cluster.connection)
}

// reserve holds credits until a moment later than this engine, when it has no
// lease, could be asked for them.
func (c *child) reserve(name string) {
	c.t.Helper()
	c.must("service", http.MethodPost, "/v1/accounts/"+name+"/reservations", "hold", fmt.Sprintf(
		`{"reservation_id":"r","amount":"4","service":"vm","expires_at":%q}`, time.Now().Add(5*time.Second).UTC().Format(time.RFC3339Nano)))
}

// released waits until the engine's views show that nothing is held any more.
func (c *child) released(name string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.available(name) == "10" }, patience, 20*time.Millisecond)
}

func (c *child) available(name string) string {
	c.t.Helper()
	text, _ := c.must("service", http.MethodGet, "/v1/accounts/"+name+"/balance", "", "")["available"].(string)
	return text
}

// checkDeadlines reads the log: each hold was released once, by an engine and
// not by a caller, under the second lease and under the third.
func checkDeadlines(t *testing.T, connection string) {
	t.Helper()
	checkChains(t, connection)
	store, err := esdbstore.Open(t.Context(), connection, esdbstore.Options{})
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	leases, releases := []string{""}, map[string]int{}
	for r, err := range store.ReadAll(t.Context(), eventstore.BeforeFirst, eventstore.Forwards, math.MaxInt) {
		require.NoError(t, err)
		if r.Stream == eventstore.LeaseStream("reactor") && string(r.Data) != leases[len(leases)-1] {
			leases = append(leases, string(r.Data))
		}
		if r.Type != (&account.Released{}).EventName() {
			continue
		}
		meta, err := eventstore.DecodeMetadata(r.Metadata)
		require.NoError(t, err)
		require.Equal(t, "engine", meta.Actor)
		_, known := releases[r.Stream]
		require.False(t, known, "%s was released twice", r.Stream)
		releases[r.Stream] = len(leases) - 1
	}
	require.Equal(t, map[string]int{"account-due-0": 2, "account-due-1": 3}, releases, "which lease released what")
	require.Len(t, leases, 4, "first, other, first: %q", leases)
	require.Equal(t, leases[1], leases[3])
}
