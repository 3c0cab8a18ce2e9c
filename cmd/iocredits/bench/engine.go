package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// engine is the server under test and what it should hold by now.
type engine struct {
	*process
	o             Options
	service, boss string
	// spent is what each account should have lost, in micro-credits.
	spent []atomic.Int64
	// round makes idempotency keys differ between runs.
	round atomic.Int64
}

// funding of every account, in credits.
const funding = 1_000_000

// measureEngine starts a server and runs all scenarios against it, then the
// rebuild of its read models.
func measureEngine(ctx context.Context, o Options, progress io.Writer) ([]Figure, error) {
	data := filepath.Join(o.Dir, "data")
	server, err := start(ctx, o.Binary, "serve", "--dev", "--data", data, "--addr", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { server.stop() }()
	e := &engine{process: server, o: o, spent: make([]atomic.Int64, o.Accounts)}
	if err := e.readKeys(filepath.Join(data, "dev-keys.json")); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "funding %d accounts\n", o.Accounts)
	if err := e.fund(ctx); err != nil {
		return nil, fmt.Errorf("fund accounts: %w", err)
	}
	var figures []Figure
	for _, s := range e.scenarios() {
		fmt.Fprintf(progress, "%s\n", s.name)
		samples, err := repeat(ctx, o, s.load, s.done)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		if err := e.verify(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		figures = append(figures, summarize(s.name, s.limit, samples))
	}
	server.stop()
	rebuilt, err := measureRebuild(ctx, o, data)
	return append(figures, rebuilt), err
}

func (e *engine) readKeys(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read dev keys: %w", err)
	}
	var keys map[string]string
	if err := json.Unmarshal(b, &keys); err != nil {
		return fmt.Errorf("read dev keys: %w", err)
	}
	e.service, e.boss = keys["service"], keys["admin"]
	return nil
}

func account(i int) string { return "bench-" + strconv.Itoa(i) }

// fund gives every account its credits, over several connections.
func (e *engine) fund(ctx context.Context) error {
	var next atomic.Int64
	failures := make(chan error, e.o.Connections)
	for range e.o.Connections {
		go func() { failures <- e.fundSome(ctx, &next) }()
	}
	var all []error
	for range e.o.Connections {
		all = append(all, <-failures)
	}
	return errors.Join(all...)
}

func (e *engine) fundSome(ctx context.Context, next *atomic.Int64) error {
	c, err := dial(ctx, e.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for {
		i := int(next.Add(1)) - 1
		if i >= e.o.Accounts {
			return nil
		}
		status, err := c.roundTrip(&request{
			method: http.MethodPost, path: "/dev/accounts/" + account(i) + "/purchases", key: e.boss,
			contentType: "application/json", body: fmt.Appendf(nil, `{"amount":"%d"}`, funding),
		})
		if err != nil {
			return err
		}
		if status/100 != 2 {
			return fmt.Errorf("status %d: %.300s", status, c.body)
		}
	}
}

// scenario is a load and what its answers do to the money.
type scenario struct {
	name, limit string
	load        load
	done        func(units int)
}

func (e *engine) scenarios() []scenario {
	single := func(name string, connections int, account func(w, i int) int) scenario {
		return scenario{name: name, limit: emptyPut, load: load{
			addr: e.addr, connections: connections, duration: e.o.Duration, want: http.StatusCreated,
			next: e.deduct(connections, account),
		}, done: func(int) { e.round.Add(1) }}
	}
	spread := func(w, i int) int { return (w*7919 + i*104729) % e.o.Accounts }
	hot := func(int, int) int { return 0 }
	check := &request{method: http.MethodGet, path: "/credits/check?amount=1&account=" + account(0), key: e.service}
	balance := &request{method: http.MethodGet, path: "/v1/accounts/" + account(0) + "/balance", key: e.service}
	read := func(name string, r *request) scenario {
		return scenario{name: name, limit: emptyGet, load: load{
			addr: e.addr, connections: e.o.Connections, duration: e.o.Duration, want: http.StatusOK,
			next: func(int, int) *request { return r },
		}}
	}
	return []scenario{
		single(fmt.Sprintf("deductions, %d connections, %d accounts", e.o.Connections, e.o.Accounts), e.o.Connections, spread),
		single(fmt.Sprintf("deductions, %d connections, one account", e.o.Connections), e.o.Connections, hot),
		single("deductions, 1 connection", 1, spread),
		e.batches(),
		read("GET /credits/check", check),
		read("GET balance", balance),
	}
}

// deduct sends one micro-credit a request. Money is counted as it is sent: every
// answer MUST be a success, or the run fails.
func (e *engine) deduct(connections int, which func(w, i int) int) func(w, i int) *request {
	requests := make([]request, connections)
	body := []byte(`{"amount":"0.000001","service":"inference","reference":"request"}`)
	return func(w, i int) *request {
		r := &requests[w]
		n := which(w, i)
		e.spent[n].Add(1)
		*r = request{
			method: http.MethodPost, path: "/v1/accounts/" + account(n) + "/deductions", key: e.service,
			idempotency: fmt.Sprintf("s-%d-%d-%d-%d", e.round.Load(), connections, w, i),
			contentType: "application/json", body: body,
		}
		return r
	}
}

// batches sends Lines deductions a request; each line counts.
func (e *engine) batches() scenario {
	bodies := make([]bytes.Buffer, e.o.BatchConnections)
	requests := make([]request, e.o.BatchConnections)
	next := func(w, i int) *request {
		b := &bodies[w]
		b.Reset()
		for line := range e.o.Lines {
			n := (w*7919 + i*104729 + line*15485863) % e.o.Accounts
			e.spent[n].Add(1)
			fmt.Fprintf(b, `{"account":"%s","key":"b-%d-%d-%d-%d","amount":"0.000001","service":"inference","reference":"request"}`+"\n",
				account(n), e.round.Load(), w, i, line)
		}
		requests[w] = request{method: http.MethodPost, path: "/v1/deductions/batch", key: e.service, contentType: "application/x-ndjson", body: b.Bytes()}
		return &requests[w]
	}
	accepted := func(c *conn) (int, error) {
		if n := bytes.Count(c.body, []byte(`"transaction_id":"`)); n != e.o.Lines {
			return 0, fmt.Errorf("%d of %d lines accepted: %.300s", n, e.o.Lines, c.body)
		}
		return e.o.Lines, nil
	}
	return scenario{
		name: fmt.Sprintf("batch of %d, %d connections, %d accounts", e.o.Lines, e.o.BatchConnections, e.o.Accounts), limit: emptyPut,
		load: load{
			addr: e.addr, connections: e.o.BatchConnections, duration: e.o.Duration, want: http.StatusOK,
			next: next, weight: accepted,
		},
		done: func(int) { e.round.Add(1) },
	}
}

// verify compares every account's balance with what was sent.
func (e *engine) verify(ctx context.Context) error {
	c, err := dial(ctx, e.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for i := range e.o.Accounts {
		status, err := c.roundTrip(&request{method: http.MethodGet, path: "/v1/accounts/" + account(i) + "/balance", key: e.service})
		if err != nil {
			return err
		}
		var answer struct {
			Balance string `json:"balance"`
		}
		if err := json.Unmarshal(c.body, &answer); err != nil || status != http.StatusOK {
			return fmt.Errorf("balance of %s: status %d, %w: %.300s", account(i), status, err, c.body)
		}
		micro := int64(funding)*1_000_000 - e.spent[i].Load()
		want := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%06d", micro/1_000_000, micro%1_000_000), "0"), ".")
		if micro%1_000_000 == 0 {
			want = strconv.FormatInt(micro/1_000_000, 10)
		}
		if answer.Balance != want {
			return fmt.Errorf("balance of %s is %s, should be %s: the figures are worth nothing", account(i), answer.Balance, want)
		}
	}
	return nil
}

// measureRebuild rebuilds the read models of what the scenarios left, and takes
// the time from the program's start to its end.
func measureRebuild(ctx context.Context, o Options, data string) (Figure, error) {
	cmd := exec.CommandContext(ctx, o.Binary, "rebuild", "--data", data)
	cmd.Stderr = os.Stderr
	begin := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return Figure{}, fmt.Errorf("rebuild: %w", err)
	}
	took := time.Since(begin)
	var events int
	if _, err := fmt.Sscanf(string(out), "rebuilt %d events", &events); err != nil {
		return Figure{}, fmt.Errorf("rebuild printed %q: %w", out, err)
	}
	return summarize("rebuild of all read models, events", "", []sample{{perSecond: float64(events) / took.Seconds()}}), nil
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}
