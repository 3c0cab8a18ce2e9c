package eventstore_test

import (
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// deskSamples are newSamples of what is decided at desks.
func deskSamples() map[string]domain.Event {
	const credit, sealed = domain.Credit, domain.Sealed("AUZxV3q5mD0bJ8sKQnqk0cF0m1x8r0a6cV3e9u2T4w")
	year := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	deduction := uuid.MustParse("00000000-002a-8f3b-9c1d-5e7a90b1c2d3")
	lots := []account.LotUse{
		{Lot: 5, Class: account.Purchased, Amount: 20 * credit, ExpiresAt: year},
		{Lot: 7, Class: account.Purchased, Amount: 10*credit + 500_000},
	}
	back := []account.LotUse{lots[1], lots[0]}
	part := account.Part{Index: 2, Count: 3}
	return map[string]domain.Event{
		"adjustment-rejected":  &account.AdjustmentRejected{Adjustment: "adj-2026-033", Reason: sealed, RejectedBy: "finance:olga"},
		"credits-reclassified": &account.Reclassified{Lot: lots[0]},
		"dispute-opened": &account.DisputeOpened{Dispute: "dis-17", Deduction: deduction, Revision: 42, Amount: 30*credit + 500_000,
			Service: domain.ServiceVM, Reference: "vm-4711", Reason: sealed, OpenedBy: "io-1001"},
		"dispute-resolved": &account.DisputeResolved{Dispute: "dis-17", Outcome: account.DisputeUpheld, Refund: 12 * credit, Note: sealed, ResolvedBy: "support:mia"},
		"dispute-resolved.rejected": &account.DisputeResolved{Dispute: "dis-18", Outcome: account.DisputeRejected, Note: sealed,
			ResolvedBy: "support:mia"},
		"withdrawal-approved": &account.WithdrawalApproved{Withdrawal: "wd-3", ApprovedBy: "finance:pavel", Final: true},
		"withdrawal-paid": &account.WithdrawalPaid{Withdrawal: "wd-3", Amount: 30*credit + 500_000, TxURL: sealed, Network: account.NetworkSolana,
			Lots: lots, Part: part},
		"withdrawal-requested": &account.WithdrawalRequested{Withdrawal: "wd-3", Amount: 30*credit + 500_000, Wallet: sealed, Network: account.NetworkSolana,
			DueFrom: time.Date(2026, 3, 4, 9, 30, 0, 0, time.UTC), DueBy: time.Date(2026, 3, 10, 9, 30, 0, 0, time.UTC),
			RequestedBy: "io-1001", Lots: lots, Part: part},
		"withdrawal-returned": &account.WithdrawalReturned{Withdrawal: "wd-3", Amount: 30*credit + 500_000, Cause: account.ReturnRejected,
			Reason: sealed, Lots: back, Part: part},
		"withdrawal-returned.chargeback": &account.WithdrawalReturned{Withdrawal: "wd-4", Amount: 30*credit + 500_000, Cause: account.ReturnChargeback,
			Purchase: "pur-1001", Lots: back},
	}
}
