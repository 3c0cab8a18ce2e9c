package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/storetest"
	"iocredits/projections"
)

const credit = domain.Credit

var (
	codec = eventstore.NewCodec(account.EventTypes()...)
	start = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	bg    = context.Background()
)

// rig is a ledger on a real store, whose names are the views under test.
type rig struct {
	t     *testing.T
	fs    vfs.FS
	store *pebblestore.Store
	clock *storetest.Clock
	opts  projections.Options
	views *projections.Views
	*ledger.Ledger
}

func newRig(t *testing.T, fs vfs.FS, change func(*projections.Options)) *rig {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: fs, Logger: quiet()})
	require.NoError(t, err)
	r := &rig{t: t, fs: fs, store: store, clock: storetest.NewClock(start)}
	r.opts = projections.Options{Store: store, Codec: codec, FS: fs, Logger: quiet()}
	if change != nil {
		change(&r.opts)
	}
	r.views = openViews(t, "views", r.opts)
	r.begin()
	t.Cleanup(r.close)
	return r
}

func (r *rig) begin() {
	head, err := r.store.Head(bg)
	require.NoError(r.t, err)
	r.Ledger = ledger.New(ledger.Options{
		Store: r.store, Snapshots: r.store, Codec: codec, Names: namesOf{r}, Clock: r.clock.Now, Logger: quiet(), Head: head,
		SnapshotEvery: 20, IdleSnapshot: 1,
	})
}

// restart opens another ledger on the same store, after closing this one.
func (r *rig) restart() {
	r.t.Helper()
	require.NoError(r.t, r.Close(bg))
	r.begin()
}

// namesOf asks the views that a rig has now: tests close and open them again.
type namesOf struct{ r *rig }

func (n namesOf) Through() eventstore.Position { return n.r.views.Through() }

func (n namesOf) WaitThrough(ctx context.Context, position eventstore.Position) error {
	return n.r.views.WaitThrough(ctx, position)
}

func (n namesOf) Find(ctx context.Context, acct string, name ledger.Name) (int64, bool, error) {
	return n.r.views.Find(ctx, acct, name)
}

func openViews(t *testing.T, dir string, opts projections.Options) *projections.Views {
	t.Helper()
	v, err := projections.Open(bg, dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func (r *rig) close() {
	_ = r.Ledger.Close(bg)
	_ = r.views.Close()
	_ = r.store.Close()
}

// follow runs the views until the test ends.
func (r *rig) follow() {
	ctx, stop := context.WithCancel(bg)
	var wg sync.WaitGroup
	wg.Go(func() { r.views.Run(ctx) })
	r.t.Cleanup(func() { stop(); wg.Wait() })
}

func (r *rig) toEnd() {
	r.t.Helper()
	require.NoError(r.t, r.views.RunToEnd(bg, nil))
}

// within bounds a wait that only a broken program would lose.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (r *rig) try(acct, key string, do account.Action) (ledger.Result, error) {
	return r.Execute(bg, ledger.Request{
		Account: acct, Do: do, Actor: "tester", Role: "service", CommandID: key, Fingerprint: fmt.Sprintf("%T%+v", do, do),
	})
}

func (r *rig) do(acct, key string, do account.Action) ledger.Result {
	r.t.Helper()
	result, err := r.try(acct, key, do)
	require.NoError(r.t, err)
	return result
}

// spend gives an account credits and n deductions of one micro-credit each.
func (r *rig) spend(acct string, n int) {
	r.t.Helper()
	r.do(acct, "", account.RecordPurchase{Purchase: "first", Amount: 1000 * credit})
	for range n {
		r.do(acct, "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
	}
}

// told is what the log says of an account, folded without any view.
type told struct {
	state   *account.State
	facts   []eventstore.Fact
	entries []projections.Transaction
}

// books are the account's, from its events up to a position.
func (a *told) books(t require.TestingT, through eventstore.Position) (books journal.Totals) {
	for _, f := range a.facts {
		if f.Position > through {
			break
		}
		postings, err := journal.Of(f.Body, f.Revision)
		require.NoError(t, err)
		books.Post(postings)
	}
	return books
}

// log folds all accounts' streams.
func (r *rig) log() map[string]*told {
	r.t.Helper()
	all := map[string]*told{}
	for rec, err := range r.store.ReadAll(bg, 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(r.t, err)
		name, ours := strings.CutPrefix(rec.Stream, "account-")
		if !ours {
			continue
		}
		f, err := codec.Open(rec)
		require.NoError(r.t, err)
		a := all[name]
		if a == nil {
			a = &told{state: account.New()}
			all[name] = a
		}
		account.Evolve(a.state, f.Body)
		a.facts = append(a.facts, f)
		if entry, ok := projections.TransactionOf(f, a.state.Figures.Balance().Balance); ok {
			if at, known := projections.RelatedRevision(f); known {
				entry.Related = a.facts[at].ID
			}
			a.entries = append(a.entries, entry)
		}
	}
	return all
}

// keyspace is everything in the current generation of closed views.
func keyspace(t *testing.T, fs vfs.FS, dir string) []string {
	t.Helper()
	db, err := pebble.Open(currentDir(t, fs, dir), &pebble.Options{FS: fs, ReadOnly: true, Logger: silent{}})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	it, err := db.NewIter(nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, it.Close()) }()
	var all []string
	for ok := it.First(); ok; ok = it.Next() {
		all = append(all, fmt.Sprintf("%q = %q", it.Key(), it.Value()))
	}
	require.NoError(t, it.Error())
	return all
}

// currentDir is the one generation in a folder.
func currentDir(t *testing.T, fs vfs.FS, dir string) string {
	t.Helper()
	names, err := fs.List(dir)
	require.NoError(t, err)
	var found []string
	for _, name := range names {
		if name != "CURRENT" {
			found = append(found, fs.PathJoin(dir, name))
		}
	}
	require.Len(t, found, 1, "generations")
	return found[0]
}

// change edits the current generation of closed views.
func change(t *testing.T, fs vfs.FS, dir string, edit func(*pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open(currentDir(t, fs, dir), &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	require.NoError(t, err)
	require.NoError(t, edit(db))
	require.NoError(t, db.Close())
}

// rebuilt is the keyspace of views made from the log alone.
func (r *rig) rebuilt() []string {
	r.t.Helper()
	fs := vfs.NewMem()
	v := openViews(r.t, "again", projections.Options{Store: r.store, Codec: codec, FS: fs, Logger: quiet()})
	require.NoError(r.t, v.RunToEnd(bg, nil))
	require.NoError(r.t, v.Close())
	return keyspace(r.t, fs, "again")
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// silent keeps Pebble's log out of the test's.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
