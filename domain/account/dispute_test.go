package account_test

import (
	"fmt"
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

func dispute(id string, revision int64) account.OpenDispute {
	return account.OpenDispute{Dispute: id, Transaction: tx(revision), Reason: "sealed"}
}

// disputed is opened by ann, resolved decided by sue.
func disputed(id string, revision int64) step { return do(dispute(id, revision)) }

func resolved(id string, outcome account.DisputeOutcome, refund *domain.Amount) step {
	return doBy("sue", account.ResolveDispute{Dispute: id, Outcome: outcome, Refund: refund, Note: "sealed-note"})
}

func inDispute(id string, revision int64, amount domain.Amount) *account.DisputeOpened {
	return &account.DisputeOpened{Dispute: id, Deduction: tx(revision), Revision: revision, Amount: amount,
		Service: vm, Reason: "sealed", OpenedBy: "ann"}
}

func upheld(id string, refund domain.Amount) *account.DisputeResolved {
	return &account.DisputeResolved{Dispute: id, Outcome: account.DisputeUpheld, Refund: refund, Note: "sealed-note", ResolvedBy: "sue"}
}

// asNoted is the refund that an upheld dispute makes.
func asNoted(e *account.Refunded) *account.Refunded {
	e.Reason = "sealed-note"
	return e
}

func TestOpenDispute(t *testing.T) {
	charged := given(bought("p", 50*credit), spent(10*credit))
	check(t, []row{
		{
			name: "on a deduction", given: charged, when: disputed("d", 1),
			then:    events(inDispute("d", 1, 10*credit)),
			balance: "balance 40, available 40, purchased 40, withdrawable 40, allowance 10, spendable 50",
		},
		{
			name: "on a capture", given: given(bought("p", 50*credit), held("r", 30*credit), captured("r", 12*credit)),
			when: disputed("d", 2), then: events(inDispute("d", 2, 12*credit)),
		},
		{
			name: "on a deduction for something", given: given(bought("p", 50*credit), do(account.Deduct{Amount: credit, Service: vm, Reference: "job"})), when: disputed("d", 1),
			then: events(&account.DisputeOpened{Dispute: "d", Deduction: tx(1), Revision: 1, Amount: credit, Service: vm, Reference: "job", Reason: "sealed", OpenedBy: "ann"}),
		},
		{
			name: "on a metered charge", given: given(bought("p", 50*credit), do(reading("m", "3", "0.5"))),
			when: disputed("d", 1),
			then: events(&account.DisputeOpened{Dispute: "d", Deduction: tx(1), Revision: 1, Amount: 3 * credit / 2,
				Service: domain.ServiceInference, Reason: "sealed", OpenedBy: "ann"}),
		},
		{
			name: "on a deduction in parts: the whole", given: given(manyLots(501), spent(501*credit)),
			when: disputed("d", 501), then: events(inDispute("d", 501, 501*credit)),
		},
		{
			name: "on a second part", given: given(manyLots(501), spent(501*credit)),
			when:    disputed("d", 502),
			refused: "not-a-deduction field=transaction_id value=" + tx(502).String() + " first_revision=501",
		},
		{name: "on another deduction at the same time", given: append(charged, spent(credit), disputed("d", 1)), when: disputed("e", 2), then: events(inDispute("e", 2, credit))},
		{
			name: "again after it was resolved", given: append(charged, disputed("d", 1), resolved("d", account.DisputeRejected, nil)),
			when: disputed("e", 1), then: events(inDispute("e", 1, 10*credit)),
		},
		{
			name: "on a deduction that is refunded already", given: append(charged, refunded(1, 10*credit)),
			when: disputed("d", 1), then: events(inDispute("d", 1, 10*credit)),
		},
		{name: "on a frozen account", given: append(charged, do(account.Freeze{})), when: disputed("d", 1), then: events(inDispute("d", 1, 10*credit))},

		// Each breaks a check and every later one.
		{name: "unknown transaction", given: append(charged, disputed("d", 1)), when: disputed("d", 9), refused: "unknown-transaction field=transaction_id value=" + tx(9).String()},
		{name: "not a deduction", given: append(charged, disputed("d", 1)), when: disputed("d", 0), refused: "not-a-deduction field=transaction_id value=" + tx(0).String()},
		{name: "duplicate id", given: append(charged, disputed("d", 1)), when: disputed("d", 1), refused: "duplicate-id field=dispute_id value=d"},
		{name: "duplicate id of a resolved one", given: append(charged, disputed("d", 1), resolved("d", account.DisputeRejected, nil)), when: disputed("d", 1), refused: "duplicate-id field=dispute_id value=d"},
		{name: "in dispute already", given: given(bought("p", 2000*credit), spent(10*credit), manyDisputes(1_000)), when: disputed("d", 1_000), refused: "dispute-open field=transaction_id value=" + tx(1_000).String()},
		{name: "too many", given: given(bought("p", 2000*credit), spent(10*credit), manyDisputes(1_000)), when: disputed("d", 1), refused: "limit-exceeded limit=1000"},
		{name: "the last there is room for", given: given(bought("p", 2000*credit), spent(10*credit), manyDisputes(999)), when: disputed("d", 1), then: events(inDispute("d", 1, 10*credit))},
	})
}

func TestResolveDispute(t *testing.T) {
	waits := given(granted(4*credit), bought("p", 50*credit), spent(10*credit), disputed("d", 2))
	check(t, []row{
		{
			name: "upheld: all comes back to its lots", given: waits, when: resolved("d", account.DisputeUpheld, nil),
			then:    events(asNoted(backTo(2, 10*credit, paid(1, 6*credit), promo(0, 4*credit))), upheld("d", 10*credit)),
			balance: "balance 54, available 54, promotional 4, purchased 50, withdrawable 50, allowance 10, spendable 64",
		},
		{
			name: "upheld in part", given: waits, when: resolved("d", account.DisputeUpheld, ptr(7*credit)),
			then:    events(asNoted(backTo(2, 7*credit, paid(1, 6*credit), promo(0, credit))), upheld("d", 7*credit)),
			balance: "balance 51, available 51, promotional 1, purchased 50, withdrawable 50, allowance 10, spendable 61",
		},
		{
			name: "upheld: what is left of it", given: append(waits, doBy("sue", refund(2, 8*credit))), when: resolved("d", account.DisputeUpheld, nil),
			then: events(asNoted(backTo(2, 2*credit, promo(0, 2*credit))), upheld("d", 2*credit)),
		},
		{
			name: "upheld, with nothing left to give", given: append(waits, doBy("sue", refund(2, 10*credit))), when: resolved("d", account.DisputeUpheld, nil),
			then: events(upheld("d", 0)),
		},
		{
			name: "upheld: all of a charge that is more than may be asked for",
			given: given(do(account.SetPolicy{GraceMinutes: ptr(600)}), granted(credit), do(deploy("x", "1", 1)),
				do(account.RecordUsage{Deployment: "x", Amount: domain.MaxAmount}), do(account.RecordUsage{Deployment: "x", Amount: domain.MaxAmount}),
				granted(domain.MaxAmount), granted(domain.MaxAmount), disputed("d", 9)),
			when: resolved("d", account.DisputeUpheld, nil),
			then: events(&account.Refunded{
				Deduction: tx(9), Revision: 9, Amount: 2 * domain.MaxAmount, Service: domain.ServiceCaaS, Reference: "x", Reason: "sealed-note",
				Lots: lots(promo(8, domain.MaxAmount), promo(7, domain.MaxAmount)),
			}, upheld("d", 2*domain.MaxAmount)),
		},
		{
			name: "upheld for more than is left", given: append(waits, doBy("sue", refund(2, 8*credit))), when: resolved("d", account.DisputeUpheld, ptr(3*credit)),
			refused: "refund-exceeds-deduction deducted=10 refunded=8 refundable=2 required=3",
		},
		{name: "upheld for nothing", given: waits, when: resolved("d", account.DisputeUpheld, ptr(domain.Amount(0))), refused: "amount-invalid field=refund value=0"},
		{
			name: "upheld while in debt: the refund pays it", given: given(bought("p", 5*credit), spent(5*credit), spent(3*credit), disputed("d", 1)),
			when: resolved("d", account.DisputeUpheld, nil),
			then: events(asNoted(backTo(1, 5*credit, paid(0, 5*credit))),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(0, 3*credit))}, upheld("d", 5*credit)),
			balance: "balance 2, available 2, purchased 2, withdrawable 2, allowance 10, spendable 12",
		},
		{
			name: "rejected", given: waits, when: resolved("d", account.DisputeRejected, nil),
			then: events(&account.DisputeResolved{Dispute: "d", Outcome: account.DisputeRejected, Note: "sealed-note", ResolvedBy: "sue"}),
		},

		// Each breaks a check and every later one.
		{name: "refund of nothing", when: resolved("d", "", ptr(domain.Amount(0))), refused: "amount-invalid field=refund value=0"},
		{name: "unknown", when: doBy("sue", account.ResolveDispute{Dispute: "d"}), refused: "unknown-dispute field=dispute_id value=d"},
		{name: "resolved already", given: append(waits, resolved("d", account.DisputeRejected, nil)), when: do(account.ResolveDispute{Dispute: "d"}), refused: "wrong-status field=dispute_id value=d"},
		{name: "by who opened it", given: waits, when: do(account.ResolveDispute{Dispute: "d"}), refused: "self-approval field=dispute_id value=d"},
		{name: "rejected with a refund", given: waits, when: resolved("d", account.DisputeRejected, ptr(credit)), refused: "field-invalid field=refund value=1"},
		{name: "of no outcome", given: waits, when: resolved("d", "", nil), refused: "field-invalid field=outcome value="},
	})
}

// TestRefundByOpener: no refund is a way around that the opener can't resolve.
func TestRefundByOpener(t *testing.T) {
	waits := given(bought("p", 50*credit), spent(10*credit), disputed("d", 1))
	const refusal = "self-approval field=transaction_id value="
	check(t, []row{
		{name: "of all", given: waits, when: refunded(1, 0), refused: refusal + tx(1).String() + " dispute_id=d"},
		{name: "of a part", given: waits, when: refunded(1, credit), refused: refusal + tx(1).String() + " dispute_id=d"},
		{name: "after a part of it was refunded", given: append(waits, doBy("sue", refund(1, credit))), when: refunded(1, 0),
			refused: refusal + tx(1).String() + " dispute_id=d"},
		{name: "in parts", given: given(manyLots(501), spent(501*credit), disputed("d", 501)), when: refunded(501, 0),
			refused: refusal + tx(501).String() + " dispute_id=d"},
		{name: "by somebody else", given: waits, when: doBy("sue", refund(1, 10*credit)), then: events(backTo(1, 10*credit, paid(0, 10*credit)))},
		{name: "of another deduction", given: append(waits, spent(credit)), when: refunded(3, credit), then: events(backTo(3, credit, paid(0, credit)))},
		{name: "before there is a dispute", given: waits[:2], when: refunded(1, credit), then: events(backTo(1, credit, paid(0, credit)))},
		{
			name: "once it is resolved", given: append(waits, resolved("d", account.DisputeRejected, nil)), when: refunded(1, credit),
			then: events(backTo(1, credit, paid(0, credit))),
		},
		{
			name:  "of a deployment, as it ends: that is the engine's own",
			given: given(bought("p", 50*credit), do(deploy("x", "3", 2)), disputed("d", 2)), when: do(account.FailDeployment{Deployment: "x"}),
			then: events(
				&account.Refunded{Revision: 2, Amount: 6 * credit, Service: domain.ServiceCaaS, Reference: "x", Lots: lots(paid(0, 6*credit))},
				&account.DeploymentEnded{Deployment: "x", Status: account.DeploymentIsFailed, EndedAt: hour(0), Refunded: 6 * credit, Cause: account.CauseProvider},
			),
		},

		// Each breaks a check and every later one.
		{name: "not a deduction", given: waits, when: doBy("ann", account.Refund{Transaction: tx(0), Amount: -1}), refused: "not-a-deduction field=transaction_id value=" + tx(0).String()},
		{name: "of less than nothing", given: waits, when: refunded(1, -1), refused: "amount-invalid field=amount value=-0.000001"},
		{name: "of too much", given: waits, when: refunded(1, 11*credit), refused: refusal + tx(1).String() + " dispute_id=d"},
	})
}

// manyDisputes spends n times and disputes each, from revision 2 on in pairs.
func manyDisputes(n int) step {
	var all []domain.Event
	for i := range n {
		revision := int64(2 + 2*i)
		all = append(all, &account.Deducted{Amount: credit, Service: vm, Lots: lots(paid(0, credit))}, inDispute(fmt.Sprint(i), revision, credit))
	}
	return facts(all...)
}

func TestRejectAdjustment(t *testing.T) {
	no := func(by string) step {
		return doBy(by, account.RejectAdjustment{Adjustment: "a", Reason: "sealed"})
	}
	check(t, []row{
		{
			name: "ends it", given: given(asked(credit)), when: no("bob"),
			then:    events(&account.AdjustmentRejected{Adjustment: "a", Reason: "sealed", RejectedBy: "bob"}),
			balance: "nothing",
		},
		{name: "and it can't be approved", given: given(asked(credit), no("bob")), when: approvedBy("bob"), refused: "wrong-status field=adjustment_id value=a"},
		{name: "nor its id be used again", given: given(asked(credit), no("bob")), when: asked(credit), refused: "duplicate-id field=adjustment_id value=a"},
		{name: "after the first of two approvals", given: given(asked(1000*credit), approvedBy("bob")), when: no("bob"),
			then: events(&account.AdjustmentRejected{Adjustment: "a", Reason: "sealed", RejectedBy: "bob"})},
		{name: "not by who asked", given: given(asked(credit)), when: no("ann"), refused: "self-approval field=adjustment_id value=a"},
		{name: "unknown", when: no("bob"), refused: "unknown-adjustment field=adjustment_id value=a"},
	})
}
