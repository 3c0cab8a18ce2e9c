package ledger

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// refusals tells the log when the store begins to refuse appends and when that has ended:
// in between there may be thousands a second.
type refusals struct {
	// under way: all that an append that succeeds has to look at.
	under atomic.Bool

	mu    sync.Mutex
	count int
	since time.Time
	last  time.Time
}

// calm is how long none is refused before it has ended: where the disk has just about the
// room that is needed, single appends go through.
const calm = time.Second

// add takes an append that was refused, nothing of it written.
func (r *refusals) add(logger *slog.Logger, account string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
	if r.count++; r.count > 1 {
		return
	}
	r.since = r.last
	r.under.Store(true)
	logger.Warn("the log takes no writes: from now on what needs one is refused, until it says that it takes them again", "account", account, "error", err)
}

// end takes an append that was made.
func (r *refusals) end(logger *slog.Logger) {
	if !r.under.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 || time.Since(r.last) < calm {
		return
	}
	logger.Warn("the log takes writes again", "refused", r.count, "since", r.since)
	r.count = 0
	r.under.Store(false)
}
