package account_test

import (
	"math/big"
	"slices"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// ask is what a random command asks for, in the words of the model.
type ask struct {
	at     time.Time
	by     string
	action account.Action
	// charge is what a refund is of; nil: an id that the account doesn't have.
	charge *naiveCharge
}

// answer does to the model what the rules say, and names the refusal. A
// refused command changes nothing, so the model's deadlines are those of the
// next accepted one; to pass them early is the same, because nothing else does.
func (n *naive) answer(a ask) domain.Code {
	switch c := a.action.(type) {
	case account.Tick:
		return ""
	case account.Deduct:
		return n.deduct(c)
	case account.RecordReading:
		return n.read(c)
	case account.Reserve:
		return n.reserve(c, a.at)
	case account.Capture:
		return n.capture(c, a.at)
	case account.Release:
		h, code := n.openHold(c.Reservation)
		if code == "" {
			n.release(h, a.at)
		}
		return code
	case account.Refund:
		return n.refund(c, a)
	case account.GrantIncentive:
		if code := amountCode(c.Amount); code != "" {
			return code
		}
		if !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(a.at) {
			return domain.CodeTimeInvalid
		}
		n.arrive(false, c.Amount, c.ExpiresAt, a.at)
		return ""
	case account.RecordPurchase:
		if n.purchases[c.Purchase] == nil {
			p := &naivePurchase{amount: c.Amount}
			n.purchases[c.Purchase] = p
			p.lot = n.arrive(true, c.Amount, c.ExpiresAt, a.at)
		}
		return ""
	case account.ReversePurchase:
		n.reverse(c, a.at)
		return ""
	case account.Freeze:
		return n.freeze(true)
	case account.Unfreeze:
		code := n.freeze(false)
		n.payWaiting(a.at)
		return code
	case account.SetPolicy:
		n.allowance, n.twoApproversAt, n.grace = *c.Allowance, *c.TwoApproversFrom, time.Duration(*c.GraceMinutes)*time.Minute
		n.payWaiting(a.at)
		return ""
	case account.RequestAdjustment:
		return n.request(c, a.by)
	case account.ApproveAdjustment:
		return n.approve(c, a)
	}
	if code, known := n.payout(a); known {
		return code
	}
	return n.deploy(a)
}

func amountCode(amount domain.Amount) domain.Code {
	switch {
	case amount <= 0:
		return domain.CodeAmountInvalid
	case amount > domain.MaxAmount:
		return domain.CodeAmountTooLarge
	}
	return ""
}

func (n *naive) deduct(c account.Deduct) domain.Code {
	if code := amountCode(c.Amount); code != "" {
		return code
	}
	if n.frozen {
		return domain.CodeAccountFrozen
	}
	return n.spend(c.Amount)
}

func (n *naive) read(c account.RecordReading) domain.Code {
	m := n.meters[c.Meter]
	if m == nil || !m.open {
		if n.frozen {
			return domain.CodeAccountFrozen
		}
		m = &naiveMeter{exact: new(big.Rat)}
	}
	exact := new(big.Rat).Add(m.exact, new(big.Rat).Mul(ratio(c.Quantity.String()), ratio(c.UnitPrice.String())))
	if code := n.spend(rounded(exact) - m.charged); code != "" {
		return code
	}
	n.meters[c.Meter] = &naiveMeter{exact: exact, charged: rounded(exact), open: !c.Final}
	return ""
}

func ratio(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(text)
	}
	return r
}

func (n *naive) reserve(c account.Reserve, now time.Time) domain.Code {
	if code := amountCode(c.Amount); code != "" {
		return code
	}
	switch {
	case !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(now):
		return domain.CodeTimeInvalid
	case n.hold(c.Reservation) != nil:
		return domain.CodeDuplicateID
	case n.frozen:
		return domain.CodeAccountFrozen
	case c.Amount > n.available():
		return domain.CodeInsufficientCredits
	}
	taken, _ := take(n.inOrder(), c.Amount)
	n.holds = append(n.holds, &naiveHold{id: c.Reservation, expires: c.ExpiresAt, slices: taken, open: true})
	return ""
}

func (n *naive) openHold(id string) (*naiveHold, domain.Code) {
	h := n.hold(id)
	switch {
	case h == nil:
		return nil, domain.CodeUnknownReservation
	case !h.open:
		return nil, domain.CodeReservationClosed
	}
	return h, ""
}

func (n *naive) capture(c account.Capture, now time.Time) domain.Code {
	if code := amountCode(c.Amount); code != "" {
		return code
	}
	h, code := n.openHold(c.Reservation)
	if code != "" {
		return code
	}
	left := total(h.slices)
	if c.Amount > left {
		return domain.CodeCaptureExceeds
	}
	// What is captured is the front of the hold, what stays is its end.
	front, end := takeBack(h.slices, left-c.Amount)
	n.charges = append(n.charges, &naiveCharge{slices: front})
	slices.Reverse(end)
	h.slices = end
	if h.open = c.Amount < left; c.Final {
		n.release(h, now)
	}
	return ""
}

func (n *naive) refund(c account.Refund, a ask) domain.Code {
	if a.charge == nil {
		return domain.CodeUnknownTransaction
	}
	amount := c.Amount
	if amount == 0 {
		amount = a.charge.left()
	} else if code := amountCode(amount); code != "" {
		return code
	}
	if amount > a.charge.left() || amount == 0 {
		return domain.CodeRefundExceeds
	}
	n.giveBack(a.charge, amount)
	n.cameIn(a.at)
	return ""
}

// giveBack undoes some of a charge: its debt first, then its lots, last first.
func (n *naive) giveBack(of *naiveCharge, amount domain.Amount) {
	ofDebt := min(amount, of.debt)
	of.debt -= ofDebt
	rest, back := takeBack(of.slices, amount-ofDebt)
	of.slices = rest
	for _, s := range back {
		s.lot.free += s.amount
	}
	open := min(ofDebt, n.spendingDebt)
	n.spendingDebt -= open
	purchased := min(ofDebt-open, n.paidDebt)
	n.paidDebt -= purchased
	n.refundedDebt(true, purchased)
	n.refundedDebt(false, ofDebt-open-purchased)
}

// refundedDebt makes a lot of debt that was paid long ago.
func (n *naive) refundedDebt(purchased bool, amount domain.Amount) {
	if amount > 0 {
		n.lots = append(n.lots, &naiveLot{
			born: len(n.lots), purchased: purchased, free: amount, made: purchased, reversed: purchased && n.spentTakenBack,
		})
	}
}

func (n *naive) reverse(c account.ReversePurchase, now time.Time) {
	p := n.purchases[c.Purchase]
	if p == nil || p.reversed {
		return
	}
	returned := n.rejectPayouts(p)
	p.reversed = true
	order := []*naiveLot{p.lot}
	for _, purchased := range []bool{true, false} {
		for _, l := range n.inOrder() {
			expired := !l.expires.IsZero() && !l.expires.After(now)
			if l != p.lot && l.purchased == purchased && !expired {
				order = append(order, l)
			}
		}
	}
	taken, rest := take(order, p.amount)
	covered := p.amount
	for _, s := range taken {
		if s.lot == p.lot {
			covered -= s.amount
		}
	}
	n.spentTakenBack = n.spentTakenBack || covered > 0
	for _, l := range n.lots {
		l.reversed = l.reversed || l.made && n.spentTakenBack
	}
	p.lot.reversed = true
	p.lot.money -= p.amount
	for _, s := range taken {
		switch {
		case s.lot == p.lot:
		case s.lot.purchased:
			s.lot.standFor(p.lot, s.amount)
		default:
			n.promoForReversals += s.amount
		}
	}
	gone := min(covered, p.lot.expired)
	p.lot.expired -= gone
	n.expired -= gone
	p.lot.owed += rest
	p.lot.recall()
	n.chargebackDebt += rest
	n.frozen = n.frozen || rest > 0
	if returned {
		n.cameIn(now)
	}
}

func (n *naive) freeze(to bool) domain.Code {
	if n.frozen == to {
		return domain.CodeWrongStatus
	}
	n.frozen = to
	return ""
}

func (n *naive) request(c account.RequestAdjustment, by string) domain.Code {
	switch {
	case c.Amount == 0:
		return domain.CodeAmountInvalid
	case n.adjustments[c.Adjustment] != nil:
		return domain.CodeDuplicateID
	}
	n.adjustments[c.Adjustment] = &naiveAdjustment{amount: c.Amount, asked: by}
	return ""
}

func (n *naive) approve(c account.ApproveAdjustment, a ask) domain.Code {
	adj := n.adjustments[c.Adjustment]
	switch {
	case adj == nil:
		return domain.CodeUnknownAdjustment
	case adj.done:
		return domain.CodeWrongStatus
	case a.by == adj.asked || a.by == adj.first:
		return domain.CodeSelfApproval
	case max(adj.amount, -adj.amount) >= n.twoApproversAt && adj.first == "":
		adj.first = a.by
		return ""
	case adj.amount > 0:
		n.arrive(false, adj.amount, time.Time{}, a.at)
	case -adj.amount > n.spendable():
		return domain.CodeInsufficientCredits
	default:
		_, rest := take(n.inOrder(), -adj.amount)
		n.spendingDebt += rest
	}
	adj.done = true
	return ""
}
