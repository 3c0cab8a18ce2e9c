package account

import (
	"time"

	"iocredits/domain"
)

// PurchaseSettled credits a payment that has arrived.
type PurchaseSettled struct {
	plain
	Purchase  string        `json:"purchase"`
	Amount    domain.Amount `json:"amount"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"`
}

// EventName is the stored type.
func (*PurchaseSettled) EventName() string { return "purchase-settled" }

func (e *PurchaseSettled) effect() Effect {
	return Effect{Made: LotUse{Class: Purchased, Amount: e.Amount, ExpiresAt: e.ExpiresAt}}
}

func (e *PurchaseSettled) entry() Entry {
	return Entry{Type: EntryPurchase, Service: domain.ServiceCredits, Reference: e.Purchase}
}

func (e *PurchaseSettled) figures(f *Figures) { f.Paid += e.Amount }

func (e *PurchaseSettled) evolve(s *State) {
	s.Purchases[e.Purchase] = Purchase{Lot: s.Revision, Amount: e.Amount, ExpiresAt: e.ExpiresAt}
}

// ReversalKind says how the provider took a payment back.
type ReversalKind string

// How payments are taken back.
const (
	ReversalChargeback ReversalKind = "chargeback"
	ReversalRefund     ReversalKind = "refund"
)

// PurchaseReversed takes back the credits of a payment that was taken back.
type PurchaseReversed struct {
	plain
	Purchase string       `json:"purchase"`
	Kind     ReversalKind `json:"kind"`
	// Amount is what this event takes: Lots and Debt together.
	Amount domain.Amount `json:"amount"`
	Lots   []LotUse      `json:"lots,omitempty"`
	// Debt is what was spent already.
	Debt   domain.Amount `json:"debt,omitzero"`
	Reason domain.Sealed `json:"reason,omitempty"`
	Part   Part          `json:"part,omitzero"`
}

// EventName is the stored type.
func (*PurchaseReversed) EventName() string { return "purchase-reversed" }

func (e *PurchaseReversed) effect() Effect { return Effect{Taken: e.Lots, ChargebackDebt: e.Debt} }

func (e *PurchaseReversed) entry() Entry {
	return Entry{
		Type: EntryChargeback, Service: domain.ServiceCredits, Lots: e.Lots,
		Reference: e.Purchase, Description: e.Reason,
	}
}

func (e *PurchaseReversed) parts() Part { return e.Part }

func (e *PurchaseReversed) figures(f *Figures) { f.Paid -= e.Amount }

func (e *PurchaseReversed) evolve(s *State) {
	p := s.Purchases[e.Purchase]
	p.Reversed = true
	s.Purchases[e.Purchase] = p
}

// PaymentUnmatched records a fact from the provider that fits nowhere: people
// have to look at it, but it is never refused (design.md rule 2).
type PaymentUnmatched struct {
	plain
	Purchase string        `json:"purchase"`
	Amount   domain.Amount `json:"amount,omitzero"`
	// Kind is what arrived: payment, chargeback or refund.
	Kind string `json:"kind"`
	// Why is a code, not text for a customer.
	Why string `json:"why"`
}

// EventName is the stored type.
func (*PaymentUnmatched) EventName() string { return "payment-unmatched" }

// Purchase is a settled payment.
type Purchase struct {
	// Lot is the id of the credits that it made.
	Lot       int64
	Amount    domain.Amount
	ExpiresAt time.Time
	Reversed  bool
}

// RecordPurchase records a payment that has settled. It is a fact: what fits
// nowhere becomes a PaymentUnmatched.
//
// Checks: amount-invalid (a malformed call, not a fact).
type RecordPurchase struct {
	Purchase string
	Amount   domain.Amount
	// ExpiresAt of the credits; zero: never.
	ExpiresAt time.Time
}

func (c RecordPurchase) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	unmatched := &PaymentUnmatched{Purchase: c.Purchase, Amount: c.Amount, Kind: "payment"}
	if _, known := d.now().Purchases[c.Purchase]; known {
		unmatched.Why = "purchase-settled-before"
		d.emit(unmatched)
		return nil
	}
	if d.room(c.Amount) != nil {
		unmatched.Why = "balance-limit"
		d.emit(unmatched)
		return nil
	}
	d.emit(&PurchaseSettled{Purchase: c.Purchase, Amount: c.Amount, ExpiresAt: c.ExpiresAt})
	d.arrived()
	return nil
}

// ReversePurchase records that the provider took a payment back. It takes the
// purchase's unreserved remainder, then other unreserved lots, purchased first;
// the rest is debt, and debt freezes the account (money.md, Chargeback). Holds
// stay untouched. It is a fact: never refused.
type ReversePurchase struct {
	Purchase string
	Kind     ReversalKind
	Reason   domain.Sealed
}

func (c ReversePurchase) decide(d *decision) error {
	s := d.now()
	p, known := s.Purchases[c.Purchase]
	if !known || p.Reversed {
		why := "purchase-unknown"
		if known {
			why = "purchase-reversed-before"
		}
		d.emit(&PaymentUnmatched{Purchase: c.Purchase, Amount: p.Amount, Kind: string(c.Kind), Why: why})
		return nil
	}
	uses, debt := reversalOrder(s.Lots, p).pick(p.Amount)
	taken := spending{lots: split(uses), debt: debt}
	for i, lots := range taken.lots {
		d.emit(&PurchaseReversed{
			Purchase: c.Purchase, Kind: c.Kind, Amount: taken.amount(i), Lots: lots,
			Debt: taken.debtOf(i), Reason: c.Reason, Part: part(i, len(taken.lots)),
		})
	}
	if debt > 0 && !s.Frozen {
		d.emit(&Frozen{Cause: FreezeChargeback})
	}
	return nil
}

// reversalOrder puts the purchase's own lot first, then purchased, then promotional.
func reversalOrder(all lots, p Purchase) lots {
	ordered := make(lots, 0, len(all))
	for _, l := range all {
		if l.ID == p.Lot {
			ordered = append(ordered, l)
		}
	}
	for _, class := range []Class{Purchased, Promotional} {
		for _, l := range all.of(class) {
			if l.ID != p.Lot {
				ordered = append(ordered, l)
			}
		}
	}
	return ordered
}
