package account

import (
	"time"

	"iocredits/domain"
)

// Effect is what an event does to money. It is derived from the event alone,
// so whoever reads the log can apply it without the state:
//
//	free lots   + Made + Given - Taken
//	held lots   + Hold.In - Hold.Out
//	debt        + SpendingDebt + ChargebackDebt     (changes, of either sign)
//	balance     free + held - debt
type Effect struct {
	// Made is a new lot, whose id is the event's revision. Zero amount: none.
	Made  LotUse
	Given []LotUse
	Taken []LotUse
	Hold  HoldChange

	SpendingDebt   domain.Amount
	ChargebackDebt domain.Amount
}

// HoldChange moves lots in or out of a hold. The zero value is none.
type HoldChange struct {
	// Reservation is the hold's id.
	Reservation string
	In, Out     []LotUse
	// ExpiresAt is the deadline of a hold that opens; zero: none.
	ExpiresAt time.Time
	Closes    bool
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
