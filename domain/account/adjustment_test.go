package account_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// asked is a request by ann, approvedBy an approval.
func asked(amount domain.Amount) step {
	return do(account.RequestAdjustment{Adjustment: "a", Amount: amount})
}

func approvedBy(actor string) step { return doBy(actor, account.ApproveAdjustment{Adjustment: "a"}) }

func TestRequestAdjustment(t *testing.T) {
	check(t, []row{
		{
			name:    "moves nothing yet",
			when:    do(account.RequestAdjustment{Adjustment: "a", Amount: -5 * credit, Reason: "sealed"}),
			then:    events(&account.AdjustmentRequested{Adjustment: "a", Amount: -5 * credit, Reason: "sealed", RequestedBy: "ann"}),
			balance: "nothing",
		},
		{
			name: "of the most, either way", given: given(asked(domain.MaxAmount)),
			when: do(account.RequestAdjustment{Adjustment: "b", Amount: -domain.MaxAmount}),
			then: events(&account.AdjustmentRequested{Adjustment: "b", Amount: -domain.MaxAmount, RequestedBy: "ann"}),
		},
		{name: "of nothing", given: given(asked(credit)), when: asked(0), refused: "amount-invalid field=amount value=0"},
		{name: "too large", given: given(asked(credit)), when: asked(domain.MaxAmount + 1), refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000"},
		{name: "too large downwards", when: asked(-domain.MaxAmount - 1), refused: "amount-too-large field=amount value=-1000000000.000001 limit=1000000000"},
		{name: "twice", given: given(asked(credit)), when: asked(2 * credit), refused: "duplicate-id field=adjustment_id value=a"},
		{name: "again after it is in effect", given: given(asked(credit), approvedBy("bob")), when: asked(credit), refused: "duplicate-id field=adjustment_id value=a"},
		{name: "twice, at the limit", given: given(manyAdjustments(1_000)), when: do(account.RequestAdjustment{Adjustment: "0", Amount: 1}), refused: "duplicate-id field=adjustment_id value=0"},
		{name: "beyond the limit", given: given(manyAdjustments(1_000)), when: asked(credit), refused: "limit-exceeded limit=1000"},
		{
			name: "the last there is room for", given: given(manyAdjustments(999)),
			when: asked(credit),
			then: events(&account.AdjustmentRequested{Adjustment: "a", Amount: credit, RequestedBy: "ann"}),
		},
	})
}

// about asks for a correction of what the event of an id did.
func about(related domain.TransactionID) account.RequestAdjustment {
	return account.RequestAdjustment{Adjustment: "a", Amount: -credit, Related: related}
}

func TestRequestAdjustmentOfATransaction(t *testing.T) {
	past := given(bought("p", 5*credit), spent(credit))
	then := func(related domain.TransactionID) []domain.Event {
		return events(&account.AdjustmentRequested{Adjustment: "a", Amount: -credit, Related: related, RequestedBy: "ann"})
	}
	revisionOnly := uuid.MustParse("00000000-0001-8000-8000-000000000000")
	refused := func(id domain.TransactionID) string {
		return "unknown-transaction field=related_transaction value=" + id.String()
	}
	check(t, []row{
		{name: "a deduction", given: past, when: do(about(tx(1))), then: then(tx(1))},
		{name: "any other event", given: past, when: do(about(tx(0))), then: then(tx(0))},
		{name: "one that isn't there yet", given: past, when: do(about(tx(2))), refused: refused(tx(2))},
		{name: "of an account without events", when: do(about(tx(0))), refused: refused(tx(0))},
		{name: "of another account at this revision", given: past, when: do(about(revisionOnly)), refused: refused(revisionOnly)},
		{name: "an id that no event can have", given: past, when: do(about(uuid.UUID{15: 1})), refused: refused(uuid.UUID{15: 1})},
		{
			name: "unknown, and a name that is taken", given: append(past, asked(credit)),
			when: do(about(tx(7))), refused: refused(tx(7)),
		},
		{
			name: "unknown, and an amount that is too large", given: past,
			when:    do(account.RequestAdjustment{Adjustment: "a", Amount: domain.MaxAmount + 1, Related: tx(7)}),
			refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000",
		},
	})
}

// manyAdjustments asks for n corrections named by number.
func manyAdjustments(n int) step {
	var all []domain.Event
	for i := range n {
		all = append(all, &account.AdjustmentRequested{Adjustment: fmt.Sprint(i), Amount: credit, RequestedBy: "ann"})
	}
	return facts(all...)
}

func up(amount domain.Amount, by string) *account.Adjusted {
	return &account.Adjusted{Adjustment: "a", Amount: amount, ApprovedBy: by}
}

func TestApproveAdjustment(t *testing.T) {
	related := tx(0)
	check(t, []row{
		{
			name: "upwards is a promotional lot",
			given: given(facts(&account.Frozen{}, &account.Unfrozen{}),
				do(account.RequestAdjustment{Adjustment: "a", Amount: 5 * credit, Reason: "sealed", Related: related})),
			when:    approvedBy("bob"),
			then:    events(&account.Adjusted{Adjustment: "a", Amount: 5 * credit, Reason: "sealed", Related: related, ApprovedBy: "bob"}),
			balance: "balance 5, available 5, promotional 5, spendable 5",
		},
		{
			name:    "upwards pays debt",
			given:   given(bought("p", credit), spent(4*credit), asked(5*credit)),
			when:    approvedBy("bob"),
			then:    events(up(5*credit, "bob"), &account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(promo(3, 3*credit))}),
			balance: "balance 2, available 2, promotional 2, allowance 10, spendable 12",
		},
	})
}

func TestApproveDownwards(t *testing.T) {
	check(t, []row{
		{
			name:  "downwards spends in order",
			given: given(bought("p", 5*credit), granted(2*credit), asked(-3*credit)),
			when:  approvedBy("bob"),
			then: events(&account.Adjusted{Adjustment: "a", Amount: -3 * credit, ApprovedBy: "bob",
				Lots: lots(promo(1, 2*credit), paid(0, credit))}),
			balance: "balance 4, available 4, purchased 4, withdrawable 4, allowance 10, spendable 14",
		},
		{
			name:  "downwards below zero",
			given: given(bought("p", 5*credit), asked(-15*credit)),
			when:  approvedBy("bob"),
			then: events(&account.Adjusted{Adjustment: "a", Amount: -15 * credit, ApprovedBy: "bob",
				Lots: lots(paid(0, 5*credit)), Debt: 10 * credit}),
			balance: "balance -10, available -10, debt 10, allowance 10",
		},
		{
			name:    "downwards past the floor, which counts at the approval",
			given:   given(bought("p", 5*credit), asked(-15*credit), spent(credit)),
			when:    approvedBy("bob"),
			refused: "insufficient-credits available=4 allowance=10 spendable=14 required=15 shortfall=1",
		},
		{
			name:  "refused for the floor, it still waits",
			given: given(asked(-5*credit), refusedStep(approvedBy("bob")), granted(5*credit)),
			when:  approvedBy("bob"),
			then:  events(&account.Adjusted{Adjustment: "a", Amount: -5 * credit, ApprovedBy: "bob", Lots: lots(promo(1, 5*credit))}),
		},
		{
			name:  "downwards from more than 500 lots",
			given: given(manyLots(501), asked(-501*credit)),
			when:  approvedBy("bob"),
			then: events(
				&account.Adjusted{Adjustment: "a", Amount: -500 * credit, ApprovedBy: "bob", Lots: uses(0, 499), Part: account.Part{Index: 1, Count: 2}},
				&account.Adjusted{Adjustment: "a", Amount: -1 * credit, ApprovedBy: "bob", Lots: uses(500, 500), Part: account.Part{Index: 2, Count: 2}},
			),
			balance: "nothing",
		},
		{
			name:    "in parts, it is in effect once",
			given:   given(manyLots(501), asked(-501*credit), approvedBy("bob")),
			when:    approvedBy("cyd"),
			refused: "wrong-status field=adjustment_id value=a",
		},
		{
			name:    "past the limit of the account",
			given:   given(facts(&account.IncentiveGranted{Amount: domain.MaxBalance}), asked(1)),
			when:    approvedBy("bob"),
			refused: "amount-too-large field=amount value=0.000001 limit=1000000000000",
		},
		{
			name:  "of a frozen account",
			given: given(asked(credit), do(account.Freeze{})),
			when:  approvedBy("bob"),
			then:  events(up(credit, "bob")),
		},
	})
}

func TestFourEyes(t *testing.T) {
	const large = 1000 * credit
	first := events(&account.AdjustmentApproved{Adjustment: "a", ApprovedBy: "bob"})
	second := events(&account.Adjusted{Adjustment: "a", Amount: large, ApprovedBy: "cyd"})
	check(t, []row{
		{name: "of what nobody asked for", when: approvedBy("bob"), refused: "unknown-adjustment field=adjustment_id value=a"},
		{name: "of what is in effect", given: given(asked(credit), approvedBy("bob")), when: approvedBy("ann"), refused: "wrong-status field=adjustment_id value=a"},
		{name: "nobody approves what they asked for", given: given(asked(credit)), when: approvedBy("ann"), refused: "self-approval field=adjustment_id value=a"},
		{name: "nor gives the second approval", given: given(asked(large), approvedBy("bob")), when: approvedBy("ann"), refused: "self-approval field=adjustment_id value=a"},
		{name: "self-approval before the floor", given: given(asked(-5 * credit)), when: approvedBy("ann"), refused: "self-approval field=adjustment_id value=a"},
		{name: "one person is enough below the line", given: given(asked(large - 1)), when: approvedBy("bob"), then: events(&account.Adjusted{Adjustment: "a", Amount: large - 1, ApprovedBy: "bob"})},
		{name: "from the line on it takes two", given: given(asked(large)), when: approvedBy("bob"), then: first, balance: "nothing"},
		{name: "downwards, too", given: given(asked(-large)), when: approvedBy("bob"), then: first},
		{name: "the second puts it in effect", given: given(asked(large), approvedBy("bob")), when: approvedBy("cyd"), then: second},
		{name: "one person twice is not two", given: given(asked(large), approvedBy("bob")), when: approvedBy("bob"), refused: "self-approval field=adjustment_id value=a"},
		{
			name: "the line is the policy's", given: given(do(account.SetPolicy{TwoApproversFrom: ptr(5 * credit)}), asked(5*credit)),
			when: approvedBy("bob"), then: first,
		},
		{
			name: "the line of the approval counts", given: given(asked(large), do(account.SetPolicy{TwoApproversFrom: ptr(large + 1)})),
			when: approvedBy("bob"), then: events(&account.Adjusted{Adjustment: "a", Amount: large, ApprovedBy: "bob"}),
		},
		{
			name: "the floor is checked at the last approval only", given: given(asked(-large), approvedBy("bob")),
			when:    approvedBy("cyd"),
			refused: "insufficient-credits available=0 allowance=0 spendable=0 required=1000 shortfall=1000",
		},
	})
}
