package esdbserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"iocredits/eventstore"
	"iocredits/eventstore/recency"
)

// Mode is what a client may write.
type Mode int

const (
	// ReadOnly answers every write with access denied.
	ReadOnly Mode = iota
	// Foreign takes writes to streams that are not the engine's.
	Foreign
	// Open takes every append: the log alone, without a ledger on it.
	Open
)

// Access is what one user may do, within what the Mode allows: each value what the
// one before it may, and more.
type Access int

const (
	// NoAccess is a user who is known and may not even read.
	NoAccess Access = iota
	// MayRead may read and subscribe.
	MayRead
	// MayWrite may also append, delete and scavenge.
	MayWrite
)

// Options of a Server. MUST: Store.
type Options struct {
	Store eventstore.Store
	Mode  Mode
	// Authorize judges the user and password of a call; false: they are wrong.
	// Nil: everyone may do what Mode allows.
	Authorize func(user, password string) (Access, bool)
	// TLS is the server's certificate. MUST be set with Authorize: passwords
	// never cross the wire in clear.
	TLS *tls.Config
	// Advertise is the host:port that gossip names; empty: the one the client called.
	Advertise string
	// MaxAppendBytes bounds types, data and metadata of one append. Whatever it is, one
	// event has at most eventstore.MaxEventBytes beside its type.
	MaxAppendBytes int
	// Now is the clock of $maxAge.
	Now    func() time.Time
	Logger *slog.Logger
}

const (
	// DefaultMaxAppendBytes leaves room for four of the largest events that a store
	// takes; one event can't fill it.
	DefaultMaxAppendBytes = 4 * (eventstore.MaxEventBytes + eventstore.MaxTypeName)
	// maxMessageBytes is what the official clients accept, too. What a client sends is
	// less by more than an event's place, time and names: it can be sent back.
	maxMessageBytes  = 17 << 20
	maxReceivedBytes = maxMessageBytes - 64<<10
	// minPing is how often a client may ping. They do every 10 s, without a call
	// too; grpc's default of five minutes ends their connection.
	minPing = 5 * time.Second
)

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("EventStoreDB server closed")

// Server serves the protocol.
type Server struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer

	opts      Options
	grpc      *grpc.Server
	scavenges scavenges
	locks     *locks
	tails     tails
	instance  uuid.UUID

	mu        sync.Mutex
	advertise string
	// ended is closed by Shutdown: subscriptions end, all else may finish.
	ended chan struct{}
	once  sync.Once
}

// New makes a server; Serve runs it.
func New(opts Options) (*Server, error) {
	if opts.Authorize != nil && opts.TLS == nil {
		return nil, errors.New("EventStoreDB server: users and passwords need TLS")
	}
	if opts.MaxAppendBytes <= 0 {
		opts.MaxAppendBytes = DefaultMaxAppendBytes
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s := &Server{opts: opts, locks: newLocks(), tails: tails{byStream: map[string]*recency.Entry[tail]{}}, instance: uuid.New(), advertise: opts.Advertise, ended: make(chan struct{})}
	settings := []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(maxReceivedBytes),
		grpc.MaxSendMsgSize(maxMessageBytes),
		grpc.UnaryInterceptor(s.authorizeUnary),
		grpc.StreamInterceptor(s.authorizeStream),
		grpc.UnknownServiceHandler(s.unsupported),
	}
	if opts.TLS != nil {
		settings = append(settings, grpc.Creds(credentials.NewTLS(opts.TLS)))
	}
	s.grpc = grpc.NewServer(settings...)
	streams.RegisterStreamsServer(s.grpc, s)
	serverfeatures.RegisterServerFeaturesServer(s.grpc, s)
	gossip.RegisterGossipServer(s.grpc, gossipServer{server: s})
	s.registerOperations()
	return s, nil
}

// Serve answers clients on listener until Shutdown, then returns ErrClosed.
func (s *Server) Serve(listener net.Listener) error {
	s.mu.Lock()
	if s.advertise == "" {
		s.advertise = listener.Addr().String()
	}
	s.mu.Unlock()
	err := s.grpc.Serve(listener)
	select {
	case <-s.ended:
		return ErrClosed
	default:
	}
	if err != nil {
		return fmt.Errorf("serve EventStoreDB protocol: %w", err)
	}
	return ErrClosed
}

// Shutdown ends subscriptions and a scavenge, lets calls under way finish until ctx
// ends, and then cuts what is left.
func (s *Server) Shutdown(ctx context.Context) {
	s.once.Do(func() { close(s.ended) })
	defer s.scavenges.end()
	finished := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
		s.grpc.Stop()
		<-finished
	}
}
