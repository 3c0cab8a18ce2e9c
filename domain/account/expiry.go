package account

import (
	"time"

	"iocredits/domain"
)

// LotExpired ends what was unreserved in a lot at its date.
type LotExpired struct {
	plain
	Lot         LotUse    `json:"lot"`
	EffectiveAt time.Time `json:"effective_at"`
	// Unbacked is what of it had no money behind it, see backing.go.
	Unbacked domain.Amount `json:"unbacked,omitzero"`
}

// EventName is the stored type.
func (*LotExpired) EventName() string { return "lot-expired" }

func (e *LotExpired) effect() Effect { return Effect{Taken: []LotUse{e.Lot}} }

func (e *LotExpired) entry() Entry {
	return Entry{
		Type: EntryExpiry, Service: domain.ServiceCredits,
		Lots: []LotUse{e.Lot}, EffectiveAt: e.EffectiveAt,
	}
}

func (e *LotExpired) figures(f *Figures) {
	if e.Lot.Class == Purchased {
		f.Cash -= e.Lot.Amount - e.Unbacked
	}
}

func (e *LotExpired) evolve(s *State) {
	if e.Lot.Class == Purchased {
		put(&s.Expired, e.Lot.Lot, s.expired(e.Lot.Lot)+e.Lot.Amount-e.Unbacked)
	}
}
