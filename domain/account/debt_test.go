package account_test

import (
	"testing"

	"iocredits/domain/account"
)

// owing has 3 of chargeback debt and 2 of spending debt, and is not frozen.
func owing() []step {
	return given(bought("p", 10*credit), bought("q", 3*credit), spent(15*credit), chargedBack("q"), do(account.Unfreeze{}))
}

func repaid(kind account.DebtKind, from ...account.LotUse) *account.DebtRepaid {
	return &account.DebtRepaid{Debt: kind, Lots: from}
}

func TestInflowPaysDebt(t *testing.T) {
	check(t, []row{
		{
			name: "chargeback debt before spending debt", given: owing(),
			when:    granted(4 * credit),
			then:    events(&account.IncentiveGranted{Amount: 4 * credit}, repaid(account.DebtChargeback, promo(6, 3*credit)), repaid(account.DebtSpending, promo(6, credit))),
			balance: "balance -1, available -1, debt 1, allowance 10, spendable 9",
		},
		{
			name: "as far as it goes", given: owing(),
			when:    bought("s", 2*credit),
			then:    events(&account.PurchaseSettled{Purchase: "s", Amount: 2 * credit}, repaid(account.DebtChargeback, paid(6, 2*credit))),
			balance: "balance -3, available -3, debt 3, allowance 10, spendable 7",
		},
		{
			name: "all of it, and the rest is there to spend", given: owing(),
			when: bought("s", 9*credit),
			then: events(&account.PurchaseSettled{Purchase: "s", Amount: 9 * credit},
				repaid(account.DebtChargeback, paid(6, 3*credit)), repaid(account.DebtSpending, paid(6, 2*credit))),
			balance: "balance 4, available 4, purchased 4, withdrawable 4, allowance 10, spendable 14",
		},
		{
			name:  "from several lots in spending order",
			given: given(bought("p", 3*credit), grantedUntil(hour(8), 2*credit), held("r", 5*credit), spent(4*credit)),
			when:  released("r"),
			then: events(
				&account.Released{Reservation: "r", Amount: 5 * credit, Service: vm, Cause: account.ReleaseAsked,
					Lots: lots(paid(0, 3*credit), until(hour(8), promo(1, 2*credit))), Closes: true},
				repaid(account.DebtSpending, until(hour(8), promo(1, 2*credit)), paid(0, 2*credit)),
			),
			balance: "balance 1, available 1, purchased 1, withdrawable 1, allowance 10, spendable 11",
		},
		{
			name:    "of a frozen account, too",
			given:   given(bought("p", credit), spent(credit), chargedBack("p")),
			when:    granted(3 * credit),
			then:    events(&account.IncentiveGranted{Amount: 3 * credit}, repaid(account.DebtChargeback, promo(4, credit))),
			balance: "balance 2, available 2, promotional 2, spendable 2, frozen",
		},
		{
			name: "a change of policy is no inflow", given: owing(),
			when:    do(account.SetPolicy{Allowance: ptr(5 * credit)}),
			then:    events(&account.PolicySet{Policy: account.Policy{Allowance: 5 * credit, GraceMinutes: 5, TwoApproversFrom: 1000 * credit, MinimumMinutes: account.MinimumMinutes{VM: 60}}}),
			balance: "balance -5, available -5, debt 5, allowance 5",
		},
		{
			name:  "from more than 500 lots",
			given: given(manyLots(501), bought("p", 501*credit), held("r", 501*credit), spent(501*credit), chargedBack("p")),
			when:  released("r"),
			then: events(
				&account.Released{Reservation: "r", Amount: 500 * credit, Service: vm, Cause: account.ReleaseAsked, Lots: uses(500, 1), Part: account.Part{Index: 1, Count: 2}},
				&account.Released{Reservation: "r", Amount: credit, Service: vm, Cause: account.ReleaseAsked, Lots: uses(0, 0), Closes: true, Part: account.Part{Index: 2, Count: 2}},
				repaid(account.DebtChargeback, uses(0, 499)...), repaid(account.DebtChargeback, uses(500, 500)...),
			),
			balance: "frozen",
		},
	})
}
