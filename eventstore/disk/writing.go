package disk

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Writing is whether Pebble can write a database's tables, which it tries without end.
type Writing struct {
	failing, filling atomic.Bool
	failed           chan struct{}
}

// HearWrites listens to what a database does in the background. l MUST have a BackgroundError,
// as that of Logger.Damage, which is told as before, and no FlushEnd.
func HearWrites(l *pebble.EventListener) *Writing {
	w := &Writing{failed: make(chan struct{}, 1)}
	heard := l.BackgroundError
	var flush atomic.Pointer[error]
	l.BackgroundError = func(err error) {
		heard(err)
		w.failing.Store(true)
		if last := flush.Load(); last != nil && errors.Is(err, *last) {
			w.filling.Store(true)
		}
		select {
		case w.failed <- struct{}{}:
		default:
		}
	}
	l.FlushEnd = func(info pebble.FlushInfo) {
		flush.Store(&info.Err) // a flush of nothing has one, too, of which nobody hears
		if info.Err == nil {
			w.failing.Store(false)
			w.filling.Store(false)
		}
	}
	return w
}

// Failing tells that the last attempt failed.
func (w *Writing) Failing() bool { return w.failing.Load() }

// Filling tells that the last flush failed: what is written stays in memory, and once that is
// full every write waits. Pebble flushes again at once, so that this passes when the cause
// does; what fails in the background otherwise may wait for the next write.
func (w *Writing) Filling() bool { return w.filling.Load() }

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
