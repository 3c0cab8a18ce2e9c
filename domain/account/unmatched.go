package account

import (
	"time"

	"iocredits/domain"
)

// A payment that fits nowhere waits for finance, who send it to an account or
// return it outside the system. It may belong to another account than the one
// in whose stream it stands (a payment that named none stands in a reserved
// account's): two streams, and no append spans two. So the decision is written
// first, where the payment stands, and is final; then the account is credited,
// which claims the payment's name there and so happens once however often it is
// tried; then the payment is closed.

// PaymentAssigned is finance's decision to credit another account.
type PaymentAssigned struct {
	plain
	Payment string        `json:"payment"`
	Account string        `json:"account"`
	Amount  domain.Amount `json:"amount"`
	Note    domain.Sealed `json:"note,omitempty"`
}

// EventName is the stored type.
func (*PaymentAssigned) EventName() string { return "payment-assigned" }

// claim lets the payment's reversal find where it went.
func (e *PaymentAssigned) claim() string { return assignedName(e.Payment) }

func assignedName(payment string) string { return "assigned/" + payment }

func (e *PaymentAssigned) object() (ObjectKind, string) { return ObjectPayment, e.Payment }

func (e *PaymentAssigned) evolve(s *State) { fold(&s.Unmatched, e.Payment, e) }

// PaymentCredited is purchased credits from a payment that fitted nowhere.
type PaymentCredited struct {
	plain
	Payment string `json:"payment"`
	// From is the account in whose stream the payment stood; empty: this one.
	From      string        `json:"from,omitempty"`
	Amount    domain.Amount `json:"amount"`
	Note      domain.Sealed `json:"note,omitempty"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"`
}

// EventName is the stored type.
func (*PaymentCredited) EventName() string { return "payment-credited" }

func (e *PaymentCredited) effect() Effect {
	return Effect{Made: LotUse{Class: Purchased, Amount: e.Amount, ExpiresAt: e.ExpiresAt}}
}

// entry has no description: the note is finance's own, and histories are the customer's.
func (e *PaymentCredited) entry() Entry {
	return Entry{Type: EntryPurchase, Service: domain.ServiceCredits, Reference: e.Payment}
}

func (e *PaymentCredited) claim() string { return creditedName(e.Payment) }

func (e *PaymentCredited) figures(f *Figures) {
	f.Paid += e.Amount
	f.Cash += e.Amount
}

func (e *PaymentCredited) evolve(s *State) {
	s.Purchases.put(SettledPurchase{ID: creditedName(e.Payment), Lot: s.Revision, Amount: e.Amount})
}

// creditedName can be no purchase's id, which have no slash.
func creditedName(payment string) string { return "credited/" + payment }

// PaymentResolved says that a payment no longer waits, and why.
type PaymentResolved struct {
	plain
	Payment string        `json:"payment"`
	Outcome PaymentStatus `json:"outcome"`
	Amount  domain.Amount `json:"amount,omitzero"`
	// Account was credited; empty: this one, or none.
	Account string        `json:"account,omitempty"`
	Note    domain.Sealed `json:"note,omitempty"`
	// Kind is what waited, if it was no payment but its reversal, or the rest of one:
	// see Reversal. Events of before it came don't say.
	Kind UnmatchedKind `json:"kind,omitempty"`
}

// EventName is the stored type.
func (*PaymentResolved) EventName() string { return "payment-resolved" }

// Reversal tells that what waited was the reversal of a payment.
func (e *PaymentResolved) Reversal() bool {
	if e.Kind == "" {
		return MadeID(e.Payment)
	}
	return e.Kind != KindPayment
}

func (e *PaymentResolved) claim() string {
	return reversalNameIf(e.Outcome == PaymentIsTakenBack, e.Payment)
}

func (e *PaymentResolved) object() (ObjectKind, string) { return ObjectPayment, e.Payment }

func (e *PaymentResolved) evolve(s *State) { fold(&s.Unmatched, e.Payment, e) }

// PaymentStatus is where a payment that fitted nowhere stands.
type PaymentStatus string

// What becomes of a payment that fitted nowhere.
const (
	PaymentIsUnmatched PaymentStatus = "unmatched"
	// PaymentIsAssigned: decided, and not yet credited.
	PaymentIsAssigned PaymentStatus = "assigned"
	PaymentIsCredited PaymentStatus = "credited"
	PaymentIsReturned PaymentStatus = "returned"
	// PaymentIsMatched: its purchase settled after all.
	PaymentIsMatched PaymentStatus = "matched"
	// PaymentIsTakenBack: by the provider.
	PaymentIsTakenBack PaymentStatus = "taken-back"
)

// Payment is a payment, or its reversal, that fitted nowhere.
type Payment struct {
	State    PaymentStatus `json:"status"`
	Kind     UnmatchedKind `json:"kind"`
	Purchase string        `json:"purchase,omitempty"`
	Amount   domain.Amount `json:"amount,omitzero"`
	Why      UnmatchedWhy  `json:"why"`
	Since    time.Time     `json:"since,omitzero"`
	// Account is the one that gets it, if it isn't the one where it stands.
	Account string        `json:"account,omitempty"`
	Note    domain.Sealed `json:"note,omitempty"`
	// Named is the account that the payment names, if it isn't the one where it stands.
	Named string `json:"named,omitempty"`
}

// Apply implements Object.
func (p *Payment) Apply(event domain.Event) {
	switch e := event.(type) {
	case *PaymentUnmatched:
		before := domain.Amount(0)
		if p.Open() { // what /dev repeats adds up; the provider's ids never repeat
			before = p.Amount
		}
		*p = Payment{
			State: PaymentIsUnmatched, Kind: e.Kind, Purchase: e.Purchase,
			Amount: before + e.Amount, Why: e.Why, Since: e.EffectiveAt, Named: e.Named,
		}
	case *PaymentAssigned:
		p.State, p.Account, p.Note = PaymentIsAssigned, e.Account, e.Note
	case *PaymentResolved:
		p.State = e.Outcome
		if e.Account != "" {
			p.Account = e.Account
		}
		if e.Note != "" {
			p.Note = e.Note
		}
	}
}

// Status implements Object.
func (p *Payment) Status() string { return string(p.State) }

// Open implements Object.
func (p *Payment) Open() bool { return p.State == PaymentIsUnmatched || p.State == PaymentIsAssigned }

// QueueTime implements Dated: the age is that of the payment.
func (p *Payment) QueueTime() time.Time { return p.Since }

// ResolvePayment is finance's decision on a payment that fits nowhere: to this
// account, to another one, or returned outside. The same decision again, for
// another account that isn't credited yet, is accepted: it finishes what a crash
// has left.
//
// Checks, in order: unknown-payment, or wrong-status if it is decided;
// field-invalid for a reversal, which has nothing to credit; amount-invalid for a
// payment of which the amount isn't known, unless it is returned; unknown-account for
// one that nothing has happened to, unless the payment names it; wrong-status if
// it was recorded in the account that it names too; amount-too-large (MaxBalance) if
// the account, this one or another, has no room for it; for this account wrong-status
// before that, if it has it already.
type ResolvePayment struct {
	Payment string
	// Account is another account to credit; empty: this one.
	Account string
	// Unused: nothing has happened to Account yet. A mistyped name would take the
	// money where nobody looks for it.
	Unused bool
	// Twice: the account that the payment names has it too.
	Twice bool
	// NoRoom: Account can't be credited with it, see RequireRoom. The decision is final:
	// the payment could neither go there nor anywhere else.
	NoRoom bool
	// Returned: nobody is credited.
	Returned bool
	Note     domain.Sealed
}

// NameFor asks about the payment unless it waits.
func (c ResolvePayment) NameFor(s *State) string {
	return nameIfNotIn(s.Unmatched, c.Payment, paymentName)
}

func (c ResolvePayment) decide(d *decision) error {
	if p := d.now().Unmatched[c.Payment]; p.State == PaymentIsAssigned && p.Account == c.Account && !c.Returned {
		d.emit(&PaymentAssigned{Payment: c.Payment, Account: c.Account, Amount: p.Amount, Note: p.Note})
		return nil
	}
	p, err := d.waitingPayment(c.Payment, PaymentIsUnmatched)
	if err != nil {
		return err
	}
	if p.Kind != KindPayment && !c.Returned {
		return domain.Refuse(domain.CodeFieldInvalid, "a %s has nothing to credit; it can only be marked as returned", p.Kind).
			With("field", "account")
	}
	if p.Amount == 0 && !c.Returned {
		return domain.Refuse(domain.CodeAmountInvalid, "nobody knows the amount of payment %q: close it as returned, and correct the account", c.Payment).
			With("field", "amount").With("value", p.Amount.String())
	}
	if err := c.checkTarget(p); err != nil {
		return err
	}
	here := !c.Returned && c.Account == ""
	if here {
		if _, before := d.now().settled(creditedName(c.Payment)); before {
			return wrongStatus(ObjectPayment, c.Payment, string(PaymentIsCredited), " to this account already")
		}
		if err := d.roomToBuy(p.Amount); err != nil {
			return err
		}
	}
	// Accepted: nothing below refuses.
	d.dropFromPurchase(p.Purchase, c.Payment, p.Amount)
	switch {
	case c.Returned:
		d.emit(&PaymentResolved{Payment: c.Payment, Outcome: PaymentIsReturned, Amount: p.Amount, Note: c.Note, Kind: waitedKind(c.Payment, p)})
	case c.Account != "":
		d.emit(&PaymentAssigned{Payment: c.Payment, Account: c.Account, Amount: p.Amount, Note: c.Note})
	default:
		d.creditPayment(c.Payment, "", p.Amount, c.Note)
		d.emit(&PaymentResolved{Payment: c.Payment, Outcome: PaymentIsCredited, Amount: p.Amount, Note: c.Note, Kind: waitedKind(c.Payment, p)})
		d.arrived()
	}
	return nil
}

func (c ResolvePayment) checkTarget(p Payment) error {
	switch {
	case c.Returned:
		return nil
	case c.Unused && c.Account != p.Named:
		return domain.Refuse(domain.CodeUnknownAccount, "nothing has happened to account %s yet, and the payment doesn't name it", c.Account).
			With("field", "account").With("value", c.Account).With("account", c.Account)
	case c.Twice:
		return wrongStatus(ObjectPayment, c.Payment, p.Status(), " here and was recorded in account "+p.Named+" too: decide there, and close this one as returned").
			With("account", p.Named)
	case c.NoRoom:
		return noRoom(p.Amount)
	}
	return nil
}

// RequireRoom asks whether this account can be credited with a payment of this amount.
// It has no event.
//
// Checks: amount-too-large (MaxBalance).
type RequireRoom struct{ Amount domain.Amount }

func (c RequireRoom) decide(d *decision) error { return d.roomToBuy(c.Amount) }

// CreditPayment credits this account with a payment that was assigned to it. It
// may be repeated: the second time it has no event.
//
// Checks: amount-invalid, amount-too-large.
type CreditPayment struct {
	Payment string
	// From is the account in whose stream the payment stands.
	From   string
	Amount domain.Amount
	Note   domain.Sealed
}

// NameFor asks whether it was credited.
func (c CreditPayment) NameFor(*State) string { return creditedName(c.Payment) }

func (c CreditPayment) decide(d *decision) error {
	if c.Amount <= 0 { // and not bounded: a payment may bring more than a caller may send
		return positive(c.Amount)
	}
	if d.cmd.NameTaken {
		return nil
	}
	if err := d.roomToBuy(c.Amount); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.creditPayment(c.Payment, c.From, c.Amount, c.Note)
	d.arrived()
	return nil
}

func (d *decision) creditPayment(payment, from string, amount domain.Amount, note domain.Sealed) {
	d.emit(&PaymentCredited{
		Payment: payment, From: from, Amount: amount, Note: note,
		ExpiresAt: d.now().Policy.purchasedExpiry(d.cmd.At),
	})
}

// ClosePayment ends an assigned payment once its account was credited. It may be
// repeated: the second time it has no event.
//
// Checks: unknown-payment; wrong-status if it is not decided.
type ClosePayment struct{ Payment string }

// NameFor asks about the payment unless it waits.
func (c ClosePayment) NameFor(s *State) string {
	return nameIfNotIn(s.Unmatched, c.Payment, paymentName)
}

func (c ClosePayment) decide(d *decision) error {
	if _, waits := d.now().Unmatched[c.Payment]; !waits && d.cmd.NameTaken {
		return nil
	}
	p, err := d.waitingPayment(c.Payment, PaymentIsAssigned)
	if err != nil {
		return err
	}
	d.emit(&PaymentResolved{Payment: c.Payment, Outcome: PaymentIsCredited, Amount: p.Amount, Account: p.Account, Kind: waitedKind(c.Payment, p)})
	return nil
}

func (d *decision) waitingPayment(id string, status PaymentStatus) (Payment, error) {
	p, waits := d.now().Unmatched[id]
	switch {
	case waits && p.State == status:
		return p, nil
	case waits:
		return p, wrongStatus(ObjectPayment, id, p.Status(), ", not "+string(status)).With("account", p.Account)
	case d.cmd.NameTaken:
		return p, d.over(ObjectPayment, id, nil, ": it does not wait for a decision")
	}
	return p, domain.Refuse(domain.CodeUnknownPayment, "there is no unmatched payment %q", id).
		With("field", "payment_id").With("value", id)
}

// dropFromPurchase takes a payment off a purchase, if it counts towards that.
func (d *decision) dropFromPurchase(purchase, payment string, amount domain.Amount) {
	if p := d.now().OpenPurchases[purchase]; p.has(payment) {
		d.emit(&PaymentDropped{Payment: payment, Purchase: purchase, Amount: amount})
	}
}
