package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/storetest"
)

var codec = eventstore.NewCodec(account.EventTypes()...)

// rig is a ledger on a real store, with a read model of names that moves only
// when the test says so.
type rig struct {
	t     *testing.T
	store interface {
		eventstore.Store
		eventstore.Snapshots
	}
	names *gatedNames
	opts  ledger.Options
	clock *storetest.Clock
	*ledger.Ledger
}

func newRig(t *testing.T, change func(*ledger.Options)) *rig {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	r := &rig{t: t, store: store, names: newNames(store), clock: storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	r.opts = ledger.Options{
		Store: store, Snapshots: store, Codec: codec, Names: r.names, Clock: r.clock.Now, Logger: quiet(),
	}
	if change != nil {
		change(&r.opts)
	}
	r.Ledger = ledger.New(r.opts)
	t.Cleanup(func() { _ = r.Ledger.Close(context.Background()) })
	return r
}

// restart opens another ledger on the same store, after closing this one.
func (r *rig) restart() {
	r.t.Helper()
	require.NoError(r.t, r.Ledger.Close(context.Background()))
	r.Ledger = ledger.New(r.opts)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func command(acct, key string, do account.Action) ledger.Request {
	return ledger.Request{
		Account: acct, Do: do, Actor: "tester", Role: "service",
		CommandID: key, Fingerprint: fmt.Sprintf("%T%+v", do, do),
	}
}

func (r *rig) do(acct, key string, do account.Action) ledger.Result {
	r.t.Helper()
	result, err := r.Execute(context.Background(), command(acct, key, do))
	require.NoError(r.t, err)
	return result
}

func (r *rig) refused(code domain.Code, req ledger.Request) *domain.Error {
	r.t.Helper()
	_, err := r.Execute(context.Background(), req)
	refusal, ok := domain.AsError(err)
	require.True(r.t, ok, "%v is no refusal", err)
	require.Equal(r.t, code, refusal.Code, refusal.Detail)
	return refusal
}

// facts reads an account's stream and checks the whole chain on the way.
func (r *rig) facts(acct string) []eventstore.Fact {
	r.t.Helper()
	var facts []eventstore.Fact
	var hash eventstore.Hash
	stream := eventstore.AccountStream(acct)
	for rec, err := range r.store.ReadStream(context.Background(), stream, 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(r.t, err)
		f, err := codec.Open(rec)
		require.NoError(r.t, err)
		require.EqualValues(r.t, len(facts), f.Revision)
		require.Equal(r.t, hash, f.Meta.Previous)
		require.Equal(r.t, eventstore.EventID(stream, f.Revision, f.Type, f.Data, f.Metadata, hash), f.ID)
		hash = eventstore.ChainHash(stream, f.Revision, f.Event, hash)
		facts = append(facts, f)
	}
	return facts
}

func (r *rig) balance(acct string) domain.Amount {
	r.t.Helper()
	view, err := r.Read(context.Background(), acct)
	require.NoError(r.t, err)
	return view.Balance.Balance
}

type claimed struct {
	account string
	name    ledger.Name
}

// gatedNames indexes the log as far as advance was told to.
type gatedNames struct {
	store   eventstore.Store
	mu      sync.Mutex
	through eventstore.Position
	found   map[claimed]int64
	moved   chan struct{}
}

func newNames(store eventstore.Store) *gatedNames {
	return &gatedNames{store: store, found: map[claimed]int64{}, moved: make(chan struct{})}
}

func (n *gatedNames) advance(to eventstore.Position) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for rec, err := range n.store.ReadAll(context.Background(), n.through+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			panic(err)
		}
		if rec.Position > to {
			break
		}
		f, err := codec.Open(rec)
		if err != nil {
			panic(err)
		}
		acct, _ := eventstore.AccountOf(f.Stream)
		for _, name := range ledger.AppendNames(nil, &f) {
			if _, taken := n.found[claimed{acct, name}]; !taken {
				n.found[claimed{acct, name}] = f.Revision
			}
		}
	}
	n.through = max(n.through, to)
	close(n.moved)
	n.moved = make(chan struct{})
}

func (n *gatedNames) Through() eventstore.Position {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.through
}

func (n *gatedNames) WaitThrough(ctx context.Context, position eventstore.Position) error {
	for {
		n.mu.Lock()
		through, moved := n.through, n.moved
		n.mu.Unlock()
		if through >= position {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *gatedNames) Find(_ context.Context, acct string, name ledger.Name) (int64, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	revision, found := n.found[claimed{acct, name}]
	return revision, found, nil
}
