package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi"
)

type serveCmd struct {
	Data    string `help:"Data directory; one engine at a time has it." default:".data" placeholder:"DIR"`
	Addr    string `help:"Address to listen on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Keys    string `help:"YAML file of API keys; required without --dev." placeholder:"FILE"`
	Create  bool   `help:"Begin a new log in --data where there is none." env:"-"`
	Dev     bool   `help:"For development: keys of its own, a clock that can be moved, purchases without payment. Loopback only." env:"-"`
	Samples string `help:"With --dev: put the samples of this folder in, once." placeholder:"DIR"`

	Signer string `help:"Private key that signs checkpoints of the log, made by keys create-signer; without it nothing is signed." placeholder:"FILE"`

	PaymentURL     string        `help:"Address of the payment provider; without it nobody can buy. --dev has a sandbox instead." placeholder:"URL"`
	PaymentKey     string        `help:"Secret key at the payment provider; better in the environment." placeholder:"KEY"`
	PaymentSecret  string        `help:"Secret of the payment provider's webhooks; better in the environment." placeholder:"SECRET"`
	ReconcileEvery time.Duration `help:"How often the provider is asked about open purchases." default:"2m"`

	Eventstore    string `help:"Run on an EventStoreDB cluster instead of the log in --data: esdb://… or esdb+discover://…" placeholder:"URL"`
	KeyringSecret string `help:"Required with --eventstore: file with 32 random bytes in hex that wrap the keyring, the same for all engines." placeholder:"FILE"`

	EsdbAddr     string `help:"Also serve the log by the EventStoreDB protocol, for auditors' clients." placeholder:"HOST:PORT"`
	EsdbWritable bool   `help:"With --esdb-addr: take writes to streams that are not the engine's."`
	EsdbCert     string `help:"With --esdb-addr: certificate, PEM; required without --dev." placeholder:"FILE"`
	EsdbKey      string `help:"With --esdb-addr: the certificate's private key, PEM." placeholder:"FILE"`

	Policy   string `help:"YAML or JSON file with the limits of new accounts, by the names of PUT /v1/accounts/ACCOUNT/policy: allowance, grace_minutes, …" placeholder:"FILE"`
	TopUpURL string `help:"Where a customer who is short of credits is sent." default:"/manage-funds" placeholder:"URL"`

	LogLevel  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"text or json, on stderr." enum:"text,json" default:"text"`

	RequestTimeout  time.Duration `help:"Longest that a command or a read may take, a body to come, and a piece of an answer to be read." default:"30s"`
	ShutdownTimeout time.Duration `help:"Longest that a stop waits for requests under way." default:"30s"`

	MaxQueue      int    `help:"Commands that may wait for one account; more are refused with 503." default:"8192"`
	MaxInFlight   int    `help:"Commands that may be under way at once; more are refused with 503." default:"65536"`
	MaxStreams    int    `help:"Streams of notifications that one key may have open; more are refused with 503." default:"64"`
	MaxAccounts   int    `help:"Accounts whose state is kept in memory." default:"131072"`
	SnapshotEvery int    `help:"Events of an account between two snapshots." default:"1000"`
	MinFreeMB     uint64 `name:"min-free-mb" help:"Room on the disk, in MiB, below which writes are refused with 503." default:"512"`

	// For iocredits bench.
	SyncDelay  time.Duration `hidden:"" env:"-" help:"With --dev: make each sync of the log take this much longer."`
	CPUProfile string        `hidden:"" env:"-" name:"cpu-profile" help:"Write a CPU profile of the whole run to this file."`
}

// check finds mistakes in the call before anything is opened.
func (c *serveCmd) check() error {
	if !c.Dev && c.Keys == "" {
		return usagef("--keys is required without --dev")
	}
	if c.Dev && c.Keys != "" {
		return usagef("--keys (or IOCREDITS_KEYS) is not for --dev, which has keys of its own")
	}
	if c.Create && c.Eventstore != "" {
		return usagef("--create begins a log in --data: with --eventstore the log is on the cluster")
	}
	if c.Samples != "" && !c.Dev {
		return usagef("--samples needs --dev")
	}
	if c.Samples != "" {
		if _, err := os.Stat(c.Samples); err != nil {
			return usagef("--samples: %w", err)
		}
	}
	if c.PaymentURL != "" && (c.Dev || c.PaymentKey == "" || c.PaymentSecret == "") {
		return usagef("--payment-url needs --payment-key and --payment-secret, and is not for --dev")
	}
	if c.PaymentURL == "" && !c.Dev && (c.PaymentKey != "" || c.PaymentSecret != "") {
		return usagef("--payment-key and --payment-secret need --payment-url: without it nobody can buy")
	}
	if c.KeyringSecret != "" && c.Eventstore == "" {
		return usagef("--keyring-secret needs --eventstore")
	}
	if err := cmp.Or(c.checkEsdb(), checkMinFree(c.MinFreeMB)); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return usagef("--addr %s is not host:port", c.Addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usagef("--addr %s has no port from 0 to 65535", c.Addr)
	}
	if c.Dev {
		if err := checkLoopback("--dev", "addr", c.Addr); err != nil {
			return err
		}
	}
	if c.SyncDelay < 0 || c.SyncDelay > 0 && !c.Dev {
		return usagef("--sync-delay is for --dev, and not below 0")
	}
	for _, flag := range []struct {
		name  string
		value int
	}{
		{"max-queue", c.MaxQueue}, {"max-in-flight", c.MaxInFlight}, {"max-streams", c.MaxStreams},
		{"max-accounts", c.MaxAccounts}, {"snapshot-every", c.SnapshotEvery},
	} {
		if flag.value < 1 {
			return usagef("--%s %d is below 1", flag.name, flag.value)
		}
	}
	for _, flag := range []struct {
		name  string
		value time.Duration
	}{{"reconcile-every", c.ReconcileEvery}, {"request-timeout", c.RequestTimeout}, {"shutdown-timeout", c.ShutdownTimeout}} {
		if flag.value <= 0 {
			return usagef("--%s %s is not above zero", flag.name, flag.value)
		}
	}
	return nil
}

// checkMinFree refuses what the store would take for another figure: 0 is its default, and
// too many MiB are few bytes.
func checkMinFree(mb uint64) error {
	const most = math.MaxInt64 >> 20
	if mb < 1 || mb > most {
		return usagef("--min-free-mb %d is not from 1 to %d: some room has to stay, or the disk fails under the log", mb, most)
	}
	return nil
}

// orCreate is the hint of serve and eventstore, for what it was most likely given.
const orCreate = " (is its disk mounted? --create begins a new log in it)"

// checkData finds out that the folder can't be the one that was meant, before anything is
// made in it: an engine on a new log would say that nobody has any credits, and take every
// repeat for a request that it never saw.
func (c *serveCmd) checkData(dir dataDir) error {
	switch {
	case dir == "" || c.Eventstore != "": // open refuses the first; beside a cluster there are only read models in it
		return nil
	case !c.Dev && !c.Create:
		return dir.checkLog(orCreate)
	case c.Dev && dir.checkLog("") == nil && !dir.madeByDev():
		return usagef("the log in %s wasn't made with --dev: whoever has the keys of --dev could make credits in it", dir)
	}
	return nil
}

// checkLoopback refuses an address that others than this machine reach, for what a flag
// leaves open to everyone.
func checkLoopback(because, flag, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("--%s %s is not host:port", flag, addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return usagef("%s binds to loopback only, not to %s: use 127.0.0.1, or serve with --keys", because, addr)
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
	if err := c.checkData(dir); err != nil {
		return err
	}
	m.addProcessors()
	lock, err := dir.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	listener, err := listen(ctx, "--addr (make run ADDR=127.0.0.1:8081)", c.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	endProfile, err := c.profile()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endProfile()) }()
	esdb, err := c.listenEsdb(ctx)
	if err != nil {
		return err
	}
	if esdb != nil {
		defer func() { _ = esdb.Close() }()
	}
	return c.serve(ctx, m, dir, listener, esdb)
}

// serve wires the engine, runs it until ctx ends, and lets it finish.
func (c *serveCmd) serve(ctx context.Context, m *Main, dir dataDir, listener, esdb net.Listener) (err error) {
	logger := c.logger(m.Stderr)
	clock, dev, err := c.openDev(dir)
	if err != nil {
		return err
	}
	keys, err := c.readKeys(dev)
	if err != nil {
		return err
	}
	if dev == nil {
		warnOfDesks(keys, logger)
		defer rereadKeys(c.Keys, keys, warnOfDesks, logger)()
	}
	policy, err := c.readPolicy()
	if err != nil {
		return err
	}
	signer, err := c.openSigner(dir)
	if err != nil {
		return err
	}
	pay, err := c.openProvider(ctx, dir, "http://"+listener.Addr().String(), dev, logger)
	if err != nil {
		return err
	}
	if dev != nil {
		defer func() { err = errors.Join(err, dev.sandbox.close()) }()
	}
	s, err := c.open(ctx, dir, clock, pay, policy, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.openNotary(dir, signer, clock, logger); err != nil {
		return err
	}
	s.control = newControl(dir, s, s.sealer, logger)
	if dev != nil {
		dev.reactor = s.reactor
		dev.sandbox.serve()
	}
	server, err := httpapi.New(httpapi.Options{
		Ledger: s.ledger, Views: s.views, Store: s.log.store, Codec: s.codec, Sealer: s.sealer, Audit: s.audit(signer),
		Keys: keys, Clock: clock, Logger: logger, Metrics: s.metrics, TopUpURL: c.TopUpURL,
		RequestTimeout: c.RequestTimeout, ShutdownTimeout: c.ShutdownTimeout, MaxStreams: c.MaxStreams,
		Notices: s.notices, ReadWebhook: pay.webhooks(), Dev: dev.api(),
	})
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	return s.run(ctx, c.ShutdownTimeout, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return server.Serve(ctx, listener) })
		group.Go(func() error { return s.log.watch(ctx) })
		if esdb != nil {
			group.Go(func() error { return c.serveEsdb(ctx, s.log.store, keys, esdb, logger) })
		}
		group.Go(func() error { return c.announce(ctx, m, s, dev, "http://"+listener.Addr().String()) })
		return group.Wait()
	})
}

// announce waits until the read models have what was in the log at the start,
// and says so. Log or read models that are damaged before that end the program.
func (c *serveCmd) announce(ctx context.Context, m *Main, s *services, dev *devMode, url string) error {
	head, err := s.log.store.Head(ctx)
	if err == nil {
		s.logger.Info("the log is open", "data", c.Data, "head", head)
		err = s.views.WaitThrough(ctx, head)
	}
	if err == nil && c.Samples != "" {
		err = loadSamples(ctx, c.Samples, url, dev.keys)
	}
	if ctx.Err() != nil {
		return nil // told to stop before it was ready: no failure
	}
	if err != nil {
		return err
	}
	said := make(chan error, 1)
	go func() { // a pipe that is full, and nobody reads, is no reason not to stop
		if dev != nil {
			dev.print(m.Stdout, c.Data, url)
		}
		_, err := fmt.Fprintf(m.Stdout, "%s%s\n", readyLine, url)
		said <- err
	}()
	select {
	case err = <-said:
	case <-ctx.Done():
	}
	return err
}

// readKeys gives the keys that the API takes.
func (c *serveCmd) readKeys(dev *devMode) (*httpapi.Keys, error) {
	if dev != nil {
		return httpapi.NewKeys(dev.keys.specs())
	}
	return readKeysFile(c.Keys)
}

// warnOfDesks tells what will wait for ever, because too few have the keys to decide it: a
// second approval is another actor's, and who opened a dispute doesn't resolve it.
func warnOfDesks(keys *httpapi.Keys, logger *slog.Logger) {
	for _, desk := range []struct {
		role   httpapi.Role
		actors int
		waits  string
	}{
		{httpapi.RoleFinance, 2, "withdrawals and adjustments that need two approvers"},
		{httpapi.RoleBD, 2, "credit requests that need two approvers"},
		{httpapi.RoleSupport, 1, "disputes"},
	} {
		if has := keys.Actors(desk.role); has < desk.actors {
			logger.Warn("too few actors have a key of this role, so nobody can decide what waits",
				"role", string(desk.role), "actors", has, "needed", desk.actors, "waits", desk.waits)
		}
	}
}

// readKeysFile reads the file of --keys.
func readKeysFile(path string) (*httpapi.Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("--keys: %w", err)
	}
	defer func() { _ = f.Close() }()
	keys, err := httpapi.ParseKeys(f)
	if err != nil {
		return nil, usagef("--keys %s: %w", path, err)
	}
	return keys, nil
}

// readPolicy reads the file of --policy; nil without one.
func (c *serveCmd) readPolicy() (*account.Policy, error) {
	if c.Policy == "" {
		return nil, nil
	}
	f, err := os.Open(c.Policy)
	if err != nil {
		return nil, usagef("--policy: %w", err)
	}
	defer func() { _ = f.Close() }()
	policy, err := httpapi.ParsePolicy(f)
	if err != nil {
		return nil, usagef("--policy %s: %w%s", c.Policy, err, valueIn(err))
	}
	return &policy, nil
}

// valueIn is the figure of a refusal, where its sentence hasn't named it.
func valueIn(err error) string {
	refusal, ok := domain.AsError(err)
	if !ok {
		return ""
	}
	for _, f := range refusal.Fields {
		if f.Name == "value" && !strings.Contains(refusal.Detail, f.Value) {
			return ", not " + f.Value
		}
	}
	return ""
}

// listen takes an address. flag is what chooses another where that is taken.
func listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another process: stop it, or choose another with %s", addr, flag)
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
