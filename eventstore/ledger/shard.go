package ledger

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"iocredits/eventstore"
)

// shardCount spreads the lock over the accounts: a command takes it twice.
const shardCount = 64

var shardSeed = maphash.MakeSeed()

// shard holds the workers of some accounts. A worker moves to the front of
// recency only when it may have come into the older half of the shard's share: so
// most commands touch no other worker's memory.
type shard struct {
	mu      sync.Mutex
	workers map[string]*worker
	recency *list.List
	// uses counts calls of worker.
	uses uint64
	// names counts those in the windows of all books; forgotten is how far those of
	// accounts that rest were dropped.
	names     atomic.Int64
	forgotten eventstore.Position
}

func (s *shard) init() {
	s.workers = make(map[string]*worker)
	s.recency = list.New()
}

func (l *Ledger) shard(account string) *shard {
	return &l.shards[maphash.String(shardSeed, account)%shardCount]
}

// worker finds or makes the account's worker; nil if no book can make room. The
// caller holds s.mu.
func (s *shard) worker(l *Ledger, account string) *worker {
	w := s.workers[account]
	s.uses++
	switch {
	case w == nil:
		if !s.evict(l) {
			return nil
		}
		w = &worker{ledger: l, shard: s, account: account, stream: eventstore.AccountStream(account), moved: s.uses}
		w.place = s.recency.PushFront(w)
		s.workers[account] = w
	case s.uses-w.moved > uint64(l.share()/2):
		s.recency.MoveToFront(w.place)
		w.moved = s.uses
	}
	w.used = time.Now()
	return w
}

// share is the number of books that a shard may hold.
func (l *Ledger) share() int { return max(1, l.opts.MaxAccounts/shardCount) }

// evictTries bounds the search for a book that can go, so that a shard full of
// busy accounts costs no command more than this.
const evictTries = 8

// evict makes room for one book. A book goes only when no worker runs on it and
// the read models have all its names: after that Acked answers 0 for it. While
// they lag, a shard may grow to twice its share; false when it may not grow more.
func (s *shard) evict(l *Ledger) bool {
	share := l.share()
	if len(s.workers) < share {
		return true
	}
	through := l.opts.Names.Through()
	e := s.recency.Back()
	for range evictTries {
		if e == nil {
			break
		}
		w := e.Value.(*worker)
		e = e.Prev()
		if w.running || w.acked > through {
			continue
		}
		s.recency.Remove(w.place)
		delete(s.workers, w.account)
		if w.book != nil {
			w.book.recent.leave()
		}
		w.saveInBackground()
		return true
	}
	return len(s.workers) < 2*share
}

// forget drops what the read models have from the windows of accounts that rest:
// those that work do it themselves.
func (s *shard) forget(through eventstore.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if through <= s.forgotten {
		return
	}
	s.forgotten = through
	for _, w := range s.workers {
		if !w.running && w.book != nil {
			w.book.recent.forget(through)
		}
	}
}

// saveIdle saves the books of accounts that rest and that pass the filter.
func (l *Ledger) saveIdle(filter func(*worker) bool) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, w := range s.workers {
			if !w.running && w.unsaved() >= l.opts.IdleSnapshot && filter(w) {
				w.running, w.saveNow = true, true
				l.work.Add(1)
				l.schedule(w)
			}
		}
		s.mu.Unlock()
	}
}
