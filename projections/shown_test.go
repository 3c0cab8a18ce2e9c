package projections_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/projections"
)

// TestAChangeIsShownAsAWhole: what is committed, and whose balances aren't shown yet, is in
// no read: not in a history or an object, because a balance read after it would be older.
func TestAChangeIsShownAsAWhole(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 100 * credit})
	r.toEnd()
	r.do("a", "", account.StartPurchase{Purchase: "q", Amount: credit})
	charged := r.do("a", "", account.Deduct{Amount: credit, Service: domain.ServiceRay}).Facts[0]
	r.do("a", "", account.Refund{Transaction: charged.ID, Amount: credit, Reason: "x"})
	r.do("b", "", account.RecordPurchase{Purchase: "p", Amount: credit})
	end := r.AckedAny()

	seen := func() (all []int64) {
		t.Helper()
		page, err := r.views.Transactions(bg, projections.Query{Account: "a", Limit: 1})
		require.NoError(t, err)
		all = append(all, page.Items[0].Revision)
		page, err = r.views.Transactions(bg, projections.Query{Account: "a", Limit: 1, AsOf: r.clock.Now()})
		require.NoError(t, err)
		all = append(all, page.Items[0].Revision)
		b, err := r.views.Balance(bg, "a")
		require.NoError(t, err)
		all = append(all, b.Revision)
		b, err = r.views.Balance(bg, "b")
		require.NoError(t, err)
		all = append(all, b.Revision)
		_, known, err := r.views.Transaction(bg, "a", charged.Revision)
		require.NoError(t, err)
		_, bought, err := r.views.Object(bg, "a", account.ObjectPurchase, "q")
		require.NoError(t, err)
		accounts, err := r.views.Accounts(bg, projections.AccountsQuery{Limit: 10})
		require.NoError(t, err)
		about, err := r.views.Related(bg, "a", charged.Revision)
		require.NoError(t, err)
		books, err := r.views.TrialBalance(bg)
		require.NoError(t, err)
		for _, is := range []bool{known, bought, len(accounts.Items) == 2, len(about) == 1, books.Position == end} {
			if is {
				all = append(all, 1)
			} else {
				all = append(all, 0)
			}
		}
		return all
	}
	before, after := []int64{0, 0, 0, -1, 0, 0, 0, 0, 0}, []int64{3, 3, 3, 0, 1, 1, 1, 1, 1}
	require.Equal(t, before, seen())
	show, err := r.views.CommitUnshown()
	require.NoError(t, err)
	require.Equal(t, before, seen())
	show()
	require.Equal(t, after, seen())
}

// TestAReadIsOfOneMoment: it goes on with what was shown when it began, and keeps nobody
// from closing the views once it has ended.
func TestAReadIsOfOneMoment(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 3)
	r.toEnd()
	read := 0
	for _, err := range r.views.Each(bg, projections.Query{Account: "a"}) {
		require.NoError(t, err)
		r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceVM})
		r.toEnd()
		read++
	}
	require.Equal(t, 4, read)
	require.NoError(t, r.views.Close(), "a moment that nobody reads was kept")
}
