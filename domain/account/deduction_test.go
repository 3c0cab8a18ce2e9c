package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

func TestDeduct(t *testing.T) {
	check(t, []row{
		{
			name:    "from one lot",
			given:   given(bought("p", 50*credit)),
			when:    do(account.Deduct{Amount: 20 * credit, Service: vm, Reference: "job-1", Description: "sealed", EffectiveAt: hour(-1)}),
			then:    events(&account.Deducted{Amount: 20 * credit, Service: vm, Reference: "job-1", Description: "sealed", EffectiveAt: hour(-1), Lots: lots(paid(0, 20*credit))}),
			balance: "balance 30, available 30, purchased 30, withdrawable 30, allowance 10, spendable 40",
		},
		{
			name:    "promotional before purchased, whichever came first",
			given:   given(bought("p", 50*credit), granted(20*credit)),
			when:    spent(30 * credit),
			then:    events(&account.Deducted{Amount: 30 * credit, Service: vm, Lots: lots(promo(1, 20*credit), paid(0, 10*credit))}),
			balance: "balance 40, available 40, purchased 40, withdrawable 40, allowance 10, spendable 50",
		},
		{
			name: "soonest expiry first, none last, then oldest",
			given: given(granted(1*credit), grantedUntil(hour(9), 2*credit), grantedUntil(hour(5), 4*credit),
				grantedUntil(hour(9), 8*credit), granted(16*credit)),
			when: spent(31 * credit),
			then: events(&account.Deducted{Amount: 31 * credit, Service: vm, Lots: lots(
				until(hour(5), promo(2, 4*credit)), until(hour(9), promo(1, 2*credit)), until(hour(9), promo(3, 8*credit)),
				promo(0, 1*credit), promo(4, 16*credit))}),
		},
		{
			name: "purchased lots in the same order, after every promotional one",
			given: given(bought("never", 1*credit), do(account.RecordPurchase{Purchase: "soon", Amount: 2 * credit, ExpiresAt: hour(3)}),
				granted(4*credit)),
			when: spent(6 * credit),
			then: events(&account.Deducted{Amount: 6 * credit, Service: vm, Lots: lots(promo(2, 4*credit), until(hour(3), paid(1, 2*credit)))}),
		},
		{
			name:    "to the last micro-credit",
			given:   given(granted(1)),
			when:    spent(1),
			then:    events(&account.Deducted{Amount: 1, Service: vm, Lots: lots(promo(0, 1))}),
			balance: "nothing",
		},
	})
}

func TestDeductRefused(t *testing.T) {
	check(t, []row{
		{
			name:    "zero",
			when:    spent(0),
			refused: "amount-invalid field=amount value=0",
		},
		{
			name:    "negative",
			when:    spent(-1),
			refused: "amount-invalid field=amount value=-0.000001",
		},
		{
			name:    "above the limit of one figure",
			when:    spent(domain.MaxAmount + 1),
			refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000",
		},
		{
			name:    "effective in the future",
			given:   given(granted(5 * credit)),
			when:    do(account.Deduct{Amount: credit, Service: vm, EffectiveAt: hour(0).Add(1)}),
			refused: "time-invalid field=effective_at value=2026-03-01T00:00:00.000000001Z",
		},
		{
			name:  "effective now",
			given: given(granted(5 * credit)),
			when:  do(account.Deduct{Amount: credit, Service: vm, EffectiveAt: hour(0)}),
			then:  events(&account.Deducted{Amount: credit, Service: vm, EffectiveAt: hour(0), Lots: lots(promo(0, credit))}),
		},
		{
			name:    "of an account never seen",
			when:    spent(1),
			refused: "insufficient-credits available=0 allowance=0 spendable=0 required=0.000001 shortfall=0.000001",
		},
		{
			name:    "more than there is",
			given:   given(bought("p", 5*credit)),
			when:    spent(15*credit + 1),
			refused: "insufficient-credits available=5 allowance=10 spendable=15 required=15.000001 shortfall=0.000001",
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name:    "what is reserved can't be spent",
			given:   given(granted(5*credit), held("r", 4*credit)),
			when:    spent(2 * credit),
			refused: "insufficient-credits available=1 allowance=0 spendable=1 required=2 shortfall=1",
		},
	})
}

// TestDeductOrderOfChecks: each row breaks a check and every later one.
func TestDeductOrderOfChecks(t *testing.T) {
	frozen := given(do(account.Freeze{}))
	check(t, []row{
		{
			name: "amount before all", given: frozen,
			when:    do(account.Deduct{Amount: 0, EffectiveAt: hour(1)}),
			refused: "amount-invalid field=amount value=0",
		},
		{
			name: "time before frozen", given: frozen,
			when:    do(account.Deduct{Amount: credit, EffectiveAt: hour(1)}),
			refused: "time-invalid field=effective_at value=2026-03-01T01:00:00Z",
		},
		{
			name: "frozen before insufficient", given: frozen,
			when:    spent(credit),
			refused: "account-frozen",
		},
	})
}

func TestDeductBelowZero(t *testing.T) {
	check(t, []row{
		{
			name:    "the allowance pays last and is debt",
			given:   given(bought("p", 5*credit)),
			when:    spent(15 * credit),
			then:    events(&account.Deducted{Amount: 15 * credit, Service: vm, Lots: lots(paid(0, 5*credit)), Debt: 10 * credit}),
			balance: "balance -10, available -10, debt 10, allowance 10",
		},
		{
			name:    "nothing but debt",
			given:   given(bought("p", 5*credit), spent(6*credit)),
			when:    spent(2 * credit),
			then:    events(&account.Deducted{Amount: 2 * credit, Service: vm, Debt: 2 * credit}),
			balance: "balance -3, available -3, debt 3, allowance 10, spendable 7",
		},
		{
			name:    "debt uses the allowance up",
			given:   given(bought("p", 5*credit), spent(14*credit)),
			when:    spent(2 * credit),
			refused: "insufficient-credits available=-9 allowance=10 spendable=1 required=2 shortfall=1",
		},
		{
			name:    "no allowance before a payment",
			given:   given(granted(100 * credit)),
			when:    spent(101 * credit),
			refused: "insufficient-credits available=100 allowance=0 spendable=100 required=101 shortfall=1",
		},
		{
			name:    "no allowance from an adjustment",
			given:   given(do(account.RequestAdjustment{Adjustment: "a", Amount: 5 * credit}), doBy("bob", account.ApproveAdjustment{Adjustment: "a"})),
			when:    spent(6 * credit),
			refused: "insufficient-credits available=5 allowance=0 spendable=5 required=6 shortfall=1",
		},
		{
			name: "no allowance after the only payment was taken back",
			given: given(bought("p", 5*credit), do(account.ReversePurchase{Purchase: "p", Kind: account.ReversalRefund}),
				granted(3*credit)),
			when:    spent(4 * credit),
			refused: "insufficient-credits available=3 allowance=0 spendable=3 required=4 shortfall=1",
			balance: "balance 3, available 3, promotional 3, spendable 3",
		},
		{
			name: "an allowance while one of two payments stands",
			given: given(bought("p", 5*credit), bought("q", 1*credit),
				do(account.ReversePurchase{Purchase: "p", Kind: account.ReversalRefund})),
			when:    spent(11 * credit),
			then:    events(&account.Deducted{Amount: 11 * credit, Service: vm, Lots: lots(paid(1, 1*credit)), Debt: 10 * credit}),
			balance: "balance -10, available -10, debt 10, allowance 10",
		},
		{
			name:    "an allowance although the payment was spent and expired",
			given:   given(do(account.RecordPurchase{Purchase: "p", Amount: 5 * credit, ExpiresAt: hour(1)}), doAt(hour(1), account.Tick{})),
			when:    doAt(hour(1), account.Deduct{Amount: 10 * credit, Service: vm}),
			then:    events(&account.Deducted{Amount: 10 * credit, Service: vm, Debt: 10 * credit}),
			balance: "balance -10, available -10, debt 10, allowance 10",
		},
		{
			name:    "the allowance while lots are reserved",
			given:   given(bought("p", 5*credit), held("r", 5*credit)),
			when:    spent(4 * credit),
			then:    events(&account.Deducted{Amount: 4 * credit, Service: vm, Debt: 4 * credit}),
			balance: "balance 1, available -4, reserved 5, purchased 5, debt 4, allowance 10, spendable 6",
		},
	})
}

// manyLots grants n lots of one credit.
func manyLots(n int) step {
	var all []domain.Event
	for range n {
		all = append(all, &account.IncentiveGranted{Amount: credit})
	}
	return facts(all...)
}

// uses names one credit of each of the lots first to last, counting either way.
func uses(first, last int64) []account.LotUse {
	var all []account.LotUse
	for i := first; first <= last && i <= last; i++ {
		all = append(all, promo(i, credit))
	}
	for i := first; first > last && i >= last; i-- {
		all = append(all, promo(i, credit))
	}
	return all
}

func TestDeductFromManyLots(t *testing.T) {
	check(t, []row{
		{
			name:  "500 lots are one event",
			given: given(manyLots(501)),
			when:  spent(500 * credit),
			then:  events(&account.Deducted{Amount: 500 * credit, Service: vm, Lots: uses(0, 499)}),
		},
		{
			name:  "more are parts, the last of which bears the debt",
			given: given(manyLots(1001), facts(&account.PurchaseSettled{Purchase: "p", Amount: credit})),
			when:  do(account.Deduct{Amount: 1004 * credit, Service: vm, Reference: "job", Description: "sealed", EffectiveAt: hour(-1)}),
			then: events(
				&account.Deducted{Amount: 500 * credit, Service: vm, Reference: "job", Description: "sealed", EffectiveAt: hour(-1),
					Lots: uses(0, 499), Part: account.Part{Index: 1, Count: 3}},
				&account.Deducted{Amount: 500 * credit, Service: vm, Reference: "job", Description: "sealed", EffectiveAt: hour(-1),
					Lots: uses(500, 999), Part: account.Part{Index: 2, Count: 3}},
				&account.Deducted{Amount: 4 * credit, Service: vm, Reference: "job", Description: "sealed", EffectiveAt: hour(-1),
					Lots: lots(promo(1000, credit), paid(1001, credit)), Debt: 2 * credit, Part: account.Part{Index: 3, Count: 3}},
			),
			balance: "balance -2, available -2, debt 2, allowance 10, spendable 8",
		},
	})
}
