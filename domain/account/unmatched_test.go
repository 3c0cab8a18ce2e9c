package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

func TestResolvePayment(t *testing.T) {
	lost := do(payment("x", "q", 5*credit))
	here := do(account.ResolvePayment{Payment: "x", Note: "sealed"})
	there := do(account.ResolvePayment{Payment: "x", Account: "bob", Note: "sealed"})
	check(t, []row{
		{
			name: "to this account: purchased credits, and it has paid", given: given(lost), when: here,
			then: events(&account.PaymentCredited{Payment: "x", Amount: 5 * credit, Note: "sealed"},
				&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsCredited, Amount: 5 * credit, Note: "sealed"}),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name: "to another account: only decided here", given: given(lost), when: there,
			then:    events(&account.PaymentAssigned{Payment: "x", Account: "bob", Amount: 5 * credit, Note: "sealed"}),
			balance: "nothing",
		},
		{
			name: "returned outside", given: given(lost), when: do(account.ResolvePayment{Payment: "x", Returned: true, Note: "sealed"}),
			then:    events(&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsReturned, Amount: 5 * credit, Note: "sealed"}),
			balance: "nothing",
		},
		{
			name: "decided twice, for two accounts", given: given(lost, there), when: do(account.ResolvePayment{Payment: "x", Account: "eve"}),
			refused: "wrong-status field=payment_id value=x status=assigned account=bob",
		},
		{
			name: "the same decision again finishes what was begun", given: given(lost, there), when: do(account.ResolvePayment{Payment: "x", Account: "bob"}),
			then: events(&account.PaymentAssigned{Payment: "x", Account: "bob", Amount: 5 * credit, Note: "sealed"}),
		},
		{
			name: "that this account has got from another place", given: given(lost, do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 5 * credit})),
			when: here, refused: "wrong-status field=payment_id value=x status=credited",
		},
		{name: "decided twice", given: given(lost, here), when: here, refused: "wrong-status field=payment_id value=x"},
		{name: "of a payment that fitted", given: given(started("p", credit), do(payment("x", "p", credit))), when: here, refused: "wrong-status field=payment_id value=x"},
		{name: "unknown", when: here, refused: "unknown-payment field=payment_id value=x"},
	})
}

// TestResolvePaymentOfAnotherAccount: which account the payment names, and whether
// that has it, is looked up before.
func TestResolvePaymentOfAnotherAccount(t *testing.T) {
	lost := do(payment("x", "q", 5*credit))
	check(t, []row{
		{
			name: "to an account that is a typing mistake", given: given(lost), when: do(account.ResolvePayment{Payment: "x", Account: "bbo", Unused: true}),
			refused: "unknown-account field=account value=bbo account=bbo",
		},
		{
			name: "to a new account that the payment names", given: given(do(account.RecordPayment{Payment: "x", Purchase: "q", Amount: 5 * credit, Named: "bob"})),
			when: do(account.ResolvePayment{Payment: "x", Account: "bob", Unused: true}),
			then: events(&account.PaymentAssigned{Payment: "x", Account: "bob", Amount: 5 * credit}),
		},
		{
			name: "that the account which it names has too", given: given(do(account.RecordPayment{Payment: "x", Purchase: "q", Amount: 5 * credit, Named: "bob"})),
			when: do(account.ResolvePayment{Payment: "x", Account: "eve", Twice: true}), refused: "wrong-status field=payment_id value=x status=unmatched account=bob",
		},
		{
			name: "told of again where it was credited", given: given(started("p", 5*credit), do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 5 * credit})),
			when:    do(payment("x", "p", 5*credit)),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
	})
}

// TestClosingOfPayments: reversals, and what is done after the decision.
func TestClosingOfPayments(t *testing.T) {
	odd := do(account.RecordPayment{Payment: "x", Purchase: "q", Odd: account.WhyAmountInvalid, Told: "ten"})
	lost := do(payment("x", "q", 5*credit))
	there := do(account.ResolvePayment{Payment: "x", Account: "bob", Note: "sealed"})
	check(t, []row{
		{
			name: "a reversal has nothing to credit", given: given(chargedBack("q")), when: do(account.ResolvePayment{Payment: "reversal:q"}),
			refused: "field-invalid field=account",
		},
		{
			name: "one of which the amount isn't known can't be credited", given: given(odd), when: do(account.ResolvePayment{Payment: "x"}),
			refused: "amount-invalid field=amount value=0",
		},
		{
			name: "nor elsewhere", given: given(odd), when: there, refused: "amount-invalid field=amount value=0",
		},
		{
			name: "it is closed", given: given(odd), when: do(account.ResolvePayment{Payment: "x", Returned: true}),
			then: events(&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsReturned}),
		},
		{
			name: "a reversal is closed", given: given(chargedBack("q")), when: do(account.ResolvePayment{Payment: "reversal:q", Returned: true}),
			then: events(&account.PaymentResolved{Payment: "reversal:q", Outcome: account.PaymentIsReturned, Kind: account.KindChargeback}),
		},
		{
			name: "credited where it was assigned", when: do(account.CreditPayment{Payment: "x", From: "ann", Amount: 5 * credit, Note: "sealed"}),
			then: events(&account.PaymentCredited{Payment: "x", From: "ann", Amount: 5 * credit, Note: "sealed"}),
		},
		{
			name: "credited once, however often it is tried", given: given(do(account.CreditPayment{Payment: "x", From: "ann", Amount: 5 * credit})),
			when:    do(account.CreditPayment{Payment: "x", From: "ann", Amount: 5 * credit}),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name: "closed when that is done", given: given(lost, there), when: do(account.ClosePayment{Payment: "x"}),
			then: events(&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsCredited, Amount: 5 * credit, Account: "bob"}),
		},
		{name: "closed again", given: given(lost, there, do(account.ClosePayment{Payment: "x"})), when: do(account.ClosePayment{Payment: "x"})},
		{name: "closed before it was decided", given: given(lost), when: do(account.ClosePayment{Payment: "x"}), refused: "wrong-status field=payment_id value=x status=unmatched account="},
	})
}

// backOf is the provider's word that it took a payment of 5 back, and backWaits that it
// fits nowhere; backTaken is what it takes of payment x.
func backOf(payment, purchase string, amount domain.Amount) step {
	return do(account.ReversePurchase{Payment: payment, Purchase: purchase, Kind: account.ReversalRefund, Amount: amount})
}

func backTaken(purchase string, amount domain.Amount, lot int64) *account.PurchaseReversed {
	return &account.PurchaseReversed{Purchase: purchase, Payment: "x", Kind: account.ReversalRefund,
		Amount: amount, Lots: lots(paid(lot, amount))}
}

func backWaits(why account.UnmatchedWhy, payment, purchase string, amount domain.Amount) *account.PaymentUnmatched {
	e := unmatched("reversal:"+payment, purchase, amount, why)
	e.Kind = account.KindRefund
	return e
}

// TestTheRestOfAPayment: it has grown, or its refund was told first, with less, as all
// there was.
func TestTheRestOfAPayment(t *testing.T) {
	const id = "reversal:reversal:x"
	arrives := func(recorded, told domain.Amount) step {
		return do(account.RecordRest{Payment: "x", Purchase: "p", Recorded: recorded, Amount: told})
	}
	back := given(started("p", 10*credit), do(payment("x", "p", 4*credit)), backOf("x", "p", 4*credit))
	lost := given(do(payment("x", "p", 4*credit)), backOf("x", "p", 4*credit))
	all := given(started("p", 4*credit), do(payment("x", "p", 4*credit)), backOf("x", "p", 4*credit))
	waits := events(unmatched(id, "p", 6*credit, account.WhyAmountDiffers))
	found := append(back[:3:3], arrives(4*credit, 10*credit))
	there := do(account.ResolvePayment{Payment: id, Account: "bob"})
	check(t, []row{
		{name: "of a part payment", given: back, when: arrives(4*credit, 10*credit), then: waits, balance: "nothing"},
		{name: "of one that waited", given: lost, when: arrives(4*credit, 10*credit), then: waits},
		{name: "of one that had settled", given: all, when: arrives(4*credit, 10*credit), then: waits},
		{name: "told twice", given: found, when: arrives(4*credit, 10*credit)},
		{name: "told again when it is decided", given: append(found[:4:4], do(account.ResolvePayment{Payment: id, Returned: true})), when: arrives(4*credit, 10*credit)},
		{name: "of one that came with more", given: back, when: arrives(4*credit, 3*credit)},
		{name: "of one that has grown", given: back[:2], when: arrives(4*credit, 10*credit), then: waits, balance: "nothing"},
		{name: "of one whose reversal waits itself", given: append(back[:2:2], backOf("x", "p", credit)), when: arrives(4*credit, 10*credit), then: waits},
		{
			name: "is credited, as a payment", given: found, when: do(account.ResolvePayment{Payment: id}),
			then: events(&account.PaymentCredited{Payment: id, Amount: 6 * credit},
				&account.PaymentResolved{Payment: id, Outcome: account.PaymentIsCredited, Amount: 6 * credit, Kind: account.KindPayment}),
			balance: "balance 6, available 6, purchased 6, withdrawable 6, allowance 10, spendable 16",
		},
		{
			name: "is credited elsewhere, as a payment", given: append(found[:4:4], there), when: do(account.ClosePayment{Payment: id}),
			then: events(&account.PaymentResolved{Payment: id, Outcome: account.PaymentIsCredited, Amount: 6 * credit, Account: "bob", Kind: account.KindPayment}),
		},
		{
			name: "is closed, as a payment", given: found, when: do(account.ResolvePayment{Payment: id, Returned: true}), balance: "nothing",
			then: events(&account.PaymentResolved{Payment: id, Outcome: account.PaymentIsReturned, Amount: 6 * credit, Kind: account.KindPayment}),
		},
	})
}

// TestAFurtherReversalOfAPayment: the provider refunds a part, and then another, or tells
// the sum of both.
func TestAFurtherReversalOfAPayment(t *testing.T) {
	further := func(amount domain.Amount) step {
		return do(account.RecordFurtherReversal{Payment: "x", Purchase: "p", Kind: account.ReversalRefund, Recorded: 10 * credit, Amount: amount})
	}
	waits := func(told string, amount domain.Amount) []domain.Event {
		e := backWaits(account.WhyAmountDiffers, "x", "p", amount)
		e.Payment = "reversal:reversal:reversal:" + told + ":x"
		return events(e)
	}
	part := given(started("p", 10*credit), do(payment("x", "p", 10*credit)), backOf("x", "p", 4*credit))
	elsewhere := given(do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 20 * credit}), backOf("x", "p", 4*credit))
	after := func(steps []step, more ...step) []step { return append(steps[:len(steps):len(steps)], more...) }
	check(t, []row{
		{
			name: "a second part waits", given: part, when: further(6 * credit), then: waits("6", 6*credit),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
		{name: "which waits once", given: after(part, further(6*credit)), when: further(6 * credit)},
		{name: "the part that is known, again", given: part, when: further(4 * credit)},
		{name: "of the whole only what is new", given: part, when: further(10 * credit), then: waits("10", 6*credit)},
		{name: "which waits once, too", given: after(part, further(10*credit)), when: further(10 * credit)},
		{name: "the whole, once both parts wait", given: after(part, further(6*credit)), when: further(10 * credit)},
		{name: "a third part", given: after(part, further(2*credit)), when: further(3 * credit), then: waits("3", 3*credit)},
		{name: "more than is left is the sum", given: part, when: further(7 * credit), then: waits("7", 3*credit)},
		{name: "the first, told after the sum", given: given(started("p", 10*credit), do(payment("x", "p", 10*credit)), backOf("x", "p", 8*credit)), when: further(4 * credit)},
		{
			name: "also after finance has closed the first", given: after(part, do(account.ResolvePayment{Payment: "reversal:x", Returned: true})),
			when: further(10 * credit), then: waits("10", 6*credit),
		},
		{name: "of one that was credited from elsewhere", given: elsewhere, when: further(10 * credit), then: waits("10", 10*credit)},
		{
			name: "which is that of no other payment", given: after(part, further(6*credit), started("q", 5*credit), do(payment("x.6", "q", 5*credit))),
			when: backOf("x.6", "q", 5*credit), balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
			then: events(&account.PurchaseReversed{Purchase: "q", Payment: "x.6", Kind: account.ReversalRefund, Amount: 5 * credit, Lots: lots(paid(7, 5*credit))}),
		},
		{name: "of one that was taken back", given: after(part[:2], backOf("x", "p", 10*credit)), when: further(4 * credit)},
		{
			name: "it is closed as a refund", given: after(part, further(10*credit)), when: do(account.ResolvePayment{Payment: "reversal:reversal:reversal:10:x", Returned: true}),
			then: events(&account.PaymentResolved{Payment: "reversal:reversal:reversal:10:x", Outcome: account.PaymentIsReturned, Amount: 6 * credit, Kind: account.KindRefund}),
		},
	})
}

// TestReversalOfPayments is about which payment the provider takes back.
func TestReversalOfPayments(t *testing.T) {
	whole := given(started("p", 5*credit), do(payment("x", "p", 5*credit)))
	halves := given(started("p", 8*credit), do(payment("x", "p", 3*credit)), do(payment("y", "p", 5*credit)))
	check(t, []row{
		{name: "the whole purchase", given: whole, when: backOf("x", "p", 5*credit), then: events(backTaken("p", 5*credit, 2)), balance: "nothing"},
		{name: "told twice", given: append(whole[:2:2], backOf("x", "p", 5*credit)), when: backOf("x", "p", 5*credit)},
		{
			name: "of one of two payments: what that one paid", given: halves, when: backOf("x", "p", 3*credit), then: events(backTaken("p", 3*credit, 3)),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name: "and then of the other", given: append(halves[:3:3], backOf("x", "p", 3*credit)), when: backOf("y", "p", 5*credit), balance: "nothing",
			then: events(&account.PurchaseReversed{Purchase: "p", Payment: "y", Kind: account.ReversalRefund, Amount: 5 * credit, Lots: lots(paid(3, 5*credit))}),
		},
		{
			name: "after finance had recorded it", given: append(whole[:2:2], do(account.RecordChargeback{Purchase: "p"})), when: backOf("x", "p", 5*credit),
			then: events(backWaits(account.WhyReversedBefore, "x", "p", 5*credit)),
		},
		{
			name: "of a payment that finance returned: the purchase is not touched", given: append(whole[:2:2], facts(unmatched("z", "p", 5*credit, account.WhySettledBefore)),
				do(account.ResolvePayment{Payment: "z", Returned: true})), when: backOf("z", "p", 5*credit),
			then: events(backWaits(account.WhyNotCredited, "z", "p", 5*credit)),
		},
		{
			name: "of a payment that waits in the queue", given: append(whole[:2:2], facts(unmatched("z", "p", 5*credit, account.WhySettledBefore))), when: backOf("z", "p", 5*credit),
			then: events(&account.PaymentResolved{Payment: "z", Outcome: account.PaymentIsTakenBack, Amount: 5 * credit}),
		},
		{
			name: "of a payment above the price", given: append(whole[:2:2], do(payment("z", "p", 5*credit))), when: backOf("z", "p", 5*credit),
			then: events(&account.PurchaseReversed{Payment: "z", Kind: account.ReversalRefund, Amount: 5 * credit, Lots: lots(paid(4, 5*credit))}),
		},
		{
			name:  "of a payment that finance credited",
			given: given(do(payment("x", "q", 5*credit)), do(account.ResolvePayment{Payment: "x"})), when: backOf("x", "q", 5*credit),
			then: events(&account.PurchaseReversed{Payment: "x", Kind: account.ReversalRefund, Amount: 5 * credit, Lots: lots(paid(1, 5*credit))}), balance: "nothing",
		},
		{
			name:  "of a payment that stands in another account and was credited here",
			given: given(do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 10 * credit})), when: backOf("x", "q", 10*credit),
			then: events(&account.PurchaseReversed{Payment: "x", Kind: account.ReversalRefund, Amount: 10 * credit, Lots: lots(paid(0, 10*credit))}), balance: "nothing",
		},
		{
			name: "of a part payment: it no longer counts", given: given(started("p", 8*credit), do(payment("x", "p", 3*credit))), when: backOf("x", "p", 3*credit),
			then: events(&account.PaymentDropped{Payment: "x", Purchase: "p", Amount: 3 * credit, Reversal: true}),
		},
		{name: "of a part payment, told twice", given: given(started("p", 8*credit), do(payment("x", "p", 3*credit)), backOf("x", "p", 3*credit)), when: backOf("x", "p", 3*credit)},
		{
			name: "of a part payment that waits", given: given(started("p", 8*credit), do(payment("x", "p", 3*credit)), doAt(minute(20), account.Tick{})),
			when: doAt(minute(21), backOf("x", "p", 3*credit).do),
			then: events(&account.PaymentDropped{Payment: "x", Purchase: "p", Amount: 3 * credit, Reversal: true},
				&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsTakenBack, Amount: 3 * credit}),
		},
		{
			name: "of one that the provider didn't name: people have to find it", given: whole,
			when: do(account.ReversePurchase{Payment: "z", Purchase: "p", Kind: account.ReversalRefund, Amount: 5 * credit, Odd: account.WhyPaymentUnnamed}),
			then: events(backWaits(account.WhyPaymentUnnamed, "z", "p", 5*credit)),
		},
		{name: "of an unknown purchase", when: backOf("x", "q", 5*credit), then: events(backWaits(account.WhyPurchaseUnknown, "x", "q", 5*credit))},
		{name: "of an unknown purchase, told twice", given: given(backOf("x", "q", 5*credit)), when: backOf("x", "q", 5*credit)},
	})
}

// TestReversalOfAReturnedPayment: what finance sent back made no credits, and mustn't be
// sent back again. Of no other payment people are told that nothing is to be done.
func TestReversalOfAReturnedPayment(t *testing.T) {
	check(t, []row{
		{
			name: "of a purchase that was never paid in full", when: doAt(minute(21), backOf("x", "p", 3*credit).do),
			given: given(started("p", 8*credit), do(payment("x", "p", 3*credit)), doAt(minute(20), account.Tick{}), doAt(minute(20), account.ResolvePayment{Payment: "x", Returned: true})),
			then: events(func() *account.PaymentUnmatched {
				e := backWaits(account.WhyNotCredited, "x", "p", 3*credit)
				e.EffectiveAt = minute(21)
				return e
			}()),
		},
		{
			name: "of an unknown purchase", when: backOf("x", "q", 3*credit),
			given: given(do(payment("x", "q", 3*credit)), do(account.ResolvePayment{Payment: "x", Returned: true})),
			then:  events(backWaits(account.WhyNotCredited, "x", "q", 3*credit)),
		},
		{
			name: "of one that was credited, if it names another purchase", when: backOf("x", "q", 5*credit),
			given: given(started("p", 5*credit), do(payment("x", "p", 5*credit))),
			then:  events(backWaits(account.WhyPurchaseUnknown, "x", "q", 5*credit)),
		},
		{
			name: "or another one that was paid", when: backOf("x", "q", 5*credit),
			given: given(started("p", 5*credit), do(payment("x", "p", 5*credit)), started("q", 5*credit), do(payment("y", "q", 5*credit))),
			then:  events(backWaits(account.WhyPurchaseUnknown, "x", "q", 5*credit)),
		},
		{
			name: "of one above the price that is assigned, and about to be credited", when: backOf("z", "p", 5*credit),
			given: given(started("p", 5*credit), do(payment("x", "p", 5*credit)), facts(unmatched("z", "p", 5*credit, account.WhySettledBefore)),
				do(account.ResolvePayment{Payment: "z", Account: "bob"})),
			then: events(backWaits(account.WhyPurchaseUnknown, "z", "p", 5*credit)),
		},
		{
			name: "of a part that still counts, if it names none", when: backOf("x", "", 3*credit),
			given: given(started("p", 8*credit), do(payment("x", "p", 3*credit))),
			then:  events(backWaits(account.WhyPurchaseUnknown, "x", "", 3*credit)),
		},
	})
}

// TestReversalOfAPart: another amount than was paid is for people.
func TestReversalOfAPart(t *testing.T) {
	whole := given(started("p", 5*credit), do(payment("x", "p", 5*credit)))
	check(t, []row{
		{
			name: "of a part of it, or of more: people have to find out", given: whole, when: backOf("x", "p", credit),
			then:    events(backWaits(account.WhyAmountDiffers, "x", "p", credit)),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{name: "of a part of it, told twice", given: append(whole[:2:2], backOf("x", "p", credit)), when: backOf("x", "p", credit)},
		{
			name: "of a part of one that waits in the queue, which stays there", given: append(whole[:2:2], do(payment("z", "p", 5*credit))),
			when: backOf("z", "p", credit), then: events(backWaits(account.WhyAmountDiffers, "z", "p", credit)),
		},
		{
			name:  "of a part of one that stands in another account and was credited here",
			given: given(do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 10 * credit})), when: backOf("x", "q", 4*credit),
			then:    events(backWaits(account.WhyAmountDiffers, "x", "q", 4*credit)),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
	})
}

// TestReversalOfAPurchaseWithAFee: it goes back with what completes the reversal.
func TestReversalOfAPurchaseWithAFee(t *testing.T) {
	fee := do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(1000)})
	withFee := given(fee, started("p", 10*credit), do(payment("x", "p", 6*credit)), do(payment("y", "p", 5*credit)))
	check(t, []row{
		{
			name: "the fee goes back with what completes it", given: append(withFee[:4:4], backOf("x", "p", 6*credit)), when: backOf("y", "p", 5*credit), balance: "nothing",
			then: events(func() *account.PurchaseReversed {
				e := backTaken("p", 4*credit, 4)
				e.Payment, e.Fee = "y", credit
				return e
			}()),
		},
		{
			name: "and not with what doesn't", given: withFee, when: backOf("x", "p", 6*credit), then: events(backTaken("p", 6*credit, 4)),
		},
		{
			name: "one without credits left, of which the other's reversal took all", given: given(fee, started("p", 10*credit),
				do(payment("x", "p", 10*credit)), do(payment("y", "p", credit)), backOf("x", "p", 10*credit)), when: backOf("y", "p", credit),
			then: events(&account.PurchaseReversed{Purchase: "p", Payment: "y", Kind: account.ReversalRefund, Fee: credit}), balance: "nothing",
		},
		{
			name: "the same, after finance had taken the whole back", given: given(fee, started("p", 10*credit),
				do(payment("x", "p", 10*credit)), do(payment("y", "p", credit)), do(account.RecordChargeback{Purchase: "p"})), when: backOf("y", "p", credit),
			then: events(backWaits(account.WhyReversedBefore, "y", "p", credit)),
		},
	})
}

func TestRecordChargeback(t *testing.T) {
	record := do(account.RecordChargeback{Purchase: "p", Reason: "sealed"})
	check(t, []row{
		{
			name: "takes the credits and leaves debt", given: given(bought("p", 10*credit), spent(8*credit)), when: record,
			then: events(&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 10 * credit,
				Lots: lots(paid(0, 2*credit)), Debt: 8 * credit, Reason: "sealed"}, &account.Frozen{Cause: account.FreezeChargeback}),
			balance: "balance -8, available -8, debt 8, frozen",
		},
		{name: "twice", given: given(bought("p", credit), record), when: record, refused: "wrong-status field=purchase_id value=p status=reversed"},
		{name: "of one that isn't paid", given: given(started("p", credit)), when: record, refused: "wrong-status field=purchase_id value=p status=awaiting-payment"},
		{
			name: "of a payment that finance had credited here", given: given(do(account.CreditPayment{Payment: "p", From: "ann", Amount: 5 * credit})), when: record,
			then: events(&account.PurchaseReversed{Payment: "p", Kind: account.ReversalChargeback, Amount: 5 * credit,
				Lots: lots(paid(0, 5*credit)), Reason: "sealed"}), balance: "nothing",
		},
		{
			name: "of a credited payment, again", given: given(do(account.CreditPayment{Payment: "p", From: "ann", Amount: 5 * credit}), record), when: record,
			refused: "wrong-status field=purchase_id value=p status=reversed",
		},
		{
			name:  "of a credited payment: the provider tells of it later",
			given: given(do(account.CreditPayment{Payment: "p", From: "ann", Amount: 5 * credit}), record),
			when:  do(account.ReversePurchase{Payment: "p", Purchase: "none", Kind: account.ReversalRefund, Amount: 5 * credit}),
		},
		{
			name: "takes the fee back too", given: given(do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(200)}), started("p", 10*credit),
				do(payment("x", "p", 10*credit+200_000))), when: record, balance: "nothing",
			then: events(&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 10 * credit,
				Lots: lots(paid(3, 10*credit)), Reason: "sealed", Fee: 200_000}),
		},
		{name: "of one that expires now", given: given(started("p", credit)), when: doAt(minute(20), record.do), refused: "wrong-status field=purchase_id value=p status=expired"},
		{name: "of one that has expired", given: given(started("p", credit), doAt(minute(20), account.Tick{})), when: doAt(minute(21), record.do), refused: "wrong-status field=purchase_id value=p"},
		{name: "of an unknown one", when: record, refused: "unknown-purchase field=purchase_id value=p"},
	})
}
