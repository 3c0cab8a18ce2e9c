package reactor_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/reactor"
)

// slowList takes a while to list the one account that is always due.
type slowList struct{}

func (slowList) NextDue(context.Context) (time.Time, bool, error) { return time.Time{}, false, nil }

func (slowList) DueAccounts(_ context.Context, _ time.Time, _ int, skip func(string) bool) (due []string, err error) {
	if !skip("a") {
		due = []string{"a"}
	}
	<-time.After(100 * time.Millisecond) // the bubble's time
	return due, nil
}

func (slowList) Changed() <-chan struct{}                               { return nil }
func (slowList) Through() eventstore.Position                           { return 0 }
func (slowList) WaitThrough(context.Context, eventstore.Position) error { return nil }

// failingLedger counts the commands that it fails.
type failingLedger struct{ tries int }

func (l *failingLedger) Execute(context.Context, ledger.Request) (ledger.Result, error) {
	l.tries++
	return ledger.Result{}, errBroken
}

func (*failingLedger) AckedAny() eventstore.Position { return 0 }

// TestPausesDoubleThoughTheListIsSlow: an account whose pause ends while the list is made
// isn't in it, and is due all the same.
func TestPausesDoubleThoughTheListIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &failingLedger{}
		r := reactor.New(reactor.Options{
			Ledger: l, Deadlines: slowList{}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
			FirstPause: time.Second, MaxPause: time.Hour, Recheck: 10 * time.Millisecond,
		})
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Second)
		defer cancel()
		r.Run(ctx)
		require.LessOrEqual(t, l.tries, 10, "after 1, 2, 4 seconds, and so on up to 512")
	})
}
