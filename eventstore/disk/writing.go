package disk

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Writing is whether Pebble can write a database's tables, which it tries without end.
type Writing struct {
	failing atomic.Bool
	failed  chan struct{}
}

// HearWrites listens to what a database does in the background; what listens already goes
// on. l MUST have a BackgroundError, as that of Logger.Damage.
func HearWrites(l *pebble.EventListener) *Writing {
	w := &Writing{failed: make(chan struct{}, 1)}
	heard := l.BackgroundError
	l.BackgroundError = func(err error) {
		heard(err)
		w.failing.Store(true)
		select {
		case w.failed <- struct{}{}:
		default:
		}
	}
	l.FlushEnd = func(info pebble.FlushInfo) {
		if info.Err == nil {
			w.failing.Store(false)
		}
	}
	return w
}

// Failing tells that the last attempt failed.
func (w *Writing) Failing() bool { return w.failing.Load() }

// Flush writes what is in memory. It gives up at the first failure, which the log has:
// what has no WAL is then as after a crash.
func (w *Writing) Flush(db *pebble.DB) error {
	if w.Failing() {
		return nil
	}
	select {
	case <-w.failed: // an old one
	default:
	}
	flushed, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-w.failed:
	}
	return nil
}
