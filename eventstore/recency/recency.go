// Package recency orders what a cache keeps by when it was used, so that what was
// not used for long can go. It touches no neighbour of what is used often: with a
// hundred thousand of them each would be a miss of the processor's cache.
package recency

// Order has entries, from the one that moved last to the oldest. The zero value is
// empty. Not for concurrent use.
type Order[T any] struct {
	// root closes the ring: newer of it is the oldest entry, older the newest.
	root Entry[T]
	uses uint64
}

// Entry is a value in an order, in one piece of memory with its place there. It
// MUST be in one order at most, and MUST NOT be copied while it is.
type Entry[T any] struct {
	Value T

	newer, older *Entry[T]
	// moved is the use that made it the newest.
	moved uint64
}

// Add puts an entry in as the newest.
func (o *Order[T]) Add(e *Entry[T]) {
	if o.root.older == nil {
		o.root.newer, o.root.older = &o.root, &o.root
	}
	o.uses++
	o.insert(e)
}

// Use notes that an entry is wanted. It becomes the newest only if it may have come
// into the older half of limit entries: so of as many, what was used within the last
// limit/2 uses is never the oldest. (The oldest has limit others before it, each put
// there by a use of its own since this one moved.)
func (o *Order[T]) Use(e *Entry[T], limit int) {
	o.uses++
	if o.uses-e.moved > uint64(limit/2) {
		unlink(e)
		o.insert(e)
	}
}

// Remove takes an entry out.
func (o *Order[T]) Remove(e *Entry[T]) {
	unlink(e)
	e.newer, e.older = nil, nil
}

// Oldest is the entry that moved longest ago; nil if there is none.
func (o *Order[T]) Oldest() *Entry[T] { return o.Newer(&o.root) }

// Newer is the entry that moved next after e; nil if e is the newest.
func (o *Order[T]) Newer(e *Entry[T]) *Entry[T] {
	if e.newer == &o.root {
		return nil
	}
	return e.newer
}

func (o *Order[T]) insert(e *Entry[T]) {
	e.moved = o.uses
	e.newer, e.older = &o.root, o.root.older
	e.newer.older, e.older.newer = e, e
}

func unlink[T any](e *Entry[T]) { e.newer.older, e.older.newer = e.older, e.newer }
