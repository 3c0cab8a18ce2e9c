package eventstore_test

import (
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// deskSamples are what is decided at desks.
func (s sampler) deskSamples() map[string]domain.Event {
	const credit = domain.Credit
	lots := []account.LotUse{
		{Lot: 5, Class: account.Purchased, Amount: 20 * credit, ExpiresAt: s.year},
		{Lot: 7, Class: account.Purchased, Amount: 10*credit + 500_000},
	}
	back := []account.LotUse{lots[1], lots[0]}
	return map[string]domain.Event{
		"adjustment-rejected": &account.AdjustmentRejected{Adjustment: "adj-2026-033", Reason: s.sealed, RejectedBy: "finance:olga"},
		"dispute-opened": &account.DisputeOpened{Dispute: "dis-17", Deduction: s.deduction, Revision: 42, Amount: 30*credit + 500_000,
			Service: domain.ServiceVM, Reference: "vm-4711", Reason: s.sealed, OpenedBy: "io-1001"},
		"dispute-resolved": &account.DisputeResolved{Dispute: "dis-17", Outcome: account.DisputeUpheld, Refund: 12 * credit, Note: s.sealed, ResolvedBy: "support:mia"},
		"dispute-resolved.rejected": &account.DisputeResolved{Dispute: "dis-18", Outcome: account.DisputeRejected, Note: s.sealed,
			ResolvedBy: "support:mia"},
		"withdrawal-approved": &account.WithdrawalApproved{Withdrawal: "wd-3", ApprovedBy: "finance:pavel", Final: true},
		"withdrawal-paid": &account.WithdrawalPaid{Withdrawal: "wd-3", Amount: 30*credit + 500_000, TxURL: s.sealed, Network: account.NetworkSolana,
			Lots: lots, Part: s.part},
		"withdrawal-requested": &account.WithdrawalRequested{Withdrawal: "wd-3", Amount: 30*credit + 500_000, Wallet: s.sealed, Network: account.NetworkSolana,
			DueFrom: time.Date(2026, 3, 4, 9, 30, 0, 0, time.UTC), DueBy: time.Date(2026, 3, 10, 9, 30, 0, 0, time.UTC),
			RequestedBy: "io-1001", Lots: lots, Part: s.part},
		"withdrawal-returned": &account.WithdrawalReturned{Withdrawal: "wd-3", Amount: 30*credit + 500_000, Cause: account.ReturnRejected,
			Reason: s.sealed, Lots: back, Part: s.part},
		"withdrawal-returned.chargeback": &account.WithdrawalReturned{Withdrawal: "wd-4", Amount: 30*credit + 500_000, Cause: account.ReturnChargeback,
			Purchase: "pur-1001", Lots: back},
	}
}
