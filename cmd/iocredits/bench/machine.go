package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/labstack/echo/v4"
)

// syncBytes is what the raw rate of durable writes syncs at a time.
const syncBytes = 256

// measureDisk gives the raw rate of durable writes, which no log with one
// writer can pass, and the rate of writing without end.
func (r *run) measureDisk(ctx context.Context) error {
	syncs, err := r.repeatWrites(ctx, syncBytes, 1)
	if err != nil {
		return fmt.Errorf("fdatasync: %w", err)
	}
	r.add(summarize(Figure{Name: nameSync, Scenario: fmt.Sprintf("raw fdatasync of %d bytes, 1 writer", syncBytes)}, syncs))
	const mib = 1 << 20
	writes, err := r.repeatWrites(ctx, mib, 64)
	if err != nil {
		return fmt.Errorf("sequential writes: %w", err)
	}
	sequential := summarize(Figure{Name: nameWrite, Scenario: "sequential writes of 1 MiB, fdatasync every 64"}, writes)
	sequential.Unit = mebibytes
	r.add(sequential)
	return nil
}

func (r *run) repeatWrites(ctx context.Context, size, between int) ([]*sample, error) {
	var samples []*sample
	for range r.Runs {
		s, err := r.writes(ctx, size, between, r.Duration)
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	return samples, ctx.Err()
}

// writes appends blocks of size bytes, with an fdatasync after each `between`.
func (r *run) writes(ctx context.Context, size, between int, d time.Duration) (s *sample, err error) {
	f, err := os.CreateTemp(r.Dir, "writes")
	if err != nil {
		return nil, fmt.Errorf("create file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, size)
	s = &sample{}
	start := time.Now()
	for s.took < d && ctx.Err() == nil {
		began := time.Now()
		for range between {
			if _, err := f.Write(block); err != nil {
				return nil, fmt.Errorf("write: %w", err)
			}
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return nil, fmt.Errorf("fdatasync: %w", err)
		}
		s.units += between
		s.latencies.add(time.Since(began))
		s.took = time.Since(start)
	}
	return s, nil
}

// pebbleRecord is about what one deduction is in the log.
const pebbleRecord = 300

// measurePebble gives what Pebble alone makes durable: each commit has batch
// records of 300 bytes and its own sync.
func (r *run) measurePebble(ctx context.Context) error {
	for _, c := range []struct {
		name           string
		writers, batch int
	}{{namePebble1, 1, 1}, {namePebble64, 64, 1}, {namePebble512, 512, 1}, {namePebbleBatch, 4, 1000}} {
		if !r.wants(c.name) {
			continue
		}
		var samples []*sample
		for range r.Runs {
			s, err := r.pebbleRun(ctx, c.writers, c.batch)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			samples = append(samples, s)
		}
		r.add(summarize(Figure{
			Name: c.name, Scenario: fmt.Sprintf("Pebble alone, %d bytes, %d writers, commits of %d", pebbleRecord, c.writers, c.batch),
		}, samples))
	}
	return ctx.Err()
}

func (r *run) pebbleRun(ctx context.Context, writers, batch int) (s *sample, err error) {
	dir, err := os.MkdirTemp(r.Dir, "pebble-")
	if err != nil {
		return nil, fmt.Errorf("folder for Pebble: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := pebble.Open(dir, &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: 16 << 20, MemTableStopWritesThreshold: 4, Logger: silent{},
	})
	if err != nil {
		return nil, fmt.Errorf("open Pebble: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var next atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failures []error
	s = &sample{}
	start := time.Now()
	for range writers {
		wg.Go(func() {
			one, err := pebbleWriter(ctx, db, &next, batch, start.Add(r.Duration))
			mu.Lock()
			defer mu.Unlock()
			s.units += one.units
			s.latencies.merge(&one.latencies)
			failures = append(failures, err)
		})
	}
	wg.Wait()
	s.took = time.Since(start)
	return s, errors.Join(failures...)
}

func pebbleWriter(ctx context.Context, db *pebble.DB, next *atomic.Uint64, batch int, end time.Time) (*sample, error) {
	s := &sample{}
	key, value := make([]byte, 9), make([]byte, pebbleRecord)
	for i := range value { // not all zeros, which compress to nothing
		value[i] = byte(i * 31)
	}
	for {
		began := time.Now()
		if began.After(end) || ctx.Err() != nil {
			return s, nil
		}
		b := db.NewBatch()
		for range batch {
			binary.BigEndian.PutUint64(key[1:], next.Add(1))
			if err := b.Set(key, value, nil); err != nil {
				return s, fmt.Errorf("set: %w", err)
			}
		}
		if err := errors.Join(b.Commit(pebble.Sync), b.Close()); err != nil {
			return s, fmt.Errorf("commit: %w", err)
		}
		s.units += batch
		s.latencies.add(time.Since(began))
	}
}

// silent keeps Pebble's account of its work out of the table.
type silent struct{ pebble.Logger }

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

// ServeEmpty is the yardstick: echo, one JSON answer, nothing else, on a free port of
// the loopback. listens is told its address; it ends with ctx.
func ServeEmpty(ctx context.Context, listens func(addr string)) error {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	answer := func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]string{"balance": "100"}) //nolint:wrapcheck // the yardstick stays bare
	}
	e.GET("/empty", answer)
	e.POST("/empty", answer)
	defer context.AfterFunc(ctx, func() { _ = e.Close() })()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on the loopback: %w", err)
	}
	e.Listener = listener
	listens(listener.Addr().String())
	if err := e.Start(""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// measureEmpty drives the yardstick with the requests that the engine gets.
func (r *run) measureEmpty(ctx context.Context) error {
	for _, name := range []string{nameEmptyGet, nameEmptyPost, nameEmptyOne} {
		if !r.wants(name) {
			continue
		}
		l := r.emptyLoad(name)
		l.duration = r.Duration
		samples, err := r.repeat(ctx, r.empty, l, nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.add(summarize(Figure{
			Name: name, Scenario: fmt.Sprintf("empty echo handler, %s, %d connections", l.next(0, 0).method, l.connections),
		}, samples))
	}
	return nil
}

// repeat runs a load Runs times after a short warm-up, with between after each.
// yard, if set, is run around each.
func (r *run) repeat(ctx context.Context, p *process, l load, yard func(context.Context) (pace, error), between func(context.Context) error) ([]*sample, error) {
	var samples []*sample
	var before pace
	for n := range r.Runs + 1 {
		one := l
		if n == 0 {
			one.duration = min(l.duration, time.Second)
		}
		s, err := one.run(ctx, p)
		if err != nil {
			return nil, err
		}
		if between != nil {
			if err := between(ctx); err != nil {
				return nil, err
			}
		}
		if yard != nil {
			after, err := yard(ctx)
			if err != nil {
				return nil, err
			}
			s.pace = meanOf(before, after)
			before = after
		}
		if n > 0 {
			samples = append(samples, s)
		}
	}
	return samples, nil
}
