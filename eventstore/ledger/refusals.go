package ledger

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"iocredits/eventstore"
)

// refusals tells the log when the store begins to refuse appends, or can't be read, and when
// that has ended: in between there may be thousands a second.
type refusals struct {
	// began and ended are the words for it.
	began, ended string
	// underWay is true while some are refused: one that isn't looks at nothing else.
	underWay atomic.Bool

	mu    sync.Mutex
	count int
	since time.Time
	last  time.Time
}

// calm is how long none is refused before the refusals count as over: where the disk has just
// about the room that is needed, single appends go through.
const calm = time.Second

// refusedWrites are appends of which nothing was written.
func refusedWrites() *refusals {
	return &refusals{
		began: "the log takes no writes: from now on what needs one is refused, until it says that it takes them again",
		ended: "the log takes writes again",
	}
}

// refusedReads are reads of a log that is out of reach.
func refusedReads() *refusals {
	return &refusals{
		began: "the log can't be read: from now on what has to be read from it is refused, until it says that it can be read again",
		ended: "the log can be read again",
	}
}

// outOfReach says that an error is the log's, for a while, and no account's.
func outOfReach(err error) bool {
	return errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrClosed)
}

// add takes one that was refused.
func (r *refusals) add(logger *slog.Logger, account string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
	if r.count++; r.count > 1 {
		return
	}
	r.since = r.last
	r.underWay.Store(true)
	logger.Warn(r.began, "account", account, "error", err)
}

// end takes one that was not.
func (r *refusals) end(logger *slog.Logger) {
	if !r.underWay.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 || time.Since(r.last) < calm {
		return
	}
	logger.Warn(r.ended, "refused", r.count, "since", r.since)
	r.count = 0
	r.underWay.Store(false)
}
