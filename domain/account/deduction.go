package account

import (
	"time"

	"iocredits/domain"
)

// Deducted is credits spent. Its lots, in the order in which they were
// consumed, and then Debt are what a refund gives back, last first.
type Deducted struct {
	plain
	Amount      domain.Amount  `json:"amount"`
	Service     domain.Service `json:"service"`
	Reference   string         `json:"reference,omitempty"`
	Description domain.Sealed  `json:"description,omitempty"`
	EffectiveAt time.Time      `json:"effective_at,omitzero"`
	Lots        []LotUse       `json:"lots,omitempty"`
	// Debt is the part that no lot covered.
	Debt domain.Amount `json:"debt,omitzero"`
	Part Part          `json:"part,omitzero"`
}

// EventName is the stored type.
func (*Deducted) EventName() string { return "deducted" }

func (e *Deducted) effect() Effect { return Effect{Taken: e.Lots, SpendingDebt: e.Debt} }

func (e *Deducted) entry() Entry {
	return Entry{
		Type: EntryDeduction, Service: e.Service, Lots: e.Lots,
		Reference: e.Reference, Description: e.Description, EffectiveAt: e.EffectiveAt,
	}
}

func (e *Deducted) parts() Part { return e.Part }

func (e *Deducted) charge() charge {
	return charge{e.Amount, e.Service, e.Reference, e.Lots, e.Debt}
}

// Deduct spends credits, below zero as far as the allowance goes.
//
// Checks, in order: amount-invalid, amount-too-large; time-invalid (effective_at
// in the future); account-frozen; insufficient-credits.
type Deduct struct {
	Amount      domain.Amount
	Service     domain.Service
	Reference   string
	Description domain.Sealed
	// EffectiveAt is when the usage was, if not now. Only the future is refused
	// (money.md, Times in queries): a reading may be as late as it is, and be of
	// before the account's first event. It is paid from what is there now.
	EffectiveAt time.Time
}

func (c Deduct) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	if err := d.notFuture("effective_at", c.EffectiveAt); err != nil {
		return err
	}
	if err := d.notFrozen(); err != nil {
		return err
	}
	spent, err := d.spend(c.Amount)
	if err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	for i, lots := range spent.lots {
		d.emit(&Deducted{
			Amount: spent.amount(i), Service: c.Service, Reference: c.Reference, Description: c.Description,
			EffectiveAt: c.EffectiveAt, Lots: lots, Debt: spent.debtOf(i), Part: part(i, len(spent.lots)),
		})
	}
	return nil
}

// spending is how an amount is paid: lots in consumed order, cut to events, and
// the debt that the last event bears.
type spending struct {
	lots [][]LotUse
	debt domain.Amount
}

func (s spending) debtOf(i int) domain.Amount {
	if i == len(s.lots)-1 {
		return s.debt
	}
	return 0
}

func (s spending) amount(i int) domain.Amount { return sum(s.lots[i]) + s.debtOf(i) }

// spend plans a payment. Refusal: insufficient-credits, against spendable.
func (d *decision) spend(amount domain.Amount) (spending, error) {
	s := d.now()
	if spendable := s.Spendable(); amount > spendable {
		return spending{}, cantSpend(&s.Figures, amount)
	}
	return s.Lots.spend(amount), nil
}

// spend plans how lots pay amount, in their order; what they don't cover is debt.
// Whether there may be so much is for the caller to know.
func (ls lots) spend(amount domain.Amount) spending {
	uses, debt := ls.pick(amount)
	return spending{lots: split(uses), debt: debt}
}

// charge is what a refund needs to know of a deduction, whatever kind it was.
type charge struct {
	amount    domain.Amount
	service   domain.Service
	reference string
	lots      []LotUse
	debt      domain.Amount
}

// charged is an event that can be refunded.
type charged interface {
	charge() charge
	parts() Part
}
