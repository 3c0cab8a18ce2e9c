package account_test

import (
	"testing"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// refund gives back the deduction at a revision; amount 0: all that is left.
func refund(revision int64, amount domain.Amount) account.Refund {
	return account.Refund{Transaction: tx(revision), Amount: amount}
}

func refunded(revision int64, amount domain.Amount) step { return do(refund(revision, amount)) }

// backTo is a refund that goes to lots only.
func backTo(revision int64, amount domain.Amount, to ...account.LotUse) *account.Refunded {
	return &account.Refunded{Deduction: tx(revision), Revision: revision, Amount: amount, Service: vm, Lots: to}
}

func TestRefund(t *testing.T) {
	mixed := given(bought("p", 50*credit), granted(20*credit), spent(30*credit))
	check(t, []row{
		{
			name: "whole, last consumed first", given: mixed,
			when:    refunded(2, 30*credit),
			then:    events(backTo(2, 30*credit, paid(0, 10*credit), promo(1, 20*credit))),
			balance: "balance 70, available 70, promotional 20, purchased 50, withdrawable 50, allowance 10, spendable 80",
		},
		{
			name: "whole, without an amount", given: mixed,
			when: refunded(2, 0),
			then: events(backTo(2, 30*credit, paid(0, 10*credit), promo(1, 20*credit))),
		},
		{
			name: "part", given: mixed,
			when:    refunded(2, 4*credit),
			then:    events(backTo(2, 4*credit, paid(0, 4*credit))),
			balance: "balance 44, available 44, purchased 44, withdrawable 44, allowance 10, spendable 54",
		},
		{
			name: "part after part", given: append(mixed, refunded(2, 4*credit), refunded(2, 7*credit)),
			when: refunded(2, 2*credit),
			then: events(backTo(2, 2*credit, promo(1, 2*credit))),
		},
		{
			name: "a part across lots", given: append(mixed, refunded(2, 4*credit)),
			when: refunded(2, 7*credit),
			then: events(backTo(2, 7*credit, paid(0, 6*credit), promo(1, 1*credit))),
		},
		{
			name: "what is left, without an amount", given: append(mixed, refunded(2, 28*credit)),
			when: refunded(2, 0),
			then: events(backTo(2, 2*credit, promo(1, 2*credit))),
		},
		{
			name: "carries service, reference and reason",
			given: given(granted(credit), do(account.Deduct{Amount: credit, Service: domain.ServiceRay,
				Reference: "job", Description: "sealed"})),
			when: do(account.Refund{Transaction: tx(1), Reason: "also sealed"}),
			then: events(&account.Refunded{Deduction: tx(1), Revision: 1, Amount: credit, Service: domain.ServiceRay,
				Reference: "job", Reason: "also sealed", Lots: lots(promo(0, credit))}),
		},
	})
}

func TestRefundLater(t *testing.T) {
	mixed := given(bought("p", 50*credit), granted(20*credit), spent(30*credit))
	check(t, []row{
		{
			name: "after other spending goes to the same lots", given: append(mixed, spent(15*credit)),
			when:    refunded(2, 15*credit),
			then:    events(backTo(2, 15*credit, paid(0, 10*credit), promo(1, 5*credit))),
			balance: "balance 40, available 40, promotional 5, purchased 35, withdrawable 35, allowance 10, spendable 50",
		},
		{
			name: "after the lot expired it expires at once",
			given: given(grantedUntil(hour(1), 5*credit), granted(2*credit), spent(6*credit),
				doAt(hour(1), account.Tick{})),
			when: doAt(hour(4), refund(2, 0)),
			then: events(
				backTo(2, 6*credit, promo(1, credit), until(hour(1), promo(0, 5*credit))),
				&account.LotExpired{Lot: until(hour(1), promo(0, 5*credit)), EffectiveAt: hour(4)},
			),
			balance: "balance 2, available 2, promotional 2, spendable 2",
		},
		{
			name:  "while frozen",
			given: append(mixed, do(account.Freeze{})),
			when:  refunded(2, 4*credit),
			then:  events(backTo(2, 4*credit, paid(0, 4*credit))),
		},
		{
			name:  "of a capture",
			given: given(granted(5*credit), held("r", 4*credit), captured("r", 3*credit)),
			when:  refunded(2, 0),
			then:  events(backTo(2, 3*credit, promo(0, 3*credit))),
		},
		{
			name:  "of the second of two captures",
			given: given(granted(5*credit), held("r", 4*credit), captured("r", credit), captured("r", 3*credit)),
			when:  refunded(3, 2*credit),
			then:  events(backTo(3, 2*credit, promo(0, 2*credit))),
		},
	})
}

func TestRefundOrderOfChecks(t *testing.T) {
	done := given(granted(5*credit), spent(2*credit), refunded(1, 2*credit))
	const spentAll = "refund-exceeds-deduction deducted=2 refunded=2 refundable=0"
	check(t, []row{
		{name: "no such revision", given: done, when: refunded(9, -1), refused: "unknown-transaction field=transaction_id value=" + tx(9).String()},
		{name: "not an id of ours", given: done, when: do(account.Refund{Transaction: uuid.Max}), refused: "unknown-transaction field=transaction_id value=" + uuid.Max.String()},
		{name: "a grant", given: done, when: refunded(0, -1), refused: "not-a-deduction field=transaction_id value=" + tx(0).String()},
		{name: "a refund", given: done, when: refunded(2, -1), refused: "not-a-deduction field=transaction_id value=" + tx(2).String()},
		{
			name:    "an adjustment",
			given:   given(granted(5*credit), do(account.RequestAdjustment{Adjustment: "a", Amount: -credit}), doBy("bob", account.ApproveAdjustment{Adjustment: "a"})),
			when:    refunded(2, 0),
			refused: "not-a-deduction field=transaction_id value=" + tx(2).String(),
		},
		{name: "negative", given: done, when: refunded(1, -1), refused: "amount-invalid field=amount value=-0.000001"},
		{name: "too large", given: done, when: refunded(1, domain.MaxAmount+1), refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000"},
		{name: "nothing left", given: done, when: refunded(1, 1), refused: spentAll + " required=0.000001"},
		{name: "nothing left, without an amount", given: done, when: refunded(1, 0), refused: spentAll},
		{
			name: "more than is left", given: given(granted(5*credit), spent(2*credit), refunded(1, credit)),
			when:    refunded(1, credit+1),
			refused: "refund-exceeds-deduction deducted=2 refunded=1 refundable=1 required=1.000001",
		},
		{
			name:    "of a reading that was charged nothing",
			given:   given(granted(credit), do(reading("m", "0.000001", "0.1"))),
			when:    refunded(1, 0),
			refused: "refund-exceeds-deduction deducted=0 refunded=0 refundable=0",
		},
	})
}

// indebted has spent 12 credits of which 7 are debt; ofDebt is its refund.
func indebted() []step { return given(bought("p", 5*credit), spent(12*credit)) }

func ofDebt(change func(*account.Refunded)) *account.Refunded {
	e := account.Refunded{Deduction: tx(1), Revision: 1, Service: vm}
	change(&e)
	return &e
}

func TestRefundOfDebt(t *testing.T) {
	check(t, []row{
		{
			name: "while in debt, the debt ends first", given: indebted(),
			when:    refunded(1, 3*credit),
			then:    events(ofDebt(func(e *account.Refunded) { e.Amount, e.Debt = 3*credit, 3*credit })),
			balance: "balance -4, available -4, debt 4, allowance 10, spendable 6",
		},
		{
			name: "while in debt, whole", given: indebted(),
			when: refunded(1, 0),
			then: events(ofDebt(func(e *account.Refunded) {
				e.Amount, e.Debt, e.Lots = 12*credit, 7*credit, lots(paid(0, 5*credit))
			})),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name: "in parts: debt, then lots", given: append(indebted(), refunded(1, 6*credit)),
			when: refunded(1, 4*credit),
			then: events(ofDebt(func(e *account.Refunded) {
				e.Amount, e.Debt, e.Lots = 4*credit, credit, lots(paid(0, 3*credit))
			})),
		},
		{
			name:  "of lots while another deduction's debt is open pays that",
			given: given(bought("p", 5*credit), spent(5*credit), spent(3*credit)),
			when:  refunded(1, 4*credit),
			then: events(backTo(1, 4*credit, paid(0, 4*credit)),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(0, 3*credit))}),
			balance: "balance 1, available 1, purchased 1, withdrawable 1, allowance 10, spendable 11",
		},
	})
}

func TestRefundOfDebtThatWasPaid(t *testing.T) {
	check(t, []row{
		{
			name: "that a purchase has paid is a purchased lot", given: append(indebted(), bought("q", 10*credit)),
			when: refunded(1, 0),
			then: events(ofDebt(func(e *account.Refunded) {
				e.Amount, e.Lots, e.Made, e.Class = 12*credit, lots(paid(0, 5*credit)), 7*credit, account.Purchased
			})),
			balance: "balance 15, available 15, purchased 15, withdrawable 15, allowance 10, spendable 25",
		},
		{
			name: "that a grant has paid is a promotional lot", given: append(indebted(), granted(10*credit)),
			when: refunded(1, 0),
			then: events(ofDebt(func(e *account.Refunded) {
				e.Amount, e.Lots, e.Made, e.Class = 12*credit, lots(paid(0, 5*credit)), 7*credit, account.Promotional
			})),
			balance: "balance 15, available 15, promotional 10, purchased 5, withdrawable 5, allowance 10, spendable 25",
		},
		{
			name: "that both have paid is a lot of each", given: append(indebted(), granted(3*credit), bought("q", 10*credit)),
			when: refunded(1, 0),
			then: events(
				ofDebt(func(e *account.Refunded) {
					e.Amount, e.Lots, e.Made, e.Class = 9*credit, lots(paid(0, 5*credit)), 4*credit, account.Purchased
					e.Part = account.Part{Index: 1, Count: 2}
				}),
				ofDebt(func(e *account.Refunded) {
					e.Amount, e.Made, e.Class = 3*credit, 3*credit, account.Promotional
					e.Part = account.Part{Index: 2, Count: 2}
				}),
			),
			balance: "balance 18, available 18, promotional 3, purchased 15, withdrawable 15, allowance 10, spendable 28",
		},
		{
			name:  "open, paid by a purchase and paid by a grant at once",
			given: append(indebted(), granted(2*credit), bought("q", 4*credit)),
			when:  refunded(1, 7*credit),
			then: events(
				ofDebt(func(e *account.Refunded) {
					e.Amount, e.Debt, e.Made, e.Class = 5*credit, 1*credit, 4*credit, account.Purchased
					e.Part = account.Part{Index: 1, Count: 2}
				}),
				ofDebt(func(e *account.Refunded) {
					e.Amount, e.Made, e.Class = 2*credit, 2*credit, account.Promotional
					e.Part = account.Part{Index: 2, Count: 2}
				}),
			),
			balance: "balance 6, available 6, promotional 2, purchased 4, withdrawable 4, allowance 10, spendable 16",
		},
	})
}

func TestRefundCountsWhatPurchasedLotsPaid(t *testing.T) {
	check(t, []row{
		{
			name: "what purchased lots have paid comes back once",
			given: append(indebted(), bought("q", 7*credit), spent(4*credit), granted(4*credit),
				refunded(1, 7*credit)),
			when: refunded(4, 4*credit),
			then: events(&account.Refunded{Deduction: tx(4), Revision: 4, Service: vm,
				Amount: 4 * credit, Made: 4 * credit, Class: account.Promotional}),
		},
		{
			name: "what purchased lots have paid of a chargeback counts for nothing",
			given: given(bought("p", 10*credit), bought("q", 3*credit), spent(15*credit), granted(2*credit),
				chargedBack("q"), bought("s", 3*credit)),
			when: refunded(2, 2*credit),
			then: events(&account.Refunded{Deduction: tx(2), Revision: 2, Service: vm,
				Amount: 2 * credit, Made: 2 * credit, Class: account.Promotional}),
		},
		{
			name: "a purchased lot that is made pays chargeback debt",
			given: append(indebted(), bought("q", 7*credit),
				do(account.ReversePurchase{Purchase: "q", Kind: account.ReversalChargeback})),
			when: refunded(1, 7*credit),
			then: events(
				ofDebt(func(e *account.Refunded) { e.Amount, e.Made, e.Class = 7*credit, 7*credit, account.Purchased }),
				&account.DebtRepaid{Debt: account.DebtChargeback, Lots: lots(paid(6, 7*credit))},
			),
			balance: "frozen",
		},
		{
			name: "a reversal of what was not spent takes no money from it",
			given: given(bought("p", 10*credit), spent(15*credit), bought("q", 20*credit), bought("r", 5*credit),
				do(account.ReversePurchase{Purchase: "r", Kind: account.ReversalRefund})),
			when:    refunded(1, 5*credit),
			then:    events(&account.Refunded{Deduction: tx(1), Revision: 1, Service: vm, Amount: 5 * credit, Made: 5 * credit, Class: account.Purchased}),
			balance: "balance 20, available 20, purchased 20, withdrawable 20, allowance 10, spendable 30",
		},
	})
}

func TestRefundOfManyLots(t *testing.T) {
	many := given(manyLots(501), spent(501*credit))
	check(t, []row{
		{
			name: "whole, in parts", given: many,
			when: refunded(501, 0),
			then: events(
				&account.Refunded{Deduction: tx(501), Revision: 501, Amount: 500 * credit, Service: vm, Lots: uses(500, 1), Part: account.Part{Index: 1, Count: 2}},
				&account.Refunded{Deduction: tx(501), Revision: 501, Amount: 1 * credit, Service: vm, Lots: uses(0, 0), Part: account.Part{Index: 2, Count: 2}},
			),
			balance: "balance 501, available 501, promotional 501, spendable 501",
		},
		{
			name: "part, by the first part of the deduction", given: append(many, refunded(501, 2*credit)),
			when: refunded(501, 2*credit),
			then: events(backTo(501, 2*credit, uses(498, 497)...)),
		},
		{
			name: "by a later part of the deduction", given: many,
			when:    refunded(502, 0),
			refused: "not-a-deduction field=transaction_id value=" + tx(502).String() + " first_revision=501",
		},
	})
}
