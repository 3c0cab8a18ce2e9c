package esdbstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/storetest"
)

// resigning is a node that led until now: its log is empty, and every append is
// answered with the leader's address, when it is told to. So is a read that only the
// leader may answer, once it follows.
type resigning struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
	leader  string
	appends atomic.Int64
	answer  chan struct{}
	follows atomic.Bool
	refused atomic.Int64
}

func (r *resigning) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "23.10.0"}, nil
}

func (r *resigning) Read(_ *streams.ReadReq, call streams.Streams_ReadServer) error {
	if r.follows.Load() && slices.Equal(metadata.ValueFromIncomingContext(call.Context(), "requires-leader"), []string{"true"}) {
		return r.refuse(call)
	}
	return nil
}

func (r *resigning) Append(call streams.Streams_AppendServer) error {
	for {
		if _, err := call.Recv(); err != nil {
			break
		}
	}
	r.appends.Add(1)
	<-r.answer
	return r.refuse(call)
}

func (r *resigning) refuse(call grpc.ServerStream) error {
	r.refused.Add(1)
	host, port, _ := net.SplitHostPort(r.leader)
	call.SetTrailer(metadata.Pairs("exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", port))
	return status.Error(codes.NotFound, "Leader info available")
}

// resign serves a node whose leader is another one.
func resign(t *testing.T, leader string) (r *resigning, listener net.Listener, server *grpc.Server) {
	t.Helper()
	r, listener, server = &resigning{leader: leader, answer: make(chan struct{})}, listenLow(t, ""), grpc.NewServer()
	streams.RegisterStreamsServer(server, r)
	serverfeatures.RegisterServerFeaturesServer(server, r)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return r, listener, server
}

const leaderWriters = 16

// write appends to a stream for each of several writers; wait gives their errors.
func write(s *esdbstore.Store) (wait func() []error) {
	var wg sync.WaitGroup
	errs := make([]error, leaderWriters)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = s.Append(context.Background(), fmt.Sprint("account-", i), eventstore.NoStream, several(1))
		})
	}
	return func() []error {
		wg.Wait()
		return errs
	}
}

// untouched is an address that nobody listens at.
func untouched(t *testing.T) string {
	t.Helper()
	listener := listenLow(t, "")
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// closes fails the test if a store doesn't close in time.
func closes(t *testing.T, s *esdbstore.Store) {
	t.Helper()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("Close doesn't return")
	}
}

// eachOnce finds one event of every writer in the log, and nothing else.
func (r *rig) eachOnce() {
	r.t.Helper()
	all, there := r.all(), map[string]bool{}
	for _, e := range all {
		there[e.Stream] = true
	}
	require.Len(r.t, all, leaderWriters)
	require.Len(r.t, there, leaderWriters)
}

// Where another node leads now, the client goes to it. The appends that were under way
// happen there, once.
func TestAnotherNodeLeads(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	old, listener, _ := resign(t, r.addr)
	s := r.open(t, listener.Addr().String())
	wait := write(s)
	require.Eventually(t, func() bool { return old.appends.Load() == leaderWriters }, patience, time.Millisecond)
	close(old.answer)
	for _, err := range wait() {
		require.NoError(t, err)
	}
	r.eachOnce()
	require.NoError(t, s.Healthy())
	closes(t, s)
}

// A node that doesn't lead is asked for nothing that may be old, neither by a store that
// knew it as the leader nor by one that opens there.
func TestOnlyTheLeaderAnswers(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	_, err := r.store.Append(context.Background(), "account-1", eventstore.NoStream, several(1))
	require.NoError(t, err)
	old, listener, _ := resign(t, r.addr)
	read := func(s *esdbstore.Store) (n int) {
		for _, err := range s.ReadStream(context.Background(), "account-1", 0, eventstore.Forwards, 10) {
			require.NoError(t, err)
			n++
		}
		return n
	}
	first := r.open(t, listener.Addr().String())
	require.Zero(t, read(first), "as long as it leads, its log is the log")
	old.follows.Store(true)
	require.Equal(t, 1, read(first))
	for _, s := range []*esdbstore.Store{first, r.open(t, listener.Addr().String())} {
		require.Equal(t, 1, read(s))
		f := follow(s)
		require.Eventually(t, func() bool { return f.count() == 1 }, patience, time.Millisecond)
		f.stop()
		closes(t, s)
	}
}

// A leader that changes is no outage: the store that notices goes on with the one client.
func TestTheLeaderChangesQuietly(t *testing.T) {
	noLeaks(t)
	r := newRig(t, false)
	old, listener, _ := resign(t, r.addr)
	log, opts := &storetest.Buffer{}, impatient()
	opts.Logger, opts.PingTimeout = slog.New(slog.NewTextHandler(log, nil)), patience
	s, err := esdbstore.Open(context.Background(), r.connection(listener.Addr().String()), opts)
	require.NoError(t, err)
	old.follows.Store(true)
	require.Eventually(t, func() bool { return old.refused.Load() > 0 }, patience, time.Millisecond, "no ping")
	require.Never(t, func() bool { return strings.Contains(log.String(), "out of reach") }, 4*opts.PingEvery, time.Millisecond)
	require.NoError(t, s.Healthy())
	require.EqualValues(t, 1, old.refused.Load(), "every ping comes here first")
	closes(t, s)
}

// The leader changes while the network is at fault: the new one is out of reach, and then
// nobody is in reach. That ends the client for good, and the calls that it keeps waiting
// would wait for ever. The store goes on by itself when the cluster is back.
func TestAnotherNodeLeadsThatIsOutOfReach(t *testing.T) {
	skipUnderRace(t)
	r := newRig(t, false)
	r.stop(0)
	old, listener, server := resign(t, untouched(t))
	r.addr = listener.Addr().String()
	s := r.open(t, "")
	wait := write(s)
	require.Eventually(t, func() bool { return old.appends.Load() == leaderWriters }, patience, time.Millisecond)
	_ = listener.Close() // the connection that there is stays, and there will be no other
	close(old.answer)
	require.Eventually(t, func() bool { return s.Healthy() != nil }, patience, time.Millisecond, "nobody notices")
	require.ErrorIs(t, s.Healthy(), eventstore.ErrUnavailable)
	server.Stop()

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.Head(ctx)
	require.Error(t, err)
	require.Less(t, time.Since(start), 5*time.Second, "the caller's deadline is forgotten")

	r.start()
	require.Eventually(t, func() bool { return s.Healthy() == nil }, patience, time.Millisecond, "it doesn't come back")
	for _, err := range wait() {
		require.NoError(t, err)
	}
	r.eachOnce()
	closes(t, s)
}

// While the client waits for a leader that takes connections and answers nothing, no call
// waits longer than it may, and Close doesn't either.
func TestAnotherNodeLeadsThatStalls(t *testing.T) {
	skipUnderRace(t)
	silent := listenLow(t, "")
	defer func() { _ = silent.Close() }()
	old, listener, _ := resign(t, silent.Addr().String())
	close(old.answer)
	opts := impatient()
	opts.CloseGrace = 100 * time.Millisecond
	connection := "esdb://" + listener.Addr().String() + "?tls=false&gossipTimeout=" + fmt.Sprint(int(patience/time.Second))
	s, err := esdbstore.Open(context.Background(), connection, opts)
	require.NoError(t, err)
	wait := write(s)
	failed := 0
	for range 30 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		start := time.Now()
		if _, err := s.Head(ctx); err != nil {
			failed++
		}
		cancel()
		require.Less(t, time.Since(start), 5*time.Second)
	}
	require.NotZero(t, failed, "the client doesn't wait for the leader")
	start := time.Now()
	closes(t, s)
	require.Less(t, time.Since(start), patience/2)
	for _, err := range wait() {
		require.Error(t, err)
		require.False(t, strings.Contains(err.Error(), "panicked"), "%v", err)
	}
}
