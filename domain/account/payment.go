package account

import (
	"time"

	"iocredits/domain"
)

// PaymentReceived is money that arrived for a purchase. It carries what the
// purchase asks for, because the state may have forgotten that.
type PaymentReceived struct {
	plain
	Payment  string `json:"payment"`
	Purchase string `json:"purchase"`
	// Link is the provider's id of the link that was paid.
	Link   string        `json:"link,omitempty"`
	Amount domain.Amount `json:"amount"`
	// Received is all that has come for the purchase, this payment included.
	Received domain.Amount `json:"received"`
	ToPay    domain.Amount `json:"to_pay"`
	Fee      domain.Amount `json:"fee,omitzero"`
}

// EventName is the stored type.
func (*PaymentReceived) EventName() string { return "payment-received" }

func (e *PaymentReceived) claim() string { return paymentName(e.Payment) }

func (e *PaymentReceived) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PaymentReceived) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

// PaymentDropped says that a payment no longer counts towards its purchase: finance sent
// it elsewhere, or the provider took it back before it was credited.
type PaymentDropped struct {
	plain
	Payment  string        `json:"payment"`
	Purchase string        `json:"purchase"`
	Amount   domain.Amount `json:"amount"`
	// Reversal: the provider took it back.
	Reversal bool `json:"reversal,omitzero"`
}

// EventName is the stored type.
func (*PaymentDropped) EventName() string { return "payment-dropped" }

func (e *PaymentDropped) claim() string { return reversalNameIf(e.Reversal, e.Payment) }

func (e *PaymentDropped) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PaymentDropped) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

func paymentName(id string) string { return "payment/" + id }

// RecordPayment records money that arrived for a purchase. It settles once all
// has come, after the purchase failed or expired too. What fits nowhere becomes
// a PaymentUnmatched; a payment that was recorded before has no event.
//
// Checks: amount-invalid (a malformed call, not a fact), unless it is Odd;
// amount-too-large, beyond what ReadAmount gives.
type RecordPayment struct {
	// Payment is the provider's id of the payment: it counts once.
	Payment  string
	Purchase string
	Link     string
	Amount   domain.Amount
	// Named is the account that the payment names, where that isn't this one.
	Named string
	// Odd is why people have to look at it, whatever it is for. Amount is then what
	// is certain of it, or 0, and Told how the provider wrote it.
	Odd  UnmatchedWhy
	Told string
	// TakenBack: the provider tells of it as taken back already, and how. The next fact is
	// that, and where it settles a purchase it is recorded with it: in between the payment
	// would pay for what is then owed.
	TakenBack ReversalKind
}

// NameFor asks whether the payment is known.
func (c RecordPayment) NameFor(*State) string { return paymentName(c.Payment) }

// ClaimFor asks for the start of a purchase that the state has forgotten.
func (c RecordPayment) ClaimFor(s *State) string {
	return nameIfNotIn(s.OpenPurchases, c.Purchase, purchaseName)
}

func (c RecordPayment) decide(d *decision) error {
	if c.Amount < 0 || c.Amount == 0 && c.Odd == "" {
		return domain.Refuse(domain.CodeAmountInvalid, "amount %s is not above zero", c.Amount).
			With("field", "amount").With("value", c.Amount.String())
	}
	if c.Amount > domain.MaxBalance { // nor can it be added up
		return within(0, c.Amount)
	}
	// A payment that finance credited here from another account's stream has come.
	if _, credited := d.now().settled(creditedName(c.Payment)); credited || d.cmd.NameTaken {
		return nil
	}
	if c.Odd != "" {
		d.unmatched(c, c.Odd)
		return nil
	}
	p, why := d.payablePurchase(c.Purchase)
	if why != "" {
		d.unmatched(c, why)
		if why == WhySettledBefore && c.TakenBack == "" && d.roomToBuy(c.Amount) == nil {
			d.creditAbove(c)
		}
		return nil
	}
	total := p.Received + c.Amount
	if total >= p.ToPay && d.roomToBuy(total-p.Fee) != nil {
		d.unmatched(c, WhyBalanceLimit)
		return nil
	}
	d.emit(&PaymentReceived{
		Payment: c.Payment, Purchase: c.Purchase, Link: c.Link, Amount: c.Amount,
		Received: total, ToPay: p.ToPay, Fee: p.Fee,
	})
	switch {
	case total >= p.ToPay:
		d.settlePurchase(c, p, total)
	case p.State != PurchaseIsAwaiting:
		d.unmatched(c, WhyUnderpaid)
	}
	return nil
}

// payablePurchase finds the purchase that a payment is for, or why there is none.
func (d *decision) payablePurchase(id string) (Purchase, UnmatchedWhy) {
	s := d.now()
	if p, open := s.OpenPurchases[id]; open {
		return p, ""
	}
	if settled, known := s.settled(id); known {
		if settled.Reversed == settled.Amount {
			return Purchase{}, WhyReversedBefore
		}
		return Purchase{}, WhySettledBefore
	}
	// A deadline may have ended it just now.
	if p, was := d.initial.OpenPurchases[id]; was {
		p.State = PurchaseIsExpired
		return p, ""
	}
	for _, claimed := range d.cmd.Original {
		if start, ok := claimed.Event.(*PurchaseStarted); ok {
			var p Purchase
			p.Apply(start)
			p.State = PurchaseIsExpired
			return p, ""
		}
	}
	return Purchase{}, WhyPurchaseUnknown
}

// settlePurchase credits all that came but the fee. What waited in the queue of
// unmatched payments is part of it; what was taken back already goes again at once.
func (d *decision) settlePurchase(c RecordPayment, p Purchase, received domain.Amount) {
	d.emit(&PurchaseSettled{
		Purchase: c.Purchase, Amount: received - p.Fee, Received: received, Fee: p.Fee,
		ExpiresAt: d.now().Policy.purchasedExpiry(d.cmd.At),
	})
	for _, earlier := range p.Payments {
		if d.now().Unmatched[earlier.Payment].State == PaymentIsUnmatched {
			d.emit(&PaymentResolved{Payment: earlier.Payment, Outcome: PaymentIsMatched, Amount: earlier.Amount})
		}
	}
	if c.TakenBack != "" {
		settled, _ := d.now().settled(c.Purchase)
		amount, _ := settled.reversible(c.Payment)
		d.reverse(settled, amount, PurchaseReversed{Purchase: c.Purchase, Payment: c.Payment, Kind: c.TakenBack})
	}
	d.arrived()
}

// creditAbove credits a payment of a purchase that is settled: what comes above the price
// is credited too (io-credits.md), and what comes in two payments is whichever the provider
// tells last. It stands in the queue as well, closed, because finance looks there.
func (d *decision) creditAbove(c RecordPayment) {
	d.creditPayment(c.Payment, "", c.Amount, "")
	d.emit(&PaymentResolved{Payment: c.Payment, Outcome: PaymentIsCredited, Amount: c.Amount})
	d.arrived()
}

func (d *decision) unmatched(c RecordPayment, why UnmatchedWhy) {
	d.emit(&PaymentUnmatched{
		Payment: c.Payment, Purchase: c.Purchase, Amount: c.Amount,
		Kind: KindPayment, Why: why, EffectiveAt: d.cmd.At, Named: c.Named, Told: c.Told,
	})
}

// RequireNewPayment asks whether a payment stands in this account, in whatever
// state, or was credited to it. It has no event.
//
// Checks: duplicate-id.
type RequireNewPayment struct {
	Payment string
	// Credited asks for the credit of a payment that stands elsewhere.
	Credited bool
}

// NameFor asks about the payment, or its credit.
func (c RequireNewPayment) NameFor(*State) string {
	if c.Credited {
		return creditedName(c.Payment)
	}
	return paymentName(c.Payment)
}

func (c RequireNewPayment) decide(d *decision) error {
	if d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "payment %q is here already", c.Payment).With("payment_id", c.Payment)
	}
	return nil
}

// RequireUnassigned asks whether finance assigned a payment that stands in this
// account to another one. It has no event.
//
// Checks: wrong-status, with the account.
type RequireUnassigned struct{ Payment string }

// ClaimFor asks for the decision.
func (c RequireUnassigned) ClaimFor(*State) string { return assignedName(c.Payment) }

func (c RequireUnassigned) decide(d *decision) error {
	for _, claimed := range d.cmd.Original {
		if e, ok := claimed.Event.(*PaymentAssigned); ok {
			return domain.Refuse(domain.CodeWrongStatus, "payment %q was assigned to account %s", c.Payment, e.Account).With("account", e.Account)
		}
	}
	return nil
}

// RecordedField is the figure of ComparePayment's refusal with the recorded amount.
const RecordedField = "recorded"

// ComparePayment asks whether a payment that was recorded in this account has this
// amount. It has no event.
//
// Checks: amount-invalid, if it has another one, which is in RecordedField.
type ComparePayment struct {
	Payment string
	Amount  domain.Amount
}

// ClaimFor asks for the event that recorded the payment.
func (c ComparePayment) ClaimFor(*State) string { return paymentName(c.Payment) }

func (c ComparePayment) decide(d *decision) error {
	if recorded, _, known := d.recordedPayment(); known && recorded != c.Amount {
		return domain.Refuse(domain.CodeAmountInvalid, "payment %q was recorded with %s, not %s", c.Payment, credits(recorded), c.Amount).
			With("field", "amount").With("value", c.Amount.String()).With(RecordedField, recorded.String())
	}
	return nil
}

// recordedPayment is the amount and the purchase in the event that the command asked for:
// the one that recorded the payment.
func (d *decision) recordedPayment() (amount domain.Amount, purchase string, known bool) {
	for _, claimed := range d.cmd.Original {
		switch e := claimed.Event.(type) {
		case *PaymentReceived:
			return e.Amount, e.Purchase, true
		case *PaymentUnmatched:
			return e.Amount, e.Purchase, true
		}
	}
	return 0, "", false
}

// RecordPaymentFailure records that the provider could not make a payment. It is
// a fact, and has no event for a purchase that isn't to be paid any more, or
// for a payment that did arrive: the provider's events come in any order.
type RecordPaymentFailure struct {
	Payment  string
	Purchase string
	Why      string
}

// NameFor asks whether the payment has arrived.
func (c RecordPaymentFailure) NameFor(*State) string { return paymentName(c.Payment) }

func (c RecordPaymentFailure) decide(d *decision) error {
	p, open := d.now().OpenPurchases[c.Purchase]
	if !open || p.State != PurchaseIsAwaiting || d.cmd.NameTaken {
		return nil
	}
	d.endPurchase(c.Purchase, &PurchaseFailed{
		Purchase: c.Purchase, Payment: c.Payment, Why: c.Why, Received: p.Received,
	})
	return nil
}

// UnmatchedKind is what arrived.
type UnmatchedKind string

// What may arrive and fit nowhere.
const (
	KindPayment    UnmatchedKind = "payment"
	KindChargeback UnmatchedKind = "chargeback"
	KindRefund     UnmatchedKind = "refund"
)

// UnmatchedWhy is why it fits nowhere: a code, not text for a customer.
type UnmatchedWhy string

// Why facts of the provider fit nowhere.
const (
	WhyPurchaseUnknown UnmatchedWhy = "purchase-unknown"
	WhyUnderpaid       UnmatchedWhy = "underpaid"
	WhySettledBefore   UnmatchedWhy = "purchase-settled-before"
	WhyReversedBefore  UnmatchedWhy = "purchase-reversed-before"
	WhyBalanceLimit    UnmatchedWhy = "balance-limit"
	// WhyNotCredited: the payment came, and no credits were made of it.
	WhyNotCredited UnmatchedWhy = "payment-not-credited"
	// WhyAmountInvalid: the provider tells no amount that is one (money.md, Amounts in).
	WhyAmountInvalid UnmatchedWhy = "amount-invalid"
	// WhyPaymentUnnamed: it tells no id, so nobody knows whether it came before.
	WhyPaymentUnnamed UnmatchedWhy = "payment-unnamed"
	// WhyAmountDiffers: a payment is taken back with another amount than it came with,
	// or is told with more than it came with: see RecordRest and RecordFurtherReversal.
	WhyAmountDiffers UnmatchedWhy = "amount-differs"
)

// PaymentUnmatched records a fact from the provider that fits nowhere: people
// have to look at it, but it is never refused (design.md rule 2).
type PaymentUnmatched struct {
	plain
	// Payment is its id in the queue: the provider's id of the payment, or
	// reversalID of it.
	Payment  string        `json:"payment,omitempty"`
	Purchase string        `json:"purchase"`
	Amount   domain.Amount `json:"amount,omitzero"`
	Kind     UnmatchedKind `json:"kind"`
	Why      UnmatchedWhy  `json:"why"`
	// EffectiveAt is since when it waits.
	EffectiveAt time.Time `json:"effective_at,omitzero"`
	// Named is the account that it names, where that isn't the one it stands in.
	Named string `json:"named,omitempty"`
	// Told is the amount as the provider wrote it, where Amount isn't all of it.
	Told string `json:"told,omitempty"`
}

// EventName is the stored type.
func (*PaymentUnmatched) EventName() string { return "payment-unmatched" }

func (e *PaymentUnmatched) claim() string {
	if e.Payment == "" {
		return ""
	}
	return paymentName(e.Payment)
}

func (e *PaymentUnmatched) object() (ObjectKind, string) { return ObjectPayment, e.Payment }

func (e *PaymentUnmatched) evolve(s *State) {
	if e.Payment != "" {
		fold(&s.Unmatched, e.Payment, e)
	}
}
