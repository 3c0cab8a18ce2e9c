package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection that does as little as it can:
// client and server share the machine, and what the client burns is missing
// from every figure. It understands answers with a Content-Length or chunks.
type conn struct {
	net.Conn
	in  *bufio.Reader
	out bytes.Buffer
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
}

// roundTrip sends a request and reads the whole answer.
func (c *conn) roundTrip(r *request) (status int, err error) {
	b := &c.out
	b.Reset()
	fmt.Fprintf(b, "%s %s HTTP/1.1\r\nHost: bench\r\nX-Api-Key: %s\r\n", r.method, r.path, r.key)
	if r.idempotency != "" {
		b.WriteString("Idempotency-Key: ")
		b.WriteString(r.idempotency)
		b.WriteString("\r\n")
	}
	if r.body != nil {
		fmt.Fprintf(b, "Content-Type: %s\r\nContent-Length: %d\r\n", r.contentType, len(r.body))
	}
	b.WriteString("\r\n")
	b.Write(r.body)
	if _, err := c.Write(b.Bytes()); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	return c.answer()
}

func (c *conn) answer() (status int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, fmt.Errorf("read status: %w", err)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, fmt.Errorf("read status: %w", err)
	}
	length, chunked := 0, false
	for {
		line, err = c.in.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("read header: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, fmt.Errorf("read length: %w", err)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = true
		}
	}
	c.body = c.body[:0]
	if !chunked {
		return status, c.take(length)
	}
	for {
		line, err = c.in.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("read chunk: %w", err)
		}
		size, err := strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 31)
		if err != nil {
			return 0, fmt.Errorf("read chunk: %w", err)
		}
		if err := c.take(int(size)); err != nil {
			return 0, err
		}
		if _, err := c.in.Discard(2); err != nil {
			return 0, fmt.Errorf("read chunk: %w", err)
		}
		if size == 0 {
			return status, nil
		}
	}
}

func (c *conn) take(n int) error {
	at := len(c.body)
	c.body = append(c.body, make([]byte, n)...)
	if _, err := io.ReadFull(c.in, c.body[at:]); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

// load is a closed loop: each connection sends its next request when the last
// is answered.
type load struct {
	addr        string
	connections int
	duration    time.Duration
	// next makes request i of connection w; the result is used before the next call.
	next func(w, i int) *request
	// weight is how many units one answer counts; nil: 1.
	weight func(c *conn) (int, error)
	// want is the status of every answer.
	want int
}

// run drives the loop and gives the rate and how many units were done.
func (l load) run(ctx context.Context) (sample, int, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failures []error
	var s sample
	units := 0
	start := time.Now()
	deadline := start.Add(l.duration)
	for w := range l.connections {
		wg.Go(func() {
			n, latencies, err := l.connection(ctx, w, deadline)
			mu.Lock()
			defer mu.Unlock()
			units += n
			s.latencies = append(s.latencies, latencies...)
			if err != nil {
				failures = append(failures, err)
			}
		})
	}
	wg.Wait()
	s.perSecond = float64(units) / time.Since(start).Seconds()
	return s, units, errors.Join(failures...)
}

func (l load) connection(ctx context.Context, w int, deadline time.Time) (units int, latencies []time.Duration, err error) {
	c, err := dial(ctx, l.addr)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for i := 0; ctx.Err() == nil; i++ {
		sent := time.Now()
		if sent.After(deadline) {
			return units, latencies, nil
		}
		status, err := c.roundTrip(l.next(w, i))
		if err != nil {
			return units, latencies, err
		}
		if status != l.want {
			return units, latencies, fmt.Errorf("status %d, not %d: %.300s", status, l.want, c.body)
		}
		n := 1
		if l.weight != nil {
			if n, err = l.weight(c); err != nil {
				return units, latencies, err
			}
		}
		units += n
		latencies = append(latencies, time.Since(sent))
	}
	return units, latencies, ctx.Err()
}
