package account_test

import (
	"math"
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestHeldLotsCount: a hold is no way round the limit of lots, and what must never
// be refused isn't.
func TestHeldLotsCount(t *testing.T) {
	const most = 10_000
	tooMany := "limit-exceeded limit=10000"
	grant := events(&account.IncentiveGranted{Amount: credit})
	reserved := given(manyLots(most), held("r", most*credit))
	check(t, []row{
		{name: "an incentive, where all lots are reserved", given: reserved, when: granted(credit), refused: tooMany},
		{name: "an adjustment", given: append(reserved[:2:2], asked(credit)), when: approvedBy("bob"), refused: tooMany},
		{name: "an adjustment, where none is", given: given(manyLots(most), asked(credit)), when: approvedBy("bob"), refused: tooMany},
		{name: "downwards there is no limit", given: given(manyLots(most), asked(-credit)), when: approvedBy("bob"), then: events(&account.Adjusted{Adjustment: "a", Amount: -credit, Lots: lots(promo(0, credit)), ApprovedBy: "bob"})},
		{
			name: "an approval", given: append(reserved[:2:2], askedFor("c", credit)), refused: tooMany,
			when: approves("bd", "c", terms(credit, true)),
		},
		{name: "where two hold all", given: given(manyLots(most), held("r", most/2*credit), held("s", most/2*credit)), when: granted(credit), refused: tooMany},
		{
			name: "where the last two are withdrawn", when: granted(credit), refused: tooMany,
			given: given(manyLots(most-2), bought("p", credit), withdrawn("w", credit), bought("q", credit), withdrawn("x", credit)),
		},
		{name: "a lot that stands in several holds is one", given: given(manyLots(most-1), held("r", credit/2), held("s", credit/4)), when: granted(credit), then: grant},
		{
			name: "what was captured is gone", given: append(reserved[:2:2], do(account.Capture{Reservation: "r", Amount: credit})),
			when: granted(credit), then: grant,
		},
		{name: "a purchase is a fact", given: reserved, when: bought("p", credit), then: events(&account.PurchaseSettled{Purchase: "p", Amount: credit})},
		{
			name:  "a release brings back what was counted",
			given: given(manyLots(most), held("r", credit), facts(&account.PurchaseSettled{Purchase: "p", Amount: credit})), when: released("r"),
			then:    events(&account.Released{Reservation: "r", Amount: credit, Service: vm, Cause: account.ReleaseAsked, Lots: lots(promo(0, credit)), Closes: true}),
			balance: "balance 10001, available 10001, promotional 10000, purchased 1, withdrawable 1, allowance 10, spendable 10011",
		},
		{
			name:  "a refund is accepted beyond it",
			given: given(manyLots(most), spent(credit), granted(credit)), when: refunded(most, credit),
			then:    events(backTo(most, credit, promo(0, credit))),
			balance: "balance 10001, available 10001, promotional 10001, spendable 10001",
		},
	})
}

// An account that holds all that it may: whatever comes in or back, no figure goes
// past its bound, and so none leaves an int64.
func TestInflowAtTheLimit(t *testing.T) {
	const all, most = domain.MaxBalance, domain.MaxAmount
	tooLarge := func(amount domain.Amount) string {
		return "amount-too-large field=amount value=" + amount.String() + " limit=1000000000000"
	}
	full := given(facts(&account.IncentiveGranted{Amount: all}))
	allPaid := given(facts(&account.PurchaseSettled{Purchase: "p", Amount: all}))
	allSpent := given(facts(&account.Deducted{Amount: all, Service: vm, Lots: lots(paid(0, all))}))
	again := func(steps []step, more ...step) []step { return append(steps[:len(steps):len(steps)], more...) }
	balance := "balance 1000000000000, available 1000000000000, promotional 1000000000000, spendable 1000000000000"
	ends := ended(account.DeploymentIsCancelled, "d", hour(0), 0, 0, most)
	check(t, []row{
		{name: "grant", given: full, when: granted(most), refused: tooLarge(most)},
		{name: "adjustment", given: again(full, asked(1)), when: approvedBy("bob"), refused: tooLarge(1)},
		{name: "purchase", given: full, when: bought("p", most), then: events(unmatched("p", "p", most, account.WhyBalanceLimit))},
		{
			name: "release", given: again(full, held("r", most)), when: released("r"), balance: balance,
			then: events(&account.Released{Reservation: "r", Amount: most, Service: vm, Cause: account.ReleaseAsked, Lots: lots(promo(0, most)), Closes: true}),
		},
		{name: "refund", given: again(full, spent(most)), when: refunded(1, most), then: events(backTo(1, most, promo(0, most))), balance: balance},
		{name: "refund, where others came in its place", given: again(full, spent(most), granted(most)), when: refunded(1, 0), refused: tooLarge(most)},
		{
			name: "refund of all deductions there were", given: again(allPaid, allSpent[0], granted(most), spent(most), refunded(1, 0)),
			when: refunded(3, 1), refused: tooLarge(1),
		},
		{
			name:  "refund of debt that is open takes no room",
			given: again(allPaid, facts(&account.Reserved{Reservation: "r", Amount: all, Service: vm, Lots: lots(paid(0, all))}), spent(10*credit)),
			when:  refunded(2, 0), then: events(&account.Refunded{Deduction: tx(2), Revision: 2, Amount: 10 * credit, Service: vm, Debt: 10 * credit}),
		},
		{name: "what a deployment was paid keeps its room", given: again(full, do(deploy("d", "1000000000", 1))), when: granted(1), refused: tooLarge(1)},
		{
			name: "so that it can come back", given: again(full, do(deploy("d", "1000000000", 1))), when: do(account.CancelDeployment{Deployment: "d"}),
			then: events(back("d", 2, promo(0, most)), ends), balance: balance,
		},
		{
			name: "what was spent was paid all the same", given: again(allPaid, allSpent[0]), when: bought("q", 1),
			then: events(unmatched("q", "q", 1, account.WhyBalanceLimit)), balance: "allowance 10, spendable 10",
		},
		{
			name: "reversal", given: again(allPaid, allSpent[0]), when: chargedBack("p"), balance: "balance -1000000000000, available -1000000000000, debt 1000000000000, frozen",
			then: events(&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: all, Debt: all}, &account.Frozen{Cause: account.FreezeChargeback}),
		},
		{
			name: "and a refund after it pays the debt", given: again(allPaid, allSpent[0], chargedBack("p")), when: refunded(1, 0), balance: "frozen",
			then: events(backTo(1, all, paid(0, all)), repaid(account.DebtChargeback, paid(0, all))),
		},
		{name: "a payment that nothing can add to", given: given(started("p", credit)), when: do(payment("x", "p", math.MaxInt64)), refused: tooLarge(math.MaxInt64)},
		{name: "an assigned payment", given: full, when: do(account.CreditPayment{Payment: "x", Amount: math.MaxInt64}), refused: tooLarge(math.MaxInt64)},
		{
			name: "an approval of purchased credits", given: again(allPaid, allSpent[0], askedFor("c", 1)), when: approves("bd", "c", terms(1, false)),
			refused: tooLarge(1),
		},
	})
}
