package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Trace is a real trace of requests, as readings of two meters.
type Trace struct {
	// Rows are quantities by meter; Prices of one unit, as decimals.
	Rows   [][2]int64
	Prices [2]string
	// Cost is what all of it MUST be charged, in micro-credits.
	Cost int64
}

// replay sends the whole trace as often as there are runs, each time to another
// account, from `first` on, so that each must be charged exactly its cost.
func (e *engine) replay(ctx context.Context, first int) error {
	trace := e.run.Trace
	if trace == nil {
		if len(e.run.Only) > 0 {
			return errors.New("scenario trace needs a trace")
		}
		return nil
	}
	f := Figure{
		Name: "trace", Limit: limitOf("trace"),
		Scenario: fmt.Sprintf("replay of a trace: readings, batches of %d, %d connections, one account", e.run.Lines, e.run.BatchConnections),
	}
	e.run.say("%s", f.Scenario)
	var samples []*sample
	for n := range e.run.Runs {
		s, err := e.replayOnce(ctx, first+n)
		if err != nil {
			return fmt.Errorf("trace: %w", err)
		}
		e.spent[first+n].Add(trace.Cost)
		samples = append(samples, s)
	}
	if err := e.verify(ctx); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	e.run.add(summarize(f, samples))
	return nil
}

func (e *engine) replayOnce(ctx context.Context, n int) (*sample, error) {
	// Connection w sends every so many-th batch. The order between them doesn't
	// matter: a meter's charges add up to its rounded total in any order.
	total := 2 * len(e.run.Trace.Rows)
	batches := (total + e.run.Lines - 1) / e.run.Lines
	l := load{connections: min(e.run.BatchConnections, batches), settle: e.caughtUp}
	l.requests = (batches + l.connections - 1) / l.connections
	bodies, requests, lines := make([]bytes.Buffer, l.connections), make([]request, l.connections), make([]int, l.connections)
	l.next = func(w, i int) *request {
		from := min((i*l.connections+w)*e.run.Lines, total)
		to := min(from+e.run.Lines, total)
		bodies[w].Reset()
		for line := from; line < to; line++ {
			e.appendReading(&bodies[w], n, line)
		}
		lines[w] = to - from
		requests[w] = request{
			method: http.MethodPost, path: "/v1/deductions/batch", key: e.service, contentType: "application/x-ndjson",
			body: append([]byte{}, bodies[w].Bytes()...), account: n,
		}
		return &requests[w]
	}
	l.took = func(w int, _ *request, status int, c *conn) (int, error) {
		if got := bytes.Count(c.body, []byte(`"transaction_id":"`)); got != lines[w] || status != http.StatusOK {
			return 0, fmt.Errorf("status %d, %d of %d readings accepted: %.300s", status, got, lines[w], c.body)
		}
		return lines[w], nil
	}
	return l.run(ctx, e.process)
}

func (e *engine) appendReading(b *bytes.Buffer, n, line int) {
	row, meter := line/2, line%2
	number := func(v int) { b.WriteString(strconv.Itoa(v)) }
	b.WriteString(`{"account":"`)
	b.WriteString(account(n))
	b.WriteString(`","key":"t-`)
	number(line)
	b.WriteString(`","meter":"m`)
	number(meter)
	b.WriteString(`","service":"inference","quantity":"`)
	b.WriteString(strconv.FormatInt(e.run.Trace.Rows[row][meter], 10))
	b.WriteString(`","unit_price":"`)
	b.WriteString(e.run.Trace.Prices[meter])
	b.WriteString(`","reference":"trace"}` + "\n")
}
