package account

import (
	"cmp"
	"strings"
	"time"

	"iocredits/domain"
)

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
	// Purchase is empty for a payment that finance had credited.
	Purchase string       `json:"purchase,omitempty"`
	Payment  string       `json:"payment,omitempty"`
	Kind     ReversalKind `json:"kind"`
	// Amount is what this event takes: Lots and Debt together. It is 0 where a
	// payment is taken back of which only the fee is left.
	Amount domain.Amount `json:"amount"`
	Lots   []LotUse      `json:"lots,omitempty"`
	// Debt is what was spent already.
	Debt   domain.Amount `json:"debt,omitzero"`
	Reason domain.Sealed `json:"reason,omitempty"`
	Part   Part          `json:"part,omitzero"`
	// Fee was taken back with it: the part of the payments that made no credits. It
	// is in the last part only, and in no event of before it came.
	Fee domain.Amount `json:"fee,omitzero"`
	// Expired is what of the purchase had expired: its money had left Figures.Cash.
	Expired domain.Amount `json:"expired,omitzero"`
}

// EventName is the stored type.
func (*PurchaseReversed) EventName() string { return "purchase-reversed" }

func (e *PurchaseReversed) effect() Effect { return Effect{Taken: e.Lots, ChargebackDebt: e.Debt} }

func (e *PurchaseReversed) entry() Entry {
	if e.Amount == 0 { // a fee went back, which was never the customer's
		return Entry{}
	}
	return Entry{
		Type: EntryChargeback, Service: domain.ServiceCredits, Lots: e.Lots,
		Reference: cmp.Or(e.Purchase, e.Payment), Description: e.Reason,
	}
}

func (e *PurchaseReversed) parts() Part { return e.Part }

func (e *PurchaseReversed) claim() string {
	return reversalNameIf(e.Payment != "" && e.Part.first(), e.Payment)
}

func (e *PurchaseReversed) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseReversed) figures(f *Figures) {
	f.Paid -= e.Amount
	f.Cash -= e.Amount - e.Expired
}

func (e *PurchaseReversed) evolve(s *State) {
	name := e.Purchase
	if name == "" {
		name = creditedName(e.Payment)
	}
	p, _ := s.settled(name)
	p.ID = name
	p.Reversed += e.Amount
	p.Whole = p.Whole || e.Payment == ""
	s.Purchases.put(p)
	s.reverse(p, e)
}

// reversalPrefix begins the id of every reversal that waits, and of no payment.
const reversalPrefix = "reversal:"

// MadeID tells that a payment's id has the form of one that is made here.
func MadeID(id string) bool { return strings.HasPrefix(id, reversalPrefix) }

// reversalID is the id under which a reversal that fits nowhere waits.
func reversalID(payment string) string { return reversalPrefix + payment }

// reversalNameIf is what the first event of a payment's reversal claims, so that
// the provider may tell of it again.
func reversalNameIf(reversal bool, payment string) string {
	if !reversal {
		return ""
	}
	return paymentName(reversalID(payment))
}

// ReversePurchase records that the provider took a payment back. A payment that
// was not credited just no longer counts. A purchase gives back its unreserved
// remainder, then what withdrawals that are only requested hold of it, which
// rejects them, then other unreserved lots, purchased first; the rest is debt, and
// debt freezes the account (money.md, Chargeback). Reservations and approved
// withdrawals stay untouched. It is a fact: never refused; what fits nowhere
// becomes a PaymentUnmatched, and what was recorded before has no event: what another
// amount tells is for RecordFurtherReversal.
type ReversePurchase struct {
	Purchase string
	// Payment is the provider's id of the payment; empty if it isn't known.
	Payment string
	Kind    ReversalKind
	// Amount is what the provider says, 0 if it says none. With another than the payment
	// came with it fits nowhere: is it of a part, or does the payment count otherwise?
	Amount domain.Amount
	Reason domain.Sealed
	// Odd is why people have to look at it, whatever it is of.
	Odd UnmatchedWhy
}

// NameFor asks whether the reversal is known.
func (c ReversePurchase) NameFor(*State) string { return reversalNameIf(c.Payment != "", c.Payment) }

// ClaimFor asks for the event that recorded the payment.
func (c ReversePurchase) ClaimFor(*State) string {
	if c.Payment == "" {
		return ""
	}
	return paymentName(c.Payment)
}

func (c ReversePurchase) decide(d *decision) error {
	recorded, purchase, came := d.recordedPayment()
	credited, alone := d.now().settled(creditedName(c.Payment))
	if alone { // its event may stand in another account
		recorded, came = credited.Amount, true
	}
	switch {
	case d.cmd.NameTaken:
		return nil
	case c.Odd != "":
		d.unmatchedReversal(c, c.Amount, c.Odd)
		return nil
	case came && c.Amount != 0 && c.Amount != recorded:
		d.unmatchedReversal(c, c.Amount, WhyAmountDiffers)
		return nil
	case d.takeBackUncredited(c):
		return nil
	}
	s := d.now()
	event := PurchaseReversed{Purchase: c.Purchase, Payment: c.Payment, Kind: c.Kind, Reason: c.Reason}
	p, known := s.settled(c.Purchase)
	if alone {
		p, known, event.Purchase = credited, true, ""
	}
	amount, its := p.reversible(c.Payment)
	its = its && known
	elsewhere := came && purchase != c.Purchase || s.Unmatched[c.Payment].State == PaymentIsAssigned
	switch {
	case !known && !came, !its && elsewhere: // credits may have been made of it, or are about to be
		d.unmatchedReversal(c, c.Amount, WhyPurchaseUnknown)
	case !its: // finance has returned it: nobody is to look for whose it is, and send it back again
		d.unmatchedReversal(c, c.Amount, WhyNotCredited)
	case amount == 0 && !p.onlyFee(c.Payment):
		d.unmatchedReversal(c, cmp.Or(c.Amount, p.Amount), WhyReversedBefore)
	default:
		d.reverse(p, amount, event)
	}
	return nil
}

// takeBackUncredited deals with a payment that made no credits: one that waits in the
// queue, or that counts towards a purchase which is still to be paid in full, or both.
// False: it is neither.
func (d *decision) takeBackUncredited(c ReversePurchase) bool {
	s := d.now()
	waiting := s.Unmatched[c.Payment]
	waits := waiting.State == PaymentIsUnmatched && waiting.Kind == KindPayment
	purchase := c.Purchase
	if waits {
		purchase = waiting.Purchase
	}
	counts := false
	for _, payment := range s.OpenPurchases[purchase].Payments {
		if payment.Payment == c.Payment {
			d.emit(&PaymentDropped{Payment: c.Payment, Purchase: purchase, Amount: payment.Amount, Reversal: true})
			counts = true
		}
	}
	if waits {
		d.emit(&PaymentResolved{Payment: c.Payment, Outcome: PaymentIsTakenBack, Amount: waiting.Amount})
	}
	return counts || waits
}

func (d *decision) unmatchedReversal(c ReversePurchase, amount domain.Amount, why UnmatchedWhy) {
	d.emit(&PaymentUnmatched{
		Payment: reversalID(cmp.Or(c.Payment, c.Purchase)), Purchase: c.Purchase, Amount: amount,
		Kind: UnmatchedKind(c.Kind), Why: why, EffectiveAt: d.cmd.At,
	})
}

// RecordChargeback is finance's word that a purchase was charged back, or a payment
// that they had credited to this account.
//
// Checks: unknown-purchase; wrong-status if it is not settled.
type RecordChargeback struct {
	// Purchase is its id, or the payment's.
	Purchase string
	Reason   domain.Sealed
}

// NameFor asks about the id unless the purchase is settled.
func (c RecordChargeback) NameFor(s *State) string {
	if _, event := c.reverses(s); event != nil {
		return ""
	}
	return purchaseName(c.Purchase)
}

// reverses is what the chargeback takes back, and its event; nil if there is nothing.
func (c RecordChargeback) reverses(s *State) (SettledPurchase, *PurchaseReversed) {
	event := PurchaseReversed{Purchase: c.Purchase, Kind: ReversalChargeback, Reason: c.Reason}
	p, settled := s.settled(c.Purchase)
	if !settled {
		p, settled = s.settled(creditedName(c.Purchase))
		event.Purchase, event.Payment = "", c.Purchase
	}
	if !settled {
		return p, nil
	}
	return p, &event
}

func (c RecordChargeback) decide(d *decision) error {
	p, event := c.reverses(d.now())
	settled := event != nil
	left, _ := p.reversible("")
	switch {
	case settled && left == 0:
		return wrongStatus(ObjectPurchase, c.Purchase, string(PurchaseIsReversed), " already")
	case !settled && d.cmd.NameTaken:
		return d.unsettled(c.Purchase)
	case !settled:
		return unknownPurchase(c.Purchase)
	}
	// Accepted: nothing below refuses.
	d.reverse(p, left, *event)
	return nil
}

// unsettled refuses to take back a purchase that never was settled.
func (d *decision) unsettled(id string) error {
	const why = ", not settled: there is nothing to take back"
	if p, was := d.initial.OpenPurchases[id]; was {
		return d.over(ObjectPurchase, id, &p, why)
	}
	return d.over(ObjectPurchase, id, nil, why)
}

// reverse takes amount of a purchase's credits back, as far as they are there.
func (d *decision) reverse(p SettledPurchase, amount domain.Amount, event PurchaseReversed) {
	returned := d.returnChargedBack(cmp.Or(event.Purchase, event.Payment), p.Lot, amount)
	taken, expired := reversalOrder(d.now().Lots, p, d.clock).spend(amount), d.now().expired(p.Lot)
	for i, lots := range taken.lots {
		e := event
		e.Amount, e.Lots, e.Debt, e.Part = taken.amount(i), lots, taken.debtOf(i), part(i, len(taken.lots))
		e.Expired = min(expired, e.missing(p.Lot))
		expired -= e.Expired
		if e.Fee = 0; e.Part.last() {
			e.Fee = p.feeWith(event.Payment, amount)
		}
		d.emit(&e)
	}
	if taken.debt > 0 && !d.now().Frozen {
		d.emit(&Frozen{Cause: FreezeChargeback})
	}
	if returned {
		d.arrived()
	}
}

// reversalOrder puts the purchase's own lot first, then purchased, then
// promotional. Of other lots, what came back past its date is about to expire
// and pays for nothing.
func reversalOrder(all lots, p SettledPurchase, at time.Time) lots {
	ordered := make(lots, 0, len(all))
	for _, l := range all {
		if l.ID == p.Lot {
			ordered = append(ordered, l)
		}
	}
	for _, class := range []Class{Purchased, Promotional} {
		for _, l := range all.of(class) {
			if expired := !l.ExpiresAt.IsZero() && !l.ExpiresAt.After(at); l.ID != p.Lot && !expired {
				ordered = append(ordered, l)
			}
		}
	}
	return ordered
}
