package projections

import (
	"errors"

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
	applyJournal, applyTree,
}

// writer collects what a batch of events changes and writes it once. Values that
// the batch reads again stand in dirty until then. A generation has one, which is
// used for one batch after the other.
type writer struct {
	g     *generation
	db    *pebble.DB
	batch *pebble.Batch
	// sorted has what nobody reads within the batch.
	sorted sortedKeys
	// dirty has the value of each key set in this batch; nil: deleted.
	dirty map[string][]byte
	// changed are the accounts whose row this batch changes.
	changed []*accountRow
	// company: the company's books change too.
	company bool
	clerk   journal.Clerk
	// tree is nil until the batch has an account's event.
	tree *growing
	// payments of deployments in this batch, by key: refunds relate to them.
	payments map[string]domain.TransactionID
	// step is the event under way. first: it is its account's first, before which
	// the views have nothing of the account.
	step  step
	first bool
	// scratch is where values are put together, keyScratch keys; sorted copies them.
	scratch, keyScratch []byte
	// deadlines: something will be due that wasn't known before; purchases: one
	// was started; noticed are the accounts with news for their customers,
	// forgotten those whose key was destroyed.
	deadlines, purchases bool
	noticed, forgotten   []string
}

// maxRetainedBatch bounds the buffers of batches that are kept for the next.
const maxRetainedBatch = 8 << 20

func newWriter(g *generation) *writer {
	w := &writer{g: g, db: g.db, dirty: map[string][]byte{}, payments: map[string]domain.TransactionID{}}
	w.begin()
	return w
}

// begin makes the writer ready for a batch. Only the goroutine that follows the
// log may.
func (w *writer) begin() {
	if w.batch == nil {
		w.batch = w.db.NewBatch(pebble.WithMaxRetainedSizeBytes(maxRetainedBatch))
	}
	w.sorted.reset()
	clear(w.dirty)
	clear(w.payments)
	clear(w.changed) // a row keeps those beside it alive
	w.changed = w.changed[:0]
	w.company, w.tree = false, nil
	w.deadlines, w.purchases, w.noticed, w.forgotten = false, false, nil, nil
	w.g.accounts.trim()
}

// apply puts one event through all views.
func (w *writer) apply(f *eventstore.Fact, hash eventstore.Hash) error {
	if name, beside := eventstore.NoticesOf(f.Stream); beside {
		w.first = false
		return w.applyNoticeEvent(name, f)
	}
	w.first = f.Revision == 0
	name, _ := eventstore.AccountOf(f.Stream)
	if _, gone := f.Body.(*account.Forgotten); gone {
		w.forgotten = append(w.forgotten, name)
	}
	s := &w.step
	s.Fact, s.Account, s.Hash, s.Effect = f, name, hash, account.EffectOf(f.Body, f.Revision)
	for _, view := range views {
		if err := view(w, s); err != nil {
			return err
		}
	}
	return nil
}

// get reads a value of the account as this batch has it; nil where there is none.
// The caller MUST NOT change it.
func (w *writer) get(key []byte) ([]byte, error) {
	if value, ok := w.dirty[string(key)]; ok || w.first {
		return value, nil
	}
	return lookup(w.db, key, func(value []byte) ([]byte, error) { return append([]byte{}, value...), nil })
}

// set writes a value that may be read again within the batch.
func (w *writer) set(key, value []byte) { w.dirty[string(key)] = value }

func (w *writer) delete(key []byte) { w.dirty[string(key)] = nil }

// append writes a value that nobody reads within the batch. The caller keeps key
// and value.
func (w *writer) append(key, value []byte) error {
	w.sorted.add(entry{key: w.sorted.copy(key), value: w.sorted.copy(value)})
	return nil
}

// merge puts a value behind what the key has, without reading it.
func (w *writer) merge(key, value []byte) error {
	w.sorted.add(entry{key: w.sorted.copy(key), value: w.sorted.copy(value), merge: true})
	return nil
}

// commit writes everything and the checkpoint as one batch. Each key stands in
// it once, but for merges.
func (w *writer) commit(checkpoint []byte) error {
	if err := errors.Join(w.flushAccounts(), w.flushTree()); err != nil {
		return errors.Join(err, w.discard())
	}
	for key, value := range w.dirty {
		w.sorted.add(entry{key: w.sorted.copyText(key), value: value})
	}
	if err := w.sorted.write(w.batch); err != nil {
		return errors.Join(err, w.discard())
	}
	if err := w.batch.Set([]byte{checkpointKey}, checkpoint, nil); err != nil {
		return errors.Join(err, w.discard())
	}
	if err := w.batch.Commit(pebble.NoSync); err != nil {
		return errors.Join(err, w.discard())
	}
	w.batch.Reset() // its buffer is the next one's
	return nil
}

// discard takes with it what the batch has changed in the rows of accounts and in
// the company's: it would count twice when its events are applied again.
func (w *writer) discard() error {
	w.g.accounts.clear()
	w.g.company = nil
	batch := w.batch
	w.batch = nil
	return batch.Close()
}

// key joins a prefix, an account and what distinguishes the value.
func key(prefix byte, account string, rest ...byte) []byte {
	return append(appendKey(make([]byte, 0, 2+len(account)+len(rest)), prefix, account), rest...)
}

// appendKey is the part of a key that all of an account's with one prefix share.
func appendKey(k []byte, prefix byte, account string) []byte {
	return append(append(append(k, prefix), account...), 0)
}
