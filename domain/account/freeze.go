package account

import "iocredits/domain"

// FreezeCause says who froze an account.
type FreezeCause string

// A desk freezes by decision, a chargeback by leaving debt.
const (
	FreezeDesk       FreezeCause = "desk"
	FreezeChargeback FreezeCause = "chargeback"
)

// Frozen stops new spending, holds and payouts, and the allowance.
type Frozen struct {
	plain
	Cause  FreezeCause   `json:"cause"`
	Reason domain.Sealed `json:"reason,omitempty"`
}

// EventName is the stored type.
func (*Frozen) EventName() string { return "account-frozen" }

func (*Frozen) figures(f *Figures) { f.Frozen = true }

// Unfrozen ends a freeze.
type Unfrozen struct {
	plain
	Reason domain.Sealed `json:"reason,omitempty"`
}

// EventName is the stored type.
func (*Unfrozen) EventName() string { return "account-unfrozen" }

func (*Unfrozen) figures(f *Figures) { f.Frozen = false }

// Freeze stops new spending. Checks: wrong-status if it is frozen.
type Freeze struct{ Reason domain.Sealed }

func (c Freeze) decide(d *decision) error {
	if d.now().Figures.Frozen {
		return domain.Refuse(domain.CodeWrongStatus, "the account is frozen already").With("status", "frozen")
	}
	d.emit(&Frozen{Cause: FreezeDesk, Reason: c.Reason})
	return nil
}

// Unfreeze ends a freeze, and pays what waited for that. Checks: wrong-status if it isn't frozen.
type Unfreeze struct{ Reason domain.Sealed }

func (c Unfreeze) decide(d *decision) error {
	if !d.now().Figures.Frozen {
		return domain.Refuse(domain.CodeWrongStatus, "the account isn't frozen").With("status", "active")
	}
	d.emit(&Unfrozen{Reason: c.Reason})
	d.settleWaiting()
	return nil
}
