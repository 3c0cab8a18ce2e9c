package account

import (
	"maps"
	"slices"

	"iocredits/domain"
	"iocredits/domain/calendar"
)

// The commands of withdrawals. Their events are in withdrawal.go.

// Finance pays 3 to 7 business days after the request (io-credits.md, row 10).
const (
	dueFromDays = 3
	dueByDays   = 7
)

// maxWithdrawals bounds what may wait for finance.
const maxWithdrawals = 1_000

// RequestWithdrawal asks for a payout of purchased credits, which are held from
// now on: those with money behind them that would be spent first.
//
// Checks, in order: amount-invalid, amount-too-large; duplicate-id;
// limit-exceeded; account-frozen; not-withdrawable.
type RequestWithdrawal struct {
	Withdrawal string
	Amount     domain.Amount
	// Wallet is the seal of an address that MUST have passed CheckWallet.
	Wallet  domain.Sealed
	Network Network
}

// NameFor asks about the id unless it waits: the state forgets closed ones.
func (c RequestWithdrawal) NameFor(s *State) string {
	return nameIfNotIn(s.Withdrawals, c.Withdrawal, withdrawalName)
}

func (c RequestWithdrawal) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	s := d.now()
	if _, waits := s.Withdrawals[c.Withdrawal]; waits || d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "withdrawal %q exists already", c.Withdrawal).
			With("field", "withdrawal_id").With("value", c.Withdrawal)
	}
	if err := limit("withdrawals", len(s.Withdrawals), maxWithdrawals); err != nil {
		return err
	}
	if err := d.notFrozen(); err != nil {
		return err
	}
	if most := s.Balance().Withdrawable; c.Amount > most {
		return domain.Refuse(domain.CodeNotWithdrawable, "%s can be withdrawn, not %s: only purchased credits that nothing holds, with money behind them", most, c.Amount).
			With("withdrawable", most.String()).With("required", c.Amount.String())
	}
	// Accepted: nothing below refuses.
	uses, _ := s.backed().pick(c.Amount)
	parts := split(uses)
	for i, lots := range parts {
		d.emit(&WithdrawalRequested{
			Withdrawal: c.Withdrawal, Amount: sum(lots), Wallet: c.Wallet, Network: c.Network, RequestedBy: d.cmd.By,
			DueFrom: calendar.AfterBusinessDays(d.cmd.At, dueFromDays), DueBy: calendar.AfterBusinessDays(d.cmd.At, dueByDays),
			Lots: lots, Part: part(i, len(parts)),
		})
	}
	return nil
}

// CancelWithdrawal takes a request back; frozen accounts may, too.
//
// Checks, in order: unknown-withdrawal; wrong-status unless requested.
type CancelWithdrawal struct{ Withdrawal string }

// NameFor asks about the id unless it waits.
func (c CancelWithdrawal) NameFor(s *State) string {
	return nameIfNotIn(s.Withdrawals, c.Withdrawal, withdrawalName)
}

func (c CancelWithdrawal) decide(d *decision) error {
	if _, err := d.withdrawal(c.Withdrawal, WithdrawalIsRequested); err != nil {
		return err
	}
	d.returnWithdrawal(WithdrawalReturned{Withdrawal: c.Withdrawal, Cause: ReturnCancelled})
	d.arrived()
	return nil
}

// ApproveWithdrawal lets finance pay, or is the first of two approvals where the
// policy asks for two (money.md, Classes).
//
// Checks, in order: unknown-withdrawal; wrong-status unless requested;
// self-approval (by who asked, or twice by one person); account-frozen;
// not-withdrawable, if the money behind it has left since the request.
type ApproveWithdrawal struct{ Withdrawal string }

// NameFor asks about the id unless it waits.
func (c ApproveWithdrawal) NameFor(s *State) string {
	return nameIfNotIn(s.Withdrawals, c.Withdrawal, withdrawalName)
}

func (c ApproveWithdrawal) decide(d *decision) error {
	w, err := d.reviewed(c.Withdrawal, WithdrawalIsRequested)
	if err != nil {
		return err
	}
	if slices.Contains(w.ApprovedBy, d.cmd.By) {
		return domain.Refuse(domain.CodeSelfApproval, "%s approved withdrawal %q already; a second person has to", d.cmd.By, c.Withdrawal).
			With("field", "withdrawal_id").With("value", c.Withdrawal)
	}
	if err := d.notFrozen(); err != nil {
		return err
	}
	if err := d.moneyBehind(c.Withdrawal, w.Amount); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	final := w.Amount < d.now().Policy.TwoApproversFrom || len(w.ApprovedBy) > 0
	d.emit(&WithdrawalApproved{Withdrawal: c.Withdrawal, ApprovedBy: d.cmd.By, Final: final})
	return nil
}

// RejectWithdrawal refuses a payout and gives the hold back.
//
// Checks, in order: unknown-withdrawal; wrong-status unless requested;
// self-approval (by who asked: that is a cancellation).
type RejectWithdrawal struct {
	Withdrawal string
	Reason     domain.Sealed
}

// NameFor asks about the id unless it waits.
func (c RejectWithdrawal) NameFor(s *State) string {
	return nameIfNotIn(s.Withdrawals, c.Withdrawal, withdrawalName)
}

func (c RejectWithdrawal) decide(d *decision) error {
	if _, err := d.reviewed(c.Withdrawal, WithdrawalIsRequested); err != nil {
		return err
	}
	d.returnWithdrawal(WithdrawalReturned{Withdrawal: c.Withdrawal, Cause: ReturnRejected, Reason: c.Reason})
	d.arrived()
	return nil
}

// RecordPayout records that finance has paid.
//
// Checks, in order: unknown-withdrawal; wrong-status unless approved;
// self-approval (by who asked); account-frozen; not-withdrawable, if the money behind
// it has left since it was approved: a reversal leaves it approved (money.md,
// Chargeback), and what promotional credits made up for is never paid out (design.md
// rule 5). FailWithdrawal ends it.
type RecordPayout struct {
	Withdrawal string
	TxURL      domain.Sealed
	Network    Network
}

// NameFor asks about the id unless it waits.
func (c RecordPayout) NameFor(s *State) string {
	return nameIfNotIn(s.Withdrawals, c.Withdrawal, withdrawalName)
}

func (c RecordPayout) decide(d *decision) error {
	w, err := d.reviewed(c.Withdrawal, WithdrawalIsApproved)
	if err != nil {
		return err
	}
	if err := d.notFrozen(); err != nil {
		return err
	}
	if err := d.moneyBehind(c.Withdrawal, w.Amount); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	parts := split(w.Lots)
	for i, lots := range parts {
		d.emit(&WithdrawalPaid{
			Withdrawal: c.Withdrawal, Amount: sum(lots), TxURL: c.TxURL, Network: c.Network,
			Lots: lots, Part: part(i, len(parts)),
		})
	}
	return nil
}

// FailWithdrawal records that an approved payout can't be made, and gives the
// hold back to its lots.
//
// Checks, in order: unknown-withdrawal; wrong-status unless approved;
// self-approval (by who asked).
type FailWithdrawal struct {
	Withdrawal string
	Reason     domain.Sealed
}

// NameFor asks about the id unless it waits.
func (c FailWithdrawal) NameFor(s *State) string {
	return nameIfNotIn(s.Withdrawals, c.Withdrawal, withdrawalName)
}

func (c FailWithdrawal) decide(d *decision) error {
	if _, err := d.reviewed(c.Withdrawal, WithdrawalIsApproved); err != nil {
		return err
	}
	d.returnWithdrawal(WithdrawalReturned{Withdrawal: c.Withdrawal, Cause: ReturnFailed, Reason: c.Reason})
	d.arrived()
	return nil
}

// withdrawal finds an open withdrawal in a status.
func (d *decision) withdrawal(id string, status WithdrawalStatus) (Withdrawal, error) {
	w, open := d.now().Withdrawals[id]
	switch {
	case open && w.State != status:
		return w, wrongStatus(ObjectWithdrawal, id, w.Status(), ", not "+string(status))
	case !open && d.cmd.NameTaken:
		return w, d.over(ObjectWithdrawal, id, nil, ", not "+string(status))
	case !open:
		return w, domain.Refuse(domain.CodeUnknownWithdrawal, "the account has no withdrawal %q", id).
			With("field", "withdrawal_id").With("value", id)
	}
	return w, nil
}

// reviewed finds a withdrawal that someone decides about; never who asked for it.
func (d *decision) reviewed(id string, status WithdrawalStatus) (Withdrawal, error) {
	w, err := d.withdrawal(id, status)
	if err == nil && d.cmd.By == w.RequestedBy {
		err = domain.Refuse(domain.CodeSelfApproval, "%s asked for withdrawal %q and can't decide about it", d.cmd.By, id).
			With("field", "withdrawal_id").With("value", id)
	}
	return w, err
}

// moneyBehind refuses an open withdrawal whose money was taken back: what a reversal
// took from elsewhere may have been the money of this one, see Figures.Cash.
func (d *decision) moneyBehind(id string, amount domain.Amount) error {
	f := &d.now().Figures
	behind := max(0, min(f.Cash-(f.Withdrawing-amount), f.FreePurchased+amount-f.Unbacked))
	if behind >= amount {
		return nil
	}
	return domain.Refuse(domain.CodeNotWithdrawable, "the money behind withdrawal %q was taken back: %s %s left of %s", id, behind, are(behind), amount).
		With("withdrawable", behind.String()).With("required", amount.String())
}

// returnWithdrawal gives a hold back, last consumed first. The caller owes
// arrived().
func (d *decision) returnWithdrawal(event WithdrawalReturned) {
	w := d.now().Withdrawals[event.Withdrawal]
	parts := split(fromEnd(w.Lots, 0, w.Amount))
	for i, lots := range parts {
		e := event
		e.Amount, e.Lots, e.Part = sum(lots), lots, part(i, len(parts))
		d.emit(&e)
	}
}

// returnChargedBack rejects the withdrawals that are only requested and hold
// credits of a purchase that was taken back, as far as the amount needs them, so
// that the reversal finds them free (money.md, Chargeback). It tells whether there
// were any.
func (d *decision) returnChargedBack(purchase string, lot int64, amount domain.Amount) bool {
	s := d.now()
	free := s.Lots.freeOf(lot)
	some := false
	for _, id := range slices.Sorted(maps.Keys(s.Withdrawals)) {
		w := s.Withdrawals[id]
		holds := sumOfLot(w.Lots, lot)
		if free >= amount || w.State != WithdrawalIsRequested || holds == 0 {
			continue
		}
		d.returnWithdrawal(WithdrawalReturned{Withdrawal: id, Cause: ReturnChargeback, Purchase: purchase})
		s = d.now()
		free += holds
		some = true
	}
	return some
}
