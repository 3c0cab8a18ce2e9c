package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"iocredits/domain"
	"iocredits/eventstore/disk"
	"iocredits/eventstore/reactor"
	"iocredits/httpapi"
)

// devMode is what --dev adds to an engine; nil without it.
type devMode struct {
	keys  devKeys
	clock *devClock
	// paymentKey and paymentSecret are between this engine and its sandbox.
	paymentKey, paymentSecret string
	sandbox                   *sandbox
	reactor                   *reactor.Reactor
}

// openDev gives the engine's clock, and the dev mode if it is asked for.
func (c *serveCmd) openDev(dir dataDir) (clock func() time.Time, dev *devMode, err error) {
	if !c.Dev {
		return time.Now, nil, nil
	}
	dev = &devMode{paymentKey: newKey(), paymentSecret: newKey()}
	if dev.keys, err = openDevKeys(dir.devKeys()); err != nil {
		return nil, nil, err
	}
	if dev.clock, err = openDevClock(dir.devClock()); err != nil {
		return nil, nil, err
	}
	return dev.clock.Now, dev, nil
}

// api is the part of it that has routes.
func (d *devMode) api() *httpapi.Dev {
	if d == nil {
		return nil
	}
	return &httpapi.Dev{Advance: d.advance, Play: d.sandbox.play}
}

// advance moves the clock and runs all that became due before it returns.
func (d *devMode) advance(ctx context.Context, by time.Duration) error {
	if err := d.clock.Advance(by); err != nil {
		return err
	}
	return d.reactor.RunDue(ctx)
}

// print tells a developer where the engine is and what to try.
func (d *devMode) print(out io.Writer, data, url string) {
	fmt.Fprintf(out, "iocredits %s for development, data in %s\n\nkeys, also in %s\n", versionText(), data, dataDir(data).devKeys())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range devRoles {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", name, d.keys[name], devRoleUse(name))
	}
	_ = w.Flush() // a terminal that is gone is no reason to stop
	fmt.Fprintf(out, "\ntry\n  curl -H 'x-api-key: %s' %s/v1/accounts/demo-1/balance\nread\n  %s/docs\npay, as a customer would\n  %s\n\n", d.keys["customer:demo-1"], url, url, d.sandbox.url)
}

// devClock is the system's clock, moved ahead by a person. Its offset only
// grows and survives a restart, because the log has times of it.
type devClock struct {
	path string

	mu     sync.RWMutex
	offset time.Duration
}

func openDevClock(path string) (*devClock, error) {
	c := &devClock{path: path}
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		c.offset, err = time.ParseDuration(strings.TrimSpace(string(content)))
	}
	if err != nil {
		return nil, fmt.Errorf("dev clock: %w", err)
	}
	return c, nil
}

// Now is the engine's time.
func (c *devClock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return time.Now().Add(c.offset)
}

// Advance moves the clock, and remembers it first. MUST: by >= 0. Refusal:
// field-invalid, further ahead than an offset can be, some 292 years.
func (c *devClock) Advance(by time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if by < 0 || c.offset+by < c.offset {
		return domain.Refuse(domain.CodeFieldInvalid, "advance %s is too far: the clock is ahead by %s already, and can be by %s",
			by, c.offset, time.Duration(math.MaxInt64)).With("field", "advance").With("value", by.String())
	}
	if err := disk.WriteFile(c.path, []byte((c.offset+by).String()+"\n"), privateMode); err != nil {
		return fmt.Errorf("dev clock: %w", err)
	}
	c.offset += by
	return nil
}
