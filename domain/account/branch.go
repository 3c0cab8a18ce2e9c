package account

import (
	"maps"
	"slices"

	"iocredits/domain"
)

// branch is a state that goes its own way from here, as a decision foresees it. What
// stays for ever isn't copied: the branch has what is new of it, and finds the rest in s.
// So a refund in an account with a hundred thousand of them costs what the first did.
// MUST: s doesn't change as long as the branch is in use. Values inside the maps are
// never changed in place.
func (s *State) branch() *State {
	b := *s
	b.under = s
	b.Purchases, b.Refunded, b.Left, b.Lent, b.Expired = nil, nil, nil, nil, nil
	b.Lots = slices.Clone(s.Lots)
	b.Due = slices.Clone(s.Due)
	b.DueAt = maps.Clone(s.DueAt)
	b.Reservations = maps.Clone(s.Reservations)
	b.Made = slices.Clone(s.Made)
	b.Backing = maps.Clone(s.Backing)
	b.Meters = maps.Clone(s.Meters)
	b.OpenPurchases = maps.Clone(s.OpenPurchases)
	b.Unmatched = maps.Clone(s.Unmatched)
	b.Adjustments = maps.Clone(s.Adjustments)
	b.CreditRequests = maps.Clone(s.CreditRequests)
	b.Withdrawals = maps.Clone(s.Withdrawals)
	b.Disputes = maps.Clone(s.Disputes)
	b.Deployments = maps.Clone(s.Deployments)
	b.Payments = maps.Clone(s.Payments)
	b.Waiting = slices.Clone(s.Waiting)
	return &b
}

// settled finds what was bought by a purchase's id, or by creditedName of a payment's.
func (s *State) settled(id string) (p SettledPurchase, found bool) {
	for ; s != nil && !found; s = s.under {
		p, found = s.Purchases.get(id)
	}
	return p, found
}

// refunded is what came back so far of the deduction at a revision.
func (s *State) refunded(revision int64) domain.Amount {
	return lasting(s, revision, func(s *State) map[int64]domain.Amount { return s.Refunded })
}

// left is the money that left a purchased lot.
func (s *State) left(lot int64) domain.Amount {
	return lasting(s, lot, func(s *State) map[int64]domain.Amount { return s.Left })
}

// lent is where money of a purchased lot stood in, in turn.
func (s *State) lent(lot int64) []Loan {
	return lasting(s, lot, func(s *State) map[int64][]Loan { return s.Lent })
}

// expired is what of a purchased lot expired.
func (s *State) expired(lot int64) domain.Amount {
	return lasting(s, lot, func(s *State) map[int64]domain.Amount { return s.Expired })
}

func lasting[V any](s *State, key int64, of func(*State) map[int64]V) (none V) {
	for ; s != nil; s = s.under {
		if value, known := of(s)[key]; known {
			return value
		}
	}
	return none
}
