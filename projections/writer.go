package projections

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// step is one event on its way through the views.
type step struct {
	*eventstore.Fact
	Account string
	// Hash is the event's chain hash.
	Hash eventstore.Hash
	// Effect is what the event does to money.
	Effect account.Effect
	// Row is the account's, with the event in it from applyBalance on.
	Row *accountRow
	// BalanceBefore and BalanceAfter are the account's balance around the event.
	BalanceBefore, BalanceAfter domain.Amount
	// LowBalanceAt is the line of the account's policy.
	LowBalanceAt domain.Amount
}

// views are applied in this order to each event: balances come first, because a
// history shows what they become.
var views = []func(*writer, *step) error{
	applyBalance, applyMilestone, applyTransaction, applyNames, applyDeadlines, applyObject, applyNotices, applyRelated,
	applyForgotten, applyJournal, applyTree,
}

// writer fills one change after the other with what the log's events change.
type writer struct {
	*change
	g  *generation
	db *pebble.DB
	// before is the change before this one, which may be under way: what it writes may
	// be in db or not yet. nil: there is none.
	before *change
	// rows are those that this change has changed, unwritten those that changes before it
	// did and didn't write (rows.go). lost: unwritten ones were discarded.
	rows, unwritten []*accountRow
	lost            bool
	// since is how many events came since all rows were written.
	since int
	// company: the company's books change too. grown: the tree does.
	company, grown bool
	clerk          journal.Clerk
	// tree is nil until there was an account's event.
	tree *growing
	// step is the event under way. first: it is its account's first, before which
	// the views have nothing of the account.
	step  step
	first bool
	// scratch is where values are put together, keyScratch keys; sorted copies them.
	scratch, keyScratch []byte
}

func newWriter(g *generation) *writer { return &writer{g: g, db: g.db, change: newChange()} }

// fill puts batches of the log into the change. After an error the change can't be
// written, and MUST be discarded. Error: *applyError.
func (w *writer) fill(ready ...decoded) error {
	began := time.Now()
	last := ready[len(ready)-1].last.Position
	for _, d := range ready {
		for i := range d.facts {
			if err := w.apply(&d.facts[i], d.hashes[i]); err != nil {
				return &applyError{position: d.facts[i].Position, err: err}
			}
		}
		w.events += len(d.facts)
	}
	from := w.g.checkpoint
	if w.before != nil {
		from = w.before.checkpoint
	}
	w.checkpoint = from.behind(ready)
	w.keepRows(from, ready)
	w.flushTree()
	w.flushRows()
	if err := w.flushCompany(); err != nil {
		return &applyError{position: last, err: err}
	}
	if len(w.unwritten) == 0 {
		w.checkpoint.RowsFrom, w.since = 0, 0
	}
	w.took = time.Since(began)
	return nil
}

// next gives the filled change to be written, and begins another. The one before it
// MUST have been written.
func (w *writer) next() (filled *change) {
	filled, w.change = w.change, w.before
	if w.change == nil {
		w.change = newChange()
	}
	w.before = filled
	w.begin()
	return filled
}

func (w *writer) begin() {
	w.change.reset()
	w.company, w.grown = false, false
}

// discard forgets what was filled, and with it all that was read or changed in memory:
// it would count twice when its events are applied again. Nothing may be under way
// that could still be written.
func (w *writer) discard() {
	w.lost = w.lost || !w.g.checkpoint.whole()
	w.begin()
	w.rows, w.unwritten, w.since = forget(w.rows), forget(w.unwritten), 0
	w.g.accounts.clear()
	w.g.company, w.tree, w.before = nil, nil, nil
}

// apply puts one event through all views.
func (w *writer) apply(f *eventstore.Fact, hash eventstore.Hash) error {
	if name, beside := eventstore.NoticesOf(f.Stream); beside {
		w.first = false
		return w.applyNoticeEvent(name, f)
	}
	w.first = f.Revision == 0
	name, _ := eventstore.AccountOf(f.Stream)
	s := &w.step
	s.Fact, s.Account, s.Hash, s.Effect = f, name, hash, account.EffectOf(f.Body, f.Revision)
	for _, view := range views {
		if err := view(w, s); err != nil {
			return err
		}
	}
	return nil
}

// get reads a value that set wrote, of the account, as it is after the events so far;
// nil where there is none. The caller MUST NOT change it.
func (w *writer) get(key []byte) ([]byte, error) {
	if value, ok := w.dirty[string(key)]; ok || w.first {
		return value, nil
	}
	if w.before != nil {
		if value, ok := w.before.dirty[string(key)]; ok {
			return value, nil
		}
	}
	return lookup(w.db, key, func(value []byte) ([]byte, error) { return append([]byte{}, value...), nil })
}

// key joins a prefix, an account and what distinguishes the value.
func key(prefix byte, account string, rest ...byte) []byte {
	return append(appendKey(make([]byte, 0, 2+len(account)+len(rest)), prefix, account), rest...)
}

// appendKey is the part of a key that all of an account's with one prefix share.
func appendKey(k []byte, prefix byte, account string) []byte {
	return append(append(append(k, prefix), account...), 0)
}
