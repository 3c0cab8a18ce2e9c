package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"iocredits/cmd/iocredits/bench"
)

// benchCmd measures this binary on this machine; make bench calls it.
type benchCmd struct {
	Duration         time.Duration `help:"Length of one measurement." default:"5s"`
	Runs             int           `help:"Measurements of each scenario; the median counts." default:"3"`
	Connections      int           `help:"Connections of single requests." default:"64"`
	Accounts         int           `help:"Accounts that they are spread over." default:"1000"`
	Lines            int           `help:"Lines of a batch." default:"1000"`
	BatchConnections int           `help:"Connections that send batches." default:"8"`
	Dir              string        `help:"Folder on the disk to measure; default: a temporary one." placeholder:"DIR"`
	JSON             string        `help:"Write the figures to this file too." placeholder:"FILE"`
}

// Run measures everything and prints one table.
func (c *benchCmd) Run(ctx context.Context, m *Main) (err error) {
	for name, value := range map[string]int{
		"runs": c.Runs, "connections": c.Connections, "accounts": c.Accounts, "lines": c.Lines, "batch-connections": c.BatchConnections,
	} {
		if value < 1 {
			return usagef("--%s %d is below 1", name, value)
		}
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp(c.Dir, "iocredits-bench-")
	if err != nil {
		return fmt.Errorf("folder for the benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return bench.Run(ctx, bench.Options{
		Binary: binary, Dir: dir, Duration: c.Duration, Runs: c.Runs, Connections: c.Connections,
		Accounts: c.Accounts, Lines: c.Lines, BatchConnections: c.BatchConnections, JSON: c.JSON,
	}, m.Stdout)
}

// benchEmptyCmd is the yardstick of bench, in a process of its own like the engine.
type benchEmptyCmd struct{}

// Run serves until ctx ends.
func (benchEmptyCmd) Run(ctx context.Context, m *Main) error {
	return bench.ServeEmpty(ctx, "127.0.0.1:0", func(addr string) { fmt.Fprintf(m.Stdout, "%shttp://%s\n", readyLine, addr) })
}
