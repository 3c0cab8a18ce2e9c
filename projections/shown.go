package projections

import (
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// shownViews are what readers see of a generation: the database as of a moment, and the
// balances that changed lately, which are asked for most. A change that was committed
// replaces both together, before its position is published. Readers of the database itself
// would see a change before its balances are here, and then older balances than histories.
//
// So nobody waits for a commit, which on a full disk may not end.
type shownViews struct {
	mu     sync.RWMutex
	moment *moment
	// records are changed in place, with mu held. They have all accounts whose row is
	// unwritten; a reader never puts one in, so none is ever older than the moment.
	records map[string]*balanceRecord
	room    slab[balanceRecord]
	// limit is about how many are kept.
	limit int
}

// moment is the database as it was behind a change. Readers share it, and MUST leave it:
// the last one closes it, once it is no longer shown.
type moment struct {
	*pebble.Snapshot
	g     *generation
	users atomic.Int64
}

// now is the moment behind what was committed last, to be shown.
func (g *generation) now() *moment {
	m := &moment{Snapshot: g.db.NewSnapshot(), g: g}
	m.users.Store(1)
	return m
}

func (m *moment) leave() {
	if m.users.Add(-1) == 0 {
		_ = m.Close() // has no error
	}
}

// namedBalance is an account's balance on its way to shownViews.
type namedBalance struct {
	name string
	balanceRecord
}

// enter gives the moment that is shown, until the reader leaves it.
func (s *shownViews) enter() *moment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.moment.users.Add(1)
	return s.moment
}

// balance gives what an account has; false if its row has all of it, in the moment that is
// shown now or in a later one.
func (s *shownViews) balance(name string) (balanceRecord, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	record := s.records[name]
	if record == nil {
		return balanceRecord{}, false
	}
	return *record, true
}

// show replaces the moment by the one behind a change, and puts in the balances that this
// has changed; whole: it has left no row unwritten. The caller MUST leave the moment before.
func (s *shownViews) show(m *moment, changed []namedBalance, whole bool) (before *moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.moment = s.moment, m
	if s.records == nil || whole && len(s.records)+len(changed) > s.limit {
		s.records, s.room = make(map[string]*balanceRecord, len(changed)), slab[balanceRecord]{}
	}
	for i := range changed {
		name := changed[i].name
		record := s.records[name]
		if record == nil {
			record = s.room.take()
			s.records[name] = record
		}
		*record = changed[i].balanceRecord
	}
	return before
}
