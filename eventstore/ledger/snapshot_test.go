package ledger_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// countingStore counts the events of streams that are read.
type countingStore struct {
	eventstore.Store
	read atomic.Int64
}

func (s *countingStore) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range s.Store.ReadStream(ctx, stream, from, d, limit) {
			s.read.Add(1)
			if !yield(r, err) {
				return
			}
		}
	}
}

// shelf keeps snapshots where a test can spoil them.
type shelf struct {
	mu    sync.Mutex
	saved map[string]eventstore.Snapshot
}

func (s *shelf) SaveSnapshot(_ context.Context, stream string, snap eventstore.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved[stream] = snap
	return nil
}

func (s *shelf) LoadSnapshot(_ context.Context, stream string) (eventstore.Snapshot, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, found := s.saved[stream]
	return snap, found, nil
}

func TestASnapshotOnlySavesTime(t *testing.T) {
	const stream = "account-a"
	spoil := map[string]func(*shelf){
		"kept":                 func(*shelf) {},
		"lost":                 func(s *shelf) { clear(s.saved) },
		"of another fold":      func(s *shelf) { set(s, stream, func(x *eventstore.Snapshot) { x.Fold = "0" }) },
		"damaged":              func(s *shelf) { set(s, stream, func(x *eventstore.Snapshot) { x.Data = x.Data[:20] }) },
		"beyond the end":       func(s *shelf) { set(s, stream, func(x *eventstore.Snapshot) { x.Revision += 1000 }) },
		"of another account":   func(s *shelf) { s.saved[stream] = s.saved["account-b"] },
		"not what it pretends": func(s *shelf) { set(s, stream, func(x *eventstore.Snapshot) { x.Revision-- }) },
	}
	for name, harm := range spoil {
		t.Run(name, func(t *testing.T) {
			snaps := &shelf{saved: map[string]eventstore.Snapshot{}}
			counting := &countingStore{}
			r := newRig(t, func(o *ledger.Options) {
				counting.Store, o.Store, o.Snapshots, o.SnapshotEvery = o.Store, counting, snaps, 50
			})
			for i := range 105 {
				r.do("a", fmt.Sprint(i), purchase(fmt.Sprint(i), 1))
				r.do("b", fmt.Sprint(i), purchase(fmt.Sprint(i), 2))
			}
			r.names.advance(r.AckedAny())
			r.restart()
			harm(snaps)
			counting.read.Store(0)
			require.Equal(t, 105*credit, r.balance("a"))
			if name == "kept" {
				require.Less(t, counting.read.Load(), int64(60))
			} else {
				require.GreaterOrEqual(t, counting.read.Load(), int64(105))
			}
			require.EqualValues(t, 105, r.do("a", "next", deduct(1)).Revision)
			r.facts("a")
		})
	}
}

// stateOf gives an account's state, as a ledger that was just opened has it.
func stateOf(t *testing.T, opts ledger.Options, acct string) string {
	t.Helper()
	l := ledger.New(opts)
	var state []byte
	_, err := l.Execute(context.Background(), ledger.Request{Account: acct, Do: account.Tick{}, Inspect: func(s *account.State, _ []eventstore.Fact) {
		var err error
		state, err = json.Marshal(s, json.Deterministic(true))
		require.NoError(t, err)
	}})
	require.NoError(t, err)
	require.NoError(t, l.Close(context.Background()))
	return string(state)
}

// TestASnapshotHasTheWholeState puts something into each part of a state, and
// zeros where the policy's defaults are none: what a snapshot leaves out must
// come back as it was.
func TestASnapshotHasTheWholeState(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.IdleSnapshot = 1 })
	plain := r.opts
	plain.Snapshots = nil
	none, zero := domain.Amount(0), 0
	quantity, err := domain.ParseQuantity("quantity", "3")
	require.NoError(t, err)
	price, err := domain.ParseRate("unit_price", "0.0000005")
	require.NoError(t, err)
	minutes := map[domain.Service]int{}
	for _, service := range []domain.Service{
		domain.ServiceRay, domain.ServiceCaaS, domain.ServiceVM, domain.ServiceKubernetes, domain.ServiceBaremetal, domain.ServiceInference,
	} {
		minutes[service] = 0
	}
	expires := r.clock.Now().Add(48 * time.Hour)
	r.do("a", "purchase", purchase("p", 100))
	spent := r.do("a", "deduct", deduct(1))
	for i, do := range []account.Action{
		account.Refund{Transaction: spent.Facts[0].ID, Amount: credit / 2},
		account.GrantIncentive{Amount: credit, Campaign: "c", ExpiresAt: expires},
		account.Reserve{Reservation: "r", Amount: credit, Service: domain.ServiceInference, ExpiresAt: expires},
		account.RecordReading{Meter: "m", Service: domain.ServiceInference, Quantity: quantity, UnitPrice: price},
		account.RequestAdjustment{Adjustment: "x", Amount: -credit},
		account.RequestCredit{Request: "q", Amount: credit},
		account.OpenDispute{Dispute: "d", Transaction: spent.Facts[0].ID},
		account.RequestWithdrawal{Withdrawal: "w", Amount: 20 * credit, Wallet: "s1.1.x", Network: account.NetworkSolana},
		account.StartPurchase{Purchase: "open", Amount: 5 * credit},
		account.RecordPayment{Payment: "late", Purchase: "unknown", Amount: credit},
		start("running"), start("waiting"),
		account.SetPolicy{
			Allowance: &none, GraceMinutes: &zero, LowBalanceAt: &none, TwoApproversFrom: &none,
			PurchaseFeeBasisPoints: &zero, PurchasedLifeMonths: &zero, MinimumMinutes: minutes,
		},
		account.Freeze{},
	} {
		r.do("a", fmt.Sprint(i), do)
		r.restart() // which saves
		r.names.advance(r.AckedAny())
		require.Equal(t, stateOf(t, plain, "a"), stateOf(t, r.opts, "a"), "%T", do)
	}
}

func set(s *shelf, stream string, change func(*eventstore.Snapshot)) {
	snap := s.saved[stream]
	change(&snap)
	s.saved[stream] = snap
}

// TestMaintainSavesWhatRests: an account that rests is saved once it has enough that
// its snapshot lacks.
func TestMaintainSavesWhatRests(t *testing.T) {
	snaps := &announcing{shelf: shelf{saved: map[string]eventstore.Snapshot{}}, saving: make(chan string)}
	r := newRig(t, func(o *ledger.Options) { o.Snapshots, o.IdleSnapshot = snaps, 3 })
	for i := range 3 {
		r.do("a", fmt.Sprint(i), purchase(fmt.Sprint(i), 1))
	}
	r.do("b", "0", purchase("0", 1))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Maintain(ctx, time.Millisecond); close(ended) }()
	require.Equal(t, "account-a", <-snaps.saving)
	for i := range 2 {
		r.do("b", fmt.Sprint(i+1), purchase(fmt.Sprint(i+1), 1))
	}
	require.Equal(t, "account-b", <-snaps.saving)
	cancel()
	<-ended
	require.Equal(t, int64(2), snaps.saved["account-a"].Revision)
	require.Equal(t, int64(2), snaps.saved["account-b"].Revision)
}

// announcing tells what is saved, and waits for it to be heard.
type announcing struct {
	shelf
	saving chan string
}

func (a *announcing) SaveSnapshot(ctx context.Context, stream string, snap eventstore.Snapshot) error {
	err := a.shelf.SaveSnapshot(ctx, stream, snap)
	a.saving <- stream
	return err
}

func TestBooksInMemoryAreBounded(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.MaxAccounts = 64; o.IdleSnapshot = 1 })
	for i := range 1000 {
		acct := fmt.Sprint("acct", i)
		r.do(acct, "k", purchase("p", 1))
		r.names.advance(r.AckedAny())
	}
	require.Zero(t, r.Acked("acct0"), "the book of acct0 has left")
	for i := range 1000 {
		acct := fmt.Sprint("acct", i)
		require.True(t, r.do(acct, "k", purchase("p", 1)).Replayed)
		require.Equal(t, credit, r.balance(acct))
	}
}

// TestBooksBeyondTheShareLeaveAgain: shards that have grown while the read models lagged are
// as small as before once these have caught up.
func TestBooksBeyondTheShareLeaveAgain(t *testing.T) {
	const limit = 64 * 8
	r := newRig(t, func(o *ledger.Options) { o.MaxAccounts = limit })
	var accounts []string
	open := func(more int, caughtUp bool) (kept int) {
		for range more {
			acct := fmt.Sprint("acct", len(accounts))
			accounts = append(accounts, acct)
			_, err := r.Execute(context.Background(), command(acct, "k", purchase("p", 1)))
			require.True(t, err == nil || domain.IsCode(err, domain.CodeOverloaded), err)
			if caughtUp {
				r.names.advance(r.AckedAny())
			}
		}
		for _, acct := range accounts {
			if r.Acked(acct) > 0 {
				kept++
			}
		}
		return kept
	}
	require.Greater(t, open(2*limit, false), limit*3/2)
	r.names.advance(r.AckedAny())
	kept := open(limit, true)
	require.Less(t, kept, limit*5/4, "a shard that few came to may have a few more")
	require.Greater(t, kept, limit*3/4, "no more leave than have to")
}

// heldShelf saves nothing before it is let.
type heldShelf struct {
	shelf
	saving atomic.Int64
	let    chan struct{}
}

func (s *heldShelf) SaveSnapshot(ctx context.Context, stream string, snap eventstore.Snapshot) error {
	s.saving.Add(1)
	<-s.let
	return s.shelf.SaveSnapshot(ctx, stream, snap)
}

// TestBooksThatLeaveAreNotKeptForTheirSnapshots: where they are saved slower than they
// leave, most leave without.
func TestBooksThatLeaveAreNotKeptForTheirSnapshots(t *testing.T) {
	snaps := &heldShelf{shelf: shelf{saved: map[string]eventstore.Snapshot{}}, let: make(chan struct{})}
	let := sync.OnceFunc(func() { close(snaps.let) })
	const savers = 3
	r := newRig(t, func(o *ledger.Options) { o.Snapshots, o.MaxAccounts, o.IdleSnapshot, o.Deciders = snaps, 64, 1, savers })
	t.Cleanup(let) // a test that fails ends, too
	for i := range 500 {
		r.do(fmt.Sprint("acct", i), "k", purchase("p", 1))
		r.names.advance(r.AckedAny())
	}
	waitFor(t, func() bool { return snaps.saving.Load() >= savers })
	require.EqualValues(t, savers, snaps.saving.Load())
	let()
	require.NoError(t, r.Close(t.Context()))
}

func TestABrokenChainStopsTheAccountAlone(t *testing.T) {
	r := newRig(t, nil)
	r.do("a", "1", purchase("p", 1))
	forged := r.facts("a")[0].Event
	forged.ID[15]++
	_, err := r.store.Append(context.Background(), "account-a", 0, []eventstore.Event{forged})
	require.NoError(t, err)
	r.restart()
	_, err = r.Execute(context.Background(), command("a", "2", deduct(1)))
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.EqualValues(t, 1, corrupt.Revision)
	require.NotZero(t, corrupt.Position)
	r.do("b", "1", purchase("p", 1))
}

// TestALargeSnapshotIsSavedSeldom: what an account leaves behind stands in each snapshot,
// which is saved after as many more events as it is larger.
func TestALargeSnapshotIsSavedSeldom(t *testing.T) {
	const every, usual = 100, 256 << 10
	snaps := &sequence{shelf: shelf{saved: map[string]eventstore.Snapshot{}}}
	r := newRig(t, func(o *ledger.Options) { o.Snapshots, o.SnapshotEvery, o.IdleSnapshot = snaps, every, 1 })
	long := strings.Repeat("p", 100)
	buy := func(from, to int) {
		for i := from; i < to; i += every { // each a group, after which a snapshot may be due
			var reqs []ledger.Request
			for n := i; n < i+every; n++ {
				reqs = append(reqs, command("a", fmt.Sprint(n), purchase(fmt.Sprint(long, n), 1)))
			}
			for _, o := range r.ExecuteBatch(context.Background(), reqs) {
				require.NoError(t, o.Err)
			}
		}
	}
	buy(0, 4000)
	r.names.advance(r.AckedAny())
	r.restart()
	buy(4000, 4400) // how large the last one was, who starts knows too
	seldom := 0
	saved := snaps.saves()
	for i, later := range saved[1:] {
		earlier := saved[i]
		larger := earlier.bytes / usual
		if later.revision != 3999 { // which a stop saved
			require.EqualValues(t, every*max(1, larger), later.revision-earlier.revision, "after a snapshot of %d bytes", earlier.bytes)
		}
		seldom += larger / 2
	}
	require.Greater(t, seldom, 4)
	require.Greater(t, saved[len(saved)-1].revision, int64(3999), "one since the start")
	require.Equal(t, 4400*credit, r.balance("a"))
}

// sequence knows of all that was saved when and how large it was.
type sequence struct {
	shelf
	all []size
}

type size struct {
	revision int64
	bytes    int
}

// saves is what was saved so far: one may be under way.
func (s *sequence) saves() []size {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func (s *sequence) SaveSnapshot(ctx context.Context, stream string, snap eventstore.Snapshot) error {
	err := s.shelf.SaveSnapshot(ctx, stream, snap)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, size{snap.Revision, len(snap.Data)})
	return err
}
