package account

import (
	"maps"
	"slices"
	"time"

	"iocredits/domain"
)

// FoldVersion names the fold that made a snapshot. MUST change whenever a
// State folded from the same events would differ (design.md rule 16).
const FoldVersion = "2"

// State is all that a decision needs, folded from the account's events. It
// forgets what no rule asks for: spent lots, closed holds, deductions. So an
// account with ten million deductions folds in bounded memory.
//
// Exported fields are the snapshot's content; nobody else MUST touch them.
type State struct {
	// Revision of the last event folded in; domain lots take their ids from it.
	Revision int64
	Figures
	Lots lots

	Reservations map[string]Reservation
	// Due has all deadlines to come but those of lots, which are in Lots: the
	// next one first. DueAt finds one by its name.
	Due   []Deadline
	DueAt map[string]time.Time

	Purchases map[string]Purchase
	// Refunded is what came back of each deduction ever refunded, by revision.
	Refunded map[int64]domain.Amount
	// DebtPaidByPurchased is the counter of money.md, Refund: what purchased
	// lots have paid of spending debt and have not got back.
	DebtPaidByPurchased domain.Amount

	Meters      map[string]domain.Accrual
	Adjustments map[string]Adjustment
}

// New is an account that nothing has happened to.
func New() *State {
	return &State{
		Revision:     -1,
		Figures:      Figures{Policy: DefaultPolicy()},
		Reservations: map[string]Reservation{},
		DueAt:        map[string]time.Time{},
		Purchases:    map[string]Purchase{},
		Refunded:     map[int64]domain.Amount{},
		Meters:       map[string]domain.Accrual{},
		Adjustments:  map[string]Adjustment{},
	}
}

// Clone copies the state. Values inside the maps are never changed in place.
func (s *State) Clone() *State {
	c := *s
	c.Lots = slices.Clone(s.Lots)
	c.Due = slices.Clone(s.Due)
	c.DueAt = maps.Clone(s.DueAt)
	c.Reservations = maps.Clone(s.Reservations)
	c.Purchases = maps.Clone(s.Purchases)
	c.Refunded = maps.Clone(s.Refunded)
	c.Meters = maps.Clone(s.Meters)
	c.Adjustments = maps.Clone(s.Adjustments)
	return &c
}

// Evolve folds the next event of the stream into the state. It never refuses:
// what is recorded has happened.
func Evolve(s *State, event domain.Event) {
	s.Revision++
	f, ours := event.(fact)
	if !ours {
		return
	}
	effect := EffectOf(event, s.Revision)
	s.Figures.add(&effect)
	f.figures(&s.Figures)
	s.Lots = s.Lots.give(effect.Made)
	for _, u := range effect.Given {
		s.Lots = s.Lots.give(u)
	}
	for _, u := range effect.Taken {
		s.Lots = s.Lots.take(u)
	}
	if effect.Hold.Kind == HoldReservation {
		s.holdReservation(effect.Hold)
	}
	for _, due := range effect.Deadlines {
		s.schedule(due)
	}
	f.evolve(s)
}
