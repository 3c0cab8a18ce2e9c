package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"iocredits/cmd/iocredits/bench"
)

// benchCmd measures this binary on this machine; make bench calls it.
type benchCmd struct {
	Only             []string      `help:"Scenarios to measure, with the limits that they are held against; default: all of ${scenarios}." placeholder:"NAME,…"`
	Duration         time.Duration `help:"Length of one measurement." default:"5s"`
	Runs             int           `help:"Measurements of each scenario; the median counts." default:"3"`
	Connections      int           `help:"Connections of single requests." env:"IOCREDITS_BENCH_CONNECTIONS" default:"64"`
	Accounts         int           `help:"Accounts that they are spread over." default:"10000"`
	Lines            int           `help:"Lines of a batch." default:"1000"`
	BatchConnections int           `help:"Connections that send batches." default:"4"`
	SyncDelay        time.Duration `help:"What each sync takes longer in deduct-slow." default:"1ms"`
	SlowConnections  int           `help:"Connections of deduct-slow." default:"256"`
	Entries          int           `help:"Entries of the account with a long history." default:"1000000"`
	Overload         int           `help:"How many times the connections overload the engine." default:"10"`
	Trace            string        `help:"Replay this CSV of LLM requests too, as the command load takes it." placeholder:"FILE"`
	InputPrice       string        `help:"With --trace: credits per 1M context tokens." default:"0.13"`
	OutputPrice      string        `help:"With --trace: credits per 1M generated tokens." default:"0.38"`
	Growth           bool          `help:"Measure how deductions hold as the log grows, instead of the scenarios."`
	GrowthEvents     []int         `help:"With --growth: events in the log." default:"10000,1000000,10000000"`
	GrowthAccounts   []int         `help:"With --growth: accounts, each time on a new log." default:"1000,100000,1000000"`
	Peers            bool          `help:"Measure plain PostgreSQL and the engine in turn, instead of the scenarios; PostgreSQL must be installed."`
	Dir              string        `help:"Folder on the disk to measure; default: a temporary one." placeholder:"DIR"`
	Profile          string        `help:"Write CPU profiles of the engines into this folder." placeholder:"DIR"`
	JSON             string        `help:"Write the figures to this file too." env:"-" placeholder:"FILE"`
}

func (c *benchCmd) check() error {
	for _, flag := range []struct {
		name  string
		value int
	}{
		{"duration", int(c.Duration)}, {"runs", c.Runs}, {"connections", c.Connections}, {"accounts", c.Accounts}, {"lines", c.Lines},
		{"batch-connections", c.BatchConnections}, {"sync-delay", int(c.SyncDelay)}, {"slow-connections", c.SlowConnections},
		{"entries", c.Entries}, {"overload", c.Overload},
	} {
		if flag.value < 1 {
			return usagef("--%s is not above zero", flag.name)
		}
	}
	for _, size := range slices.Concat(c.GrowthEvents, c.GrowthAccounts) {
		if size < 1 {
			return usagef("a size of --growth is below 1")
		}
	}
	if c.Growth && c.Peers {
		return usagef("--growth and --peers are measured one at a time")
	}
	known := bench.Names()
	for _, name := range c.Only {
		if !slices.Contains(known, name) {
			return usagef("--only %s is none of %v", name, known)
		}
	}
	return nil
}

// Run measures everything and prints one table.
func (c *benchCmd) Run(ctx context.Context, m *Main) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	trace, err := c.trace()
	if err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := c.folders(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "iocredits-bench-")
	if err != nil {
		return usagef("--dir: folder for the benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	options := bench.Options{
		Binary: binary, Dir: dir, Only: c.Only, Duration: c.Duration, Runs: c.Runs, Connections: c.Connections,
		Accounts: c.Accounts, Lines: c.Lines, BatchConnections: c.BatchConnections, SyncDelay: c.SyncDelay,
		SlowConnections: c.SlowConnections, Entries: c.Entries, Overload: c.Overload, Trace: trace, Peers: c.Peers, Profile: c.Profile, JSON: c.JSON,
	}
	if c.Growth {
		options.Growth = &bench.Growth{Events: c.GrowthEvents, Accounts: c.GrowthAccounts}
	}
	err = bench.Run(ctx, options, m.Stdout)
	if err != nil && ctx.Err() != nil { // what each connection then came to says nothing
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
	return err
}

// folders makes what the figures and profiles are written into: that one is missing
// must not be found out after minutes of measuring.
func (c *benchCmd) folders() error {
	if c.Profile != "" {
		if err := os.MkdirAll(c.Profile, 0o755); err != nil {
			return usagef("--profile: %w", err)
		}
	}
	if c.JSON != "" {
		if err := os.MkdirAll(filepath.Dir(c.JSON), 0o755); err != nil {
			return usagef("--json: %w", err)
		}
	}
	return nil
}

// trace reads --trace and computes what it has to cost.
func (c *benchCmd) trace() (*bench.Trace, error) {
	if c.Trace == "" {
		return nil, nil
	}
	f, err := os.Open(c.Trace)
	if err != nil {
		return nil, usagef("--trace: %w", err)
	}
	defer func() { _ = f.Close() }()
	t, err := readTrace(f)
	if err != nil {
		return nil, usagef("%s: %w", c.Trace, err)
	}
	each := prices{c.InputPrice, c.OutputPrice}
	cost, err := t.expected(each)
	if err != nil {
		return nil, err
	}
	b := &bench.Trace{Rows: make([][2]int64, len(t.Rows)), Cost: int64(cost)}
	for i, row := range t.Rows {
		b.Rows[i] = row
	}
	for k := range kinds {
		rate, err := each.perToken(k)
		if err != nil {
			return nil, err
		}
		b.Prices[k] = rate.String()
	}
	return b, nil
}

// benchEmptyCmd is the yardstick of bench, in a process of its own like the engine.
type benchEmptyCmd struct{}

// Run serves until ctx ends.
func (benchEmptyCmd) Run(ctx context.Context, m *Main) error {
	return bench.ServeEmpty(ctx, func(addr string) { fmt.Fprintf(m.Stdout, "%shttp://%s\n", readyLine, addr) })
}
