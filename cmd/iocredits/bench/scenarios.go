package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Names of the limits.
const (
	nameSync        = "fdatasync"
	nameWrite       = "write"
	namePebble1     = "pebble-1"
	namePebble64    = "pebble-64"
	namePebble512   = "pebble-512"
	namePebbleBatch = "pebble-batch"
	nameEmptyGet    = "empty-get"
	nameEmptyPost   = "empty-post"
	nameEmptyOne    = "empty-one"
	// nameOne is a sync and an empty request one after the other.
	nameOne = "one-limit"
)

// limits names each scenario, in the order in which they are measured, and
// what it is held against.
var limits = []struct{ scenario, limit string }{
	{"deduct", nameEmptyPost}, {"deduct-hot", nameEmptyPost}, {"deduct-one", nameOne}, {"cycle", nameEmptyPost},
	{"check", nameEmptyGet}, {"balance", nameEmptyGet}, {"steady", ""}, {"batch", namePebbleBatch}, {"trace", namePebbleBatch},
	{"history", nameEmptyGet}, {"disk", ""}, {"start", ""}, {"rebuild", ""}, {"deduct-slow", nameEmptyPost}, {"overload", ""},
}

func limitOf(name string) string {
	for _, l := range limits {
		if l.scenario == name {
			return l.limit
		}
	}
	return ""
}

// Names lists what Options.Only may have.
func Names() []string {
	all := []string{nameSync, nameWrite, namePebble1, namePebble64, namePebble512, namePebbleBatch, nameEmptyGet, nameEmptyPost, nameEmptyOne, nameOne}
	for _, l := range limits {
		all = append(all, l.scenario)
	}
	return all
}

// withLimits adds what the scenarios asked for are held against.
func withLimits(only []string) []string {
	for i := 0; i < len(only); i++ {
		for _, need := range append(map[string][]string{nameOne: {nameSync, nameEmptyOne}, "steady": {"deduct"}}[only[i]], limitOf(only[i])) {
			if need != "" && !slices.Contains(only, need) {
				only = append(only, need)
			}
		}
	}
	return only
}

// scenarios measures the machine, then the engine.
func (r *run) scenarios(ctx context.Context) error {
	r.Only = withLimits(slices.Clone(r.Only))
	if r.wants(nameSync, nameWrite) {
		r.say("disk")
		if err := r.measureDisk(ctx); err != nil {
			return err
		}
	}
	r.say("Pebble and the empty handler")
	if err := errors.Join(r.measurePebble(ctx), r.measureEmpty(ctx)); err != nil {
		return err
	}
	if sync, empty := r.value(nameSync), r.value(nameEmptyOne); sync > 0 && empty > 0 {
		v := oneAfterOther(sync, empty)
		r.add(Figure{Name: nameOne, Scenario: "a sync and an empty request, one after the other", Unit: perSecond, Value: v, Low: v, High: v})
	}
	return errors.Join(r.mainEngine(ctx), r.slowEngine(ctx), r.overloaded(ctx))
}

// mainEngine measures all that one engine with its defaults can show.
func (r *run) mainEngine(ctx context.Context) error {
	if !r.wants("deduct", "deduct-hot", "deduct-one", "cycle", "check", "balance", "steady", "batch", "trace", "history", "disk", "start", "rebuild") {
		return nil
	}
	// Accounts past the usual ones: one with a long history, one for each replay of the trace.
	long, traces := r.Accounts, r.Accounts+1
	e, err := r.open(ctx, "engine", r.Accounts+1+r.Runs+1)
	if err != nil {
		return err
	}
	defer e.close()
	steps := []struct {
		names []string
		do    func() error
	}{
		{[]string{"deduct"}, func() error { return e.deductions(ctx, "deduct", r.Connections, e.spread) }},
		{[]string{"deduct-hot"}, func() error { return e.deductions(ctx, "deduct-hot", r.Connections, oneAccount) }},
		{[]string{"deduct-one"}, func() error { return e.deductions(ctx, "deduct-one", 1, e.spread) }},
		{[]string{"cycle"}, func() error { return e.cycles(ctx) }},
		{[]string{"check"}, func() error { return e.reads(ctx, "check", "/credits/check?amount=1&account="+account(0)) }},
		{[]string{"balance"}, func() error { return e.reads(ctx, "balance", "/v1/accounts/"+account(0)+"/balance") }},
		{[]string{"steady"}, func() error { return e.steady(ctx) }},
		{[]string{"batch"}, func() error { return e.batches(ctx) }},
		{[]string{"trace"}, func() error { return e.replay(ctx, traces) }},
		{[]string{"history", "start"}, func() error { return e.fill(ctx, r.Entries, []int{long}) }},
		{[]string{"history"}, func() error { return e.reads(ctx, "history", "/v1/accounts/"+account(long)+"/transactions?limit=50") }},
		{[]string{"disk", "start", "rebuild"}, func() error { return e.atRest(ctx, long) }},
	}
	for _, s := range steps {
		if r.wants(s.names...) {
			if err := s.do(); err != nil {
				return err
			}
		}
	}
	return nil
}

// atRest measures what needs the engine stopped, or started again.
func (e *engine) atRest(ctx context.Context, long int) error {
	events, err := e.head(ctx)
	if err != nil {
		return err
	}
	e.stop()
	if e.run.wants("disk") {
		err = e.onDisk(events)
	}
	if err == nil && e.run.wants("start") {
		err = e.restarts(ctx, long)
		e.stop()
	}
	if err == nil && e.run.wants("rebuild") {
		err = e.rebuild(ctx)
	}
	return err
}

// spread takes the accounts in an order that no cache likes, the same each time.
func (e *engine) spread(w, i int) int { return (w*7919 + i*104729) % e.run.Accounts }

// spreadLines does the same for the lines of batches.
func (e *engine) spreadLines(w, i, line int) int {
	return (w*7919 + i*104729 + line*15485863) % e.run.Accounts
}

func oneAccount(int, int) int { return 0 }

var deductionBody = []byte(`{"amount":"0.000001","service":"inference","reference":"request"}`)

// deduction makes r one micro-credit from an account.
func (e *engine) deduction(r *request, n int, key string) *request {
	*r = request{
		method: http.MethodPost, path: "/v1/accounts/" + account(n) + "/deductions", key: e.service,
		idempotency: key, contentType: "application/json", body: deductionBody, account: n, micro: 1,
	}
	return r
}

// keyOf is an idempotency key that no other request of this benchmark has.
func (e *engine) keyOf(kind byte, w, i int) []byte {
	b := strconv.AppendInt([]byte{kind, '-'}, e.round.Load(), 10)
	b = strconv.AppendInt(append(b, '-'), int64(w), 10)
	return strconv.AppendInt(append(b, '-'), int64(i), 10)
}

// singles is a load of one deduction a request.
func (e *engine) singles(connections int, which func(w, i int) int) load {
	requests := make([]request, connections)
	return load{
		connections: connections, took: e.accepted(http.StatusCreated),
		next: func(w, i int) *request {
			return e.deduction(&requests[w], which(w, i), string(e.keyOf('s', w, i)))
		},
	}
}

func (e *engine) deductions(ctx context.Context, name string, connections int, which func(w, i int) int) error {
	accounts := e.run.Accounts
	if name == "deduct-hot" {
		accounts = 1
	}
	f := Figure{Name: name, Scenario: fmt.Sprintf("deductions, %d connections, %d accounts", connections, accounts)}.against(limitOf(name))
	return e.measure(ctx, f, e.singles(connections, which))
}

// steady sends at half of the peak, whatever the answers take: so the latency
// is what a client sees, with compactions and snapshots in it.
func (e *engine) steady(ctx context.Context) error {
	rate := e.run.value("deduct") / 2
	l := e.singles(e.run.Connections, e.spread)
	l.interval = time.Duration(float64(l.connections) / rate * float64(time.Second))
	f := Figure{Name: "steady", Scenario: fmt.Sprintf("deductions at half of the peak, %.0f/s asked for", rate)}
	return e.measure(ctx, f, l)
}

// cycles reserves 3, captures 1 of it and releases the rest, over and over.
func (e *engine) cycles(ctx context.Context) error {
	requests := make([]request, e.run.Connections)
	next := func(w, i int) *request {
		n, step := e.spread(w, i/3), i%3
		id := string(e.keyOf('r', w, i/3))
		base := "/v1/accounts/" + account(n) + "/reservations"
		r := &requests[w]
		*r = request{method: http.MethodPost, key: e.service, contentType: "application/json", account: n, idempotency: string(e.keyOf('c', w, i))}
		switch step {
		case 0:
			r.path, r.body = base, []byte(`{"reservation_id":"`+id+`","amount":"0.000003","service":"inference"}`)
		case 1:
			r.path, r.body, r.micro = base+"/"+id+"/capture", []byte(`{"amount":"0.000001"}`), 1
		case 2:
			r.path, r.body = base+"/"+id+"/release", []byte(`{}`)
		}
		return r
	}
	f := Figure{
		Name: "cycle", Scenario: fmt.Sprintf("reserve, capture, release: requests, %d connections, %d accounts", e.run.Connections, e.run.Accounts),
	}.against(limitOf("cycle"))
	took := func(w int, r *request, status int, c *conn) (int, error) {
		if status != http.StatusCreated && status != http.StatusOK {
			return 0, fmt.Errorf("status %d: %.300s", status, c.body)
		}
		e.spent[r.account].Add(r.micro)
		return 1, nil
	}
	return e.measure(ctx, f, load{connections: e.run.Connections, next: next, took: took})
}

func (e *engine) reads(ctx context.Context, name, path string) error {
	r := &request{method: http.MethodGet, path: path, key: e.service}
	f := Figure{Name: name, Scenario: "GET " + path}.against(limitOf(name))
	return e.measure(ctx, f, load{
		connections: e.run.Connections, took: expect(http.StatusOK), next: func(int, int) *request { return r },
	})
}

// batchLoad sends Lines deductions a request; each line counts. A run ends when
// the views have them all.
func (e *engine) batchLoad(which func(w, i, line int) int) load {
	bodies := make([]bytes.Buffer, e.run.BatchConnections)
	requests := make([]request, e.run.BatchConnections)
	next := func(w, i int) *request {
		b := &bodies[w]
		b.Reset()
		for line := range e.run.Lines {
			b.WriteString(`{"account":"`)
			b.WriteString(account(which(w, i, line)))
			b.WriteString(`","key":"`)
			b.Write(strconv.AppendInt(append(e.keyOf('b', w, i), '-'), int64(line), 10))
			b.WriteString(`","amount":"0.000001","service":"inference","reference":"request"}` + "\n")
		}
		requests[w] = request{method: http.MethodPost, path: "/v1/deductions/batch", key: e.service, contentType: "application/x-ndjson", body: b.Bytes(), account: i}
		return &requests[w]
	}
	took := func(w int, r *request, status int, c *conn) (int, error) {
		if n := bytes.Count(c.body, []byte(`"transaction_id":"`)); n != e.run.Lines || status != http.StatusOK {
			return 0, fmt.Errorf("status %d, %d of %d lines accepted: %.300s", status, n, e.run.Lines, c.body)
		}
		for line := range e.run.Lines {
			e.spent[which(w, r.account, line)].Add(1)
		}
		return e.run.Lines, nil
	}
	return load{connections: e.run.BatchConnections, next: next, took: took, settle: e.caughtUp}
}

func (e *engine) batches(ctx context.Context) error {
	f := Figure{
		Name: "batch", Limit: limitOf("batch"), Yardstick: nameEmptyPost,
		Scenario: fmt.Sprintf("batches of %d, lines, %d connections, %d accounts", e.run.Lines, e.run.BatchConnections, e.run.Accounts),
	}
	return e.measure(ctx, f, e.batchLoad(e.spreadLines))
}

// fill puts at least `events` deductions into accounts, as batches.
func (e *engine) fill(ctx context.Context, events int, accounts []int) error {
	l := e.batchLoad(func(w, i, line int) int { return accounts[(w*7919+i*104729+line)%len(accounts)] })
	l.requests = (events + l.connections*e.run.Lines - 1) / (l.connections * e.run.Lines)
	e.run.say("filling up with %d events", l.requests*l.connections*e.run.Lines)
	if _, err := l.run(ctx, e.process); err != nil {
		return fmt.Errorf("fill up: %w", err)
	}
	e.round.Add(1)
	return e.verify(ctx)
}

// slowEngine is measured with a disk that takes longer for each sync.
func (r *run) slowEngine(ctx context.Context) error {
	if !r.wants("deduct-slow") {
		return nil
	}
	e, err := r.open(ctx, "slow", r.Accounts, "--sync-delay", r.SyncDelay.String())
	if err != nil {
		return err
	}
	defer e.close()
	f := Figure{
		Name:     "deduct-slow",
		Scenario: fmt.Sprintf("deductions, %d connections, %d accounts, syncs %s slower", r.SlowConnections, r.Accounts, r.SyncDelay),
	}.against(limitOf("deduct-slow"))
	return e.measure(ctx, f, e.singles(r.SlowConnections, e.spread))
}
