package httpapi_test

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi"
	"iocredits/projections"
)

func TestOverload(t *testing.T) {
	r := newRig(t, func(p *parts) { p.ledger.MaxInFlight = -1 })
	got := r.refused(503, "overloaded", post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":"1","service":"vm"}`))
	require.Equal(t, "1", got.Header.Get("Retry-After"))
	a := r.batch(`{"account":"demo-1","key":"a","amount":"1","service":"vm"}`)[0]
	require.Equal(t, 503, a.Status)
	require.Equal(t, "overloaded", *a.Code)
	require.Equal(t, 503, r.do(get("", "/readyz")).Status)
	require.Equal(t, 200, r.do(get("", "/healthz")).Status)
}

func TestShortOfCredits(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "2")
	got := r.refused(402, "insufficient-credits", post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":"12.5","service":"vm"}`))
	for name, want := range map[string]string{
		"available": "2", "allowance": "10", "spendable": "12", "required": "12.5", "shortfall": "0.5", "top_up_url": "/manage-funds",
		"instance": "/v1/accounts/demo-1/deductions", "type": "/docs/problems#insufficient-credits",
	} {
		require.Equal(t, want, got.Body[name], name)
	}
}

func TestRequestTimeout(t *testing.T) {
	r := newRig(t, func(p *parts) {
		p.server.RequestTimeout = time.Millisecond
		p.server.Dev.Advance = func(ctx context.Context, _ time.Duration) error {
			<-ctx.Done()
			return ctx.Err()
		}
	})
	r.refused(503, "request-timeout", post("admin", "/dev/clock", "", `{"advance":"1s"}`))
}

func TestAPanicIsAFaultOfOneRequest(t *testing.T) {
	r := newRig(t, func(p *parts) {
		p.server.Dev.Advance = func(context.Context, time.Duration) error { panic("secret detail") }
	})
	got := r.refused(500, "internal", post("admin", "/dev/clock", "", `{"advance":"1s"}`))
	require.NotContains(t, got.Text, "secret detail")
	require.Contains(t, r.log.String(), "secret detail")
	require.Contains(t, r.log.String(), got.Header.Get("X-Request-Id"))
	r.balance("demo-1")
}

func TestAFaultKeepsItsDetail(t *testing.T) {
	r := newRig(t, func(p *parts) {
		p.server.Dev.Advance = func(context.Context, time.Duration) error { return errBroken }
	})
	got := r.refused(500, "internal", post("admin", "/dev/clock", "", `{"advance":"1s"}`))
	require.NotContains(t, got.Text, errBroken.Error())
}

func TestReadiness(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews = true })
	_, err := r.ledger.Execute(t.Context(), ledger.Request{Account: "a", Do: account.RecordPurchase{Purchase: "p", Amount: domain.Credit}, Actor: "test"})
	require.NoError(t, err)
	r.restart()
	got := r.do(get("", "/readyz"))
	require.Equal(t, 503, got.Status)
	require.Equal(t, "not-ready", got.Body["status"])
	require.Contains(t, got.Body["reason"], "catching up")
	require.Equal(t, 200, r.do(get("", "/healthz")).Status)

	r.followLog()
	head, err := r.store.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.views.WaitThrough(t.Context(), head))
	r.store.away.Store(true)
	got = r.do(get("", "/readyz"))
	require.Equal(t, "the log does not answer", got.Body["reason"])
	require.NotContains(t, got.Body, "head", "nobody knows it")
	require.NotContains(t, got.Body, "lag")
	r.store.away.Store(false)
	got = r.must(get("", "/readyz"))
	require.Equal(t, "ready", got.Body["status"])
	require.EqualValues(t, head, got.Body["head"])
	require.NoError(t, r.ledger.Close(t.Context()))
	require.Contains(t, r.do(get("", "/readyz")).Body["reason"], "write side")
}

func TestLagMakesUnready(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews, p.server.MaxLag = true, 1 })
	for _, key := range []string{"a", "b"} {
		r.must(post("admin", "/dev/accounts/demo-1/purchases", key, `{"amount":"1"}`))
	}
	got := r.do(get("", "/readyz"))
	require.Equal(t, 503, got.Status)
	require.Contains(t, got.Body["reason"], "2 positions behind")
}

// deadKeys can make no key any more.
type deadKeys struct{ keyring.Keys }

func (deadKeys) Healthy() error { return errBroken }

func TestAKeyringThatTakesNoKeysMakesUnready(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.Sealer = keyring.NewSealer(deadKeys{}, 0) })
	got := r.do(get("", "/readyz"))
	require.Equal(t, 503, got.Status)
	require.Equal(t, "the keyring takes no keys", got.Body["reason"])
}

// A full disk refuses commands, not reads, and is over as soon as there is room.
func TestFullDisk(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	deduct := post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":"1","service":"vm"}`)
	r.store.full.Store(true)
	require.NotEmpty(t, r.refused(503, "unavailable", deduct).Header.Get("Retry-After"))
	require.Equal(t, "unavailable", *r.batch(`{"account":"demo-1","key":"b","amount":"1","service":"vm"}`)[0].Code)
	require.Equal(t, "10", r.balance("demo-1")["balance"])
	require.Equal(t, "10", r.must(get("service", "/v1/accounts/demo-1/balance?consistency=strong")).Body["balance"])
	require.Equal(t, 200, r.do(get("", "/readyz")).Status)

	r.store.full.Store(false)
	require.Empty(t, r.must(deduct).Header.Get("Idempotency-Replayed"), "the refused command had no effect")
	require.Equal(t, "9", r.balance("demo-1")["balance"])
}

// A damaged record stops the read models, and everybody can see it.
func TestStoppedReadModels(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews = true })
	funded := r.must(post("admin", "/dev/accounts/demo-1/purchases", "p", `{"amount":"10"}`))
	r.store.damaged.Store(true)
	r.followLog()
	require.ErrorIs(t, r.views.WaitThrough(t.Context(), 1), projections.ErrStopped)
	got := r.do(get("", "/readyz"))
	require.Equal(t, 503, got.Status)
	require.Contains(t, got.Body["reason"], "stopped")
	position := strconv.FormatFloat(funded.Body["position"].(float64), 'f', -1, 64)
	r.refused(503, "read-behind", get("service", "/v1/accounts/demo-1/balance?min_position="+position))
	require.Greater(t, r.balance("demo-1")["lag"], 0.0)
	require.Equal(t, "10", r.must(get("service", "/v1/accounts/demo-1/balance?consistency=strong")).Body["balance"])
}

// TestWhatIsAskedForByItsIDIsInTheLog at info, without a line for each request that is done.
func TestWhatIsAskedForByItsIDIsInTheLog(t *testing.T) {
	r := newRig(t, func(p *parts) {
		p.ledger.MaxInFlight = -1
		p.server.Dev.Advance = func(context.Context, time.Duration) error { panic("a fault") }
	})
	levelOf := func(a answer) string {
		line := regexp.MustCompile(`level=(\w+) msg=request request_id=` + a.Header.Get("X-Request-Id") + ` method=\w+ path=\S+ status=` + strconv.Itoa(a.Status) + ` key=\S+`)
		found := line.FindStringSubmatch(r.log.String())
		require.NotNil(t, found, "%s", r.log)
		return found[1]
	}
	require.Equal(t, "INFO", levelOf(r.refused(403, "account-not-allowed", get("customer:demo-1", "/v1/accounts/demo-2/balance"))))
	require.Equal(t, "INFO", levelOf(r.refused(403, "role-not-allowed", post("finance", demo+"/deductions", "k", `{"amount":"1","service":"vm"}`))))
	require.Equal(t, "INFO", levelOf(r.refused(500, "internal", post("admin", "/dev/clock", "", `{"advance":"1s"}`))))
	require.Equal(t, "DEBUG", levelOf(r.refused(503, "overloaded", post("service", demo+"/deductions", "k", `{"amount":"1","service":"vm"}`))))
	require.Equal(t, "DEBUG", levelOf(r.must(get("customer:demo-1", demo+"/balance"))))
	require.Equal(t, "DEBUG", levelOf(r.refused(503, "read-behind", get(customer, demo+"/balance?consistency=strong&min_position=9223372036854775807"))))
	r.refused(403, "role-not-allowed", call{as: "finance", method: "GET", path: "/v1/accounts/" + strings.Repeat("a", 9000) + "/events", wrong: true})
	require.NotContains(t, r.log.String(), strings.Repeat("a", 300), "nobody fills the log by a path")
}

func TestRequestIDs(t *testing.T) {
	r := newRig(t, nil)
	c := post("admin", "/dev/accounts/demo-1/purchases", "k", `{"amount":"1"}`)
	c.header = http.Header{"X-Request-Id": {"trace-77"}}
	require.Equal(t, "trace-77", r.must(c).Header.Get("X-Request-Id"))
	require.Contains(t, r.must(get("auditor", "/v1/accounts/demo-1/events")).Text, `"request_id":"trace-77"`)
	require.Contains(t, r.log.String(), "request_id=trace-77")
	c.key, c.header = "l", http.Header{"X-Request-Id": {"no good\tid"}}
	one, two := r.must(c).Header.Get("X-Request-Id"), r.must(c).Header.Get("X-Request-Id")
	require.NotEqual(t, one, two)
	require.NoError(t, domain.CheckID("id", one))
}

func TestMetrics(t *testing.T) {
	metrics := httpapi.NewMetrics()
	r := newRig(t, func(p *parts) {
		p.server.Metrics = metrics
		p.ledger.OnCommand, p.ledger.OnAppend = metrics.OnCommand, metrics.OnAppend
	})
	r.fund("demo-1", "1")
	r.refused(402, "insufficient-credits", post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":"100","service":"vm"}`))
	r.balance("demo-1") // waits for the read models
	metrics.OnApply(3, time.Millisecond)
	metrics.OnCommit(2, time.Millisecond)
	text := r.must(get("", "/metrics")).Text
	for _, line := range []string{
		`iocredits_http_requests_total{route="POST /v1/accounts/{account}/deductions",status="402"} 1`,
		`iocredits_commands_total{outcome="accepted"} 1`, `iocredits_commands_total{outcome="insufficient-credits"} 1`,
		`iocredits_append_commands_count 1`, `iocredits_append_seconds_count 1`, `iocredits_commit_appends_sum 2`,
		`iocredits_apply_events_total 3`, `iocredits_projection_lag_positions 0`, `iocredits_queue_depth 0`,
	} {
		require.Contains(t, text, line)
	}
}

// Serve answers what it accepted, though it is told to end meanwhile.
func TestServeEndsGracefully(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(p *parts) {
		p.server.Dev.Advance = func(context.Context, time.Duration) error {
			close(entered)
			<-leave
			return nil
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(ctx, listener) }()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String()+"/dev/clock", strings.NewReader(`{"advance":"1s"}`))
	require.NoError(t, err)
	request.Header.Set("X-Api-Key", "admin")
	status := make(chan int, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	select {
	case <-entered:
	case code := <-status:
		t.Fatalf("answered with %d before it was under way", code)
	}
	cancel()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, streamPatience, time.Millisecond, "it takes no new ones, also while it waits")
	select {
	case err := <-served:
		t.Fatalf("ended with a request under way: %v", err)
	default:
	}
	close(leave)
	require.Equal(t, 200, <-status)
	require.NoError(t, <-served)
}

func TestServeGivesUpWaiting(t *testing.T) {
	entered := make(chan struct{})
	leave := make(chan struct{})
	r := newRig(t, func(p *parts) {
		p.server.ShutdownTimeout = time.Millisecond
		p.server.Dev.Advance = func(context.Context, time.Duration) error {
			close(entered)
			<-leave
			return nil
		}
	})
	defer close(leave)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(ctx, listener) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String()+"/dev/clock", strings.NewReader(`{"advance":"1s"}`))
	require.NoError(t, err)
	request.Header.Set("X-Api-Key", "admin")
	answered := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		answered <- err
	}()
	select {
	case <-entered:
	case err := <-answered:
		t.Fatalf("answered before it was under way: %v", err)
	}
	cancel()
	require.ErrorContains(t, <-served, "did not end in time")
}
