// Package disk is what everything that keeps files on this machine does alike: the
// end of the process when a database can't go on, and small files and names that a
// crash doesn't take. It never looks at what is in a file.
package disk

import (
	"fmt"
	"log/slog"
	"os"
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
	l.To.Error(l.Of + " can't go on: " + fmt.Sprintf(format, args...))
	os.Exit(ExitCode)
}
