package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/pebblestore"
	"iocredits/httpapi"
)

// eventstoreCmd is the log alone, as a stand-in for a cluster.
type eventstoreCmd struct {
	Data     string `help:"Data directory; no engine may have it open." default:".data" placeholder:"DIR"`
	Addr     string `help:"Address to listen on." env:"IOCREDITS_EVENTSTORE_ADDR" default:"127.0.0.1:2113" placeholder:"HOST:PORT"`
	Create   bool   `help:"Begin a new log in --data where there is none; with --insecure one is begun without it." env:"-"`
	Insecure bool   `help:"Serve without TLS and without credentials. Loopback only." env:"-"`
	Cert     string `help:"Certificate, PEM; required without --insecure." placeholder:"FILE"`
	Key      string `help:"The certificate's private key, PEM." env:"IOCREDITS_CERT_KEY" placeholder:"FILE"`
	Keys     string `help:"YAML file of API keys that clients show as basic auth; required without --insecure." placeholder:"FILE"`

	MaxAppendKB int    `name:"max-append-kb" help:"Largest append, in KiB; a cluster's default is 1024." default:"1024"`
	MinFreeMB   uint64 `name:"min-free-mb" help:"Room on the disk, in MiB, below which writes are refused." default:"512"`
}

// esdbGrace is how long a stop waits for calls of the protocol under way.
const esdbGrace = 5 * time.Second

// eventstoreReady begins the line that says where the log is served.
const eventstoreReady = "event store on "

// Run serves the log until ctx ends.
func (c *eventstoreCmd) Run(ctx context.Context, m *Main) (err error) {
	opts, keys, err := c.options()
	if err != nil {
		return err
	}
	if keys != nil {
		told := slog.New(slog.NewTextHandler(m.Stderr, nil))
		defer rereadKeys(c.Keys, keys, func(*httpapi.Keys, *slog.Logger) {}, told)() // it has no desks
	}
	dir := dataDir(c.Data)
	if err := c.checkData(dir); err != nil {
		return err
	}
	lock, err := dir.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	listener, err := listen(ctx, "--addr", c.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	opts.Logger = m.warnings()
	if dir.isEngines() {
		opts.Mode = esdbserver.ReadOnly
		opts.Logger.Warn("the folder is an engine's: clients may read its log, and not write", "data", c.Data)
	}
	log, err := openEmbedded(dir, pebblestore.Options{Logger: opts.Logger, MinFreeBytes: c.MinFreeMB << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	opts.Store = log.store
	if _, err := fmt.Fprintf(m.Stdout, "%s%s\n", eventstoreReady, connectionTo(listener, opts.TLS)); err != nil {
		return err
	}
	return runEsdb(ctx, opts, listener)
}

// checkData refuses a folder without a log, as serve does and for the same reason. With
// --insecure, which is for development, one is begun there, as serve --dev does.
func (c *eventstoreCmd) checkData(dir dataDir) error {
	if dir == "" || c.Insecure || c.Create { // open refuses the first
		return nil
	}
	return dir.checkLog(orCreate)
}

// options reads the flags; nothing is opened but files. keys are those that it takes; nil:
// it asks for none.
func (c *eventstoreCmd) options() (opts esdbserver.Options, keys *httpapi.Keys, err error) {
	opts = esdbserver.Options{Mode: esdbserver.Open, MaxAppendBytes: c.MaxAppendKB << 10}
	if err := checkMinFree(c.MinFreeMB); err != nil {
		return opts, nil, err
	}
	switch {
	case c.MaxAppendKB < 1 || c.MaxAppendKB > 16<<10:
		return opts, nil, usagef("--max-append-kb %d is not from 1 to %d", c.MaxAppendKB, 16<<10)
	case c.Insecure && (c.Cert != "" || c.Key != "" || c.Keys != ""):
		return opts, nil, usagef("--insecure serves without TLS and credentials: leave --cert, --key and --keys out")
	case c.Insecure:
		return opts, nil, checkLoopback("--insecure", "addr", c.Addr)
	case c.Cert == "" || c.Key == "" || c.Keys == "":
		return opts, nil, usagef("--cert, --key and --keys are required without --insecure")
	}
	if opts.TLS, err = readCertificate(c.Cert, c.Key); err != nil {
		return opts, nil, err
	}
	if keys, err = readKeysFile(c.Keys); err != nil {
		return opts, nil, err
	}
	opts.Authorize = authorize(keys)
	return opts, keys, nil
}

// connectionTo is the connection string that leads to a listener. One that listens
// everywhere has no address of its own, the official client takes none of IPv6, and a
// certificate may have only names.
func connectionTo(listener net.Listener, secure *tls.Config) string {
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	if ip := net.ParseIP(host); ip.IsUnspecified() || ip.Equal(net.IPv6loopback) {
		host = "localhost"
	}
	if secure == nil {
		return "esdb://" + net.JoinHostPort(host, port) + "?tls=false"
	}
	leaf := secure.Certificates[0].Leaf
	isName := func(name string) bool { return !strings.HasPrefix(name, "*") }
	if i := slices.IndexFunc(leaf.DNSNames, isName); leaf.VerifyHostname(host) != nil && i >= 0 {
		host = leaf.DNSNames[i]
	}
	return "esdb://" + net.JoinHostPort(host, port)
}

func readCertificate(cert, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, usagef("certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// authorize lets an API key in as a password, whatever the user is called. The
// roles that may read raw events over HTTP may read the log; admin may write.
func authorize(keys *httpapi.Keys) func(user, password string) (esdbserver.Access, bool) {
	return func(_, password string) (esdbserver.Access, bool) {
		_, role, known := keys.RoleOf(password)
		switch role {
		case httpapi.RoleAdmin:
			return esdbserver.MayWrite, known
		case httpapi.RoleAuditor, httpapi.RoleSupport:
			return esdbserver.MayRead, known
		}
		return esdbserver.NoAccess, known
	}
}

// runEsdb serves the protocol until ctx ends, then lets calls under way finish.
func runEsdb(ctx context.Context, opts esdbserver.Options, listener net.Listener) error {
	server, err := esdbserver.New(opts)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, esdbserver.ErrClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), esdbGrace)
		defer cancel()
		server.Shutdown(last)
		return nil
	})
	return group.Wait()
}

// checkEsdb finds mistakes in how serve is asked for the protocol.
func (c *serveCmd) checkEsdb() error {
	given := c.EsdbWritable || c.EsdbCert != "" || c.EsdbKey != ""
	switch {
	case c.EsdbAddr == "" && given:
		return usagef("--esdb-writable, --esdb-cert and --esdb-key need --esdb-addr")
	case c.EsdbAddr == "":
		return nil
	case c.Eventstore != "":
		return usagef("--esdb-addr serves the log of --data: with --eventstore, clients connect to the cluster itself")
	case (c.EsdbCert == "") != (c.EsdbKey == ""):
		return usagef("--esdb-cert and --esdb-key belong together")
	case !c.Dev && c.EsdbCert == "":
		return usagef("--esdb-addr needs --esdb-cert and --esdb-key: API keys never cross the wire in clear")
	}
	if c.Dev {
		return checkLoopback("--dev", "esdb-addr", c.EsdbAddr)
	}
	if _, _, err := net.SplitHostPort(c.EsdbAddr); err != nil {
		return usagef("--esdb-addr %s is not host:port", c.EsdbAddr)
	}
	return nil
}

// listenEsdb gives the protocol's listener; nil: it isn't asked for.
func (c *serveCmd) listenEsdb(ctx context.Context) (net.Listener, error) {
	if c.EsdbAddr == "" {
		return nil, nil
	}
	return listen(ctx, "--esdb-addr", c.EsdbAddr)
}

// serveEsdb serves the log beside the HTTP API, with the same keys; for
// development without TLS it asks for none.
func (c *serveCmd) serveEsdb(ctx context.Context, store eventstore.Store, keys *httpapi.Keys, listener net.Listener, logger *slog.Logger) error {
	opts := esdbserver.Options{Store: store, Logger: logger}
	if c.EsdbWritable {
		opts.Mode = esdbserver.Foreign
	}
	if c.EsdbCert != "" {
		var err error
		if opts.TLS, err = readCertificate(c.EsdbCert, c.EsdbKey); err != nil {
			return err
		}
		opts.Authorize = authorize(keys)
	}
	logger.Info("the log is served by the EventStoreDB protocol", "addr", listener.Addr().String())
	return runEsdb(ctx, opts, listener)
}
