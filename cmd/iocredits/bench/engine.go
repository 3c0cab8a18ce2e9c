package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	run  *run
	data string
	args []string

	service, boss string
	// spent is what each account should have lost, in micro-credits. It is counted
	// when a request is accepted: no answer may stay away.
	spent []atomic.Int64
	// round makes idempotency keys differ between runs and scenarios.
	round atomic.Int64
}

// funding of every account, in credits.
const funding = 1_000_000

// helpers is how many connections do what isn't measured.
const helpers = 16

// open starts an engine on a fresh directory and funds its accounts, under an
// Idempotency-Key: with the first of those an account gets its sealing key, which is
// no part of what is measured.
func (r *run) open(ctx context.Context, name string, accounts int, flags ...string) (*engine, error) {
	e := &engine{run: r, data: filepath.Join(r.Dir, name), spent: make([]atomic.Int64, accounts)}
	e.args = append([]string{"serve", "--dev", "--data", e.data, "--addr", "127.0.0.1:0", "--log-level", "warn"}, flags...)
	if r.Profile != "" {
		e.args = append(e.args, "--cpu-profile", filepath.Join(r.Profile, name+".cpu"))
	}
	if err := e.restart(ctx); err != nil {
		return nil, err
	}
	r.say("%s: funding %d accounts", name, accounts)
	err := eachOf(ctx, e.addr, helpers, accounts, func(c *conn, i int) error {
		status, err := c.roundTrip(&request{
			method: http.MethodPost, path: "/dev/accounts/" + account(i) + "/purchases", key: e.boss,
			idempotency: "funding", contentType: "application/json", body: fmt.Appendf(nil, `{"amount":"%d"}`, funding),
		})
		if err == nil && status/100 != 2 {
			err = fmt.Errorf("status %d: %.300s", status, c.body)
		}
		return err
	})
	if err != nil {
		e.close()
		return nil, fmt.Errorf("fund accounts: %w", err)
	}
	return e, nil
}

// restart starts the engine, again if it ran.
func (e *engine) restart(ctx context.Context) error {
	if e.process != nil {
		e.stop()
	}
	p, err := start(ctx, e.run.Binary, e.args...)
	if err != nil {
		return err
	}
	e.process = p
	b, err := os.ReadFile(filepath.Join(e.data, "dev-keys.json"))
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

// close ends the engine and removes what it left.
func (e *engine) close() {
	e.stop()
	_ = os.RemoveAll(e.data)
}

func account(i int) string { return "bench-" + strconv.Itoa(i) }

// accepted counts an answer with the status want, and what it took.
func (e *engine) accepted(want int) func(int, *request, int, *conn) (int, error) {
	check := expect(want)
	return func(w int, r *request, status int, c *conn) (int, error) {
		n, err := check(w, r, status, c)
		if err == nil {
			e.spent[r.account].Add(r.micro)
		}
		return n, err
	}
}

// measure runs a load, compares all balances with what was sent, and adds the
// figure. Each run stands between two of the figure's yardstick.
func (e *engine) measure(ctx context.Context, f Figure, l load) error {
	e.run.say("%s", f.Scenario)
	l.duration = e.run.Duration
	samples, err := e.run.repeat(ctx, e.process, l, e.run.yardstick(f.Yardstick), func(ctx context.Context) error {
		e.round.Add(1)
		return e.rested(ctx)
	})
	if err == nil {
		err = e.verify(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	e.run.add(summarize(f, samples))
	return nil
}

// verify compares every account's balance with what was taken from it, once the
// views have it.
func (e *engine) verify(ctx context.Context) error {
	if err := e.caughtUp(ctx); err != nil {
		return err
	}
	return eachOf(ctx, e.addr, helpers, len(e.spent), func(c *conn, i int) error {
		got, _, err := e.balance(c, i)
		if err != nil {
			return err
		}
		if want := credits(int64(funding)*1_000_000 - e.spent[i].Load()); got != want {
			return fmt.Errorf("balance of %s is %s, should be %s: the figures are worth nothing", account(i), got, want)
		}
		return nil
	})
}

// balance asks for one account's, and how far the views are behind.
func (e *engine) balance(c *conn, i int) (balance string, lag int64, err error) {
	status, err := c.roundTrip(&request{method: http.MethodGet, path: "/v1/accounts/" + account(i) + "/balance", key: e.service})
	if err != nil {
		return "", 0, err
	}
	var answer struct {
		Balance string `json:"balance"`
		Lag     int64  `json:"lag"`
	}
	if err := json.Unmarshal(c.body, &answer); err != nil || status != http.StatusOK {
		return "", 0, fmt.Errorf("balance of %s: status %d, %w: %.300s", account(i), status, err, c.body)
	}
	return answer.Balance, answer.Lag, nil
}

// credits writes micro-credits as the API does.
func credits(micro int64) string {
	text := fmt.Sprintf("%d.%06d", micro/1_000_000, micro%1_000_000)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// caughtUp waits until the views have all that was acknowledged.
func (e *engine) caughtUp(ctx context.Context) error {
	c, err := dial(ctx, e.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for {
		_, lag, err := e.balance(c, 0)
		if err != nil || lag == 0 {
			return err
		}
		if err := waitOrEnd(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// rested waits until the engine has caught up and has no compaction under way, so
// that a yardstick has the machine for itself: one that is slowed down by the
// engine makes a busy engine look fast. It gives up after maxRest.
func (e *engine) rested(ctx context.Context) error {
	const look, maxRest = 100 * time.Millisecond, 10 * time.Second
	if err := e.caughtUp(ctx); err != nil {
		return err
	}
	for waited, before := time.Duration(0), e.usage().cpu; waited < maxRest; waited += look {
		if err := waitOrEnd(ctx, look); err != nil {
			return err
		}
		now := e.usage().cpu
		if now-before <= look/10 {
			return nil
		}
		before = now
	}
	return nil
}

// head is the number of events in the log: positions have no gaps.
func (e *engine) head(ctx context.Context) (int64, error) {
	c, err := dial(ctx, e.addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.roundTrip(&request{method: http.MethodGet, path: "/readyz", key: e.service}); err != nil {
		return 0, err
	}
	var answer struct {
		Head int64 `json:"head"`
	}
	if err := json.Unmarshal(c.body, &answer); err != nil {
		return 0, fmt.Errorf("readyz: %w: %.300s", err, c.body)
	}
	return answer.Head, nil
}

// rebuild rebuilds the read models of the engine, which is stopped, and takes
// the time from the program's start to its end.
func (e *engine) rebuild(ctx context.Context) error {
	f := Figure{Name: "rebuild", Scenario: "rebuild of all read models, events", Unit: perSecond}
	e.run.say("%s", f.Scenario)
	var rates []float64
	for range e.run.Runs {
		cmd := exec.CommandContext(ctx, e.run.Binary, "rebuild", "--data", e.data)
		cmd.Stderr = os.Stderr
		began := time.Now()
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("rebuild: %w", err)
		}
		took := time.Since(began)
		var events int
		if _, err := fmt.Sscanf(string(out), "rebuilt %d events", &events); err != nil {
			return fmt.Errorf("rebuild printed %q: %w", out, err)
		}
		f.ServerCPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / time.Duration(max(events, 1))
		rates = append(rates, float64(events)/took.Seconds())
	}
	e.run.add(middle(f, rates))
	return nil
}

// restarts measures how long a start takes, until the engine is ready, and the
// first command on an account whose events are all on the disk.
func (e *engine) restarts(ctx context.Context, cold int) error {
	begin := Figure{Name: "start", Scenario: "start of the engine on this log until it is ready", Unit: inMillis}
	first := Figure{Name: "cold", Scenario: fmt.Sprintf("first command on a cold account of %d events", e.run.Entries), Unit: inMillis}
	e.run.say("%s", begin.Scenario)
	var starts, firsts []float64
	for range e.run.Runs {
		if err := e.restart(ctx); err != nil {
			return err
		}
		starts = append(starts, e.took.Seconds()*1000)
		begin.Resident = e.usage().resident
		took, err := e.firstCommand(ctx, cold)
		if err != nil {
			return fmt.Errorf("first command: %w", err)
		}
		firsts = append(firsts, took.Seconds()*1000)
	}
	e.run.add(middle(begin, starts))
	e.run.add(middle(first, firsts))
	return e.verify(ctx)
}

func (e *engine) firstCommand(ctx context.Context, i int) (time.Duration, error) {
	c, err := dial(ctx, e.addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	r := e.deduction(&request{}, i, "first-"+strconv.FormatInt(e.round.Add(1), 10))
	began := time.Now()
	status, err := c.roundTrip(r)
	took := time.Since(began)
	if err == nil {
		_, err = e.accepted(http.StatusCreated)(0, r, status, c)
	}
	return took, err
}

// onDisk gives what an event takes on the disk, log and views, once the engine
// has stopped. What is not yet compacted counts.
func (e *engine) onDisk(events int64) error {
	log, err := sizeOf(filepath.Join(e.data, "log"))
	views, err2 := sizeOf(filepath.Join(e.data, "views"))
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	of := func(name, title string, size int64) {
		v := float64(size) / float64(max(events, 1))
		e.run.add(Figure{Name: name, Scenario: title, Unit: inBytes, Value: v, Low: v, High: v})
	}
	of("disk", fmt.Sprintf("on the disk an event, log and views, of %d events", events), log+views)
	of("disk-log", "on the disk an event, log alone", log)
	return nil
}
