package httpapi

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connections bounds how long a peer that doesn't read may hold one, whether a handler or
// net/http itself writes to it. A peer that reads, however slowly, is never cut off. Without
// this anybody, with no key, could ask for much, read none of it, and hold up a graceful stop.
// So could who has sent the half of a request: in a stop that is bounded too.
type connections struct {
	net.Listener
	renewEvery, linger time.Duration

	mu sync.Mutex
	// patience is how long a piece of an answer may take to go.
	patience time.Duration
	open     map[*connection]struct{}
	// lastRead is until when is read from peers that are waited for, since began; 0: for ever.
	lastRead atomic.Int64
	began    time.Time
}

func newConnections(l net.Listener, patience time.Duration) *connections {
	return &connections{
		Listener: l, renewEvery: min(time.Second, patience/8), linger: min(maxLinger, patience),
		patience: patience, open: map[*connection]struct{}{}, began: time.Now(),
	}
}

// Accept implements net.Listener.
func (l *connections) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.take(inner), nil
}

func (l *connections) take(inner net.Conn) *connection {
	c := &connection{Conn: inner, of: l, opened: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = struct{}{}
	return c
}

// hurry is for a server that has to end within some time: peers that don't read, or don't
// send what is waited for, get half of it.
func (l *connections) hurry(end time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.patience = min(l.patience, end/2)
	l.lastRead.Store(int64(time.Since(l.began) + end/2))
	for c := range l.open {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(l.patience))
		c.hurryReads()
	}
}

// noLater is a deadline for reading, or the stop's if that is sooner.
func (l *connections) noLater(t time.Time) time.Time {
	last := l.lastRead.Load()
	if stop := l.began.Add(time.Duration(last)); last != 0 && t.After(stop) {
		return stop
	}
	return t
}

// connection is one of connections. To set a deadline isn't free: of the answers that are
// written within renewEvery only the first does.
type connection struct {
	net.Conn
	of     *connections
	opened time.Time
	// renew is when the deadline is due to be set again, since opened.
	renew atomic.Int64

	reads sync.Mutex
	// readBy is the deadline for reading; zero: none, as while nothing is waited for.
	readBy time.Time
}

// SetReadDeadline implements net.Conn.
func (c *connection) SetReadDeadline(t time.Time) error {
	c.reads.Lock()
	defer c.reads.Unlock()
	c.readBy = t
	return c.Conn.SetReadDeadline(c.of.noLater(t))
}

// hurryReads bounds a read that is under way, if it has a deadline. One without is net/http's,
// that hears whether the peer has gone: its end would cancel the request.
func (c *connection) hurryReads() {
	c.reads.Lock()
	defer c.reads.Unlock()
	if last := c.of.noLater(c.readBy); !last.Equal(c.readBy) {
		_ = c.Conn.SetReadDeadline(last)
	}
}

// Write implements net.Conn.
func (c *connection) Write(b []byte) (int, error) {
	if now := time.Since(c.opened); now >= time.Duration(c.renew.Load()) {
		c.renew.Store(int64(now + c.of.renewEvery))
		_ = c.bound(time.Time{})
	}
	if len(b) > 12 && string(b[:7]) == "HTTP/1." && string(b[9:12]) == expectationFailed {
		// net/http gives this answer without asking anybody, and waits for the body then.
		_ = c.SetReadDeadline(time.Now().Add(c.of.linger))
	}
	return c.Conn.Write(b)
}

// SetWriteDeadline implements net.Conn. A deadline is never taken away: net/http does so
// after each answer, and the next one would be without.
func (c *connection) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return c.bound(t)
}

// bound sets a deadline for writing: as late as may be, or t if that is sooner.
func (c *connection) bound(t time.Time) error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if last := time.Now().Add(c.of.patience); t.IsZero() || t.After(last) {
		t = last
	}
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite is for net/http, which looks for it: the peer can then read the last answer
// before the connection is closed.
func (c *connection) CloseWrite() error {
	if inner, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return inner.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
