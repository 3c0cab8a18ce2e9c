package projections

// recentAccounts has the rows that batches changed, so that the next batch needn't read
// them again. It belongs to the goroutine that applies, and is cleared when a batch
// fails: its rows were changed with it.
type recentAccounts struct {
	rows map[string]*accountRow
	room slab[accountRow]
	// limit is how many rows are kept.
	limit int
}

// maxRecent bounds a cache between batches, at some hundred bytes a value.
const maxRecent = 1 << 17

// add puts in a row of zeros.
func (c *recentAccounts) add(name string) *accountRow {
	if c.rows == nil {
		c.rows = make(map[string]*accountRow)
	}
	row := c.room.take()
	row.name = name
	c.rows[name] = row
	return row
}

// full: it is to be cleared once what changed is written.
func (c *recentAccounts) full() bool { return len(c.rows) > c.limit }

func (c *recentAccounts) clear() { *c = recentAccounts{limit: c.limit} }

// slab makes values that are kept and dropped together, many in one piece of memory:
// a garbage collection looks at each piece.
type slab[T any] struct{ free []T }

// slabSize is how many values are one piece.
const slabSize = 128

func (s *slab[T]) take() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabSize)
	}
	taken := &s.free[0]
	s.free = s.free[1:]
	return taken
}
