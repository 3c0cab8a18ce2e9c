package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServe goes once through everything that the wiring connects.
func TestServe(t *testing.T) {
	t.Parallel()
	e := serve(t, t.TempDir(), "--top-up-url", "https://example.test/top-up")
	e.fund("a", "100")
	check := e.must("service", http.MethodGet, "/credits/check?amount=30&account=a", "", "")
	require.Equal(t, true, check["sufficient"])

	first := e.must("service", http.MethodPost, "/v1/accounts/a/deductions", "k", `{"amount":"30","service":"vm","description":"three hours"}`)
	again, err := e.call("service", http.MethodPost, "/v1/accounts/a/deductions", "k", `{"amount":"30","service":"vm","description":"three hours"}`)
	require.NoError(t, err)
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, first["revision"], again.Body["revision"])
	require.Equal(t, "70", e.balance("a"))
	require.Contains(t, e.text("service", "/v1/accounts/a/transactions"), "three hours", "sealed text is opened for those who may read it")

	short, err := e.call("service", http.MethodPost, "/v1/accounts/a/deductions", "short", `{"amount":"1000","service":"vm"}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusPaymentRequired, short.Status)
	require.Equal(t, "https://example.test/top-up", short.Body["top_up_url"])

	for as, want := range map[string]int{"": http.StatusUnauthorized, "customer:demo-1": http.StatusForbidden, "auditor": http.StatusOK} {
		a, err := e.call(as, http.MethodGet, "/v1/accounts/a/balance", "", "")
		require.NoError(t, err)
		require.Equal(t, want, a.Status, as)
	}
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/docs"} {
		e.text("", path)
	}
	for _, name := range []string{
		`iocredits_commands_total{outcome="accepted"} 2`, `iocredits_commands_total{outcome="replayed"} 1`,
		"iocredits_append_seconds_count 2", "iocredits_commit_appends_count 2", "iocredits_apply_events_total 2",
		"iocredits_projection_lag_positions 0", "iocredits_queue_depth 0", "iocredits_reactor_held 1",
	} {
		// The read models count a batch after those who waited for it have read.
		require.Eventually(t, func() bool { return strings.Contains(e.text("", "/metrics"), name) }, patience, 10*time.Millisecond, name)
	}
}

// text is the body of a GET that has to succeed.
func (e *engine) text(as, path string) string {
	e.t.Helper()
	a, err := e.call(as, http.MethodGet, path, "", "")
	require.NoError(e.t, err)
	require.Equal(e.t, http.StatusOK, a.Status, "%s: %s", path, a.Text)
	return a.Text
}

var lagPattern = regexp.MustCompile(`"lag":\d+`)

// stable is what an auditor reads, without how far the read models were behind other accounts.
func (e *engine) stable(path string) string {
	e.t.Helper()
	return lagPattern.ReplaceAllString(e.text("auditor", path), `"lag":…`)
}

func (e *engine) advance(by string) {
	e.t.Helper()
	e.must("admin", http.MethodPost, "/dev/clock", "", `{"advance":"`+by+`"}`)
}

// TestClockRunsWhatIsDueBeforeItAnswers: credits expire and a hold ends, for
// accounts that nobody touches.
func TestClockRunsWhatIsDueBeforeItAnswers(t *testing.T) {
	e := serve(t, t.TempDir())
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for i := range 20 {
		e.must("bd", http.MethodPost, fmt.Sprintf("/v1/accounts/a%d/incentives", i), "grant", `{"amount":"5","campaign":"c","expires_at":"`+in(time.Hour)+`"}`)
	}
	e.fund("held", "10")
	e.must("service", http.MethodPost, "/v1/accounts/held/reservations", "hold",
		`{"reservation_id":"r","amount":"4","service":"ray","reference":"r","expires_at":"`+in(time.Hour)+`"}`)
	e.advance("30m")
	require.Equal(t, "5", e.balance("a0"))
	e.advance("31m")
	for i := range 20 {
		require.Equal(t, "0", e.balance(fmt.Sprint("a", i)))
	}
	require.Equal(t, "0", e.must("service", http.MethodGet, "/v1/accounts/held/balance", "", "")["reserved"])
	e.advance("8760h")
	require.Equal(t, "10", e.balance("held"))
}

// TestDeadlinePassesByItself: nobody moves the clock and nobody touches the account.
func TestDeadlinePassesByItself(t *testing.T) {
	e := serve(t, t.TempDir())
	e.fund("a", "10")
	held := false
	for in := 300 * time.Millisecond; !held && in < patience; in *= 2 {
		soon := time.Now().Add(in).UTC().Format(time.RFC3339Nano)
		a, err := e.call("service", http.MethodPost, "/v1/accounts/a/reservations", "hold",
			`{"reservation_id":"r","amount":"4","service":"ray","reference":"r","expires_at":"`+soon+`"}`)
		require.NoError(t, err)
		if held = a.Status == http.StatusCreated; !held {
			require.Equal(t, "time-invalid", a.Body["code"], "only a machine that is too slow for the date is refused: %s", a.Text)
		}
	}
	require.True(t, held)
	require.Eventually(t, func() bool {
		return strings.Contains(e.text("auditor", "/v1/accounts/a/events"), "reservation-released")
	},
		patience, 10*time.Millisecond)
	require.Equal(t, "10", e.must("service", http.MethodGet, "/v1/accounts/a/balance", "", "")["available"])
	require.Equal(t, 1, strings.Count(e.text("auditor", "/v1/accounts/a/events"), "reservation-released"))
}

func TestRestartKeepsEverything(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data, "--samples", repoRoot+"/testdata/samples")
	e.advance("1000h")
	paths := []string{
		"/v1/accounts/demo-1/balance", "/v1/accounts/demo-1/transactions?limit=1000", "/v1/accounts/demo-1/events?limit=1000",
		"/v1/accounts/demo-2/balance", "/v1/accounts/demo-2/transactions?limit=1000", "/v1/accounts/demo-2/events?limit=1000",
	}
	var before []string
	for _, path := range paths {
		before = append(before, e.stable(path))
	}
	require.Contains(t, before[1], "VM, 1 x H100, 3 h")
	keys := e.keys
	require.NoError(t, e.stop())

	e = serve(t, data, "--samples", repoRoot+"/testdata/samples")
	require.Equal(t, keys, e.keys)
	for i, path := range paths {
		require.Equal(t, before[i], e.stable(path), "the samples add nothing a second time")
	}
	made := e.must("bd", http.MethodPost, "/v1/accounts/clock/incentives", "k", `{"amount":"1","campaign":"c"}`)
	at, err := time.Parse(time.RFC3339, made["transactions"].([]any)[0].(map[string]any)["recorded_at"].(string))
	require.NoError(t, err)
	require.Greater(t, time.Until(at), 999*time.Hour, "the clock's offset survives")
}

// TestAStartKnowsWhatWasAcknowledged before its read models have any of it.
func TestAStartKnowsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	e := serve(t, data)
	e.fund("a", "5")
	require.NoError(t, e.stop())
	require.NoError(t, os.RemoveAll(dataDir(data).views()))

	c := serveCmd{MaxAccounts: 64}
	s, err := c.open(t.Context(), dataDir(data), time.Now, nil, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, errors.Join(s.ledger.Close(context.Background()), s.close())) }()
	head, err := s.log.store.Head(t.Context())
	require.NoError(t, err)
	require.Less(t, s.views.Through(), head)
	require.Equal(t, head, s.ledger.Acked("a"))
	require.Equal(t, head, s.ledger.AckedAny())
}

// TestSecondProcessIsRefused: while an engine has the directory nobody else gets it.
func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	e := serveChild(t, data)
	e.fund("a", "5")
	for _, args := range [][]string{
		{"serve", "--dev", "--data", data, "--addr", "127.0.0.1:0"},
		{"rebuild", "--data", data},
	} {
		_, _, err := run(t, args...)
		require.ErrorContains(t, err, "is in use by another process: stop it first")
		require.NotContains(t, err.Error(), "resource")

		out, err := program(t, args...).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, exitFailed, exit.ExitCode())
		require.Equal(t, 1, strings.Count(string(out), "\n"), "one clear line: %s", out)
		require.Contains(t, string(out), "is in use by another process")
	}
	e.must("service", http.MethodPost, "/v1/accounts/a/deductions", "k", `{"amount":"1","service":"vm"}`)
	require.NoError(t, e.stop())
}

// TestAddressInUse: whoever is refused is told which flag to change.
func TestAddressInUse(t *testing.T) {
	e := serve(t, t.TempDir())
	taken := strings.TrimPrefix(e.url, "http://")
	for flag, args := range map[string][]string{
		"--addr (make run ADDR=127.0.0.1:8081)": {"serve", "--dev", "--addr", taken},
		"--esdb-addr":                           {"serve", "--dev", "--addr", "127.0.0.1:0", "--esdb-addr", taken},
		"--addr":                                {"eventstore", "--insecure", "--addr", taken},
	} {
		_, _, err := run(t, append(args, "--data", t.TempDir())...)
		require.EqualError(t, err, taken+" is taken by another process: stop it, or choose another with "+flag)
	}
}

// TestGracefulStop: a request that was accepted before the stop is finished and
// answered, however long its body takes; later ones are not accepted.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	e := serveChild(t, data)
	e.fund("a", "100")

	const lines = 4000
	line := func(i int) string {
		return fmt.Sprintf(`{"account":"a","key":"k%d","amount":"0.01","service":"inference","reference":"r"}`+"\n", i)
	}
	body, feed := io.Pipe()
	accepted := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(accepted) }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/v1/deductions/batch", body)
	require.NoError(t, err)
	request.Header = http.Header{"X-Api-Key": {e.keys["service"]}, "Content-Type": {"application/x-ndjson"}, "Expect": {"100-continue"}}
	answered := make(chan string, 1)
	go func() {
		transport := &http.Transport{ExpectContinueTimeout: patience}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
		if err != nil {
			answered <- err.Error()
			return
		}
		text, err := io.ReadAll(response.Body)
		answered <- fmt.Sprint(response.StatusCode, " ", err, " ", string(text))
		_ = response.Body.Close()
	}()
	select {
	case <-accepted:
	case text := <-answered:
		t.Fatalf("answered before its body was asked for: %s", text)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- e.stop() }()
	require.Eventually(t, func() bool { return refusesConnections(e.url) }, patience, time.Millisecond, "it takes no new requests")
	for i := range lines {
		_, err := io.WriteString(feed, line(i))
		require.NoError(t, err)
	}
	require.NoError(t, feed.Close())
	text := <-answered
	require.True(t, strings.HasPrefix(text, "200 <nil> "), "%.500s", text)
	require.Equal(t, lines, strings.Count(text, `"transaction_id":`))
	require.NoError(t, <-stopped)

	require.Equal(t, "60", serve(t, data).balance("a"))
}

// refusesConnections asks on a connection of its own.
func refusesConnections(url string) bool {
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url+"/healthz", nil)
	if err != nil {
		return false
	}
	response, err := fresh.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	return err != nil
}

// TestDevBanner: what a person sees who has just typed make run.
func TestDevBanner(t *testing.T) {
	dev := &devMode{keys: devKeys{}, sandbox: &sandbox{url: "http://127.0.0.1:2"}}
	for _, name := range devRoles {
		dev.keys[name] = "key-of-" + name
		require.NotEmpty(t, devRoleUse(name), name)
	}
	require.Contains(t, devRoleUse("finance"), "withdrawals, adjustments and unmatched payments")
	require.Contains(t, devRoleUse("bd"), "decides credit requests")
	var out bytes.Buffer
	dev.print(&out, "folder", "http://127.0.0.1:1")
	for _, want := range []string{
		"folder/dev-keys.json", "key-of-service", "curl -H 'x-api-key: key-of-customer:demo-1' http://127.0.0.1:1/v1/accounts/demo-1/balance", "http://127.0.0.1:1/docs", "http://127.0.0.1:2",
	} {
		require.Contains(t, out.String(), want)
	}
}

// unread is a pipe that is full and that nobody reads, until the test has ended.
type unread struct {
	asked chan<- struct{}
	free  <-chan struct{}
}

func (s unread) Write(b []byte) (int, error) {
	s.asked <- struct{}{}
	<-s.free
	return len(b), nil
}

// TestAStopWaitsForNoReader of what serve prints: only SIGKILL would end it then.
func TestAStopWaitsForNoReader(t *testing.T) {
	t.Parallel()
	asked, free, done := make(chan struct{}, 100), make(chan struct{}), make(chan error, 1)
	defer close(free)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	args := []string{"serve", "--dev", "--data", t.TempDir(), "--addr", "127.0.0.1:0"}
	go func() {
		m := &Main{Stdout: unread{asked, free}, Stderr: io.Discard}
		done <- m.Run(ctx, args)
	}()
	select {
	case <-asked:
		cancel()
	case err := <-done:
		t.Fatalf("serve ended before it was ready: %v", err)
	}
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("serve doesn't stop")
	}
}
