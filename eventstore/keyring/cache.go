package keyring

import (
	"container/list"
	"sync"
)

// cache keeps the primitives of the accounts used last, at most limit.
//
// An entry moves to the front only when it may have come into the older half, so
// that most uses touch no other entry. What was used within the last limit/2
// uses is never dropped: an entry that is the last has limit others before it,
// each put there by a use of its own since this one moved.
type cache struct {
	limit int

	mu      sync.Mutex
	entries map[string]*list.Element
	order   list.List // of *entry, those that moved last first
	uses    uint64
	forgets uint64
}

type entry struct {
	account string
	p       *primitives
	// moved is the use that moved it to the front.
	moved uint64
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
	return c.use(e).p
}

// use keeps an entry that is wanted from being dropped. The caller holds mu.
func (c *cache) use(e *list.Element) *entry {
	c.uses++
	used := e.Value.(*entry)
	if c.uses-used.moved > uint64(c.limit/2) {
		used.moved = c.uses
		c.order.MoveToFront(e)
	}
	return used
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
		c.use(e).p = p
		return
	}
	c.uses++
	c.entries[account] = c.order.PushFront(&entry{account, p, c.uses})
	for len(c.entries) > c.limit {
		oldest := c.order.Back()
		delete(c.entries, c.order.Remove(oldest).(*entry).account)
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
