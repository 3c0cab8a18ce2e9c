package pebblestore

import (
	"math"
	"sync/atomic"
	"time"
)

// A sync takes the processor as long for one append as for thirty, so a crowd shares
// its groups: of minCrowd appends at once, a group waits until half have come, and
// is closed after maxGather in any case. The other half is what the group before
// answers meanwhile. Few are not kept waiting, nor is anybody where syncs take longer
// than the gathering.
const (
	minCrowd  = 12
	maxGather = 2 * time.Millisecond
)

// crowd lets the committer wait for as many appends as are worth a sync.
type crowd struct {
	// size is how many appends were under way lately. It is the committer's.
	size int64
	// wanted is how many in the queue end the gathering that is under way; then there is
	// a value in enough.
	wanted atomic.Int64
	enough chan struct{}
}

func (c *crowd) init() {
	c.enough = make(chan struct{}, 1)
	c.wanted.Store(math.MaxInt64)
}

// came is told how many are in the queue, after each that comes.
func (c *crowd) came(queued int64) {
	if queued < c.wanted.Load() {
		return
	}
	select {
	case c.enough <- struct{}{}:
	default: // it is said already
	}
}

// gather lets more appends come, if many were under way lately. begun is when the group
// before did, here how many the committer has at hand. Those of a group are answered
// together and come again one by one: what counts is how many there were when a group was
// closed, an eighth less with each since.
func (s *Store) gather(begun time.Time, here int) {
	c := &s.crowd
	c.size = max(s.unanswered.Load(), c.size)
	if wait := maxGather - time.Since(begun); wait > 0 && c.size >= minCrowd {
		s.await(c.size/2-int64(here), wait)
	}
	c.size = max(s.unanswered.Load(), c.size-(c.size+7)/8)
}

// await returns once wanted appends are queued, or after wait. wanted is stored before
// queued is read, and an append is counted in queued before wanted is read: so one of the
// two sees the other.
func (s *Store) await(wanted int64, wait time.Duration) {
	c := &s.crowd
	select {
	case <-c.enough: // of the gathering before
	default:
	}
	c.wanted.Store(wanted)
	defer c.wanted.Store(math.MaxInt64)
	if s.queued.Load() >= wanted {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-c.enough:
	case <-timer.C:
	}
}
