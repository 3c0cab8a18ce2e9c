package keyring

import (
	"container/list"
	"sync"
)

// cache keeps the primitives of the accounts used last, at most limit.
type cache struct {
	limit int

	mu      sync.Mutex
	entries map[string]*list.Element
	order   list.List // of entry, most recent first
	forgets uint64
}

type entry struct {
	account string
	p       *primitives
}

func newCache(limit int) *cache {
	return &cache{limit: limit, entries: make(map[string]*list.Element)}
}

func (c *cache) get(account string) *primitives {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[account]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(entry).p
}

// epoch changes with every forget. Who reads a key takes it first and hands it
// to put: a key that was read before a forget MUST NOT enter after it, or a
// destroyed key would go on being used.
func (c *cache) epoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgets
}

func (c *cache) put(account string, p *primitives, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgets != epoch {
		return
	}
	if e, ok := c.entries[account]; ok {
		e.Value = entry{account, p}
		c.order.MoveToFront(e)
		return
	}
	c.entries[account] = c.order.PushFront(entry{account, p})
	for len(c.entries) > c.limit {
		oldest := c.order.Back()
		delete(c.entries, c.order.Remove(oldest).(entry).account)
	}
}

func (c *cache) forget(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgets++
	if e, ok := c.entries[account]; ok {
		c.order.Remove(e)
		delete(c.entries, account)
	}
}
