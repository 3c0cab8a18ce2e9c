package account

import (
	"cmp"
	"slices"
	"time"

	"iocredits/domain"
)

// Class says where credits came from, which decides whether they can ever be
// paid out again.
type Class string

// Promotional credits are spent first and never paid out.
const (
	Promotional Class = "promotional"
	Purchased   Class = "purchased"
)

// LotUse is what one event moves in or out of one lot. It carries what the lot
// is, so that a refund can restore a lot which the state has long forgotten.
type LotUse struct {
	// Lot is the revision of the event that made the lot.
	Lot       int64         `json:"lot"`
	Class     Class         `json:"class"`
	Amount    domain.Amount `json:"amount"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"`
}

// maxLotsInEvent bounds an event's size; more are split (design.md rule 16).
const maxLotsInEvent = 500

// maxLots bounds the lots of an account, free or held, and so its state: what an
// operator gives (incentives, approvals, adjustments) is refused beyond it. A hold
// can't get round it, because it keeps its lots and cuts at most one of them in two;
// holds have bounds of their own. What must never be refused is accepted beyond it,
// and is bounded otherwise: a release or return brings back lots that were counted
// while they were held; a refund the lots of its deduction, which were counted when
// they were made, and at most two of its own, for debt that was spent; what a
// provider or finance credits was paid for, each lot by a payment.
const maxLots = 10_000

// Part places an event among those that one movement was split into, from 1.
// The zero value is a movement in one piece.
type Part struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// first reports whether the event opens its movement.
func (p Part) first() bool { return p.Index <= 1 }

// last reports whether the event ends its movement.
func (p Part) last() bool { return p.Index == p.Count }

// Lot is credits that arrived together, as far as they are unreserved and
// unspent. Held credits stand in the hold, not here.
type Lot struct {
	ID        int64
	Class     Class
	Free      domain.Amount
	ExpiresAt time.Time
}

// use names amount of the lot.
func (l Lot) use(amount domain.Amount) LotUse {
	return LotUse{Lot: l.ID, Class: l.Class, Amount: amount, ExpiresAt: l.ExpiresAt}
}

// spendingOrder is design.md rule 5: promotional before purchased, within a
// class soonest expiry first (none is last), then oldest.
func spendingOrder(a, b Lot) int {
	if a.Class != b.Class {
		if a.Class == Promotional {
			return -1
		}
		return 1
	}
	if !a.ExpiresAt.Equal(b.ExpiresAt) {
		switch {
		case a.ExpiresAt.IsZero():
			return 1
		case b.ExpiresAt.IsZero():
			return -1
		}
		return a.ExpiresAt.Compare(b.ExpiresAt)
	}
	return cmp.Compare(a.ID, b.ID)
}

// lots is sorted in spending order and has no empty lot: the state of an
// account is as large as what it holds, not as what it ever held.
type lots []Lot

// give adds to a lot's free part, and brings the lot back if it was forgotten.
func (ls lots) give(use LotUse) lots {
	if use.Amount == 0 {
		return ls
	}
	lot := Lot{ID: use.Lot, Class: use.Class, Free: use.Amount, ExpiresAt: use.ExpiresAt}
	i, found := slices.BinarySearchFunc(ls, lot, spendingOrder)
	if found {
		ls[i].Free += use.Amount
		return ls
	}
	return slices.Insert(ls, i, lot)
}

// take removes from a lot's free part.
func (ls lots) take(use LotUse) lots {
	key := Lot{ID: use.Lot, Class: use.Class, ExpiresAt: use.ExpiresAt}
	i, found := slices.BinarySearchFunc(ls, key, spendingOrder)
	if !found {
		return ls
	}
	if ls[i].Free -= use.Amount; ls[i].Free <= 0 {
		return slices.Delete(ls, i, i+1)
	}
	return ls
}

// pick names what covers amount, in spending order, and what no lot covers.
func (ls lots) pick(amount domain.Amount) (uses []LotUse, short domain.Amount) {
	for i := 0; i < len(ls) && amount > 0; i++ {
		part := min(ls[i].Free, amount)
		uses = append(uses, ls[i].use(part))
		amount -= part
	}
	return uses, amount
}

// of gives the lots of a class, still in spending order.
func (ls lots) of(class Class) lots {
	firstPurchased, _ := slices.BinarySearchFunc(ls, Purchased, func(l Lot, _ Class) int {
		if l.Class == Promotional {
			return -1
		}
		return 1
	})
	if class == Promotional {
		return ls[:firstPurchased]
	}
	return ls[firstPurchased:]
}

// soonest is the lot that expires next: the first of either class. False if
// nothing expires.
func (ls lots) soonest() (next Lot, found bool) {
	for _, class := range []Class{Promotional, Purchased} {
		of := ls.of(class)
		if len(of) == 0 || of[0].ExpiresAt.IsZero() {
			continue
		}
		if !found || of[0].ExpiresAt.Before(next.ExpiresAt) {
			next, found = of[0], true
		}
	}
	return next, found
}

// sum adds up what uses move.
func sum(uses []LotUse) (total domain.Amount) {
	for _, u := range uses {
		total += u.Amount
	}
	return total
}

// sumOf adds up what uses move of one class.
func sumOf(uses []LotUse, class Class) (total domain.Amount) {
	for _, u := range uses {
		if u.Class == class {
			total += u.Amount
		}
	}
	return total
}

// sumOfLot adds up what uses move of one lot.
func sumOfLot(uses []LotUse, lot int64) (total domain.Amount) {
	for _, u := range uses {
		if u.Lot == lot {
			total += u.Amount
		}
	}
	return total
}

// freeOf is what is unreserved of one lot.
func (ls lots) freeOf(lot int64) domain.Amount {
	for _, l := range ls {
		if l.ID == lot {
			return l.Free
		}
	}
	return 0
}

// split cuts uses into the parts of a movement; one, perhaps empty, at least.
func split(uses []LotUse) [][]LotUse {
	if len(uses) <= maxLotsInEvent {
		return [][]LotUse{uses}
	}
	return slices.Collect(slices.Chunk(uses, maxLotsInEvent))
}

// part numbers the parts of a movement.
func part(index, count int) Part {
	if count == 1 {
		return Part{}
	}
	return Part{Index: index + 1, Count: count}
}

// fromEnd takes amount from the end of uses, after leaving out the last skip:
// last consumed first (design.md rule 5).
func fromEnd(uses []LotUse, skip, amount domain.Amount) []LotUse {
	var taken []LotUse
	for i := len(uses) - 1; i >= 0 && amount > 0; i-- {
		left := uses[i].Amount
		passed := min(skip, left)
		skip -= passed
		if part := min(left-passed, amount); part > 0 {
			use := uses[i]
			use.Amount = part
			taken = append(taken, use)
			amount -= part
		}
	}
	return taken
}

// without subtracts out from uses, lot by lot.
func without(uses, out []LotUse) []LotUse {
	if len(out) == 0 {
		return uses
	}
	gone := make(map[int64]domain.Amount, len(out))
	for _, u := range out {
		gone[u.Lot] += u.Amount
	}
	var left []LotUse
	for _, u := range uses {
		part := min(gone[u.Lot], u.Amount)
		gone[u.Lot] -= part
		if u.Amount -= part; u.Amount > 0 {
			left = append(left, u)
		}
	}
	return left
}

// lotCount is how many lots have anything left, free or held. Below maxLots it may
// be too high, where a lot stands in several holds: it is asked of every grant, and
// telling lots apart is for who has so many.
func (s *State) lotCount() int {
	count := len(s.Lots)
	for held := range s.holds {
		count += len(held)
	}
	if count < maxLots {
		return count
	}
	apart := make(map[int64]bool, count)
	for _, l := range s.Lots {
		apart[l.ID] = true
	}
	for held := range s.holds {
		for _, use := range held {
			apart[use.Lot] = true
		}
	}
	return len(apart)
}

// holds yields what each hold has, in no order.
func (s *State) holds(yield func([]LotUse) bool) {
	for _, r := range s.Reservations {
		if !yield(r.Lots) {
			return
		}
	}
	for _, w := range s.Withdrawals {
		if !yield(w.Lots) {
			return
		}
	}
}
