package account

import (
	"slices"

	"iocredits/domain"
)

// Reclassified turns purchased credits that came back into promotional ones,
// because the money behind them has left.
//
// A chargeback may be covered by promotional credits when the purchase was
// spent. A refund of that spending then gives purchased credits back, though the
// customer has the money already: promotional credits would have become
// withdrawable. So the law is: what can be withdrawn and what withdrawals hold
// never grows beyond what was paid in and has not left (see backing). The
// balance doesn't change, so the history shows nothing.
type Reclassified struct {
	plain
	Lot LotUse `json:"lot"`
}

// EventName is the stored type.
func (*Reclassified) EventName() string { return "credits-reclassified" }

func (e *Reclassified) effect() Effect {
	return Effect{
		Taken: []LotUse{e.Lot},
		Made:  LotUse{Class: Promotional, Amount: e.Lot.Amount, ExpiresAt: e.Lot.ExpiresAt},
	}
}

// backing is how an event changes the money behind purchased credits: purchases
// and whatever else makes purchased credits add to it, reversals and payouts
// take from it. A refund brings no money.
func backing(event domain.Event, effect *Effect) domain.Amount {
	switch e := event.(type) {
	case *PurchaseReversed:
		return -e.Amount
	case *WithdrawalPaid:
		return -e.Amount
	case *Refunded:
		return 0
	}
	if effect.Made.Class == Purchased {
		return effect.Made.Amount
	}
	return 0
}

// unbacked is how far purchased credits that are free or being withdrawn go
// beyond the money behind them.
func (s *State) unbacked() domain.Amount {
	return max(0, s.FreePurchased+s.Withdrawing-s.Backing)
}

// reclassify undoes what this command has added to unbacked: first in the lots
// of purchases that were taken back, then in those that would be spent last.
func (d *decision) reclassify() {
	s := d.now()
	over := s.unbacked() - d.tolerated
	if over <= 0 {
		return
	}
	reversed := map[int64]bool{}
	for _, p := range s.Purchases {
		reversed[p.Lot] = p.Reversed > 0
	}
	own := slices.Clone(s.Lots.of(Purchased))
	slices.Reverse(own)
	slices.SortStableFunc(own, func(a, b Lot) int {
		switch {
		case reversed[a.ID] == reversed[b.ID]:
			return 0
		case reversed[a.ID]:
			return -1
		}
		return 1
	})
	uses, _ := own.pick(over)
	for _, use := range uses {
		d.emit(&Reclassified{Lot: use})
	}
}
