package projections

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain"
	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// step is one event on its way through the views.
type step struct {
	eventstore.Fact
	Account string
	// Hash is the event's chain hash.
	Hash eventstore.Hash
	// BalanceAfter is the account's balance once the event counts.
	BalanceAfter domain.Amount
}

// views are applied in this order to each event: balances come first, because a
// history shows what they become.
var views = []func(*writer, *step) error{
	applyBalance, applyMilestone, applyTransaction, applyNames, applyDeadlines, applyObject, applyJournal, applyTree,
}

// writer collects what a batch of events changes and writes it once. Values that
// the batch reads again stand in dirty until then.
type writer struct {
	db    *pebble.DB
	batch *pebble.Batch
	// dirty has the value of each key set in this batch; nil: deleted.
	dirty    map[string][]byte
	balances map[string]*balanceRecord
	books    map[string]*journal.Totals
	// tree is nil until the batch has an account's event.
	tree *growing
	// scratch is where values are put together; the batch copies them.
	scratch []byte
	// deadlines: something will be due that wasn't known before.
	deadlines bool
}

func newWriter(db *pebble.DB) *writer {
	return &writer{
		db: db, batch: db.NewBatch(), dirty: map[string][]byte{},
		balances: map[string]*balanceRecord{}, books: map[string]*journal.Totals{},
	}
}

// apply puts one event through all views.
func (w *writer) apply(f eventstore.Fact, hash eventstore.Hash) error {
	name, _ := eventstore.AccountOf(f.Stream)
	s := &step{Fact: f, Account: name, Hash: hash}
	for _, view := range views {
		if err := view(w, s); err != nil {
			return err
		}
	}
	return nil
}

// get reads a value as this batch has it; nil where there is none. The caller
// MUST NOT change it.
func (w *writer) get(key []byte) ([]byte, error) {
	if value, ok := w.dirty[string(key)]; ok {
		return value, nil
	}
	return lookup(w.db, key, func(value []byte) ([]byte, error) { return append([]byte{}, value...), nil })
}

// set writes a value that may be read again within the batch.
func (w *writer) set(key, value []byte) { w.dirty[string(key)] = value }

func (w *writer) delete(key []byte) { w.dirty[string(key)] = nil }

// append writes a value that nobody reads within the batch.
func (w *writer) append(key, value []byte) error { return w.batch.Set(key, value, nil) }

// commit writes everything and the checkpoint as one batch. The order of keys
// in a batch doesn't matter: each stands in it once.
func (w *writer) commit(checkpoint []byte) error {
	if err := errors.Join(w.flushBalances(), w.flushBooks(), w.flushTree()); err != nil {
		return errors.Join(err, w.discard())
	}
	for key, value := range w.dirty {
		var err error
		if value == nil {
			err = w.batch.Delete([]byte(key), nil)
		} else {
			err = w.batch.Set([]byte(key), value, nil)
		}
		if err != nil {
			return errors.Join(err, w.discard())
		}
	}
	if err := w.batch.Set([]byte{checkpointKey}, checkpoint, nil); err != nil {
		return errors.Join(err, w.discard())
	}
	return errors.Join(w.batch.Commit(pebble.NoSync), w.batch.Close())
}

func (w *writer) discard() error { return w.batch.Close() }

// key joins a prefix, an account and what distinguishes the value.
func key(prefix byte, account string, rest ...byte) []byte {
	k := make([]byte, 0, 2+len(account)+len(rest))
	k = append(k, prefix)
	k = append(k, account...)
	k = append(k, 0)
	return append(k, rest...)
}
