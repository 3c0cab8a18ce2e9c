package ledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/ledger"
)

// TestATickThatEndsNothing is not tried for ever: as much is due after it as before. Here
// a clock says that much is due, and to each Tick that nothing is.
func TestATickThatEndsNothing(t *testing.T) {
	// How often the time is asked for: is much due, when is the Tick, is much due after it.
	const rounds = 3
	small := appends(300)
	var mad atomic.Bool
	var asked atomic.Int64
	r := overdue(t, small, func(o *ledger.Options) {
		clock := o.Clock
		o.Clock = func() time.Time {
			now := clock()
			if mad.Load() && asked.Add(1)%rounds == 2 {
				return now.Add(-2 * time.Hour)
			}
			return now
		}
	})
	before := len(r.facts("a"))
	mad.Store(true)
	for key := range 3 {
		asked.Store(0)
		_, err := r.Execute(within(t), command("a", fmt.Sprint(key), deduct(1)))
		require.ErrorContains(t, err, "a tick ended nothing of what is due")
		require.EqualValues(t, rounds, asked.Load(), "one Tick")
	}
	require.Len(t, r.facts("a"), before)
	require.Zero(t, r.QueueDepth())
	mad.Store(false)
	r.do("a", "1", deduct(1))
	require.Equal(t, 499*credit, r.balance("a"))
	require.NoError(t, r.Close(within(t)))
}
