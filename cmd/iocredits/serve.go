package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"syscall"
	"time"
)

type serveCmd struct {
	Data    string `help:"Data directory; one engine at a time has it." default:".data" placeholder:"DIR"`
	Addr    string `help:"Address to listen on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Keys    string `help:"YAML file of API keys; required without --dev." placeholder:"FILE"`
	Dev     bool   `help:"For development: keys of its own, a clock that can be moved, purchases without payment. Loopback only."`
	Samples string `help:"With --dev: put the samples of this folder in, once." placeholder:"DIR"`

	TopUpURL string `help:"Where a customer who is short of credits is sent." default:"/manage-funds" placeholder:"URL"`

	LogLevel  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"text or json, on stderr." enum:"text,json" default:"text"`

	RequestTimeout  time.Duration `help:"Longest that one request may take." default:"30s"`
	ShutdownTimeout time.Duration `help:"Longest that a stop waits for requests under way." default:"30s"`

	MaxQueue      int    `help:"Commands that may wait for one account; more are refused with 503." default:"8192"`
	MaxInFlight   int    `help:"Commands that may be under way at once; more are refused with 503." default:"65536"`
	MaxAccounts   int    `help:"Accounts whose state is kept in memory." default:"100000"`
	SnapshotEvery int    `help:"Events of an account between two snapshots." default:"1000"`
	MinFreeMB     uint64 `name:"min-free-mb" help:"Room on the disk, in MiB, below which writes are refused with 503." default:"256"`
}

// check finds mistakes in the call before anything is opened.
func (c *serveCmd) check() error {
	if !c.Dev && c.Keys == "" {
		return usagef("--keys is required without --dev")
	}
	if c.Samples != "" && !c.Dev {
		return usagef("--samples needs --dev")
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return usagef("--addr %s is not host:port", c.Addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return usagef("--addr %s has no port from 0 to 65535", c.Addr)
	}
	if ip := net.ParseIP(host); c.Dev && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("--dev binds to loopback only, not to %s: use 127.0.0.1 or serve with --keys", c.Addr)
	}
	for name, value := range map[string]int{
		"max-queue": c.MaxQueue, "max-in-flight": c.MaxInFlight, "max-accounts": c.MaxAccounts, "snapshot-every": c.SnapshotEvery,
	} {
		if value < 1 {
			return usagef("--%s %d is below 1", name, value)
		}
	}
	return nil
}

// readyLine begins the line that a supervisor, or a test, may wait for: from
// then on the read models have everything that was in the log at the start.
const readyLine = "ready on "

// Run serves until ctx ends, then finishes what was accepted.
func (c *serveCmd) Run(ctx context.Context, m *Main) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	dir := dataDir(c.Data)
	lock, err := dir.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	listener, err := listen(ctx, c.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	return c.serve(ctx, m, dir, listener)
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another process: stop it, or choose another with --addr (make run ADDR=127.0.0.1:8081)", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return listener, nil
}

func (c *serveCmd) logger(out io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // kong has checked the name
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
