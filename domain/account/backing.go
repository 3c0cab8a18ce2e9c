package account

import (
	"slices"

	"iocredits/domain"
)

// The money behind purchased credits.
//
// Invariant: of each purchased lot no more can be paid out than the money behind it,
// whatever is behind others. That is the money which came in for it, less what the
// provider took back and what was paid out of it. What expired needs none: nothing
// comes back to a lot that is past its date.
//
// A reversal that finds the lot's credits spent takes others in their place (money.md,
// Chargeback), and the spent ones may come back later, by a refund or a release. The
// money of purchased credits that stood in is behind the lot from then on. Behind
// promotional ones there is none: as many of those that come back can be spent, and
// never be paid out (design.md rule 5). For example:
//
//	                              A purchased   B purchased   C promotional
//	bought A, all spent           0 (money 30)
//	bought B, given C             0 (money 30)  20 (money 20) 30
//	A's 30 are taken back:        0 (money 20)  0 (money 0)   20
//	  20 of B and 10 of C stand in, and with B's credits goes B's money
//	the spending is refunded      30 (money 20) 0 (money 0)   20
//
// So 50 can be spent, and 20 of them, not 30, be withdrawn. TestBackingExample is this.
// Were B's 20 taken back then, and C's stood in, the 20 behind A would be gone with them:
// what a lot lacks is missing where its money went, as far as that is there still.
//
// Only lots of which the provider took something back can have less money than
// credits, so only those have a Backing, with one exception. A refund of debt that
// purchased credits had paid makes a lot of its own (money.md, Refund), and nobody can
// say whose money that was: once something that had been spent was taken back, there
// is none behind such lots, before any of them stands in for it. What was paid out of
// them until then was the money of others, so they have less than none.
//
// From then on all lots together have what came in for purchased credits, less what was
// taken back and paid out: nothing else adds to it, and standing in only moves it. What
// can be paid out is at most that, less what those have that are spent.
// TestNoMoreIsPaidOutThanCameIn holds this from outside.

// Backing is the money of a purchased lot that may have less of it than credits.
type Backing struct {
	// Money is behind the lot. Below zero: more was paid out of it, or stood in for others.
	Money domain.Amount
	// Owed is what of the reversal is chargeback debt still.
	Owed domain.Amount
}

// BackingChanged says how many purchased credits, of those that are not reserved, have
// no money behind them. It follows what changed that, in the same append.
type BackingChanged struct {
	plain
	Unbacked domain.Amount `json:"unbacked"`
}

// EventName is the stored type.
func (*BackingChanged) EventName() string { return "backing-changed" }

func (e *BackingChanged) figures(f *Figures) { f.Unbacked = e.Unbacked }

// present is what each of some lots has that could be paid out, or is held for it.
func (s *State) present(of map[int64]Backing) map[int64]domain.Amount {
	present := make(map[int64]domain.Amount, len(of))
	for _, l := range s.Lots {
		if _, asked := of[l.ID]; asked {
			present[l.ID] = l.Free
		}
	}
	for _, w := range s.Withdrawals {
		for _, use := range w.Lots {
			if _, asked := of[use.Lot]; asked {
				present[use.Lot] += use.Amount
			}
		}
	}
	return present
}

// unbackedOf is what a lot has without money behind it.
func (s *State) unbackedOf(lot int64) domain.Amount {
	b, known := s.Backing[lot]
	if !known {
		return 0
	}
	return s.unbackedIn(map[int64]Backing{lot: b})[lot]
}

// unbackedIn is what each of some lots has without money behind it.
func (s *State) unbackedIn(of map[int64]Backing) map[int64]domain.Amount {
	amounts := s.present(of)
	for lot, b := range of {
		amounts[lot] = max(0, amounts[lot]-b.Money)
	}
	return amounts
}

func (s *State) unbacked() (total domain.Amount) {
	for _, amount := range s.unbackedIn(s.Backing) {
		total += amount
	}
	return total
}

// leave notes that money left a lot: with what was paid out, or with credits that
// stood in for those of another lot.
func (s *State) leave(lot int64, amount domain.Amount) {
	put(&s.Left, lot, s.left(lot)+amount)
	if b, known := s.Backing[lot]; known {
		b.Money -= amount
		s.Backing[lot] = b
	}
}

// Loan is money of a lot that went behind another one.
type Loan struct {
	To    int64
	Money domain.Amount
}

// standIn moves the money of purchased credits that were just taken for a reversal, in
// place of the reversed lot's own, behind that.
func (s *State) standIn(uses []LotUse, own int64) {
	for _, use := range uses {
		if use.Class != Purchased || use.Lot == own {
			continue
		}
		unbacked := domain.Amount(0)
		if b, known := s.Backing[use.Lot]; known {
			unbacked = min(use.Amount, max(0, s.present(map[int64]Backing{use.Lot: b})[use.Lot]+use.Amount-b.Money))
		}
		money := use.Amount - unbacked
		if money == 0 {
			continue
		}
		s.leave(use.Lot, money)
		put(&s.Lent, use.Lot, with(s.lent(use.Lot), Loan{To: own, Money: money}))
		b := s.Backing[own]
		b.Money += money
		s.Backing[own] = b
	}
}

// recall takes what a lot lacks, and nobody owes for it, from where it went.
func (s *State) recall(lot int64) {
	b := s.Backing[lot]
	if b.Money+b.Owed >= 0 {
		return
	}
	loans := slices.Clone(s.lent(lot))
	for i, loan := range loans {
		to := s.Backing[loan.To]
		some := min(-b.Money-b.Owed, loan.Money, max(0, to.Money))
		to.Money -= some
		s.Backing[loan.To] = to
		loans[i].Money -= some
		b.Money += some
	}
	s.Backing[lot] = b
	if len(loans) > 0 {
		put(&s.Lent, lot, loans)
	}
}

// reverse takes what e says off the money behind a purchase.
func (s *State) reverse(p SettledPurchase, e *PurchaseReversed) {
	if e.missing(p.Lot) > 0 { // before anything stands in
		s.SpentTakenBack = true
		for _, lot := range s.Made {
			s.noMoney(lot)
		}
		s.Made = nil
	}
	b, known := s.Backing[p.Lot]
	if !known {
		b.Money = p.Amount - s.left(p.Lot)
	}
	b.Money -= e.Amount
	b.Owed += e.Debt
	put(&s.Backing, p.Lot, b)
	s.standIn(e.Lots, p.Lot)
	s.recall(p.Lot)
	if e.Expired > 0 {
		put(&s.Expired, p.Lot, s.expired(p.Lot)-e.Expired)
	}
}

// made notes a purchased lot for debt that purchased credits had paid.
func (s *State) made(lot int64) {
	if s.SpentTakenBack {
		s.noMoney(lot)
	} else {
		s.Made = append(s.Made, lot)
	}
}

// noMoney notes that none came in for a lot: what was paid out of it was that of others.
func (s *State) noMoney(lot int64) { put(&s.Backing, lot, Backing{Money: -s.left(lot)}) }

// missing is what the lot itself no longer had.
func (e *PurchaseReversed) missing(lot int64) domain.Amount { return e.Amount - sumOfLot(e.Lots, lot) }

// repayReversal puts the money of purchased credits that pay chargeback debt behind
// the lots that it came from, the oldest first. All that was taken has left its lot
// already: what pays for the lot itself is what has no money, and leaves the rest to others.
func (s *State) repayReversal(uses []LotUse) {
	for _, use := range uses {
		left := use.Amount
		for left > 0 {
			lot, owes := s.oldestOwing()
			if !owes {
				break
			}
			b := s.Backing[lot]
			some := use
			some.Amount = min(left, b.Owed)
			b.Owed -= some.Amount
			s.Backing[lot] = b
			s.standIn([]LotUse{some}, lot)
			s.recall(lot)
			left -= some.Amount
		}
	}
}

func (s *State) oldestOwing() (lot int64, owes bool) {
	for at, b := range s.Backing {
		if b.Owed > 0 && (!owes || at < lot) {
			lot, owes = at, true
		}
	}
	return lot, owes
}

// backed are the purchased lots with what of them has money behind it, in spending
// order: enough for all that is withdrawable. A payout of other credits would take the
// money of a lot that keeps its own, and what is bought later would have to make up for
// that once those are spent.
func (s *State) backed() lots {
	all := s.Lots.of(Purchased)
	if len(s.Backing) == 0 {
		return all
	}
	backed, unbacked := make(lots, 0, len(all)), s.unbackedIn(s.Backing)
	for _, l := range all {
		if l.Free -= unbacked[l.ID]; l.Free > 0 {
			backed = append(backed, l)
		}
	}
	return backed
}

// settleBacking says what has changed, if it may have. MUST: nothing is decided on
// Withdrawable between what changes it and this. Where nothing can have changed the new
// events aren't folded in for it, because that copies the state: an account of which
// something was taken back once would pay for that with each charge, for ever.
func (d *decision) settleBacking() {
	before := d.initial
	switch {
	case slices.ContainsFunc(d.events, takesBack):
	case len(before.Backing) == 0:
		return
	case !slices.ContainsFunc(d.events, before.touchesBacking) && before.unbacked() == before.Unbacked:
		return
	}
	s := d.now()
	if unbacked := s.unbacked(); unbacked != s.Unbacked {
		d.emit(&BackingChanged{Unbacked: unbacked})
	}
}

func takesBack(event domain.Event) bool {
	_, is := event.(*PurchaseReversed)
	return is
}

// touchesBacking says that an event, which takes nothing back, may change what has no money
// behind it: it puts money behind lots, makes one without, or moves credits of one that may
// lack some.
func (s *State) touchesBacking(event domain.Event) bool {
	switch e := event.(type) {
	case *DebtRepaid:
		if e.Debt == DebtChargeback {
			return true
		}
	case *Refunded:
		if e.Made > 0 {
			return true
		}
	}
	effect := EffectOf(event, 0)
	for _, moved := range [...][]LotUse{effect.Given, effect.Taken, effect.Hold.In, effect.Hold.Out} {
		for _, use := range moved {
			if _, known := s.Backing[use.Lot]; known {
				return true
			}
		}
	}
	return false
}
