package account

import (
	"time"

	"iocredits/domain"
)

// UsageMetered is one reading of a meter and what it was charged, which may be
// nothing: the meter keeps the exact cost, so charges never drift from usage.
type UsageMetered struct {
	plain
	Meter     string          `json:"meter"`
	Service   domain.Service  `json:"service"`
	Quantity  domain.Quantity `json:"quantity"`
	UnitPrice domain.Rate     `json:"unit_price"`
	Amount    domain.Amount   `json:"amount"`
	// Accrued is the meter's exact position after the reading.
	Accrued     domain.Accrual `json:"accrued"`
	Reference   string         `json:"reference,omitempty"`
	EffectiveAt time.Time      `json:"effective_at,omitzero"`
	// Final closes the meter; the same name starts anew from zero.
	Final bool          `json:"final,omitzero"`
	Lots  []LotUse      `json:"lots,omitempty"`
	Debt  domain.Amount `json:"debt,omitzero"`
	Part  Part          `json:"part,omitzero"`
}

// EventName is the stored type.
func (*UsageMetered) EventName() string { return "usage-metered" }

func (e *UsageMetered) effect() Effect { return Effect{Taken: e.Lots, SpendingDebt: e.Debt} }

func (e *UsageMetered) entry() Entry {
	return Entry{
		Type: EntryDeduction, Service: e.Service, Lots: e.Lots,
		Reference: e.Reference, EffectiveAt: e.EffectiveAt,
	}
}

func (e *UsageMetered) parts() Part { return e.Part }

func (e *UsageMetered) charge() charge {
	return charge{e.Amount, e.Service, e.Reference, e.Lots, e.Debt}
}

func (e *UsageMetered) evolve(s *State) {
	if e.Final {
		delete(s.Meters, e.Meter)
		return
	}
	put(&s.Meters, e.Meter, e.Accrued)
}

// maxMeters is the most open meters of an account (money.md, Metering).
const maxMeters = 10_000

// RecordReading adds usage to a meter and charges what the rounded total grew by.
// A refused reading accrues nothing.
//
// Checks, in order: time-invalid; limit-exceeded (open meters); account-frozen
// (only a reading that opens a meter: what runs goes on); amount-too-large;
// insufficient-credits.
type RecordReading struct {
	Meter       string
	Service     domain.Service
	Quantity    domain.Quantity
	UnitPrice   domain.Rate
	Reference   string
	EffectiveAt time.Time
	Final       bool
}

func (c RecordReading) decide(d *decision) error {
	if err := d.notFuture("effective_at", c.EffectiveAt); err != nil {
		return err
	}
	s := d.now()
	position, open := s.Meters[c.Meter]
	if !open {
		if err := limit("meters", len(s.Meters), maxMeters); err != nil {
			return err
		}
		if err := d.notFrozen(); err != nil {
			return err
		}
	}
	accrued, amount, err := position.Add(c.UnitPrice, c.Quantity)
	if err != nil {
		return err
	}
	spent := spending{lots: [][]LotUse{nil}}
	if amount > 0 {
		if spent, err = d.spend(amount); err != nil {
			return err
		}
	}
	// Accepted: nothing below refuses.
	d.emit(&UsageMetered{
		Meter: c.Meter, Service: c.Service, Quantity: c.Quantity, UnitPrice: c.UnitPrice,
		Amount: spent.amount(0), Accrued: accrued, Reference: c.Reference, EffectiveAt: c.EffectiveAt,
		Final: c.Final, Lots: spent.lots[0], Debt: spent.debtOf(0), Part: part(0, len(spent.lots)),
	})
	for i := 1; i < len(spent.lots); i++ {
		d.emit(&Deducted{
			Amount: spent.amount(i), Service: c.Service, Reference: c.Reference, EffectiveAt: c.EffectiveAt,
			Lots: spent.lots[i], Debt: spent.debtOf(i), Part: part(i, len(spent.lots)),
		})
	}
	return nil
}
