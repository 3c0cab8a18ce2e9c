package account_test

import (
	"testing"

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
		{name: "where the last is withdrawn", given: given(manyLots(most-1), bought("p", credit), withdrawn("w", credit)), when: granted(credit), refused: tooMany},
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
