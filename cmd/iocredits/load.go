package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"iocredits/domain"
	"iocredits/httpapi/client"
)

type loadCmd struct {
	File        string `arg:"" help:"CSV with TIMESTAMP,ContextTokens,GeneratedTokens, one request a row."`
	URL         string `help:"Engine to charge through." default:"http://127.0.0.1:8080"`
	Key         string `help:"API key of role service; without it the one in --dev-keys is used." env:"IOCREDITS_API_KEY" placeholder:"KEY"`
	DevKeys     string `help:"dev-keys.json of an engine that runs with --dev." default:".data/dev-keys.json" placeholder:"FILE"`
	Account     string `help:"Account to charge." env:"IOCREDITS_LOAD_ACCOUNT" default:"demo-1"`
	InputPrice  string `help:"Credits per 1M context tokens." default:"0.13"`
	OutputPrice string `help:"Credits per 1M generated tokens." default:"0.38"`
	Batch       int    `help:"Readings in one request." default:"1000"`
	Connections int    `help:"Requests under way at once." env:"IOCREDITS_LOAD_CONNECTIONS" default:"4"`
}

// Bounds of a load's flags.
const (
	maxBatch       = 10_000
	maxConnections = 256
)

func (c *loadCmd) check() error {
	if c.Batch < 1 || c.Batch > maxBatch {
		return usagef("--batch %d is not from 1 to %d", c.Batch, maxBatch)
	}
	if c.Connections < 1 || c.Connections > maxConnections {
		return usagef("--connections %d is not from 1 to %d", c.Connections, maxConnections)
	}
	if err := domain.CheckID("account", c.Account); err != nil {
		return &usageError{err}
	}
	key, err := givenOrDevKey(c.Key, c.DevKeys, "service")
	c.Key = key
	return err
}

// Run charges the trace and compares what the engine's history says with what
// the trace costs by exact arithmetic that shares nothing with the engine's.
func (c *loadCmd) Run(ctx context.Context, m *Main) error {
	if err := c.check(); err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return usagef("trace: %w", err)
	}
	defer func() { _ = f.Close() }()
	t, err := readTrace(f)
	if err != nil {
		return usagef("%s: %w", c.File, err)
	}
	l, err := newLoader(t, prices{c.InputPrice, c.OutputPrice}, c.Account)
	if err != nil {
		return err
	}
	if l.api, err = newAPI(c.URL, c.Key); err != nil {
		return err
	}
	l.batch, l.connections = c.Batch, c.Connections

	bar := newBar(m.Stderr, l.count(), "readings")
	start := time.Now()
	err = l.send(ctx, func(n int) { _ = bar.Add(n) })
	_ = bar.Exit()
	if err != nil {
		return err
	}
	took := time.Since(start)
	charged, err := l.charged(ctx)
	if err != nil {
		return err
	}
	verdict := "equal"
	if charged != l.cost {
		verdict = "NOT EQUAL"
	}
	fmt.Fprintf(m.Stdout, "account            %s\nrequests           %d (%d readings, %.0f a second)\ncharged            %s\ncomputed exactly   %s\n%s\n",
		c.Account, len(t.Rows), l.count(), float64(l.count())/took.Seconds(), charged, l.cost, verdict)
	if charged != l.cost {
		return foundf("the engine charged %s for what costs %s", charged, l.cost)
	}
	return nil
}

// newBar draws only where a person watches.
func newBar(out io.Writer, total int, what string) *progressbar.ProgressBar {
	f, ok := out.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(out), progressbar.OptionSetVisibility(visible), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

// loader charges one trace to one account. Everything that it sends follows
// from the trace, the prices and the account alone, so a second run of it
// repeats the same commands, and they are charged once.
type loader struct {
	api   *api
	trace trace
	rates [kinds]domain.Rate
	// cost is what must be charged in the end.
	cost    domain.Amount
	account string
	// name stands in every key, meter and reference.
	name               string
	batch, connections int

	mu       sync.Mutex
	position client.Position
}

func newLoader(t trace, p prices, account string) (*loader, error) {
	l := &loader{trace: t, account: account, batch: 1000, connections: 4}
	for k := range kinds {
		rate, err := p.perToken(k)
		if err != nil {
			return nil, err
		}
		l.rates[k] = rate
	}
	var err error
	if l.cost, err = t.expected(p); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s", t.ID, l.rates[input], l.rates[output]))
	l.name = "load-" + hex.EncodeToString(digest[:6])
	return l, nil
}

// count is the number of readings: one a request and kind.
func (l *loader) count() int { return len(l.trace.Rows) * int(kinds) }

func (l *loader) line(i int) client.BatchLine {
	row, k := i/int(kinds), kind(i%int(kinds))
	return client.BatchLine{
		Account: l.account, Key: fmt.Sprintf("%s-%d-%s", l.name, row, k),
		Meter: new(fmt.Sprintf("%s-%s", l.name, k)), Service: client.Service(domain.ServiceInference),
		Quantity: new(fmt.Sprint(l.trace.Rows[row][k])), UnitPrice: new(l.rates[k].String()), Reference: &l.name,
	}
}

// send posts all readings; done is told how many were taken, from any goroutine.
func (l *loader) send(ctx context.Context, done func(int)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(l.connections)
	for from := 0; from < l.count() && ctx.Err() == nil; from += l.batch {
		lines := make([]client.BatchLine, min(l.batch, l.count()-from))
		for i := range lines {
			lines[i] = l.line(from + i)
		}
		group.Go(func() error {
			if err := l.sendBatch(ctx, lines); err != nil {
				return err
			}
			done(len(lines))
			return nil
		})
	}
	return group.Wait()
}

// Lines that the engine is too busy for are sent again, with growing pauses.
const (
	maxTries   = 6
	firstPause = 100 * time.Millisecond
)

// sendBatch sends lines until each is taken, or one is refused for good.
func (l *loader) sendBatch(ctx context.Context, lines []client.BatchLine) error {
	for try := 1; ; try++ {
		answers, err := l.api.deductBatch(ctx, lines)
		if err != nil {
			return err
		}
		var again []client.BatchLine
		code := ""
		for i, a := range answers {
			if a.Position != nil {
				l.reach(*a.Position)
			}
			if a.Code == nil {
				continue
			}
			switch code = *a.Code; code {
			case string(domain.CodeOverloaded), string(domain.CodeUnavailable), string(domain.CodeConflict):
				again = append(again, lines[i])
			default:
				return fmt.Errorf("reading %s of account %s was refused: %s: %s", lines[i].Key, l.account, code, detailOf(a))
			}
		}
		if len(again) == 0 {
			return nil
		}
		if try == maxTries {
			return fmt.Errorf("%d readings were refused %d times, the last time with %s", len(again), maxTries, code)
		}
		lines = again
		if err := pause(ctx, firstPause<<try); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func detailOf(a client.BatchAnswer) string {
	if a.Detail == nil {
		return "no detail"
	}
	return *a.Detail
}

// reach remembers how far in the log this load has come.
func (l *loader) reach(position client.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.position = max(l.position, position)
}

// charged adds up what the account's history says about this load.
func (l *loader) charged(ctx context.Context) (domain.Amount, error) {
	l.mu.Lock()
	position := l.position
	l.mu.Unlock()
	return l.api.charged(ctx, l.account, l.name, position)
}
