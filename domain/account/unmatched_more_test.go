package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestReversalOfWhatWaits: a payment that is taken back leaves the queue and its purchase,
// whichever purchase the provider names; one that finance has assigned is no longer here to
// take (design.md rule 2: a fact is never refused).
func TestReversalOfWhatWaits(t *testing.T) {
	half := given(started("p", 50*credit), do(payment("x", "p", 20*credit)), doAt(minute(20), account.Tick{}))
	assigned := given(do(payment("x", "q", 5*credit)), do(account.ResolvePayment{Payment: "x", Account: "bob"}))
	takes := func(purchase string, amount domain.Amount) step {
		return doAt(minute(20), account.ReversePurchase{Purchase: purchase, Payment: "x", Kind: account.ReversalRefund, Amount: amount})
	}
	gone := events(&account.PaymentDropped{Payment: "x", Purchase: "p", Amount: 20 * credit, Reversal: true},
		&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsTakenBack, Amount: 20 * credit})
	reversal := backWaits(account.WhyPurchaseUnknown, "x", "q", 5*credit)
	reversal.EffectiveAt = minute(20)
	check(t, []row{
		{name: "of a part", given: half, when: takes("p", 20*credit), then: gone},
		{name: "that names no purchase", given: half, when: takes("", 20*credit), then: gone},
		{name: "that names another", given: half, when: takes("q", 0), then: gone},
		{name: "of one that was assigned", given: assigned, when: takes("q", 5*credit), then: events(reversal)},
	})
}

// TestReversalOfOneOfTwoPayments: the provider takes one payment back, and the other one
// counts on; of two that were taken back nothing is left.
func TestReversalOfOneOfTwoPayments(t *testing.T) {
	halves := given(started("p", 8*credit), do(payment("x", "p", 3*credit)), do(payment("y", "p", 5*credit)))
	record := do(account.RecordChargeback{Purchase: "p"})
	check(t, []row{
		{
			name: "before all was paid", given: given(started("p", 8*credit), do(payment("x", "p", 3*credit)), do(payment("y", "p", 4*credit))), when: backOf("x", "p", 3*credit),
			then: events(&account.PaymentDropped{Payment: "x", Purchase: "p", Amount: 3 * credit, Reversal: true}),
		},
		{
			name: "and then finance takes back what is left", given: append(halves[:3:3], backOf("x", "p", 3*credit)), when: record, balance: "nothing",
			then: events(&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 5 * credit, Lots: lots(paid(3, 5*credit))}),
		},
		{
			name: "and both: finance finds nothing left", given: append(halves[:3:3], backOf("x", "p", 3*credit), backOf("y", "p", 5*credit)), when: record,
			refused: "wrong-status field=purchase_id value=p status=reversed",
		},
		{
			name: "another payment than the purchase had: nobody knows where it made credits", given: halves, when: backOf("z", "p", 5*credit),
			then: events(backWaits(account.WhyNotCredited, "z", "p", 5*credit)),
		},
	})
}

// TestResolvePaymentAtItsBounds: what can't be credited can still be closed.
func TestResolvePaymentAtItsBounds(t *testing.T) {
	lost := do(account.RecordPayment{Payment: "x", Purchase: "q", Amount: 5 * credit, Named: "bob"})
	full := given(facts(&account.IncentiveGranted{Amount: domain.MaxBalance - 5*credit + 1}), lost)
	closed := &account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsReturned, Amount: 5 * credit}
	check(t, []row{
		{name: "no room", given: full, when: do(account.ResolvePayment{Payment: "x"}), refused: "amount-too-large field=amount value=5 limit=1000000000000"},
		{name: "no room is needed to return it", given: full, when: do(account.ResolvePayment{Payment: "x", Returned: true}), then: events(closed)},
		{name: "nor to send it elsewhere", given: full, when: do(account.ResolvePayment{Payment: "x", Account: "eve"}), then: events(&account.PaymentAssigned{Payment: "x", Account: "eve", Amount: 5 * credit})},
		{name: "unless there is none there either", given: given(lost), when: do(account.ResolvePayment{Payment: "x", Account: "eve", NoRoom: true}), refused: "amount-too-large field=amount value=5 limit=1000000000000"},
		{name: "which an account is asked", given: full, when: do(account.RequireRoom{Amount: 5 * credit}), refused: "amount-too-large field=amount value=5 limit=1000000000000"},
		{name: "and one that has some has no event", given: full, when: do(account.RequireRoom{Amount: 4 * credit})},
		{name: "returned, though it stands in two accounts", given: given(lost), when: do(account.ResolvePayment{Payment: "x", Returned: true, Twice: true}), then: events(closed)},
		{name: "returned, whatever account is named", given: given(lost), when: do(account.ResolvePayment{Payment: "x", Account: "eve", Unused: true, Returned: true}), then: events(closed)},
		{name: "an unknown one", when: do(account.ResolvePayment{Payment: "x"}), refused: "unknown-payment field=payment_id value=x"},
		{name: "an unknown one can't be closed", when: do(account.ClosePayment{Payment: "x"}), refused: "unknown-payment field=payment_id value=x"},
		{
			name:  "no room among what was ever bought: what was granted as purchased counts",
			given: given(facts(&account.CreditGranted{Request: "r", Terms: account.CreditTerms{Amount: domain.MaxBalance}}, &account.Deducted{Amount: domain.MaxBalance, Service: vm, Lots: lots(paid(0, domain.MaxBalance))})),
			when:  bought("p", credit), then: events(unmatched("p", "p", credit, account.WhyBalanceLimit)),
		},
	})
}

// TestDevPurchasesAddUp: what /dev repeats for one purchase waits as one sum.
func TestDevPurchasesAddUp(t *testing.T) {
	life{
		{bought("p", credit), ""}, {bought("p", 2*credit), ""},
		{bought("p", 3*credit), `{"status":"unmatched","kind":"payment","purchase":"p","amount":"5","why":"purchase-settled-before","since":"2026-03-01T00:00:00Z"}`},
	}.told(t, account.ObjectPayment, "p")
}
