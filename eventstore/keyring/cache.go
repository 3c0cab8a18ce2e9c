package keyring

import (
	"sync"

	"iocredits/eventstore/recency"
)

// entry is what is kept of an account.
type entry = recency.Entry[primitives]

// cache keeps the primitives of the accounts used last, at most limit. Nothing that was
// among the last limit/2 uses is dropped.
type cache struct {
	limit int

	mu      sync.Mutex
	entries map[string]*entry
	order   recency.Order[primitives]
	forgets uint64
}

func newCache(limit int) *cache {
	return &cache{limit: limit, entries: make(map[string]*entry)}
}

func (c *cache) get(account string) *primitives {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[account]
	if e == nil {
		return nil
	}
	c.order.Use(e, c.limit)
	return &e.Value
}

// epoch changes with every forget. Who reads a key takes it first and hands it
// to put: a key that was read before a forget MUST NOT enter after it, or a
// destroyed key would go on being used.
func (c *cache) epoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgets
}

func (c *cache) put(e *entry, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgets != epoch {
		return
	}
	account := e.Value.account
	if before := c.entries[account]; before != nil {
		c.order.Remove(before)
	}
	c.entries[account] = e
	c.order.Add(e)
	for len(c.entries) > c.limit {
		oldest := c.order.Oldest()
		c.order.Remove(oldest)
		delete(c.entries, oldest.Value.account)
	}
}

func (c *cache) forget(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgets++
	if e := c.entries[account]; e != nil {
		c.order.Remove(e)
		delete(c.entries, account)
	}
}
