package account_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestEntries: what each event shows in the history (io-credits.md, row 11): type,
// service, what it names, its text, when it counts, its lots, and what moved (money.md,
// History). Events that aren't here show nothing: TestEventsWithoutEntry.
func TestEntries(t *testing.T) {
	some, back := lots(paid(0, 12*credit)), lots(promo(1, 18*credit))
	id := tx(7)
	text := domain.Sealed("sealed")
	credits := domain.ServiceCredits
	part := account.Part{}
	for _, c := range []struct {
		event domain.Event
		want  account.Entry
	}{
		{&account.PurchaseSettled{Purchase: "p", Amount: 5 * credit},
			account.Entry{Type: "purchase", Service: credits, Amount: 5 * credit, Reference: "p"}},
		{&account.PaymentCredited{Payment: "pay", From: "other", Amount: 5 * credit, Note: text},
			account.Entry{Type: "purchase", Service: credits, Amount: 5 * credit, Reference: "pay"}},
		{&account.CreditGranted{Request: "cr", Terms: account.CreditTerms{Amount: 5 * credit}},
			account.Entry{Type: "grant", Service: credits, Amount: 5 * credit, Reference: "cr"}},
		{&account.IncentiveGranted{Amount: 5 * credit, Campaign: "spring"},
			account.Entry{Type: "incentive", Service: credits, Amount: 5 * credit, Reference: "spring"}},
		{&account.Deducted{Amount: 12 * credit, Service: vm, Reference: "job", Description: text, EffectiveAt: hour(-1), Lots: some, Debt: credit},
			account.Entry{Type: "deduction", Service: vm, Amount: -13 * credit, Lots: some, Reference: "job", Description: text, EffectiveAt: hour(-1)}},
		{&account.UsageMetered{Meter: "m", Service: vm, Amount: 12 * credit, Reference: "job", EffectiveAt: hour(-1), Lots: some, Debt: credit},
			account.Entry{Type: "deduction", Service: vm, Amount: -13 * credit, Lots: some, Reference: "job", EffectiveAt: hour(-1)}},
		{&account.DeploymentPaid{Deployment: "d", Amount: 12 * credit, Service: vm, StartedAt: hour(1), Lots: some, Debt: credit},
			account.Entry{Type: "deduction", Service: vm, Amount: -13 * credit, Lots: some, Reference: "d", EffectiveAt: hour(1)}},
		{&account.DeploymentExtended{Deployment: "d", Amount: 12 * credit, Service: vm, Lots: some, Debt: credit},
			account.Entry{Type: "deduction", Service: vm, Amount: -13 * credit, Lots: some, Reference: "d"}},
		{&account.DeploymentUsed{Deployment: "d", Amount: 12 * credit, Service: vm, EffectiveAt: hour(-1), Lots: some, Debt: credit},
			account.Entry{Type: "deduction", Service: vm, Amount: -13 * credit, Lots: some, Reference: "d", EffectiveAt: hour(-1)}},
		{&account.Refunded{Deduction: id, Revision: 7, Amount: 20 * credit, Service: vm, Reference: "job", Reason: text,
			Lots: back, Debt: credit, Made: credit, Class: account.Purchased, EffectiveAt: hour(2)},
			account.Entry{Type: "refund", Service: vm, Amount: 20 * credit, Lots: back, Reference: "job", Description: text, EffectiveAt: hour(2), Related: id}},
		{&account.Refunded{Revision: 7, Amount: 18 * credit, Service: vm, Reference: "d", Lots: back},
			account.Entry{Type: "refund", Service: vm, Amount: 18 * credit, Lots: back, Reference: "d", RelatedRevision: ptr(int64(7))}},
		{&account.LotExpired{Lot: promo(1, 18*credit), EffectiveAt: hour(3)},
			account.Entry{Type: "expiry", Service: credits, Amount: -18 * credit, Lots: back, EffectiveAt: hour(3)}},
		{&account.Adjusted{Adjustment: "a", Amount: 5 * credit, Reason: text, Related: id},
			account.Entry{Type: "adjustment", Service: credits, Amount: 5 * credit, Reference: "a", Description: text, Related: id}},
		{&account.Adjusted{Adjustment: "a", Amount: -13 * credit, Lots: some, Debt: credit},
			account.Entry{Type: "adjustment", Service: credits, Amount: -13 * credit, Lots: some, Reference: "a"}},
		{&account.PurchaseReversed{Purchase: "p", Payment: "pay", Amount: 13 * credit, Lots: some, Debt: credit, Reason: text},
			account.Entry{Type: "chargeback", Service: credits, Amount: -13 * credit, Lots: some, Reference: "p", Description: text}},
		{&account.PurchaseReversed{Payment: "pay", Amount: 12 * credit, Lots: some},
			account.Entry{Type: "chargeback", Service: credits, Amount: -12 * credit, Lots: some, Reference: "pay"}},
		// The holds of money.md, History: {0, +30}, then {-12, -12} and {0, -18}.
		{&account.Reserved{Reservation: "r", Amount: 30 * credit, Service: vm, Reference: "job", Lots: append(back, some...)},
			account.Entry{Type: "reservation", Service: vm, Held: 30 * credit, Lots: append(back, some...), Reference: "job"}},
		{&account.Captured{Reservation: "r", Amount: 12 * credit, Service: vm, Reference: "job", Lots: some},
			account.Entry{Type: "deduction", Service: vm, Amount: -12 * credit, Held: -12 * credit, Lots: some, Reference: "job"}},
		{&account.Released{Reservation: "r", Amount: 18 * credit, Service: vm, Reference: "job", Reason: text, Lots: back, EffectiveAt: hour(4)},
			account.Entry{Type: "release", Service: vm, Held: -18 * credit, Lots: back, Reference: "job", Description: text, EffectiveAt: hour(4)}},
		// A withdrawal's: {0, +12}, then {-12, -12} or {0, -12}.
		{&account.WithdrawalRequested{Withdrawal: "w", Amount: 12 * credit, Lots: some, Part: part},
			account.Entry{Type: "withdrawal", Service: credits, Held: 12 * credit, Lots: some, Reference: "w"}},
		{&account.WithdrawalPaid{Withdrawal: "w", Amount: 12 * credit, Lots: some, Part: part},
			account.Entry{Type: "withdrawal", Service: credits, Amount: -12 * credit, Held: -12 * credit, Lots: some, Reference: "w"}},
		{&account.WithdrawalReturned{Withdrawal: "w", Amount: 12 * credit, Lots: some, Reason: text, Part: part},
			account.Entry{Type: "withdrawal-returned", Service: credits, Held: -12 * credit, Lots: some, Reference: "w", Description: text}},
	} {
		entry, shown := account.EntryOf(c.event)
		require.True(t, shown, "%T", c.event)
		require.Equal(t, c.want, entry, "%T", c.event)
		require.Equal(t, c.want.Service, account.ServiceOf(c.event), "%T", c.event)
	}
}

// TestEventsWithoutEntry: no other event shows in the history, nor does a reversal that
// took only a fee back, which never was the customer's.
func TestEventsWithoutEntry(t *testing.T) {
	shows := map[string]bool{
		"purchase-settled": true, "payment-credited": true, "credit-granted": true, "incentive-granted": true, "deducted": true,
		"usage-metered": true, "deployment-paid": true, "deployment-extended": true, "deployment-usage-charged": true, "refunded": true,
		"lot-expired": true, "adjusted": true, "reserved": true, "reservation-captured": true, "reservation-released": true,
		"withdrawal-requested": true, "withdrawal-paid": true, "withdrawal-returned": true,
	}
	for _, kind := range account.EventTypes() {
		_, shown := account.EntryOf(kind.New())
		require.Equal(t, shows[kind.Name], shown, kind.Name)
	}
	_, shown := account.EntryOf(&account.PurchaseReversed{Purchase: "p", Payment: "pay", Fee: credit})
	require.False(t, shown)
	require.Empty(t, account.ServiceOf(stranger{}))
}

// TestAboutOf: which earlier event one is about. A foreign id is of none of ours, and
// names no place.
func TestAboutOf(t *testing.T) {
	id, foreign := tx(7), uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	for _, c := range []struct {
		event domain.Event
		want  string
	}{
		{&account.Refunded{Deduction: id, Revision: 7}, fmt.Sprint(7, id, true)},
		{&account.Refunded{Revision: 0}, fmt.Sprint(0, uuid.Nil, true)},
		{&account.DisputeOpened{Deduction: id, Revision: 7}, fmt.Sprint(7, id, true)},
		{&account.Adjusted{Related: id}, fmt.Sprint(7, id, true)},
		{&account.AdjustmentRequested{Related: id}, fmt.Sprint(7, id, true)},
		{&account.AdjustmentRequested{Related: foreign}, fmt.Sprint(-1, foreign, false)},
		{&account.Adjusted{}, fmt.Sprint(-1, uuid.Nil, false)},
		{&account.Deducted{}, fmt.Sprint(0, uuid.Nil, false)},
	} {
		revision, about, ok := account.AboutOf(c.event)
		require.Equal(t, c.want, fmt.Sprint(revision, about, ok), "%T", c.event)
	}
}
