package ledger_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/storetest"
)

// brokenNames panics when it is asked for one name, as Pebble does where a file is missing.
type brokenNames struct {
	*gatedNames
	bad ledger.Name
}

func (n *brokenNames) Find(ctx context.Context, acct string, name ledger.Name) (int64, bool, error) {
	if name == n.bad {
		panic("no such file")
	}
	return n.gatedNames.Find(ctx, acct, name)
}

// TestAPanicLeavesNoAccountBehind: a worker may have its turn on its caller's goroutine,
// where an HTTP server survives the panic. The account must go on then, and nothing of
// what was being recorded may stay in its book.
func TestAPanicLeavesNoAccountBehind(t *testing.T) {
	for name, c := range map[string]struct {
		breaks, mends func(*brokenNames, *func() time.Time)
	}{
		"while it looks for a replay": {
			func(n *brokenNames, _ *func() time.Time) { n.bad = ledger.NameOfCommand("2") },
			func(n *brokenNames, _ *func() time.Time) { n.bad = ledger.Name{} },
		},
		"while it takes the time": {
			func(_ *brokenNames, now *func() time.Time) { *now = func() time.Time { panic("no clock") } },
			func(_ *brokenNames, now *func() time.Time) { *now = time.Now },
		},
	} {
		t.Run(name, func(t *testing.T) {
			var names *brokenNames
			now := time.Now
			r := newRig(t, func(o *ledger.Options) {
				names = &brokenNames{gatedNames: o.Names.(*gatedNames)}
				o.Names, o.Clock = names, func() time.Time { return now() }
			})
			r.do("a", "1", purchase("p", 10))
			c.breaks(names, &now)
			func() {
				defer func() { _ = recover() }() // as net/http does
				_, err := r.Execute(within(t), command("a", "2", deduct(1)))
				require.ErrorContains(t, err, "panic: no ")
			}()
			c.mends(names, &now)
			_, err := r.Execute(within(t), command("a", "2", deduct(1)))
			require.NoError(t, err, "the account goes on")
			require.Equal(t, 9*credit, r.balance("a"))
			require.Zero(t, r.QueueDepth())
		})
	}
}

// TestAPanicWhileLookingAtWhatIsDue is logged like every other. Here the clock has one.
func TestAPanicWhileLookingAtWhatIsDue(t *testing.T) {
	log, now := new(storetest.Buffer), (func() time.Time)(nil)
	r := overdue(t, appends(300), func(o *ledger.Options) {
		now = o.Clock
		o.Clock, o.Logger = func() time.Time { return now() }, slog.New(slog.NewTextHandler(log, nil))
	})
	clock := now
	now = func() time.Time { panic("no clock") }
	_, err := r.Read(within(t), "a")
	require.NoError(t, err, "who only looks needs no time")
	require.Contains(t, log.String(), "look at what is due panicked")
	require.Contains(t, log.String(), "no clock")
	now = clock
	r.do("a", "1", deduct(1))
}

// patience is what a busy machine may take for anything: only a test that fails waits so long.
const patience = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestAPanicWhileRecordingTakesTheBook: what is in the group then isn't known, so none of
// it is written, and what waits behind it is decided on a book that is read again.
func TestAPanicWhileRecordingTakesTheBook(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.Codec = nil })
	func() {
		defer func() { _ = recover() }()
		out := r.ExecuteBatch(within(t), []ledger.Request{command("a", "1", purchase("p", 10)), command("a", "2", purchase("q", 10)), {Account: "a"}})
		require.ErrorContains(t, out[0].Err, "panic: ")
		require.ErrorContains(t, out[1].Err, "panic: ")
		require.NoError(t, out[2].Err)
	}()
	view, err := r.Read(within(t), "a")
	require.NoError(t, err, "the account goes on")
	require.Equal(t, eventstore.NoStream, view.Revision)
	require.Zero(t, view.Balance.Balance)
	require.Empty(t, r.facts("a"))
	require.Zero(t, r.QueueDepth())
}
