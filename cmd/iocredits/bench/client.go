package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection that does as little as it can:
// client and server share the machine, and what the client burns is missing
// from every figure. It understands answers with a Content-Length or chunks.
type conn struct {
	net.Conn
	in  *bufio.Reader
	out []byte
	// body is the last answer's; it is overwritten by the next.
	body []byte
}

func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 64<<10)}, nil
}

// request is what one round trip sends.
type request struct {
	method, path, key, idempotency, contentType string
	body                                        []byte
	// account loses micro when the request is accepted.
	account int
	micro   int64
}

func (r *request) appendTo(b []byte) []byte {
	b = append(append(append(append(b, r.method...), ' '), r.path...), " HTTP/1.1\r\nHost: bench\r\nX-Api-Key: "...)
	b = append(append(b, r.key...), "\r\n"...)
	if r.idempotency != "" {
		b = append(append(append(b, "Idempotency-Key: "...), r.idempotency...), "\r\n"...)
	}
	if r.body != nil {
		b = append(append(append(b, "Content-Type: "...), r.contentType...), "\r\nContent-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(r.body)), 10), "\r\n"...)
	}
	return append(append(b, "\r\n"...), r.body...)
}

// roundTrip sends a request and reads the whole answer.
func (c *conn) roundTrip(r *request) (status int, err error) {
	c.out = r.appendTo(c.out[:0])
	if _, err := c.Write(c.out); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	return c.answer()
}

func (c *conn) answer() (status int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, fmt.Errorf("read status: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, fmt.Errorf("read status: %w", err)
	}
	length, chunked, err := c.header()
	if err != nil {
		return 0, fmt.Errorf("read header: %w", err)
	}
	c.body = c.body[:0]
	if !chunked {
		return status, c.take(length)
	}
	for {
		size, err := c.chunk()
		if err != nil {
			return 0, fmt.Errorf("read chunk: %w", err)
		}
		if size == 0 {
			return status, nil
		}
	}
}

// header reads to the end of the header.
func (c *conn) header() (length int, chunked bool, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, err
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = true
		}
	}
}

// chunk reads one; the last has size 0.
func (c *conn) chunk() (size uint64, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if size, err = strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 31); err != nil {
		return 0, err
	}
	if err := c.take(int(size)); err != nil {
		return 0, err
	}
	_, err = c.in.Discard(len("\r\n"))
	return size, err
}

func (c *conn) take(n int) error {
	at := len(c.body)
	c.body = slices.Grow(c.body, n)[:at+n]
	if _, err := io.ReadFull(c.in, c.body[at:]); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

// load is a loop: each connection sends its next request when the last is
// answered, or, with an interval, when it is due.
type load struct {
	connections int
	duration    time.Duration
	// requests, if set, is how many each connection sends instead.
	requests int
	// interval between two requests of a connection. Latency counts from when a
	// request was due, so that a stall counts for all that it held up.
	interval time.Duration
	// next makes request i of connection w; it is used before the next call.
	next func(w, i int) *request
	// took is told of each answer and gives the units that it counts.
	took func(w int, r *request, status int, c *conn) (units int, err error)
	// settle, if set, is what has to be done before the time is taken.
	settle func(ctx context.Context) error
	// pushBack: 503 is an answer too, and the connection waits as it is told.
	pushBack bool
}

// sample is one run of one scenario.
type sample struct {
	units     int
	refused   int64
	took      time.Duration
	latencies histogram
	// server and client are the CPU time of both; written bytes the server's.
	server, client time.Duration
	written        int64
	resident       int64
	// pace is the yardstick's around this run; zero without one.
	pace pace
}

func (s *sample) perSecond() float64 { return float64(s.units) / s.took.Seconds() }

// run drives the loop against a server.
func (l load) run(ctx context.Context, p *process) (*sample, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failures []error
	s := &sample{}
	before, client := p.usage(), clientCPU()
	start := time.Now()
	for w := range l.connections {
		wg.Go(func() {
			one := &sample{}
			err := l.connection(ctx, p.addr, w, start, one)
			mu.Lock()
			defer mu.Unlock()
			s.units += one.units
			s.refused += one.refused
			s.latencies.merge(&one.latencies)
			failures = append(failures, err)
		})
	}
	wg.Wait()
	if l.settle != nil {
		failures = append(failures, l.settle(ctx))
	}
	s.took = time.Since(start)
	after := p.usage()
	s.server, s.client = after.cpu-before.cpu, clientCPU()-client
	s.written, s.resident = after.written-before.written, after.resident
	return s, errors.Join(failures...)
}

func (l load) connection(ctx context.Context, addr string, w int, start time.Time, s *sample) (err error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	end := start.Add(l.duration)
	for i := 0; ctx.Err() == nil && (l.requests == 0 || i < l.requests); i++ {
		due := time.Now()
		if l.interval > 0 {
			due = start.Add(time.Duration(i)*l.interval + time.Duration(w)*l.interval/time.Duration(l.connections))
			time.Sleep(time.Until(due))
		}
		if l.requests == 0 && due.After(end) {
			return nil
		}
		if err := l.one(ctx, c, w, i, due, s); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (l load) one(ctx context.Context, c *conn, w, i int, due time.Time, s *sample) error {
	r := l.next(w, i)
	status, err := c.roundTrip(r)
	if err != nil {
		return err
	}
	if l.pushBack && status == http.StatusServiceUnavailable {
		s.refused++
		return waitOrEnd(ctx, retryAfter)
	}
	s.latencies.add(time.Since(due))
	units, err := l.took(w, r, status, c)
	s.units += units
	return err
}

// retryAfter is what the engine advises where it is too busy.
const retryAfter = time.Second

func waitOrEnd(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// expect counts 1 for an answer with the status, and fails for any other.
func expect(want int) func(int, *request, int, *conn) (int, error) {
	return func(_ int, _ *request, status int, c *conn) (int, error) {
		if status != want {
			return 0, fmt.Errorf("status %d, not %d: %.300s", status, want, c.body)
		}
		return 1, nil
	}
}

// eachOf calls do for 0..n-1 on several connections at once.
func eachOf(ctx context.Context, addr string, connections, n int, do func(c *conn, i int) error) error {
	var next atomic.Int64
	failures := make(chan error, connections)
	for range connections {
		go func() {
			c, err := dial(ctx, addr)
			if err != nil {
				failures <- err
				return
			}
			defer func() { _ = c.Close() }()
			for i := int(next.Add(1)) - 1; i < n && err == nil; i = int(next.Add(1)) - 1 {
				err = errors.Join(do(c, i), ctx.Err())
			}
			failures <- err
		}()
	}
	var all []error
	for range connections {
		all = append(all, <-failures)
	}
	return errors.Join(all...)
}
