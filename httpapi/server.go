package httpapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/notices"
	"iocredits/eventstore/transparency"
	"iocredits/projections"
)

// Options of a Server. Ledger, Views, Store, Codec, Sealer, Keys and Notices are
// required; the zero value of everything else is a good default.
type Options struct {
	Ledger *ledger.Ledger
	Views  *projections.Views
	Store  eventstore.Store
	Codec  *eventstore.Codec
	Sealer *keyring.Sealer
	Keys   *Keys
	// Clock is the engine's, which development may have moved.
	Clock   func() time.Time
	Logger  *slog.Logger
	Metrics *Metrics

	// TopUpURL is where a customer who is short of credits is sent.
	TopUpURL string
	// RequestTimeout is the longest that a request may take, but for the sending of
	// a file, which has it for each piece; in a batch, that one group of lines may.
	// ShutdownTimeout is how long Serve waits for requests under way when it ends.
	RequestTimeout, ShutdownTimeout time.Duration
	// ReadPatience is how long a read waits for the read models (design.md §3).
	ReadPatience time.Duration
	// MaxLag is how many positions the read models may be behind the log before
	// the engine says that it isn't ready.
	MaxLag uint64
	// MaxBatchBytes bounds the bodies of all batches under way together.
	MaxBatchBytes int64
	// MaxStreams bounds the streams of notifications of one key: each holds a
	// connection for as long as its client likes.
	MaxStreams int
	// MaxVerifiedEvents bounds the account that GET /v1/audit/verify folds: its read
	// models are built once more, in memory.
	MaxVerifiedEvents int64

	// Notices writes what customers have seen.
	Notices *notices.Writer

	// ReadWebhook checks the signature of a provider's event over its raw body
	// and reads what it says of a payment. Errors: unauthenticated for a wrong
	// signature, body-invalid for what can't be read. nil: there is no provider.
	ReadWebhook func(signature string, body []byte) (account.ProviderPayment, error)
	// LinkPatience is how long a new purchase waits for its payment link.
	LinkPatience time.Duration

	// Audit signs and proves; nil where nothing is signed.
	Audit *Audit

	// Dev opens the routes under /dev; nil in production.
	Dev *Dev
}

// Audit is what the proofs of /v1/audit rest on.
type Audit struct {
	Notary      *transparency.Notary
	Checkpoints *transparency.File
	// PublicKey is the signer's, as people pass it on.
	PublicKey string
}

// Dev is what only development may do.
type Dev struct {
	// Advance moves the engine's clock and runs all that became due before it
	// returns.
	Advance func(ctx context.Context, by time.Duration) error
	// Play does what a customer or the provider would do about a purchase, and
	// returns once the webhook was taken; nil: there is no sandbox. Errors:
	// unknown-purchase, wrong-status, field-invalid.
	Play func(ctx context.Context, purchase, action string) error
}

func (o *Options) defaults() {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 30 * time.Second
	}
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = 30 * time.Second
	}
	if o.LinkPatience == 0 {
		o.LinkPatience = 3 * time.Second
	}
	if o.ReadPatience == 0 {
		o.ReadPatience = time.Second
	}
	if o.MaxLag == 0 {
		o.MaxLag = 100_000
	}
	if o.MaxBatchBytes == 0 {
		o.MaxBatchBytes = 8 * maxBatchBytes
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = 64
	}
	if o.MaxVerifiedEvents == 0 {
		o.MaxVerifiedEvents = 100_000 // about 60 MiB of rows, beside what a memtable takes
	}
}

// Server is the HTTP API. It holds no state of accounts: it turns requests into
// commands and queries, and what those answer into JSON.
type Server struct {
	opts Options
	echo *echo.Echo

	requestIDs requestIDs
	timeouts   timeouts
	// cursorKey seals the cursors that carry a balance.
	cursorKey [sha256.Size]byte
	// goal is what was acknowledged before the start: ready once the views passed it.
	goal       eventstore.Position
	batchBytes atomic.Int64
	streams    streamCount
	// verifying is held while an account is verified.
	verifying sync.Mutex

	// ending is closed when the server ends, for answers that have no end.
	ending  chan struct{}
	endOnce sync.Once
}

// New makes a server. Error: something required is missing, or the contract and the table
// of roles don't match.
func New(opts Options) (*Server, error) {
	opts.defaults()
	if opts.Ledger == nil || opts.Views == nil || opts.Store == nil || opts.Codec == nil || opts.Sealer == nil || opts.Keys == nil || opts.Notices == nil {
		return nil, errors.New("httpapi: Ledger, Views, Store, Codec, Sealer, Keys and Notices are required")
	}
	s := &Server{
		opts: opts, goal: opts.Ledger.AckedAny(), requestIDs: newRequestIDs(), cursorKey: newCursorKey(), timeouts: timeouts{after: opts.RequestTimeout},
		ending: make(chan struct{}),
	}
	var err error
	if s.echo, err = s.router(); err != nil {
		return nil, err
	}
	opts.Metrics.watch(s.lagGauge, func() float64 { return float64(opts.Ledger.QueueDepth()) })
	opts.Metrics.watchDesk(
		func() float64 { all, _ := s.deskGauge(); return all },
		func() float64 { _, late := s.deskGauge(); return late },
	)
	opts.Metrics.watchSigning(s.signingGauges())
	return s, nil
}

// Handler serves the API. Only Serve cuts off peers that don't read what they asked for.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.handle) }

// handle sees to the bodies of OPTIONS requests, which no endpoint answers: echo does where
// there is a route, and handle itself for *.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		(&call{Context: s.echo.NewContext(r, w), server: s}).leaveBody()
		if r.RequestURI == "*" {
			w.WriteHeader(statusNoContent)
			return
		}
	}
	s.echo.ServeHTTP(w, r)
}

// Bounds of a connection. A body may come slowly, but its header may not.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// Serve answers requests on l until ctx ends; then it takes no new ones, and
// returns when those that were accepted are answered, or with an error when
// they weren't within ShutdownTimeout.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), DisableGeneralOptionsHandler: true, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	connections := newConnections(l, s.opts.RequestTimeout)
	server.RegisterOnShutdown(s.endStreams)
	server.RegisterOnShutdown(func() { connections.hurry(s.opts.ShutdownTimeout) })
	served := make(chan error, 1)
	go func() { served <- server.Serve(connections) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.ShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return fmt.Errorf("requests under way did not end in time: %w", errors.Join(err, server.Close()))
	}
	return nil
}
