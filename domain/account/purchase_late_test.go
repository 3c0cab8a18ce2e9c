package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestPurchaseIsPaidInLateParts: what comes for a purchase that has ended adds up with what
// came for it before, whether the state has forgotten it or not, and waits in the queue
// until all is there (money.md, Purchases).
func TestPurchaseIsPaidInLateParts(t *testing.T) {
	late := func(m int, id string, amount domain.Amount) step { return doAt(minute(m), payment(id, "p", amount)) }
	underpaid := func(m int, id string, amount domain.Amount) *account.PaymentUnmatched {
		e := unmatched(id, "p", amount, account.WhyUnderpaid)
		e.EffectiveAt = minute(m)
		return e
	}
	fee := do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(200)})
	waits := given(fee, started("p", 50*credit))
	forgotten := append(waits[:2:2], doAt(minute(20), account.Tick{}), late(21, "x", 20*credit))
	came := func(id string, amount, total domain.Amount) *account.PaymentReceived {
		e := received(id, "p", amount, total, 51*credit)
		e.Fee = credit
		return e
	}
	all := settled("p", 51*credit, 52*credit)
	all.Fee = credit
	check(t, []row{
		{
			name: "part of it at the very instant of its end", given: waits, when: late(20, "x", 20*credit),
			then: events(expired("p", 0), came("x", 20*credit, 20*credit), underpaid(20, "x", 20*credit)), balance: "nothing",
		},
		{
			name: "the rest of a forgotten one, and a credit more", given: forgotten, when: late(22, "y", 32*credit),
			then: events(came("y", 32*credit, 52*credit), all,
				&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsMatched, Amount: 20 * credit}),
		},
		{
			name: "still a micro-credit short", given: forgotten, when: late(22, "y", 31*credit-1),
			then: events(came("y", 31*credit-1, 51*credit-1), underpaid(22, "y", 31*credit-1)),
		},
		{
			name: "one of which a part came has ended for links", given: forgotten, when: doAt(minute(22), account.RequestLink{Purchase: "p", Attempt: 1}),
			refused: "wrong-status field=purchase_id value=p status=expired",
		},
		{
			name: "and for failures", given: forgotten, when: doAt(minute(22), account.RecordPaymentFailure{Payment: "z", Purchase: "p", Why: "card-declined"}),
		},
	})
}

// TestFeeNeedsNoRoom: what is credited has to fit, not what is paid.
func TestFeeNeedsNoRoom(t *testing.T) {
	waits := func(holds domain.Amount) []step {
		return given(facts(&account.IncentiveGranted{Amount: holds}), do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(200)}), started("p", 50*credit))
	}
	came := received("x", "p", 51*credit, 51*credit, 51*credit)
	came.Fee = credit
	all := settled("p", 50*credit, 51*credit)
	all.Fee = credit
	check(t, []row{
		{name: "to the last micro-credit", given: waits(domain.MaxBalance - 50*credit), when: do(payment("x", "p", 51*credit)), then: events(came, all)},
		{
			name: "and one more", given: waits(domain.MaxBalance - 50*credit + 1), when: do(payment("x", "p", 51*credit)),
			then: events(unmatched("x", "p", 51*credit, account.WhyBalanceLimit)),
		},
	})
}

// TestFactsToldAgain: what was recorded has no event the second time, and what tells
// nothing has none at all.
func TestFactsToldAgain(t *testing.T) {
	fails := func(attempt int) step {
		return do(account.RecordLinkFailure{Purchase: "p", Attempt: attempt, Why: "bankAccount/inactive"})
	}
	links := given(started("p", credit), do(account.RequestLink{Purchase: "p", Attempt: 1}))
	check(t, []row{
		{name: "a failed attempt", given: append(links[:2:2], fails(1)), when: fails(1)},
		{name: "of a purchase that isn't there", when: fails(1)},
		{name: "the rest of a payment, if there is none", when: do(account.RecordRest{Payment: "x", Purchase: "p", Recorded: credit, Amount: credit})},
		{name: "an assigned payment of nothing", when: do(account.CreditPayment{Payment: "x", Amount: 0}), refused: "amount-invalid field=amount value=0"},
		{name: "an assigned payment of less", when: do(account.CreditPayment{Payment: "x", Amount: -1}), refused: "amount-invalid field=amount value=-0.000001"},
	})
}

// TestQuestionsAboutPayments: what the write side asks before a payment is recorded
// somewhere. Questions have no events.
func TestQuestionsAboutPayments(t *testing.T) {
	came := given(started("p", 10*credit), do(payment("x", "p", 4*credit)))
	lost := given(do(payment("x", "q", 4*credit)))
	assigned := append(lost[:1:1], do(account.ResolvePayment{Payment: "x", Account: "bob"}))
	credited := given(do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 4 * credit}))
	is := func(amount domain.Amount) step {
		return do(account.ComparePayment{Payment: "x", Amount: amount})
	}
	check(t, []row{
		{name: "new", when: do(account.RequireNewPayment{Payment: "x"})},
		{name: "new, though it was credited", given: credited, when: do(account.RequireNewPayment{Payment: "x"})},
		{name: "here already", given: came, when: do(account.RequireNewPayment{Payment: "x"}), refused: "duplicate-id payment_id=x"},
		{name: "credited already", given: credited, when: do(account.RequireNewPayment{Payment: "x", Credited: true}), refused: "duplicate-id payment_id=x"},
		{name: "here, and not credited", given: came, when: do(account.RequireNewPayment{Payment: "x", Credited: true})},
		{name: "not assigned", given: lost, when: do(account.RequireUnassigned{Payment: "x"})},
		{name: "assigned", given: assigned, when: do(account.RequireUnassigned{Payment: "x"}), refused: "wrong-status account=bob"},
		{name: "as it came", given: came, when: is(4 * credit)},
		{name: "as it waits", given: lost, when: is(4 * credit)},
		{name: "as nobody knows", when: is(4 * credit)},
		{name: "with another amount", given: came, when: is(5 * credit), refused: "amount-invalid field=amount value=5 recorded=4"},
		{name: "with another than waits", given: lost, when: is(5 * credit), refused: "amount-invalid field=amount value=5 recorded=4"},
	})
}
