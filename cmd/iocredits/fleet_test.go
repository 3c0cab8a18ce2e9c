package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// fleet is several engines on one log, each behind a wire that can be cut, in processes
// that stop, die and come back. So does the log's own.
type fleet struct {
	t      *testing.T
	rng    *rand.Rand
	secret string
	// addr is the log's, log its process and data its folder.
	addr, data string
	log        *exec.Cmd
	dirs       []string
	wires      []*wire

	mu      sync.Mutex
	engines []*child
}

func newFleet(t *testing.T, size int, rng *rand.Rand) *fleet {
	t.Helper()
	f := &fleet{t: t, rng: rng, secret: keyringSecret(t), addr: freeAddr(t), data: t.TempDir()}
	f.startLog()
	t.Cleanup(func() { _ = f.log.Process.Kill(); _ = f.log.Wait() })
	for i := range size {
		f.dirs = append(f.dirs, t.TempDir())
		f.wires = append(f.wires, newWire(t, f.addr))
		f.engines = append(f.engines, nil)
		f.start(i)
	}
	return f
}

func (f *fleet) startLog() {
	f.t.Helper()
	f.log = program(f.t, "eventstore", "--insecure", "--data", f.data, "--addr", f.addr)
	out, err := f.log.StdoutPipe()
	require.NoError(f.t, err)
	require.NoError(f.t, f.log.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(f.t, err)
}

// start starts an engine in its folder.
func (f *fleet) start(i int) {
	f.t.Helper()
	c := serveChild(f.t, f.dirs[i], "--eventstore", "esdb://"+f.wires[i].listener.Addr().String()+"?tls=false",
		"--keyring-secret", f.secret, "--snapshot-every", "20", "--max-accounts", "2")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.engines[i] = c
}

// some gives n of the engines, by chance.
func (f *fleet) some(rng *rand.Rand, n int) (some []*engine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range rng.Perm(len(f.engines))[:n] {
		some = append(some, f.engines[i].engine)
	}
	return some
}

// trouble makes one of what happens to processes and wires.
func (f *fleet) trouble() (what string) {
	i := f.rng.IntN(len(f.engines))
	switch f.rng.IntN(8) {
	case 0:
		what = "kill"
		f.engines[i].kill()
		f.start(i)
	case 1:
		what = "kill the log"
		_ = f.log.Process.Kill()
		_ = f.log.Wait()
		f.startLog()
	case 2, 3:
		what = "stop"
		if process := f.engines[i].cmd.Process; process.Signal(syscall.SIGSTOP) == nil {
			<-time.After(time.Duration(f.rng.IntN(1500)) * time.Millisecond)
			require.NoError(f.t, process.Signal(syscall.SIGCONT))
		}
	default:
		what = "cut"
		f.wires[i].cut()
	}
	return what
}

// wire leads to the log, and can be cut.
type wire struct {
	listener net.Listener
	mu       sync.Mutex
	open     []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener}
	t.Cleanup(func() { _ = listener.Close(); w.cut() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.open = append(w.open, near, far)
			w.mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					_, _ = way[0].Close(), way[1].Close()
				}()
			}
		}
	}()
	return w
}

// cut ends all connections, in the middle of whatever goes over them.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		_ = c.Close()
	}
	w.open = nil
}

// ownPosition is of an entry. A cluster tells only the last one of an append, so the first
// answer has that and a repeat of it the entry's own.
var ownPosition = regexp.MustCompile(` position:\d+`)

// insist asks until it has an answer: of one engine, or of two at once under one key. A
// refusal counts, and what else was sent under the key may be accepted after it: that is
// kept for the end.
func (c *linearClient) insist(f *fleet, a *ask) {
	unknown, before := false, len(c.history)
	for n := 0; n < 400; n++ {
		type told struct {
			outcome
			answered bool
			at       int64
		}
		engines := f.some(c.rng, 1+c.rng.IntN(2))
		answers := make([]told, len(engines))
		var wg sync.WaitGroup
		for i, e := range engines {
			wg.Go(func() {
				o, answered := asked(e, a)
				for _, passing := range []string{`"conflict"`, `"unavailable"`} {
					if strings.Contains(o.unforeseen, passing) {
						answered = false
					}
				}
				o.transactions = ownPosition.ReplaceAllString(o.transactions, "")
				answers[i] = told{o, answered, c.clock()}
			})
		}
		wg.Wait()
		accepted, refused := "", false
		for _, o := range answers {
			switch {
			case !o.answered:
				unknown = true
				<-time.After(20 * time.Millisecond)
				continue
			case o.unforeseen != "" || accepted != "" && o.accepted && a.kind != "read" && accepted != o.transactions:
				c.wrong = append(c.wrong, fmt.Sprintf("%s %s: %s%s, and before: %s", a.kind, a.key, o.unforeseen, o.transactions, accepted))
			}
			if o.accepted && accepted != "" && a.kind != "read" {
				continue
			}
			if o.accepted {
				accepted = o.transactions
			} else if a.kind != "read" {
				refused = true
			}
			c.history = append(c.history, porcupine.Operation{ClientId: c.id, Input: *a, Call: a.called, Output: o.outcome, Return: o.at})
		}
		if accepted != "" && a.kind == "hold" {
			c.holds = append(c.holds, *a)
		}
		if accepted != "" {
			return
		}
		if refused || a.kind == "read" && len(c.history) > before {
			if unknown && refused {
				c.unsettled = append(c.unsettled, *a)
			}
			return
		}
	}
	c.wrong = append(c.wrong, fmt.Sprintf("%s %s has no answer", a.kind, a.key))
}

// recordedAt is when an engine decided what it answers.
var recordedAt = regexp.MustCompile(`recorded_at:(\S+)`)

// since narrows the time in which an operation happened that was asked for long before: it
// was decided when its entries say so, by the clock of this machine.
func since(began time.Time, o porcupine.Operation) porcupine.Operation {
	if told := recordedAt.FindStringSubmatch(o.Output.(outcome).transactions); told != nil {
		if at, err := time.Parse(time.RFC3339Nano, told[1]); err == nil {
			o.Call = max(o.Call, int64(at.Sub(began)-time.Millisecond))
		}
	}
	return o
}

// TestEnginesHaveOneOrder is TestWhatClientsSeeIsOneOrder for several engines on one log:
// each command goes to any of them, often to two at once, and what fails is tried at another,
// while engines stop, die and lose their connections, and the log dies too.
func TestEnginesHaveOneOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the run without it has this; TestWhatClientsSeeIsOneOrder and TestTwoEngines have the code")
	}
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	began := time.Now()
	f := newFleet(t, 3, rand.New(rand.NewPCG(seed, 99)))
	for i := range 3 {
		f.engines[i].fund(fmt.Sprintf("linear-%d", i), linearFunds.String())
	}
	clients := make([]*linearClient, 6)
	for i := range clients {
		clients[i] = &linearClient{name: fmt.Sprintf("c%d", i), id: i, rng: rand.New(rand.NewPCG(seed, uint64(i))),
			clock: func() int64 { return int64(time.Since(began)) }}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, client := range clients {
		wg.Go(func() {
			for range 100 {
				client.insist(f, client.next())
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	troubles := map[string]int{}
	for over := false; !over; {
		troubles[f.trouble()]++
		select {
		case <-done:
			over = true
		case <-time.After(time.Duration(f.rng.IntN(600)) * time.Millisecond):
		}
	}
	t.Logf("%v", troubles)
	var history []porcupine.Operation
	for _, client := range clients {
		for _, a := range client.unsettled {
			first := len(client.history)
			client.insist(f, &a)
			for i := first; i < len(client.history); i++ {
				client.history[i] = since(began, client.history[i])
			}
		}
		require.Empty(t, client.wrong)
		history = append(history, client.history...)
	}
	checkChains(t, "esdb://"+f.addr+"?tls=false")
	requireOneOrder(t, history)
	f.sameViews()
}

// sameViews: all engines' read models end equal, and equal to the write side.
func (f *fleet) sameViews() {
	f.t.Helper()
	for n := range 3 {
		account := fmt.Sprintf("linear-%d", n)
		strong := f.engines[0].must("service", http.MethodGet, "/v1/accounts/"+account+"/balance?consistency=strong", "", "")
		for _, e := range f.engines {
			require.Eventually(f.t, func() bool { return e.balance(account) == strong["balance"] }, patience, 20*time.Millisecond)
			require.Equal(f.t, strong["balance"], e.must("service", http.MethodGet, "/v1/accounts/"+account+"/balance?consistency=strong", "", "")["balance"])
		}
	}
}
