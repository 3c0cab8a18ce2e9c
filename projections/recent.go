package projections

// recent has values that batches changed, so that the next batch needn't read them
// again. It belongs to the goroutine that applies, and is cleared when a batch
// fails: its values were changed with it.
type recent[T any] struct{ values map[string]*T }

// maxRecent bounds a cache between batches, at some hundred bytes a value.
const maxRecent = 1 << 17

func (c *recent[T]) get(name string) *T { return c.values[name] }

func (c *recent[T]) put(name string, v *T) {
	if c.values == nil {
		c.values = make(map[string]*T)
	}
	c.values[name] = v
}

// trim bounds the cache. MUST NOT be called within a batch, whose changes are in
// the cache alone.
func (c *recent[T]) trim() {
	if len(c.values) > maxRecent {
		c.clear()
	}
}

func (c *recent[T]) clear() { c.values = nil }
