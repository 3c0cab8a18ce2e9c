package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
)

// measureSync gives the raw rate of durable writes: no log can be faster with
// one writer.
func measureSync(ctx context.Context, o Options) (Figure, error) {
	f, err := os.Create(filepath.Join(o.Dir, "sync"))
	if err != nil {
		return Figure{}, fmt.Errorf("create file: %w", err)
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	block := make([]byte, 256)
	var samples []sample
	for range o.Runs {
		var s sample
		start := time.Now()
		for time.Since(start) < o.Duration && ctx.Err() == nil {
			one := time.Now()
			if _, err := f.Write(block); err != nil {
				return Figure{}, fmt.Errorf("write: %w", err)
			}
			if err := syscall.Fdatasync(int(f.Fd())); err != nil {
				return Figure{}, fmt.Errorf("fdatasync: %w", err)
			}
			s.latencies = append(s.latencies, time.Since(one))
		}
		s.perSecond = float64(len(s.latencies)) / time.Since(start).Seconds()
		samples = append(samples, s)
	}
	return summarize(rawSync, "", samples), ctx.Err()
}

// ServeEmpty is the yardstick: echo, one JSON answer, nothing else. printed is
// told the address once it listens.
func ServeEmpty(ctx context.Context, addr string, printed func(addr string)) error {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	answer := func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]string{"balance": "100"}) //nolint:wrapcheck // the yardstick stays bare
	}
	e.GET("/empty", answer)
	e.POST("/empty", answer)
	go func() {
		<-ctx.Done()
		_ = e.Close()
	}()
	e.ListenerNetwork = "tcp"
	listener, err := listen(ctx, addr)
	if err != nil {
		return err
	}
	e.Listener = listener
	printed(listener.Addr().String())
	if err := e.Start(""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func measureEmpty(ctx context.Context, o Options) ([]Figure, error) {
	server, err := start(ctx, o.Binary, "bench-empty")
	if err != nil {
		return nil, err
	}
	defer server.stop()
	get := &request{method: http.MethodGet, path: "/empty"}
	post := &request{method: http.MethodPost, path: "/empty", contentType: "application/json", idempotency: "0123456789abcdef",
		body: []byte(`{"amount":"0.000001","service":"inference","reference":"request"}`)}
	var figures []Figure
	for _, s := range []struct {
		name string
		*request
	}{{emptyGet, get}, {emptyPut, post}} {
		samples, err := repeat(ctx, o, load{
			addr: server.addr, connections: o.Connections, duration: o.Duration, want: http.StatusOK,
			next: func(int, int) *request { return s.request },
		}, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		figures = append(figures, summarize(s.name, "", samples))
	}
	return figures, nil
}

// repeat runs a load Runs times after a short warm-up. done, if set, is told the
// units of each, the warm-up included.
func repeat(ctx context.Context, o Options, l load, done func(units int)) ([]sample, error) {
	var samples []sample
	for run := range o.Runs + 1 {
		one := l
		if run == 0 {
			one.duration = min(l.duration, time.Second)
		}
		s, units, err := one.run(ctx)
		if done != nil {
			done(units)
		}
		if err != nil {
			return nil, err
		}
		if run > 0 {
			samples = append(samples, s)
		}
	}
	return samples, nil
}

// process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	addr string
}

// ready begins the line that names a server's address.
const ready = "ready on http://"

// start runs the binary and waits until it is ready.
func start(ctx context.Context, binary string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, found := strings.CutPrefix(lines.Text(), ready); found {
			go func() { // keep the pipe empty
				for lines.Scan() {
					continue
				}
			}()
			return &process{cmd: cmd, addr: strings.TrimSpace(addr)}, nil
		}
	}
	_ = cmd.Process.Kill()
	return nil, fmt.Errorf("%s %s printed no address: %w", binary, strings.Join(args, " "), cmd.Wait())
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}
