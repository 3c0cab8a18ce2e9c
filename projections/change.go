package projections

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain"
)

// change is what a batch of events does to the views, written as one. Whoever filled it
// MUST NOT touch it before it is written, except to read dirty, payments and checkpoint.
type change struct {
	// sorted has what nobody reads before it was written.
	sorted sortedKeys
	// dirty has the value of each key that may be read before; nil: deleted.
	dirty map[string][]byte
	// payments of deployments, by key: refunds relate to them.
	payments map[string]domain.TransactionID
	// balances are what accounts have after it.
	balances []namedBalance
	// deadlines: something will be due that wasn't known before; purchases: one
	// was started; noticed are the accounts with news for their customers,
	// forgotten those whose key was destroyed.
	deadlines, purchases bool
	noticed, forgotten   []string

	checkpoint checkpoint
	events     int
	took       time.Duration
}

// How much of the memory of a change, or of Pebble's batch, is kept for the next one.
const (
	maxRetainedBatch    = 8 << 20
	maxRetainedKeys     = 1 << 14
	maxRetainedBalances = 1 << 15
)

func newChange() *change {
	return &change{dirty: map[string][]byte{}, payments: map[string]domain.TransactionID{}}
}

// empty says that nothing was filled.
func (c *change) empty() bool { return c.checkpoint == checkpoint{} }

// reset forgets everything and keeps the memory, unless it is much.
func (c *change) reset() {
	c.sorted.reset()
	if len(c.dirty)+len(c.payments) > maxRetainedKeys {
		c.dirty, c.payments = map[string][]byte{}, map[string]domain.TransactionID{}
	}
	if cap(c.balances) > maxRetainedBalances {
		c.balances = nil
	}
	clear(c.dirty)
	clear(c.payments)
	clear(c.balances)
	*c = change{sorted: c.sorted, dirty: c.dirty, payments: c.payments, balances: c.balances[:0]}
}

// set writes a value that may be read again before it was written.
func (c *change) set(key, value []byte) { c.dirty[string(key)] = value }

func (c *change) delete(key []byte) { c.dirty[string(key)] = nil }

// append writes a value that nobody reads before. The caller keeps key and value.
func (c *change) append(key, value []byte) {
	c.sorted.add(entry{key: c.sorted.copy(key), value: c.sorted.copy(value)})
}

// merge puts a value behind what the key has, without reading it.
func (c *change) merge(key, value []byte) {
	c.sorted.add(entry{key: c.sorted.copy(key), value: c.sorted.copy(value), merge: true})
}

// commit writes everything and the checkpoint as one batch. Each key is in it once,
// except for those of merges.
func (c *change) commit(g *generation, checkpoint []byte) error {
	for key, value := range c.dirty {
		c.sorted.add(entry{key: c.sorted.copyText(key), value: value})
	}
	if g.batch == nil {
		g.batch = g.db.NewBatch(pebble.WithMaxRetainedSizeBytes(maxRetainedBatch))
	}
	err := c.sorted.write(g.batch)
	if err == nil {
		err = g.batch.Set([]byte{checkpointKey}, checkpoint, nil)
	}
	if err == nil {
		err = g.batch.Commit(pebble.NoSync)
	}
	if err != nil {
		err = errors.Join(err, g.batch.Close())
		g.batch = nil
		return err
	}
	g.batch.Reset() // its buffer is the next one's
	return nil
}
