package account_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
)

// lived is an account that bought, spent and got back so many times, and a charge after
// all of that.
func lived(t *testing.T, times int) (s *account.State, charge []account.Recorded) {
	t.Helper()
	s = account.New()
	run := func(do account.Action, original ...account.Recorded) []account.Recorded {
		events, err := account.Decide(s, account.Command{At: hour(0), By: "ann", Do: do, Original: original})
		require.NoError(t, err)
		var all []account.Recorded
		for _, e := range events {
			account.Evolve(s, e)
			all = append(all, account.Recorded{ID: tx(s.Revision), Revision: s.Revision, Event: e})
		}
		return all
	}
	for n := range times {
		run(account.RecordPurchase{Purchase: fmt.Sprint("p", n), Amount: 2 * credit})
		charge := run(account.Deduct{Amount: 2 * credit, Service: vm})
		run(account.Refund{Transaction: charge[0].ID, Amount: credit}, charge...)
		run(account.Deduct{Amount: credit, Service: vm})
	}
	run(account.RecordPurchase{Purchase: "last", Amount: 2 * credit})
	return s, run(account.Deduct{Amount: credit, Service: vm})
}

// TestADecisionCopiesNoPast: what a decision takes doesn't grow with what an account's
// life leaves behind.
func TestADecisionCopiesNoPast(t *testing.T) {
	taken := func(times int) uint64 {
		s, charge := lived(t, times)
		cmd := account.Command{At: hour(0), By: "ann", Do: refund(charge[0].Revision, credit), Original: charge}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const runs = 100
		for range runs {
			events, err := account.Decide(s, cmd)
			require.NoError(t, err)
			require.Len(t, events, 1)
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / runs
	}
	young, old := taken(10), taken(2000)
	t.Logf("a refund takes %d bytes in a young account, %d in an old one", young, old)
	require.Less(t, old, 2*young)
}
