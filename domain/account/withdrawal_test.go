package account_test

import (
	"fmt"
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// hour(0) is a Sunday: three business days later is Wednesday, seven are the
// Tuesday after.
var (
	dueFrom = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	dueBy   = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
)

func withdraw(id string, amount domain.Amount) account.RequestWithdrawal {
	return account.RequestWithdrawal{Withdrawal: id, Amount: amount, Wallet: "sealed", Network: account.NetworkSolana}
}

// withdrawn is a request by ann, okayed an approval, paidOut what finance sends.
func withdrawn(id string, amount domain.Amount) step { return do(withdraw(id, amount)) }

func okayed(id, by string) step { return doBy(by, account.ApproveWithdrawal{Withdrawal: id}) }

func paidOut(id, by string) step {
	return doBy(by, account.RecordPayout{Withdrawal: id, TxURL: "sealed-url", Network: account.NetworkSolana})
}

func turnedDown(id, by string) step {
	return doBy(by, account.RejectWithdrawal{Withdrawal: id, Reason: "sealed-why"})
}

func fellThrough(id, by string) step {
	return doBy(by, account.FailWithdrawal{Withdrawal: id, Reason: "sealed-why"})
}

func asksFor(id string, amount domain.Amount, from ...account.LotUse) *account.WithdrawalRequested {
	return &account.WithdrawalRequested{Withdrawal: id, Amount: amount, Wallet: "sealed", Network: account.NetworkSolana,
		DueFrom: dueFrom, DueBy: dueBy, RequestedBy: "ann", Lots: from}
}

func givesBack(id string, cause account.ReturnCause, amount domain.Amount, to ...account.LotUse) *account.WithdrawalReturned {
	e := &account.WithdrawalReturned{Withdrawal: id, Cause: cause, Amount: amount, Lots: to}
	if cause == account.ReturnRejected || cause == account.ReturnFailed {
		e.Reason = "sealed-why"
	}
	return e
}

func TestRequestWithdrawal(t *testing.T) {
	check(t, []row{
		{
			name:    "holds purchased lots in spending order",
			given:   given(granted(20*credit), bought("p", 50*credit), boughtUntil(hour(9), "q", 30*credit)),
			when:    withdrawn("w", 60*credit),
			then:    events(asksFor("w", 60*credit, until(hour(9), paid(2, 30*credit)), paid(1, 30*credit))),
			balance: "balance 100, available 40, withdrawing 60, promotional 20, purchased 80, withdrawable 20, allowance 10, spendable 50",
		},
		{
			name: "everything that is withdrawable", given: given(bought("p", 50*credit)),
			when:    withdrawn("w", 50*credit),
			then:    events(asksFor("w", 50*credit, paid(0, 50*credit))),
			balance: "balance 50, withdrawing 50, purchased 50, allowance 10, spendable 10",
		},
		{
			name: "not what is promotional", given: given(granted(20*credit), bought("p", 50*credit)),
			when:    withdrawn("w", 50*credit+1),
			refused: "not-withdrawable withdrawable=50 required=50.000001",
		},
		{
			name: "not what is reserved", given: given(bought("p", 50*credit), held("r", 30*credit)),
			when:    withdrawn("w", 21*credit),
			refused: "not-withdrawable withdrawable=20 required=21",
		},
		{
			name: "not twice", given: given(bought("p", 50*credit), withdrawn("v", 30*credit)),
			when:    withdrawn("w", 30*credit),
			refused: "not-withdrawable withdrawable=20 required=30",
		},
		{
			name: "never the allowance", given: given(bought("p", credit), spent(5*credit)),
			when:    withdrawn("w", 1),
			refused: "not-withdrawable withdrawable=0 required=0.000001",
		},
		{
			name: "what a refund gave back to a purchased lot", given: given(bought("p", 5*credit), spent(5*credit), refunded(1, 2*credit)),
			when:    withdrawn("w", 2*credit),
			then:    events(asksFor("w", 2*credit, paid(0, 2*credit))),
			balance: "balance 2, withdrawing 2, purchased 2, allowance 10, spendable 10",
		},
		{
			name: "not a lot that expires in the same instant", given: given(boughtUntil(hour(1), "p", 5*credit)),
			when:    doAt(hour(1), withdraw("w", credit)),
			refused: "not-withdrawable withdrawable=0 required=1",
		},
		{
			name:  "from more than 500 lots",
			given: given(manyPurchases(501)),
			when:  withdrawn("w", 501*credit),
			then: events(
				partly(asksFor("w", 500*credit, paidUses(0, 499)...), 1),
				partly(asksFor("w", credit, paidUses(500, 500)...), 2),
			),
			balance: "balance 501, withdrawing 501, purchased 501, allowance 10, spendable 10",
		},
	})
}

func TestRequestWithdrawalOrderOfChecks(t *testing.T) {
	full := given(manyWithdrawals(1_000), do(account.Freeze{}))
	check(t, []row{
		{name: "amount zero", given: full, when: withdrawn("0", 0), refused: "amount-invalid field=amount value=0"},
		{name: "amount too large", given: full, when: withdrawn("0", domain.MaxAmount+1), refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000"},
		{name: "duplicate", given: full, when: withdrawn("0", credit), refused: "duplicate-id field=withdrawal_id value=0"},
		{
			name: "duplicate of a closed one", given: given(bought("p", credit), withdrawn("w", credit), do(account.CancelWithdrawal{Withdrawal: "w"})),
			when: withdrawn("w", credit), refused: "duplicate-id field=withdrawal_id value=w",
		},
		{name: "limit", given: full, when: withdrawn("new", credit), refused: "limit-exceeded limit=1000"},
		{name: "frozen", given: given(do(account.Freeze{})), when: withdrawn("w", credit), refused: "account-frozen"},
		{
			name: "one below the limit", given: given(manyWithdrawals(999), bought("p", credit)),
			when: withdrawn("w", credit), then: events(asksFor("w", credit, paid(1_000, credit))),
		},
	})
}

func TestWithdrawalIsPaid(t *testing.T) {
	waits := given(granted(20*credit), bought("p", 100*credit), withdrawn("w", 60*credit))
	check(t, []row{
		{
			name: "approved", given: waits, when: okayed("w", "fin"),
			then:    events(&account.WithdrawalApproved{Withdrawal: "w", ApprovedBy: "fin", Final: true}),
			balance: "balance 120, available 60, withdrawing 60, promotional 20, purchased 100, withdrawable 40, allowance 10, spendable 70",
		},
		{
			name: "paid", given: append(waits, okayed("w", "fin")), when: paidOut("w", "fin"),
			then: events(&account.WithdrawalPaid{Withdrawal: "w", Amount: 60 * credit, TxURL: "sealed-url",
				Network: account.NetworkSolana, Lots: lots(paid(1, 60*credit))}),
			balance: "balance 60, available 60, promotional 20, purchased 40, withdrawable 40, allowance 10, spendable 70",
		},
		{name: "paid before it is approved", given: waits, when: paidOut("w", "fin"), refused: "wrong-status field=withdrawal_id value=w status=requested"},
		{name: "paid twice", given: append(waits, okayed("w", "fin"), paidOut("w", "fin")), when: paidOut("w", "fin"), refused: "wrong-status field=withdrawal_id value=w"},
		{name: "failed before it is approved", given: waits, when: fellThrough("w", "fin"), refused: "wrong-status field=withdrawal_id value=w status=requested"},
		{name: "approved twice", given: append(waits, okayed("w", "fin")), when: okayed("w", "fin2"), refused: "wrong-status field=withdrawal_id value=w status=approved"},
		{name: "rejected after it was approved", given: append(waits, okayed("w", "fin")), when: turnedDown("w", "fin"), refused: "wrong-status field=withdrawal_id value=w status=approved"},
		{name: "cancelled after it was approved", given: append(waits, okayed("w", "fin")), when: do(account.CancelWithdrawal{Withdrawal: "w"}), refused: "wrong-status field=withdrawal_id value=w status=approved"},
		{name: "cancelled twice", given: append(waits, do(account.CancelWithdrawal{Withdrawal: "w"})), when: do(account.CancelWithdrawal{Withdrawal: "w"}), refused: "wrong-status field=withdrawal_id value=w"},
		{
			name: "of more than 500 lots, in parts", given: given(manyPurchases(501), withdrawn("w", 501*credit), okayed("w", "fin")),
			when: paidOut("w", "fin"),
			then: events(
				&account.WithdrawalPaid{Withdrawal: "w", Amount: 500 * credit, TxURL: "sealed-url", Network: account.NetworkSolana,
					Lots: paidUses(0, 499), Part: account.Part{Index: 1, Count: 2}},
				&account.WithdrawalPaid{Withdrawal: "w", Amount: credit, TxURL: "sealed-url", Network: account.NetworkSolana,
					Lots: paidUses(500, 500), Part: account.Part{Index: 2, Count: 2}},
			),
			balance: "allowance 10, spendable 10",
		},
		{
			name: "frozen, it is not approved", given: append(waits, do(account.Freeze{})),
			when: okayed("w", "fin"), refused: "account-frozen",
		},
		{
			name: "frozen, it is not paid", given: append(waits, okayed("w", "fin"), do(account.Freeze{})),
			when: paidOut("w", "fin"), refused: "account-frozen",
		},
		{name: "unknown", when: okayed("w", "fin"), refused: "unknown-withdrawal field=withdrawal_id value=w"},
		{name: "unknown, cancelled", when: do(account.CancelWithdrawal{Withdrawal: "w"}), refused: "unknown-withdrawal field=withdrawal_id value=w"},
	})
}

func TestWithdrawalFourEyes(t *testing.T) {
	small := given(bought("p", 2000*credit), withdrawn("w", 1000*credit-1))
	large := given(bought("p", 2000*credit), withdrawn("w", 1000*credit))
	first := &account.WithdrawalApproved{Withdrawal: "w", ApprovedBy: "fin"}
	final := &account.WithdrawalApproved{Withdrawal: "w", ApprovedBy: "fin2", Final: true}
	check(t, []row{
		{name: "nobody approves what they asked for", given: small, when: okayed("w", "ann"), refused: "self-approval field=withdrawal_id value=w"},
		{name: "nor rejects it", given: small, when: turnedDown("w", "ann"), refused: "self-approval field=withdrawal_id value=w"},
		{name: "nor says it is paid", given: append(small, okayed("w", "fin")), when: paidOut("w", "ann"), refused: "self-approval field=withdrawal_id value=w"},
		{name: "nor that it failed", given: append(small, okayed("w", "fin")), when: fellThrough("w", "ann"), refused: "self-approval field=withdrawal_id value=w"},
		{name: "self-approval before frozen", given: append(small, do(account.Freeze{})), when: okayed("w", "ann"), refused: "self-approval field=withdrawal_id value=w"},
		{name: "from the policy's amount on it takes two", given: large, when: okayed("w", "fin"), then: events(first)},
		{name: "one approval of two pays nothing", given: append(large, okayed("w", "fin")), when: paidOut("w", "fin"), refused: "wrong-status field=withdrawal_id value=w status=requested"},
		{name: "one person twice is not two", given: append(large, okayed("w", "fin")), when: okayed("w", "fin"), refused: "self-approval field=withdrawal_id value=w"},
		{name: "who asked is not the second", given: append(large, okayed("w", "fin")), when: okayed("w", "ann"), refused: "self-approval field=withdrawal_id value=w"},
		{name: "the second is", given: append(large, okayed("w", "fin")), when: okayed("w", "fin2"), then: events(final)},
		{
			name: "after one approval of two it can be cancelled", given: append(large, okayed("w", "fin")),
			when: do(account.CancelWithdrawal{Withdrawal: "w"}), then: events(givesBack("w", account.ReturnCancelled, 1000*credit, paid(0, 1000*credit))),
		},
		{
			name: "and rejected by either", given: append(large, okayed("w", "fin")),
			when: turnedDown("w", "fin"), then: events(givesBack("w", account.ReturnRejected, 1000*credit, paid(0, 1000*credit))),
		},
	})
}

func TestWithdrawalReturns(t *testing.T) {
	dated := given(boughtUntil(hour(5), "q", 30*credit), bought("p", 50*credit), withdrawn("w", 60*credit))
	back := lots(paid(1, 30*credit), until(hour(5), paid(0, 30*credit)))
	whole := "balance 80, available 80, purchased 80, withdrawable 80, allowance 10, spendable 90"
	check(t, []row{
		{
			name: "cancelled", given: dated, when: do(account.CancelWithdrawal{Withdrawal: "w"}),
			then: events(givesBack("w", account.ReturnCancelled, 60*credit, back...)), balance: whole,
		},
		{
			name: "cancelled while frozen", given: append(dated, do(account.Freeze{})), when: do(account.CancelWithdrawal{Withdrawal: "w"}),
			then: events(givesBack("w", account.ReturnCancelled, 60*credit, back...)),
		},
		{
			name: "rejected", given: dated, when: turnedDown("w", "fin"),
			then: events(givesBack("w", account.ReturnRejected, 60*credit, back...)), balance: whole,
		},
		{
			name: "failed", given: append(dated, okayed("w", "fin")), when: fellThrough("w", "fin"),
			then: events(givesBack("w", account.ReturnFailed, 60*credit, back...)), balance: whole,
		},
		{
			name: "what is held does not expire", given: dated, when: doAt(hour(6), account.Tick{}),
			then:    events(),
			balance: "balance 80, available 20, withdrawing 60, purchased 80, withdrawable 20, allowance 10, spendable 30",
		},
		{
			name: "what comes back past its date expires at once", given: append(dated, okayed("w", "fin")),
			when: step{at: hour(6), by: "fin", do: account.FailWithdrawal{Withdrawal: "w", Reason: "sealed-why"}},
			then: events(givesBack("w", account.ReturnFailed, 60*credit, back...),
				lotEnded(6, until(hour(5), paid(0, 30*credit)))),
			balance: "balance 50, available 50, purchased 50, withdrawable 50, allowance 10, spendable 60",
		},
		{
			name: "what comes back pays debt", given: given(bought("p", 50*credit), withdrawn("w", 50*credit), spent(4*credit)),
			when: do(account.CancelWithdrawal{Withdrawal: "w"}),
			then: events(givesBack("w", account.ReturnCancelled, 50*credit, paid(0, 50*credit)),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(0, 4*credit))}),
			balance: "balance 46, available 46, purchased 46, withdrawable 46, allowance 10, spendable 56",
		},
	})
}

// refusedFor is the return of a withdrawal whose purchase was taken back.
func refusedFor(id, purchase string, amount domain.Amount, to ...account.LotUse) *account.WithdrawalReturned {
	e := givesBack(id, account.ReturnChargeback, amount, to...)
	e.Purchase = purchase
	return e
}

func TestChargebackTakesWithdrawals(t *testing.T) {
	check(t, []row{
		{
			name:  "requested: rejected, and the funds go first",
			given: given(bought("p", 50*credit), withdrawn("w", 50*credit), granted(70*credit)),
			when:  chargedBack("p"),
			then: events(refusedFor("w", "p", 50*credit, paid(0, 50*credit)),
				takenBack("p", 50*credit, paid(0, 50*credit))),
			balance: "balance 70, available 70, promotional 70, spendable 70",
		},
		{
			name:  "what of its lots isn't the purchase's returns",
			given: given(bought("p", 50*credit), bought("q", 40*credit), withdrawn("w", 80*credit)),
			when:  chargedBack("p"),
			then: events(refusedFor("w", "p", 80*credit, paid(1, 30*credit), paid(0, 50*credit)),
				takenBack("p", 50*credit, paid(0, 50*credit))),
			balance: "balance 40, available 40, purchased 40, withdrawable 40, allowance 10, spendable 50",
		},
		{
			name:  "one that holds nothing of the purchase stays",
			given: given(bought("p", 50*credit), withdrawn("w", 50*credit), bought("q", 40*credit)),
			when:  chargedBack("q"),
			then:  events(takenBack("q", 40*credit, paid(2, 40*credit))),
		},
		{
			name:  "approved: untouched; the rest is debt and freezes",
			given: given(bought("p", 50*credit), withdrawn("w", 50*credit), okayed("w", "fin")),
			when:  chargedBack("p"),
			then: events(
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 50 * credit, Debt: 50 * credit},
				&account.Frozen{Cause: account.FreezeChargeback}, &account.BackingChanged{Unbacked: 50 * credit}),
			balance: "available -50, withdrawing 50, purchased 50, debt 50, frozen",
		},
		{
			name:  "approved, then failed: what comes back pays the chargeback",
			given: given(bought("p", 50*credit), withdrawn("w", 50*credit), okayed("w", "fin"), chargedBack("p")),
			when:  fellThrough("w", "fin"),
			then: events(givesBack("w", account.ReturnFailed, 50*credit, paid(0, 50*credit)),
				&account.DebtRepaid{Debt: account.DebtChargeback, Lots: lots(paid(0, 50*credit))}, &account.BackingChanged{}),
			balance: "frozen",
		},
	})
}

func TestChargebackOfSeveralWithdrawals(t *testing.T) {
	check(t, []row{
		{
			name:  "several, in the order of their ids, with the unreserved rest",
			given: given(bought("p", 50*credit), withdrawn("w2", 10*credit), withdrawn("w1", 20*credit), withdrawn("w3", 5*credit), okayed("w3", "fin")),
			when:  chargedBack("p"),
			then: events(refusedFor("w1", "p", 20*credit, paid(0, 20*credit)), refusedFor("w2", "p", 10*credit, paid(0, 10*credit)),
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 50 * credit, Lots: lots(paid(0, 45*credit)), Debt: 5 * credit},
				&account.Frozen{Cause: account.FreezeChargeback}, &account.BackingChanged{Unbacked: 5 * credit}),
			balance: "available -5, withdrawing 5, purchased 5, debt 5, frozen",
		},
		{
			name:  "one approval of two is still requested",
			given: given(bought("p", 1000*credit), withdrawn("w", 1000*credit), okayed("w", "fin")),
			when:  chargedBack("p"),
			then: events(refusedFor("w", "p", 1000*credit, paid(0, 1000*credit)),
				takenBack("p", 1000*credit, paid(0, 1000*credit))),
		},
		{
			name: "of a lot past its date: taken, while another one's rest expires and pays for nothing",
			given: given(boughtUntil(hour(2), "q", 30*credit), boughtUntil(hour(3), "p", 50*credit), withdrawn("w", 70*credit),
				doAt(hour(4), account.Tick{})),
			when: doAt(hour(5), account.ReversePurchase{Purchase: "p", Kind: account.ReversalChargeback}),
			then: events(refusedFor("w", "p", 70*credit, until(hour(3), paid(1, 40*credit)), until(hour(2), paid(0, 30*credit))),
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 50 * credit,
					Lots: lots(until(hour(3), paid(1, 40*credit))), Debt: 10 * credit, Expired: 10 * credit},
				&account.Frozen{Cause: account.FreezeChargeback},
				lotEnded(5, until(hour(2), paid(0, 30*credit)))),
			balance: "balance -10, available -10, debt 10, frozen",
		},
		{
			name:  "the rest that returns pays debt from spending",
			given: given(bought("p", 50*credit), bought("q", 40*credit), withdrawn("w", 90*credit), spent(8*credit)),
			when:  chargedBack("p"),
			then: events(refusedFor("w", "p", 90*credit, paid(1, 40*credit), paid(0, 50*credit)),
				takenBack("p", 50*credit, paid(0, 50*credit)),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(1, 8*credit))}),
			balance: "balance 32, available 32, purchased 32, withdrawable 32, allowance 10, spendable 42",
		},
	})
}

// TestChargebackOfOnePayment: of a purchase that was paid in two, one payment is
// taken back, and no more withdrawals are rejected than that needs.
func TestChargebackOfOnePayment(t *testing.T) {
	before := given(started("p", 50*credit), do(payment("p1", "p", 20*credit)), do(payment("p2", "p", 30*credit)),
		withdrawn("w1", 25*credit), withdrawn("w2", 15*credit))
	lot := int64(3)
	reversed := func(payment string, amount domain.Amount) *account.PurchaseReversed {
		return &account.PurchaseReversed{Purchase: "p", Payment: payment, Kind: account.ReversalChargeback, Amount: amount, Lots: lots(paid(lot, amount))}
	}
	takeBack := func(payment string) step {
		return do(account.ReversePurchase{Purchase: "p", Payment: payment, Kind: account.ReversalChargeback})
	}
	check(t, []row{
		{
			name: "the first request is enough", given: before, when: takeBack("p1"),
			then:    events(refusedFor("w1", "p", 25*credit, paid(lot, 25*credit)), reversed("p1", 20*credit)),
			balance: "balance 30, available 15, withdrawing 15, purchased 30, withdrawable 15, allowance 10, spendable 25",
		},
		{
			name: "the unreserved rest is enough", given: append(before, do(account.CancelWithdrawal{Withdrawal: "w1"})), when: takeBack("p2"),
			then:    events(reversed("p2", 30*credit)),
			balance: "balance 20, available 5, withdrawing 15, purchased 20, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name: "with less of a rest, the first is still enough", given: append(before, spent(2*credit)), when: takeBack("p2"),
			then: events(refusedFor("w1", "p", 25*credit, paid(lot, 25*credit)), reversed("p2", 30*credit)),
		},
	})
}

// manyPurchases is n settled purchases of one credit.
func manyPurchases(n int) step {
	var all []domain.Event
	for i := range n {
		all = append(all, &account.PurchaseSettled{Purchase: fmt.Sprint(i), Amount: credit})
	}
	return facts(all...)
}

func paidUses(first, last int64) []account.LotUse {
	var all []account.LotUse
	for lot := first; lot <= last; lot++ {
		all = append(all, paid(lot, credit))
	}
	return all
}

func partly(e *account.WithdrawalRequested, index int) *account.WithdrawalRequested {
	e.Part = account.Part{Index: index, Count: 2}
	return e
}

// manyWithdrawals asks for n of one credit, named by number.
func manyWithdrawals(n int) step {
	all := []domain.Event{&account.PurchaseSettled{Purchase: "many", Amount: domain.Amount(n) * credit}}
	for i := range n {
		all = append(all, asksFor(fmt.Sprint(i), credit, paid(0, credit)))
	}
	return facts(all...)
}
