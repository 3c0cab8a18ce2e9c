package reactor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore/reactor"
)

// TestReconciliationCountsAPaymentOnce, that a webhook has brought in before: into
// the engine's own account, from where finance credited it; or under an id whose
// form isn't ours.
func TestReconciliationCountsAPaymentOnce(t *testing.T) {
	r := newRig(t)
	r.follow()
	p := newTill()
	stop := r.run(func(o *reactor.Options) { r.selling(p)(o); o.ReconcileEvery = time.Hour })
	for _, id := range []string{"p1", "p2"} {
		r.do("a", account.StartPurchase{Purchase: id, Amount: 5 * credit})
	}
	eventually(t, func() bool { return r.count("a", "purchase-link-made") == 2 }, "links")
	stop()
	p.pay("a", "p1", 5*credit)
	p.pay("a", "p2", 3*credit)
	p.payments["p2"][0].Payment = "an id with spaces"

	first := p.payments["p1"][0]
	first.Named = "a"
	r.do(account.UnmatchedAccount, first.Actions()[0])
	r.do(account.UnmatchedAccount, account.ResolvePayment{Payment: first.Payment, Account: "b"})
	r.do("b", account.CreditPayment{Payment: first.Payment, From: account.UnmatchedAccount, Amount: 5 * credit})
	r.do("a", reactor.Normal(p.payments["p2"][0]).Actions()[0])
	for range 2 {
		require.NoError(t, r.reactor(r.selling(p)).Reconcile(t.Context()))
	}
	require.Equal(t, 5*credit, r.balance("b"))
	require.Zero(t, r.balance("a"), "p1 was credited to b, and of p2 a part is missing")
	require.Equal(t, 1, r.count("a", "payment-received"))
	require.Zero(t, r.count("a", "payment-unmatched"))
	require.Equal(t, 1, r.count(account.UnmatchedAccount, "payment-unmatched"))

	p.payments["p1"][0].Status = account.ProviderRefunded
	for range 2 {
		require.NoError(t, r.reactor(r.selling(p)).Reconcile(t.Context()))
	}
	require.Zero(t, r.balance("b"), "what is taken back is taken where it was credited")
	require.Equal(t, 1, r.count("b", "purchase-reversed"))
	require.Equal(t, 1, r.count(account.UnmatchedAccount, "payment-unmatched"))
}

// TestReconciliationTellsOfAnotherAmount, and credits none of it.
func TestReconciliationTellsOfAnotherAmount(t *testing.T) {
	r := newRig(t)
	r.follow()
	p := newTill()
	r.do("a", account.StartPurchase{Purchase: "p1", Amount: 5 * credit})
	stop := r.run(func(o *reactor.Options) { r.selling(p)(o); o.ReconcileEvery = time.Hour })
	eventually(t, func() bool { return r.count("a", "purchase-link-made") == 1 }, "links")
	stop()
	p.pay("a", "p1", 2*credit)
	differing := 0
	once := r.reactor(func(o *reactor.Options) { r.selling(p)(o); o.OnPaymentDiffers = func() { differing++ } })
	require.NoError(t, once.Reconcile(t.Context()))
	require.Zero(t, differing)
	p.payments["p1"][0].Amount = 50 * credit
	require.NoError(t, once.Reconcile(t.Context()))
	require.Equal(t, 1, differing)
	require.Zero(t, r.balance("a"), "2 of 5 have come")
}
