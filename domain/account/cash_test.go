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
	both := given(bought("p", 1), spent(1), bought("q", 1), spent(1), chargedBack("q"), chargedBack("p"))
	check(t, []row{
		{
			name: "what has no money pays its own lot's debt, and what has some another's",
			given: given(bought("p", 10*credit), bought("q", 10*credit), spent(20*credit), bought("r", 5*credit), chargedBack("q"), chargedBack("p"),
				granted(6*credit), refunded(2, 10*credit)), // of q: 4 for what p owes still, 5 for q itself, 1 is left
			when:    refunded(2, 10*credit),
			then:    events(backTo(2, 10*credit, paid(0, 10*credit)), &account.BackingChanged{Unbacked: 6 * credit}),
			balance: "balance 11, available 11, purchased 11, withdrawable 5, spendable 11, frozen", // 25 came in, 20 were taken back
		},
		{
			name: "the debt of the older purchase is paid first, to the last micro-credit", given: append(both[:6:6], bought("r", 1), granted(1)), when: refunded(1, 1),
			then:    events(backTo(1, 1, paid(0, 1))),
			balance: "balance 0.000001, available 0.000001, purchased 0.000001, withdrawable 0.000001, spendable 0.000001, frozen",
		},
		{
			name: "and that of the later one is what an incentive paid", given: append(both[:6:6], bought("r", 1), granted(1)), when: refunded(3, 1),
			then:    events(backTo(3, 1, paid(2, 1)), &account.BackingChanged{Unbacked: 1}),
			balance: "balance 0.000001, available 0.000001, purchased 0.000001, spendable 0.000001, frozen",
		},
		{
			name: "a purchase that pays for both is behind both", given: append(both[:6:6], bought("r", 2)), when: refunded(3, 1),
			then:    events(backTo(3, 1, paid(2, 1))),
			balance: "balance 0.000001, available 0.000001, purchased 0.000001, withdrawable 0.000001, spendable 0.000001, frozen",
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
			name: "down to a micro-credit", given: append(hollowLot(), bought("r", 1)), when: withdrawn("w", 1),
			then: events(asksFor("w", 1, paid(8, 1))),
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

// What a lot lacks is taken from where its money went (backing.go): no more than it lacks,
// from each no more than went there, and once.
func TestMoneyIsTakenFromWhereItWent(t *testing.T) {
	unbacked := func(amount domain.Amount) *account.BackingChanged { return &account.BackingChanged{Unbacked: amount} }
	partly := given(bought("p", 10*credit), spent(10*credit), bought("q", 10*credit), chargedBack("p"), granted(4*credit), chargedBack("q"))
	covered := given(bought("p", 10*credit), spent(10*credit), started("q", 30*credit), do(payment("q1", "q", 5*credit)), do(payment("q2", "q", 25*credit)),
		chargedBack("p"), spent(20*credit), do(account.ReversePurchase{Purchase: "q", Payment: "q2", Kind: account.ReversalChargeback}),
		refunded(1, 10*credit), granted(15*credit)) // 40 came in and 35 were taken back; p's own money pays some of q's debt
	toTwo := given(bought("p", 10*credit), spent(10*credit), bought("r", 6*credit), spent(6*credit), bought("s", 6*credit), bought("q", 10*credit),
		chargedBack("p"), chargedBack("r"), granted(10*credit), chargedBack("q")) // of q, 4 went to p and 6 to r
	paidToo := given(bought("p", 10*credit), spent(10*credit), bought("s", 6*credit), bought("q", 10*credit), chargedBack("p"), // with 4 of q
		withdrawn("w", 6*credit), okayed("w", "fin"), paidOut("w", "fin"), chargedBack("q"), granted(4*credit), granted(6*credit),
		refunded(1, 10*credit), do(account.Unfreeze{}), bought("t", 10*credit))
	gone := given(bought("q", 10*credit), held("r", 10*credit), bought("p", 20*credit), withdrawn("w", 10*credit), okayed("w", "fin"), spent(10*credit),
		do(account.Release{Reservation: "r"}), chargedBack("p"), do(account.Unfreeze{}), paidOut("w", "fin"), // q's 10 went to p, and out
		chargedBack("q"), granted(10*credit), bought("s", 10*credit)) // and s pays what p owes
	check(t, []row{
		{
			name: "not what is owed for it: that is paid with money of its own", given: append(partly, bought("s", 6*credit)), when: refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit)), unbacked(4*credit)),
			balance: "balance 10, available 10, purchased 10, withdrawable 6, spendable 10, frozen",
		},
		{
			name: "nothing where it is owed all", given: covered, when: refunded(7, 20*credit),
			then:    events(backTo(7, 20*credit, paid(5, 20*credit)), unbacked(15*credit)),
			balance: "balance 20, available 20, purchased 20, withdrawable 5, spendable 20, frozen",
		},
		{
			name: "from the first no more than went there", given: toTwo, when: refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit)), unbacked(4*credit)),
			balance: "balance 10, available 10, purchased 10, withdrawable 6, allowance 10, spendable 20",
		},
		{
			name: "and from the second the rest", given: append(toTwo[:10:10], refunded(1, 10*credit)), when: refunded(3, 6*credit),
			then:    events(backTo(3, 6*credit, paid(2, 6*credit)), unbacked(10*credit)),
			balance: "balance 16, available 16, purchased 16, withdrawable 6, allowance 10, spendable 26",
		},
		{
			// 36 came in, 20 were taken back and 6 paid out, and p's 10 are spent with the 6 of s.
			name: "once: what was paid out as well lacks still", given: paidToo, when: spent(10 * credit),
			then:    events(&account.Deducted{Amount: 10 * credit, Service: vm, Lots: lots(paid(0, 10*credit))}, unbacked(6*credit)),
			balance: "balance 10, available 10, purchased 10, withdrawable 4, allowance 10, spendable 20",
		},
		{
			// 45 came in, 30 were taken back and 10 paid out, and p's 10 are spent for good.
			name: "and as far as it is there: what came there later is for what is spent", given: gone, when: bought("t", 5*credit),
			then:    events(&account.PurchaseSettled{Purchase: "t", Amount: 5 * credit}),
			balance: "balance 5, available 5, purchased 5, spendable 5, frozen",
		},
	})
}

// Credits that stand in bring what money is behind them: none if there is none, and what
// is behind the spent ones of their lot stays.
func TestMoneyOfLotsThatLackSome(t *testing.T) {
	hollow := given(bought("p", 4*credit), spent(4*credit), bought("q", 10*credit), spent(10*credit), granted(10*credit), chargedBack("q"), refunded(3, 10*credit),
		chargedBack("p"), bought("r", 10*credit))
	inTwo := given(bought("p", 4*credit), spent(4*credit), started("q", 30*credit), do(payment("q1", "q", 10*credit)), do(payment("q2", "q", 20*credit)))
	back := func(payment string) step {
		return do(account.ReversePurchase{Purchase: "q", Payment: payment, Kind: account.ReversalChargeback})
	}
	lends := append(inTwo[:5:5], spent(20*credit), back("q1"), refunded(6, 4*credit), chargedBack("p"))
	lacks := append(inTwo[:5:5], spent(30*credit), granted(10*credit), back("q1"), refunded(6, 0))
	check(t, []row{
		{
			name:    "what an earlier version didn't tell of them comes with the next command",
			given:   append(inTwo[:2:2], granted(4*credit), chargedBack("p"), facts(backTo(1, 4*credit, paid(0, 4*credit)))),
			when:    bought("r", 10*credit),
			then:    events(&account.BackingChanged{Unbacked: 4 * credit}, &account.PurchaseSettled{Purchase: "r", Amount: 10 * credit}),
			balance: "balance 14, available 14, purchased 14, withdrawable 10, allowance 10, spendable 24",
		},
		{
			name: "nor is any behind a micro-credit for debt that was paid", when: refunded(2, 1),
			given:   given(bought("o", 1), spent(1), spent(1), bought("p", 1), granted(1), chargedBack("p")),
			then:    events(&account.Refunded{Deduction: tx(2), Revision: 2, Amount: 1, Service: vm, Made: 1, Class: account.Purchased}, &account.BackingChanged{Unbacked: 1}),
			balance: "balance 0.000001, available 0.000001, purchased 0.000001, allowance 10, spendable 10.000001",
		},
		{
			name: "none of those without any", given: hollow, when: spent(6 * credit),
			then:    events(&account.Deducted{Amount: 6 * credit, Service: vm, Lots: lots(paid(2, 6*credit))}, &account.BackingChanged{}),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{
			name: "no more than stands in", given: lends, when: refunded(6, 0),
			then:    events(backTo(6, 16*credit, paid(5, 16*credit))),
			balance: "balance 16, available 16, purchased 16, withdrawable 16, allowance 10, spendable 26",
		},
		{
			name: "what is held for a payout has its own", given: lacks, when: withdrawn("w", 5*credit),
			then:    events(asksFor("w", 5*credit, paid(5, 5*credit))),
			balance: "balance 30, available 25, withdrawing 5, purchased 30, withdrawable 15, allowance 10, spendable 35",
		},
		{
			name: "and for a second one", given: append(lacks[:9:9], withdrawn("w", 5*credit)), when: withdrawn("v", 5*credit),
			then:    events(asksFor("v", 5*credit, paid(5, 5*credit))),
			balance: "balance 30, available 20, withdrawing 10, purchased 30, withdrawable 10, allowance 10, spendable 30",
		},
		{
			name: "none once both payments were taken back", when: refunded(6, 0),
			given:   append(inTwo[:5:5], spent(30*credit), granted(10*credit), back("q1"), granted(20*credit), back("q2")),
			then:    events(backTo(6, 30*credit, paid(5, 30*credit)), &account.BackingChanged{Unbacked: 30 * credit}),
			balance: "balance 30, available 30, purchased 30, allowance 10, spendable 40",
		},
		{
			name: "all that a purchase has paid of both their debts", given: append(inTwo[:5:5], spent(30*credit), back("q1"), back("q2"), bought("s", 30*credit)), when: refunded(6, 0),
			then:    events(backTo(6, 30*credit, paid(5, 30*credit))),
			balance: "balance 30, available 30, purchased 30, withdrawable 30, spendable 30, frozen",
		},
	})
}
