package account

import (
	"slices"

	"iocredits/domain"
)

// Effect is what an event does to money. It is derived from the event alone,
// so whoever reads the log can apply it without the state:
//
//	free lots   + Made + Given - Taken
//	held lots   + Hold.In - Hold.Out
//	debt        + SpendingDebt + ChargebackDebt     (changes, of either sign)
//	balance     free + held - debt
//	deadlines   as Deadlines says
type Effect struct {
	// Made is a new lot, whose id is the event's revision. Zero amount: none.
	Made  LotUse
	Given []LotUse
	Taken []LotUse
	Hold  HoldChange

	SpendingDebt   domain.Amount
	ChargebackDebt domain.Amount

	// Deadlines that begin, move or, with a zero At, end.
	Deadlines []Deadline
}

// HoldKind says what credits are held for; a balance shows the kinds apart.
type HoldKind string

// The kinds of holds.
const (
	HoldReservation HoldKind = "reservation"
	HoldWithdrawal  HoldKind = "withdrawal"
)

// HoldChange moves lots in or out of the hold (Kind, ID). The zero value is none.
type HoldChange struct {
	Kind    HoldKind
	ID      string
	In, Out []LotUse
	Closes  bool
}

// apply gives the lots of the hold after the change. It never changes held in place.
func (c HoldChange) apply(held []LotUse) []LotUse {
	return without(append(slices.Clip(held), c.In...), c.Out)
}

// fact is what every event of this package can tell about itself.
type fact interface {
	domain.Event
	effect() Effect
	entry() Entry
	// figures changes what a balance needs beside lots and debt.
	figures(*Figures)
	// evolve changes what only the decider needs.
	evolve(*State)
}

// plain has the answers of an event that moves nothing and shows nowhere.
type plain struct{}

func (plain) effect() Effect   { return Effect{} }
func (plain) entry() Entry     { return Entry{} }
func (plain) figures(*Figures) {}
func (plain) evolve(*State)    {}

// EffectOf tells what an event does to money. revision is the event's own.
func EffectOf(event domain.Event, revision int64) Effect {
	f, ours := event.(fact)
	if !ours {
		return Effect{}
	}
	e := f.effect()
	if e.Made.Amount != 0 {
		e.Made.Lot = revision
	}
	return e
}
