package esdbstore_test

import (
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy stands between a client and the server, and does to their connections
// what networks do.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	links map[*link]struct{}
	// gate is closed while bytes flow; a stall replaces it.
	gate  chan struct{}
	delay time.Duration
	wg    sync.WaitGroup
}

// link is one connection through the proxy.
type link struct{ client, server *net.TCPConn }

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, target: target, links: map[*link]struct{}{}, gate: make(chan struct{})}
	close(p.gate)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = c.Close()
			continue
		}
		l := &link{c.(*net.TCPConn), s.(*net.TCPConn)}
		p.mu.Lock()
		p.links[l] = struct{}{}
		p.mu.Unlock()
		var both sync.WaitGroup
		both.Go(func() { p.pipe(l.server, l.client) })
		both.Go(func() { p.pipe(l.client, l.server) })
		p.wg.Go(func() {
			both.Wait()
			l.cut()
			p.mu.Lock()
			delete(p.links, l)
			p.mu.Unlock()
		})
	}
}

func (l *link) cut() {
	_, _ = l.client.Close(), l.server.Close()
}

// pipe forwards one direction, as fast and as long as it may.
func (p *proxy) pipe(to, from *net.TCPConn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		gate, delay := p.gate, p.delay
		p.mu.Unlock()
		<-gate
		if delay > 0 {
			<-time.After(delay)
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// each runs f on every connection there is.
func (p *proxy) each(f func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		f(l)
	}
}

// drop ends all connections with a reset.
func (p *proxy) drop() {
	p.each(func(l *link) {
		_, _ = l.client.SetLinger(0), l.server.SetLinger(0)
		l.cut()
	})
}

// halfClose ends one direction of all connections.
func (p *proxy) halfClose(toServer bool) {
	p.each(func(l *link) {
		if toServer {
			_ = l.server.CloseWrite()
		} else {
			_ = l.client.CloseWrite()
		}
	})
}

// stall holds all bytes until the answer is called.
func (p *proxy) stall() (release func()) {
	gate := make(chan struct{})
	p.mu.Lock()
	p.gate = gate
	p.mu.Unlock()
	return sync.OnceFunc(func() { close(gate) })
}

func (p *proxy) slow(delay time.Duration) {
	p.mu.Lock()
	p.delay = delay
	p.mu.Unlock()
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.drop()
	p.wg.Wait()
}

// seed gives a test its randomness, and prints it; ESDB_SEED repeats a run.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	s := rand.Uint64()
	if given, err := strconv.ParseUint(os.Getenv("ESDB_SEED"), 10, 64); err == nil {
		s = given
	}
	t.Logf("ESDB_SEED=%d", s)
	return rand.New(rand.NewPCG(s, 1))
}

// maxChaos leaves a test time to finish in peace.
const maxChaos = 15 * time.Second

// chaos makes trouble, one kind after the other, until it is ended; then all is
// well again. It counts what it did.
type chaos struct {
	proxy *proxy
	rig   *rig
	rng   *rand.Rand
	// pace is the longest time between two kinds of trouble.
	pace time.Duration
	done chan map[string]int
	end  chan struct{}
}

func unleash(p *proxy, r *rig, rng *rand.Rand, pace time.Duration) *chaos {
	c := &chaos{proxy: p, rig: r, rng: rng, pace: pace, done: make(chan map[string]int, 1), end: make(chan struct{})}
	go c.run()
	return c
}

func (c *chaos) run() {
	did := map[string]int{}
	defer func() { c.done <- did }() // a start that fails ends this goroutine
	for until := time.Now().Add(maxChaos); c.wait(0, c.pace) && time.Now().Before(until); {
		kind := []string{"drop", "drop", "half-close", "half-close", "stall", "delay", "restart", "kill", "outage"}[c.rng.IntN(9)]
		did[kind]++
		switch kind {
		case "drop":
			c.proxy.drop()
		case "half-close":
			c.proxy.halfClose(c.rng.IntN(2) == 0)
		case "stall":
			release := c.proxy.stall()
			c.wait(0, 4*c.pace) // at the slow pace also longer than a ping waits
			release()
		case "delay":
			c.proxy.slow(time.Duration(1+c.rng.IntN(20)) * time.Millisecond)
			c.wait(0, c.pace)
			c.proxy.slow(0)
		case "restart":
			c.rig.stop(time.Second)
			c.rig.start()
		case "kill":
			c.rig.stop(0)
			c.rig.start()
		case "outage":
			c.rig.stop(0)
			c.wait(0, 2*c.pace)
			c.rig.start()
		}
	}
}

// wait passes some time, unless the chaos ends.
func (c *chaos) wait(from, to time.Duration) bool {
	select {
	case <-time.After(from + time.Duration(c.rng.Int64N(int64(to-from)))):
		return true
	case <-c.end:
		return false
	}
}

// calm ends it. The answer is what was done.
func (c *chaos) calm() map[string]int {
	close(c.end)
	return <-c.done
}
