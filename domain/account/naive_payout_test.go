package account_test

import (
	"maps"
	"slices"

	"iocredits/domain"
	"iocredits/domain/account"
)

// naivePayout is a withdrawal, of the model.
type naivePayout struct {
	status   account.WithdrawalStatus
	asked    string
	approved []string
	slices   []slice
}

// payout answers what is about withdrawals; known: it was.
func (n *naive) payout(a ask) (code domain.Code, known bool) {
	switch c := a.action.(type) {
	case account.RequestWithdrawal:
		return n.withdraw(c, a.by), true
	case account.CancelWithdrawal:
		return n.giveUp(c.Withdrawal, account.WithdrawalIsRequested, account.WithdrawalIsCancelled, ask{at: a.at}), true
	case account.RejectWithdrawal:
		return n.giveUp(c.Withdrawal, account.WithdrawalIsRequested, account.WithdrawalIsRejected, a), true
	case account.FailWithdrawal:
		return n.giveUp(c.Withdrawal, account.WithdrawalIsApproved, account.WithdrawalIsFailed, a), true
	case account.ApproveWithdrawal:
		return n.approvePayout(c, a.by), true
	case account.RecordPayout:
		w, code := n.waitingPayout(c.Withdrawal, account.WithdrawalIsApproved, a.by)
		switch {
		case code != "":
			return code, true
		case n.frozen:
			return domain.CodeAccountFrozen, true
		case n.moneyBehind(w) < total(w.slices):
			return domain.CodeNotWithdrawable, true
		}
		for _, s := range w.slices {
			s.lot.out -= s.amount
			s.lot.money -= s.amount
			n.paidOut += s.amount
		}
		w.status, w.slices = account.WithdrawalIsPaid, nil
		return "", true
	}
	return "", false
}

func (n *naive) withdraw(c account.RequestWithdrawal, by string) domain.Code {
	if code := amountCode(c.Amount); code != "" {
		return code
	}
	switch {
	case n.payouts[c.Withdrawal] != nil:
		return domain.CodeDuplicateID
	case n.frozen:
		return domain.CodeAccountFrozen
	case c.Amount > n.balance().Withdrawable:
		return domain.CodeNotWithdrawable
	}
	var taken []slice
	left := c.Amount
	for _, l := range n.inOrder() {
		if part := min(left, l.free-l.hollow()); l.purchased && part > 0 {
			taken = append(taken, slice{l, part})
			left -= part
		}
	}
	for _, s := range taken {
		s.lot.free -= s.amount
		s.lot.out += s.amount
	}
	n.payouts[c.Withdrawal] = &naivePayout{status: account.WithdrawalIsRequested, asked: by, slices: taken}
	return ""
}

// waitingPayout finds one in a status; by: not who asked for it, if anybody.
func (n *naive) waitingPayout(id string, status account.WithdrawalStatus, by string) (*naivePayout, domain.Code) {
	w := n.payouts[id]
	switch {
	case w == nil:
		return nil, domain.CodeUnknownWithdrawal
	case w.status != status:
		return nil, domain.CodeWrongStatus
	case w.asked == by:
		return nil, domain.CodeSelfApproval
	}
	return w, ""
}

// moneyBehind is what could be asked for now, if the payout weren't there.
func (n *naive) moneyBehind(w *naivePayout) domain.Amount {
	amount := total(w.slices)
	out, free := domain.Amount(0), domain.Amount(0)
	for _, l := range n.lots {
		out += l.out
		if l.purchased {
			free += l.free - l.hollow()
		}
	}
	return min(n.cash()-(out-amount), free+amount)
}

// approvePayout looks for the money again, as if the payout were asked for now.
func (n *naive) approvePayout(c account.ApproveWithdrawal, by string) domain.Code {
	w, code := n.waitingPayout(c.Withdrawal, account.WithdrawalIsRequested, by)
	if code != "" {
		return code
	}
	amount := total(w.slices)
	switch {
	case slices.Contains(w.approved, by):
		return domain.CodeSelfApproval
	case n.frozen:
		return domain.CodeAccountFrozen
	case n.moneyBehind(w) < amount:
		return domain.CodeNotWithdrawable
	}
	w.approved = append(w.approved, by)
	if amount < n.twoApproversAt || len(w.approved) == 2 {
		w.status = account.WithdrawalIsApproved
	}
	return ""
}

func (n *naive) giveUp(id string, from, to account.WithdrawalStatus, a ask) domain.Code {
	w, code := n.waitingPayout(id, from, a.by)
	if code == "" {
		n.returned(w, to)
		n.cameIn(a.at)
	}
	return code
}

func (n *naive) returned(w *naivePayout, to account.WithdrawalStatus) {
	for _, s := range w.slices {
		s.lot.out -= s.amount
		s.lot.free += s.amount
	}
	w.status, w.slices = to, nil
}

// rejectPayouts rejects the payouts that hold credits of a purchase which was taken
// back, as long as the purchase needs more.
func (n *naive) rejectPayouts(p *naivePurchase) (some bool) {
	for _, id := range slices.Sorted(maps.Keys(n.payouts)) {
		w := n.payouts[id]
		holds := slices.ContainsFunc(w.slices, func(s slice) bool { return s.lot == p.lot })
		if w.status == account.WithdrawalIsRequested && holds && p.lot.free < p.amount {
			n.returned(w, account.WithdrawalIsRejected)
			some = true
		}
	}
	return some
}
