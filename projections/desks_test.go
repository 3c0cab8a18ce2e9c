package projections_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore/ledger"
	"iocredits/projections"
)

// withdraws asks for a payout of an account that has bought enough.
func (r *rig) withdraws(acct, id string) {
	r.t.Helper()
	r.do(acct, "w-"+id, account.RequestWithdrawal{Withdrawal: id, Amount: credit, Wallet: "sealed", Network: account.NetworkStripe})
}

func (r *rig) decides(acct string, do account.Action) {
	r.t.Helper()
	_, err := r.Execute(bg, ledger.Request{Account: acct, Do: do, Actor: "fin", Role: "finance"})
	require.NoError(r.t, err)
}

func TestQueueByDueDate(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	var want []string
	for i := range 6 {
		acct := fmt.Sprint("acct-", i%3)
		r.do(acct, fmt.Sprint("p-", i), account.RecordPurchase{Purchase: fmt.Sprint(i), Amount: 10 * credit})
		id := fmt.Sprint("w-", 9-i)
		r.withdraws(acct, id)
		want = append(want, id)
		r.clock.Move(24 * time.Hour)
	}
	r.decides("acct-1", account.ApproveWithdrawal{Withdrawal: want[1]})
	r.decides("acct-2", account.RejectWithdrawal{Withdrawal: want[2]})
	r.toEnd()

	open := []string{"requested", "approved"}
	list := func(q projections.Waiting) (ids []string, next string) {
		page, err := r.views.Waiting(bg, q)
		require.NoError(t, err)
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		return ids, page.Next
	}
	kind := account.ObjectWithdrawal
	ids, next := list(projections.Waiting{Kind: kind, Statuses: open, Limit: 100})
	require.Equal(t, []string{want[0], want[1], want[3], want[4], want[5]}, ids, "both statuses are one queue, the soonest due first")
	require.Empty(t, next)

	ids, next = list(projections.Waiting{Kind: kind, Statuses: open, Limit: 2})
	require.Equal(t, want[:2], ids)
	// What moves between the statuses is neither lost nor doubled on the next page.
	r.decides("acct-0", account.ApproveWithdrawal{Withdrawal: want[3]})
	r.toEnd()
	ids, next = list(projections.Waiting{Kind: kind, Statuses: open, Limit: 2, After: next})
	require.Equal(t, want[3:5], ids)
	ids, next = list(projections.Waiting{Kind: kind, Statuses: open, Limit: 2, After: next})
	require.Equal(t, want[5:], ids)
	require.Empty(t, next)

	ids, _ = list(projections.Waiting{Kind: kind, Statuses: open, Limit: 9, Keep: func(o *projections.ObjectRecord) bool { return o.Account == "acct-0" }})
	require.Equal(t, []string{want[0], want[3]}, ids)
	ids, _ = list(projections.Waiting{Kind: kind, Statuses: []string{"rejected"}, Limit: 9})
	require.Equal(t, want[2:3], ids)

	all, late, err := r.views.CountWaiting(bg, kind, open, start)
	require.NoError(t, err)
	require.Equal(t, [2]int{5, 0}, [2]int{all, late})
	all, late, err = r.views.CountWaiting(bg, kind, open, time.Date(2026, 1, 14, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, [2]int{5, 2}, [2]int{all, late}, "seven business days after Friday, January 2, and Saturday are Tuesday, January 13")

	_, err = r.views.Waiting(bg, projections.Waiting{Kind: kind, Statuses: open, Limit: 2, After: "?"})
	require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%v", err)

	record, found, err := r.views.Object(bg, "acct-1", kind, want[1])
	require.NoError(t, err)
	require.True(t, found)
	require.Len(t, record.Steps, 2)
	require.Equal(t, []string{"requested", "approved"}, []string{record.Steps[0].Status, record.Steps[1].Status})
	require.Equal(t, "fin", record.Steps[1].Actor)
}

func TestRelated(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "1", account.RecordPurchase{Purchase: "p", Amount: 10 * credit})
	charge := r.do("a", "2", account.Deduct{Amount: 4 * credit, Service: domain.ServiceVM}).Facts[0]
	r.do("a", "3", account.Refund{Transaction: charge.ID, Amount: credit})
	r.do("a", "4", account.Deduct{Amount: credit, Service: domain.ServiceVM})
	r.do("a", "5", account.OpenDispute{Dispute: "d", Transaction: charge.ID})
	r.do("a", "6", account.RequestAdjustment{Adjustment: "x", Amount: credit, Related: charge.ID})
	r.toEnd()
	about := func(revision int64) []int64 {
		revisions, err := r.views.Related(bg, "a", revision)
		require.NoError(t, err)
		return revisions
	}
	require.Equal(t, []int64{2, 4, 5}, about(charge.Revision))
	require.Empty(t, about(0))
}

func TestStatementAddsUp(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.clock.Move(time.Date(2026, 10, 31, 23, 59, 0, 0, time.UTC).Sub(r.clock.Now()))
	r.do("a", "1", account.RecordPurchase{Purchase: "p", Amount: 100 * credit})
	r.do("a", "2", account.Deduct{Amount: 5 * credit, Service: domain.ServiceVM})
	november, december := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	r.clock.Move(november.Sub(r.clock.Now()))
	r.do("a", "3", account.Deduct{Amount: 7 * credit, Service: domain.ServiceRay})
	r.do("a", "4", account.Reserve{Reservation: "r", Amount: 30 * credit, Service: domain.ServiceRay})
	r.do("a", "5", account.Capture{Reservation: "r", Amount: 12 * credit, Final: true})
	r.withdraws("a", "w")
	r.clock.Move(december.Add(-time.Microsecond).Sub(r.clock.Now()))
	r.do("a", "6", account.GrantIncentive{Amount: 2 * credit})
	r.clock.Move(december.Sub(r.clock.Now()))
	r.do("a", "7", account.Deduct{Amount: 50 * credit, Service: domain.ServiceVM})
	r.toEnd()

	s, err := r.views.Statement(bg, "a", november, december)
	require.NoError(t, err)
	require.Equal(t, 95*credit, s.Opening)
	require.Equal(t, 78*credit, s.Closing)
	sum := (journal.Sum{}).Add
	require.Equal(t, []projections.StatementTotal{
		{Type: "deduction", Count: 2, Amount: sum(-19 * credit), Held: sum(-12 * credit)},
		{Type: "incentive", Count: 1, Amount: sum(2 * credit)},
		{Type: "release", Count: 1, Held: sum(-18 * credit)},
		{Type: "reservation", Count: 1, Held: sum(30 * credit)},
		{Type: "withdrawal", Count: 1, Held: sum(credit)},
	}, s.Totals)
	balance := s.Opening
	entries := 0
	for e, err := range r.views.StatementEntries(bg, s) {
		require.NoError(t, err)
		balance += e.Amount
		require.Equal(t, balance, e.BalanceAfter)
		entries++
	}
	require.Equal(t, s.Closing, balance)
	require.Equal(t, s.Entries, entries)

	empty, err := r.views.Statement(bg, "nobody", november, december)
	require.NoError(t, err)
	require.Zero(t, empty.Closing)
	for e, err := range r.views.StatementEntries(bg, empty) {
		t.Fatalf("an account without entries has %v, %v", e, err)
	}
	later, err := r.views.Statement(bg, "a", december.AddDate(1, 0, 0), december.AddDate(1, 1, 0))
	require.NoError(t, err)
	require.Equal(t, [2]domain.Amount{28 * credit, 28 * credit}, [2]domain.Amount{later.Opening, later.Closing})
}
