package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// Promotional credits that covered a chargeback come back to the purchased lots
// that it was about, where they can be spent again and never be cashed.
func TestPromotionalCreditsAreNeverCashed(t *testing.T) {
	release := do(account.Release{Reservation: "r"})
	check(t, []row{
		{
			name:    "spent, charged back from an incentive, refunded",
			given:   given(bought("p", 10*credit), spent(10*credit), granted(10*credit), chargedBack("p")),
			when:    refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit)), &account.BackingChanged{Unbacked: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, spendable 10",
		},
		{
			name:    "the same, and a real purchase after it: that one can be withdrawn",
			given:   given(bought("p", 10*credit), spent(10*credit), granted(10*credit), chargedBack("p"), refunded(1, 10*credit)),
			when:    bought("q", 7*credit),
			then:    events(&account.PurchaseSettled{Purchase: "q", Amount: 7 * credit}),
			balance: "balance 17, available 17, purchased 17, withdrawable 7, allowance 10, spendable 27",
		},
		{
			name:  "held, charged back from an incentive, released",
			given: given(bought("p", 10*credit), held("r", 10*credit), granted(10*credit), chargedBack("p")),
			when:  release,
			then: events(&account.Released{
				Reservation: "r", Amount: 10 * credit, Service: vm, Cause: account.ReleaseAsked, Lots: lots(paid(0, 10*credit)), Closes: true,
			}, &account.BackingChanged{Unbacked: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, spendable 10",
		},
		{
			name:  "charged back into debt that an incentive repays, refunded",
			given: given(bought("p", 10*credit), spent(10*credit), chargedBack("p"), granted(10*credit)),
			when:  refunded(1, 10*credit),
			then:  events(backTo(1, 10*credit, paid(0, 10*credit)), &account.BackingChanged{Unbacked: 10 * credit}),
			// Frozen by the chargeback's debt: finance unfreezes.
			balance: "balance 10, available 10, purchased 10, spendable 10, frozen",
		},
		{
			name:    "what has expired leaves no room for it",
			given:   given(boughtUntil(hour(1), "old", 10*credit), doAt(hour(1), account.Tick{}), bought("p", 10*credit), spent(10*credit), granted(10*credit), chargedBack("p")),
			when:    doAt(hour(2), refund(3, 10*credit)),
			then:    events(backTo(3, 10*credit, paid(2, 10*credit)), &account.BackingChanged{Unbacked: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, allowance 10, spendable 20",
		},
	})
}

// hollowLot: q was charged back from an incentive, and its deduction refunded; p is spent.
func hollowLot() []step {
	return given(bought("p", 10*credit), spent(10*credit), bought("q", 10*credit), spent(10*credit), granted(10*credit),
		chargedBack("q"), refunded(3, 10*credit))
}

// What was spent for good is no money either, and what others stood in for is.
func TestMoneyIsBehindALot(t *testing.T) {
	unbacked := func(amount domain.Amount) *account.BackingChanged { return &account.BackingChanged{Unbacked: amount} }
	hollow := hollowLot()
	check(t, []row{
		{
			name:  "a purchase that was spent lends no money to one that was taken back",
			given: hollow[:6], when: hollow[6],
			then:    events(backTo(3, 10*credit, paid(2, 10*credit)), unbacked(10*credit)),
			balance: "balance 10, available 10, purchased 10, allowance 10, spendable 20",
		},
		{
			name: "so nothing can be paid out", given: hollow, when: withdrawn("w", 1),
			refused: "not-withdrawable withdrawable=0 required=0.000001",
		},
		{
			name: "what has no money is spent first, and what was bought stays withdrawable", given: append(hollow[:7:7], bought("r", 10*credit)), when: spent(10 * credit),
			then:    events(&account.Deducted{Amount: 10 * credit, Service: vm, Lots: lots(paid(2, 10*credit))}, unbacked(0)),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{
			name:    "what is refunded past its date takes nothing of another purchase",
			given:   given(boughtUntil(hour(1), "p", 10*credit), spent(10*credit), granted(10*credit), chargedBack("p"), doAt(hour(2), refund(1, 10*credit))),
			when:    doAt(hour(2), account.RecordPurchase{Purchase: "q", Amount: 10 * credit}),
			then:    events(&account.PurchaseSettled{Purchase: "q", Amount: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{
			name:    "nor what is released past it",
			given:   given(boughtUntil(hour(1), "p", 10*credit), held("r", 10*credit), granted(10*credit), chargedBack("p"), doAt(hour(2), account.Release{Reservation: "r"})),
			when:    doAt(hour(2), account.RecordPurchase{Purchase: "q", Amount: 10 * credit}),
			then:    events(&account.PurchaseSettled{Purchase: "q", Amount: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{
			name:    "nor what expired before it was taken back",
			given:   given(boughtUntil(hour(1), "p", 10*credit), doAt(hour(2), account.GrantIncentive{Amount: 10 * credit}), doAt(hour(2), account.RecordPurchase{Purchase: "q", Amount: 10 * credit})),
			when:    doAt(hour(3), account.ReversePurchase{Purchase: "p", Kind: account.ReversalChargeback}),
			then:    events(&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 10 * credit, Lots: lots(paid(3, 10*credit)), Expired: 10 * credit}),
			balance: "balance 10, available 10, promotional 10, allowance 10, spendable 20",
		},
		{
			name:    "purchased credits that stood in leave their money",
			given:   given(bought("p", 10*credit), spent(10*credit), bought("q", 10*credit), chargedBack("p")),
			when:    refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit))),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{
			name:    "and so do those that paid its debt",
			given:   given(bought("p", 10*credit), spent(10*credit), chargedBack("p"), bought("q", 10*credit)),
			when:    refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit))),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, spendable 10, frozen",
		},
		{
			name: "whose money paid spending debt nobody can say once a purchase was taken back",
			given: given(bought("o", 10*credit), spent(10*credit), spent(10*credit), bought("p", 10*credit), granted(10*credit),
				chargedBack("p")),
			when:    refunded(2, 10*credit),
			then:    events(&account.Refunded{Deduction: tx(2), Revision: 2, Amount: 10 * credit, Service: vm, Made: 10 * credit, Class: account.Purchased}, unbacked(10*credit)),
			balance: "balance 10, available 10, purchased 10, allowance 10, spendable 20",
		},
	})
}

// Credits of a lot that owes for its own reversal pay another's too: not with the money
// that the lot itself then lacks.
func TestMoneyOfTwoReversals(t *testing.T) {
	check(t, []row{
		{
			name: "what has no money pays its own lot's debt, and what has some another's",
			given: given(bought("p", 10*credit), bought("q", 10*credit), spent(20*credit), bought("r", 5*credit), chargedBack("q"), chargedBack("p"),
				granted(6*credit), refunded(2, 10*credit)), // of q: 4 for what p owes still, 5 for q itself, 1 is left
			when:    refunded(2, 10*credit),
			then:    events(backTo(2, 10*credit, paid(0, 10*credit)), &account.BackingChanged{Unbacked: 6 * credit}),
			balance: "balance 11, available 11, purchased 11, withdrawable 5, spendable 11, frozen", // 25 came in, 20 were taken back
		},
	})
}

// A payout takes the money of the lots that it names, so it names those that have some.
func TestAPayoutHoldsWhatHasMoneyBehindIt(t *testing.T) {
	check(t, []row{
		{
			name: "what has no money is not held for a payout", given: append(hollowLot(), bought("r", 10*credit)), when: withdrawn("w", 10*credit),
			then: events(&account.WithdrawalRequested{Withdrawal: "w", Amount: 10 * credit, Wallet: "sealed", Network: account.NetworkSolana,
				DueFrom: hour(3 * 24), DueBy: hour(9 * 24), RequestedBy: "ann", Lots: lots(paid(8, 10*credit))}),
			balance: "balance 20, available 10, withdrawing 10, purchased 20, allowance 10, spendable 20",
		},
		{
			name: "so that what is bought after it was spent can be withdrawn",
			given: append(hollowLot(), bought("r", 10*credit), withdrawn("w", 10*credit), doBy("fin", account.ApproveWithdrawal{Withdrawal: "w"}),
				doBy("fin", account.RecordPayout{Withdrawal: "w", TxURL: "sealed", Network: account.NetworkSolana}), spent(10*credit)),
			when:    bought("s", 10*credit),
			then:    events(&account.PurchaseSettled{Purchase: "s", Amount: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
	})
}

// madeLot: y is spent for good; p's 10 and 5 of debt were spent, z paid the debt, and its
// refund made lot 6.
func madeLot() []step {
	return given(bought("y", 5*credit), spent(5*credit), bought("p", 10*credit), spent(15*credit), bought("z", 5*credit), refunded(3, 5*credit))
}

// The money of a lot that a refund of debt made is some other lot's: it stands behind one
// of them only.
func TestMoneyOfMadeLotsCountsOnce(t *testing.T) {
	check(t, []row{
		{
			name:  "taken for a reversal, and then its payer's is taken back: promotional credits made up for both",
			given: append(madeLot(), granted(5*credit), chargedBack("p"), granted(5*credit), chargedBack("z")),
			when:  refunded(3, 10*credit),
			then:  events(backTo(3, 10*credit, paid(2, 10*credit)), &account.BackingChanged{Unbacked: 10 * credit}),
			// 20 came in and 15 went back: the other 5 are y's.
			balance: "balance 10, available 10, purchased 10, allowance 10, spendable 20",
		},
		{
			name:  "paid out, and then its payer's is taken back",
			given: append(madeLot(), withdrawn("w", 5*credit), okayed("w", "fin"), paidOut("w", "fin"), granted(5*credit), chargedBack("z")),
			when:  refunded(3, 10*credit),
			then:  events(backTo(3, 10*credit, paid(2, 10*credit))),
			// 20 came in, 5 went back, 5 were paid out and 5 are y's.
			balance: "balance 10, available 10, purchased 10, withdrawable 5, allowance 10, spendable 20",
		},
		{
			name: "the same as if its payer had been paid out",
			given: given(bought("y", 5*credit), spent(5*credit), bought("p", 10*credit), bought("z", 5*credit), spent(10*credit),
				withdrawn("w", 5*credit), okayed("w", "fin"), paidOut("w", "fin"), granted(5*credit), chargedBack("z")),
			when:    refunded(4, 10*credit),
			then:    events(backTo(4, 10*credit, paid(2, 10*credit))),
			balance: "balance 10, available 10, purchased 10, withdrawable 5, allowance 10, spendable 20",
		},
	})
}

// What stood in for another purchase is taken back itself: its money is missing where it
// went, and not from what is bought later.
func TestMoneyThatStoodInIsTakenBack(t *testing.T) {
	chained := given(bought("p", 10*credit), spent(10*credit), bought("q", 10*credit), chargedBack("p"), granted(10*credit), chargedBack("q"))
	back := append(chained[:6:6], refunded(1, 10*credit), bought("s", 10*credit))
	indebted := given(bought("p", 10*credit), spent(10*credit), bought("q", 10*credit), chargedBack("p"), chargedBack("q"))
	check(t, []row{
		{
			name: "what comes back of the first has no money", given: chained, when: refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit)), &account.BackingChanged{Unbacked: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, spendable 10",
		},
		{
			name: "once that is spent, what was bought can be withdrawn", given: back, when: spent(10 * credit),
			then:    events(&account.Deducted{Amount: 10 * credit, Service: vm, Lots: lots(paid(0, 10*credit))}, &account.BackingChanged{}),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{
			name: "the same where an incentive paid the debt", given: append(indebted[:5:5], granted(10*credit), refunded(1, 10*credit), do(account.Unfreeze{}), bought("s", 10*credit)),
			when:    spent(10 * credit),
			then:    events(&account.Deducted{Amount: 10 * credit, Service: vm, Lots: lots(paid(0, 10*credit))}, &account.BackingChanged{}),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{
			name: "purchased credits that paid the debt leave it where it went", given: append(indebted[:5:5], bought("s", 10*credit)), when: refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit))),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, spendable 10, frozen",
		},
	})
}
