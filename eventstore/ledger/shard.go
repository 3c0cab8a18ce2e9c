package ledger

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"iocredits/eventstore"
	"iocredits/eventstore/recency"
)

// shardCount spreads the lock over the accounts: a command takes it twice.
const shardCount = 64

var shardSeed = maphash.MakeSeed()

// shard holds the workers of some accounts.
type shard struct {
	mu      sync.Mutex
	workers map[string]*recency.Entry[worker]
	order   recency.Order[worker]
	// names counts those in the windows of all books; forgotten is how far they were
	// dropped in each.
	names     atomic.Int64
	forgotten eventstore.Position
}

func (s *shard) init() { s.workers = make(map[string]*recency.Entry[worker]) }

func (l *Ledger) shard(account string) *shard {
	return &l.shards[maphash.String(shardSeed, account)%shardCount]
}

// worker finds or makes the account's worker; nil if no book can make room. The
// caller holds s.mu.
func (s *shard) worker(l *Ledger, account string) *worker {
	e := s.workers[account]
	switch {
	case e != nil:
		s.order.Use(e, l.share())
	case !s.evict(l):
		return nil
	default:
		e = newWorker(l, s, account)
		s.order.Add(e)
		s.workers[e.Value.account] = e
	}
	e.Value.used = l.round.Load()
	return &e.Value
}

// newWorker makes a worker whose texts are one piece of memory.
func newWorker(l *Ledger, s *shard, account string) *recency.Entry[worker] {
	stream := eventstore.AccountStream(account)
	account, _ = eventstore.AccountOf(stream)
	return &recency.Entry[worker]{Value: worker{ledger: l, shard: s, account: account, stream: stream}}
}

// share is the number of books that a shard may hold.
func (l *Ledger) share() int { return max(1, l.opts.MaxAccounts/shardCount) }

// evictTries bounds the search for a book that can go, so that a shard full of
// busy accounts costs no command more than this.
const evictTries = 8

// evict makes room for one book. A book goes only when no worker runs on it and
// the read models have all its names: after that Acked answers Head for it. While
// they lag, a shard may grow to twice its share, and shrinks again with the books that
// come after that; false when it may not grow more.
func (s *shard) evict(l *Ledger) bool {
	share := l.share()
	if len(s.workers) < share {
		return true
	}
	through := l.opts.Names.Through()
	e := s.order.Oldest()
	for range evictTries {
		if e == nil || len(s.workers) < share {
			break
		}
		oldest := e
		e = s.order.Newer(e)
		if w := &oldest.Value; !w.running && w.acked <= through {
			s.drop(oldest)
		}
	}
	return len(s.workers) < 2*share
}

// drop lets a book go of which nobody has need.
func (s *shard) drop(e *recency.Entry[worker]) {
	w := &e.Value
	s.order.Remove(e)
	delete(s.workers, w.account)
	if w.book != nil {
		w.book.recent.leave()
	}
	w.saveInBackground()
}

// forget drops what the read models have from the windows of accounts that rest. Those
// that work do it themselves before they decide, as own has; one that comes to rest
// without that is looked at by the next call.
func (s *shard) forget(own *worker, through eventstore.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if through <= s.forgotten {
		return
	}
	all := true
	for _, e := range s.workers {
		switch w := &e.Value; {
		case w == own:
		case w.running:
			all = false
		case w.book != nil:
			w.book.recent.forget(through)
		}
	}
	if all {
		s.forgotten = through
	}
}

// saveIdle saves the books of accounts that rest and that pass the filter.
func (l *Ledger) saveIdle(filter func(*worker) bool) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, e := range s.workers {
			if w := &e.Value; !w.running && w.lacks(l.opts.IdleSnapshot) && filter(w) {
				w.running, w.saveNow = true, true
				l.work.Add(1)
				l.schedule(w)
			}
		}
		s.mu.Unlock()
	}
}
