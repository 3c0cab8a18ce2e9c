// Package disk is what everything that keeps files on this machine does alike: the
// end of the process when a database can't go on, small files and names that a crash
// doesn't take, and locks. It never looks at what is in a file.
package disk

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// ExitCode ends the process when a disk failed in such a way that only a start tells
// what is on it: a supervisor starts it again.
const ExitCode = 3

// Logger passes Pebble's log on. Pebble calls Fatalf when it can't go on safely, as
// after a failed write of its manifest: it expects not to return. Ending the process is
// right for a ledger (nothing is acknowledged after it), and the message says why.
type Logger struct {
	To *slog.Logger
	// Of is what the database has, for the message.
	Of string
}

// Infof implements pebble.Logger: what it says is for Pebble's developers.
func (l Logger) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (l Logger) Errorf(format string, args ...any) {
	l.To.Error(l.Of + ": pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. A panic would end the process as a mistake in the
// call does, after which nobody starts it again.
func (l Logger) Fatalf(format string, args ...any) {
	said := l.Of + " can't go on: " + fmt.Sprintf(format, args...)
	if l.To.Enabled(context.Background(), slog.LevelError) {
		l.To.Error(said)
	} else { // a tool without a log: no end without a word
		fmt.Fprintln(os.Stderr, "iocredits: "+said)
	}
	os.Exit(ExitCode)
}

// Damage hears of files of the database that can't be read: each is logged once, and
// heard is called every time, by whoever reads: it MUST be quick. The read gets an error,
// and everybody else goes on. Without this Pebble calls Fatalf, and one bad block that
// anybody may ask for would end the process. What fails in the background is logged too.
func (l Logger) Damage(heard func()) *pebble.EventListener {
	var told sync.Map
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if _, again := told.LoadOrStore(info.Path, nil); !again {
				l.To.Error(l.Of+": a file is damaged", "file", info.Path, "error", Reason(info.Details))
			}
			heard()
		},
		BackgroundError: l.background(),
	}
}

// tellEvery is how often what fails again and again is told.
const tellEvery = time.Minute

// background tells of flushes and compactions that failed. Pebble tries a flush again at
// once and without end: on a full disk some hundred times a second, and what is written
// about that may be the next to fill a disk.
func (l Logger) background() func(error) {
	var mu sync.Mutex
	var told time.Time
	failures := 0
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failures++
		if !told.IsZero() && time.Since(told) < tellEvery {
			return
		}
		l.To.Error(l.Of+" can't write in the background, and tries again", "error", Reason(err), "failures", failures)
		told, failures = time.Now(), 0
	}
}

// Reason is what Pebble says of a failure, without the second line that it has for itself.
func Reason(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
