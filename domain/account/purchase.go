package account

import (
	"slices"
	"strings"
	"time"

	"iocredits/domain"
)

// purchaseLife is how long a customer may take to pay (io-credits.md).
const purchaseLife = 20 * time.Minute

// MinPurchase is the least that can be bought.
const MinPurchase = 1 * domain.Credit

// maxOpenPurchases bounds what waits to be paid, and maxLinkAttempts how often
// a link is tried for one purchase.
const (
	maxOpenPurchases = 100
	maxLinkAttempts  = 20
)

// PurchaseStarted is a customer's wish to buy: nothing has been paid.
type PurchaseStarted struct {
	plain
	Purchase string        `json:"purchase"`
	Amount   domain.Amount `json:"amount"`
	Fee      domain.Amount `json:"fee,omitzero"`
	// ToPay = Amount + Fee, fixed now whatever the policy becomes.
	ToPay     domain.Amount `json:"to_pay"`
	StartedAt time.Time     `json:"started_at"`
	ExpiresAt time.Time     `json:"expires_at"`
}

// EventName is the stored type.
func (*PurchaseStarted) EventName() string { return "purchase-started" }

func (e *PurchaseStarted) effect() Effect {
	return Effect{Deadlines: []Deadline{{Kind: DeadlinePurchase, ID: e.Purchase, At: e.ExpiresAt}}}
}

func (e *PurchaseStarted) claim() string { return purchaseName(e.Purchase) }

func (e *PurchaseStarted) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseStarted) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

// PurchaseExpired ends the time that a customer had to pay.
type PurchaseExpired struct {
	plain
	Purchase string `json:"purchase"`
	// Received came so far, and is in the queue of unmatched payments.
	Received    domain.Amount `json:"received,omitzero"`
	EffectiveAt time.Time     `json:"effective_at"`
}

// EventName is the stored type.
func (*PurchaseExpired) EventName() string { return "purchase-expired" }

func (e *PurchaseExpired) effect() Effect { return endOfPurchase(e.Purchase) }

func (e *PurchaseExpired) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseExpired) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

// PurchaseFailed is a payment that the provider could not make.
type PurchaseFailed struct {
	plain
	Purchase string `json:"purchase"`
	Payment  string `json:"payment"`
	// Why is the provider's code.
	Why      string        `json:"why,omitempty"`
	Received domain.Amount `json:"received,omitzero"`
}

// EventName is the stored type.
func (*PurchaseFailed) EventName() string { return "purchase-failed" }

func (e *PurchaseFailed) effect() Effect { return endOfPurchase(e.Purchase) }

func (e *PurchaseFailed) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseFailed) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

// PurchaseSettled credits what was paid: everything above the fee.
type PurchaseSettled struct {
	plain
	Purchase string        `json:"purchase"`
	Amount   domain.Amount `json:"amount"`
	// Received and Fee are zero for a purchase that was never to be paid: /dev.
	Received  domain.Amount `json:"received,omitzero"`
	Fee       domain.Amount `json:"fee,omitzero"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"`
}

// EventName is the stored type.
func (*PurchaseSettled) EventName() string { return "purchase-settled" }

func (e *PurchaseSettled) effect() Effect {
	effect := endOfPurchase(e.Purchase)
	effect.Made = LotUse{Class: Purchased, Amount: e.Amount, ExpiresAt: e.ExpiresAt}
	return effect
}

func (e *PurchaseSettled) entry() Entry {
	return Entry{Type: EntryPurchase, Service: domain.ServiceCredits, Reference: e.Purchase}
}

// claim counts for a purchase that was settled at once; else it was claimed before.
func (e *PurchaseSettled) claim() string { return purchaseName(e.Purchase) }

func (e *PurchaseSettled) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseSettled) figures(f *Figures) {
	f.Paid += e.Amount
	f.Cash += e.Amount
}

func (e *PurchaseSettled) evolve(s *State) {
	payments := s.OpenPurchases[e.Purchase].Payments
	fold(&s.OpenPurchases, e.Purchase, e)
	s.Purchases.put(SettledPurchase{ID: e.Purchase, Lot: s.Revision, Amount: e.Amount, Payments: payments})
}

// SettledPurchase is what the state keeps of credits that were paid for, for as
// long as the provider may take the payment back.
type SettledPurchase struct {
	// ID is the purchase's, or the creditedName of the payment.
	ID string
	// Lot is the id of the credits that it made.
	Lot    int64
	Amount domain.Amount
	// Reversed is what of Amount was taken back.
	Reversed domain.Amount
	// Payments that paid for it; none if it was settled without.
	Payments []PurchasePayment
	// Whole: it was taken back without a payment being named, the fee with it.
	Whole bool `json:",omitzero"`
}

// purchases are in the order of their ids. They are no map, because what Go makes for a
// map's first value has room for eight: 600 bytes of each account that ever bought.
type purchases []SettledPurchase

func (ps purchases) find(id string) (at int, found bool) {
	return slices.BinarySearchFunc(ps, id, func(p SettledPurchase, id string) int { return strings.Compare(p.ID, id) })
}

func (ps purchases) get(id string) (p SettledPurchase, found bool) {
	at, found := ps.find(id)
	if found {
		p = ps[at]
	}
	return p, found
}

// put stores a purchase in place of the one with its id.
func (ps *purchases) put(p SettledPurchase) {
	at, found := ps.find(p.ID)
	if found {
		(*ps)[at] = p
		return
	}
	*ps = slices.Insert(*ps, at, p)
}

// reversible is what the reversal of a payment takes; of the whole if no payment
// is named. False if the payment is none of this purchase's.
func (p SettledPurchase) reversible(payment string) (domain.Amount, bool) {
	left := p.Amount - p.Reversed
	if payment == "" || len(p.Payments) == 0 {
		return left, true
	}
	for _, one := range p.Payments {
		if one.Payment == payment {
			return min(left, one.Amount), true
		}
	}
	return 0, false
}

// feeWith is the fee that goes back when the reversal of a payment, or of all that
// is left if none is named, takes amount: what was paid above it. It adds up to the
// purchase's fee once all is reversed, and is 0 where the payments aren't known.
func (p SettledPurchase) feeWith(payment string, amount domain.Amount) (fee domain.Amount) {
	for _, one := range p.Payments {
		switch payment {
		case "":
			fee += one.Amount
		case one.Payment:
			return one.Amount - amount
		}
	}
	if fee == 0 {
		return 0
	}
	return fee - p.Amount
}

// onlyFee tells that a payment which is taken back made no credits that are left:
// those of the others were all there was to take, and what it paid was the fee.
func (p SettledPurchase) onlyFee(payment string) bool {
	return payment != "" && !p.Whole && p.feeWith(payment, 0) > 0
}

// PurchaseStatus is where a purchase stands, as api.md names it.
type PurchaseStatus string

// What becomes of a purchase. Failed and expired ones still settle if the
// payment arrives all the same.
const (
	PurchaseIsAwaiting PurchaseStatus = "awaiting-payment"
	PurchaseIsSettled  PurchaseStatus = "settled"
	PurchaseIsFailed   PurchaseStatus = "failed"
	PurchaseIsExpired  PurchaseStatus = "expired"
	PurchaseIsReversed PurchaseStatus = "reversed"
)

// Purchase is a customer's purchase. The state keeps those that are to be paid
// and those that were paid in part; a late payment for a forgotten one is
// understood from the event that started it.
type Purchase struct {
	State  PurchaseStatus `json:"status"`
	Amount domain.Amount  `json:"amount"`
	Fee    domain.Amount  `json:"fee,omitzero"`
	ToPay  domain.Amount  `json:"to_pay"`
	// Received is the sum of Payments.
	Received domain.Amount `json:"received,omitzero"`
	// Payments count towards the purchase: none that finance sent elsewhere.
	Payments []PurchasePayment `json:"payments,omitempty"`
	Credited domain.Amount     `json:"credited,omitzero"`
	Reversed domain.Amount     `json:"reversed,omitzero"`
	// Attempts is how many links were asked for, Links those that came to be.
	Attempts int            `json:"attempts,omitzero"`
	Links    []PurchaseLink `json:"links,omitempty"`
	// FailedAttempt is the last attempt of which it is known that it made no link.
	FailedAttempt int       `json:"failed_attempt,omitzero"`
	StartedAt     time.Time `json:"started_at,omitzero"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
}

// PurchasePayment is money that arrived for a purchase.
type PurchasePayment struct {
	Payment string        `json:"payment"`
	Amount  domain.Amount `json:"amount"`
}

// Apply implements Object.
func (p *Purchase) Apply(event domain.Event) {
	switch e := event.(type) {
	case *PurchaseStarted:
		*p = Purchase{
			State: PurchaseIsAwaiting, Amount: e.Amount, Fee: e.Fee, ToPay: e.ToPay,
			StartedAt: e.StartedAt, ExpiresAt: e.ExpiresAt,
		}
	case *PurchaseLinkRequested:
		p.Attempts = e.Attempt
	case *PurchaseLinkMade:
		p.Links = with(p.Links, PurchaseLink{Attempt: e.Attempt, Link: e.Link, URL: e.URL})
	case *PurchaseLinkFailed:
		p.FailedAttempt = e.Attempt
	case *PaymentReceived:
		p.receive(e)
	case *PaymentDropped:
		p.drop(e)
	case *PurchaseExpired:
		p.State = PurchaseIsExpired
	case *PurchaseFailed:
		p.State = PurchaseIsFailed
	case *PurchaseSettled:
		if p.State == "" {
			p.Amount, p.ToPay = e.Amount, e.Amount
		}
		p.State, p.Credited = PurchaseIsSettled, e.Amount
	case *PurchaseReversed:
		if p.Reversed += e.Amount; p.Reversed >= p.Credited {
			p.State = PurchaseIsReversed
		}
	}
}

// receive counts a payment. The state may have forgotten the purchase, which
// then has ended: the event has what it needs.
func (p *Purchase) receive(e *PaymentReceived) {
	if p.State == "" {
		p.State, p.ToPay, p.Fee, p.Amount = PurchaseIsExpired, e.ToPay, e.Fee, e.ToPay-e.Fee
	}
	p.Received += e.Amount
	p.Payments = with(p.Payments, PurchasePayment{Payment: e.Payment, Amount: e.Amount})
}

func (p *Purchase) drop(e *PaymentDropped) {
	p.Received -= e.Amount
	var left []PurchasePayment
	for _, payment := range p.Payments {
		if payment.Payment != e.Payment {
			left = append(left, payment)
		}
	}
	p.Payments = left
}

// has tells whether a payment counts towards the purchase.
func (p *Purchase) has(payment string) bool {
	for _, one := range p.Payments {
		if one.Payment == payment {
			return true
		}
	}
	return false
}

// Status implements Object.
func (p *Purchase) Status() string { return string(p.State) }

// Open implements Object: to be paid, or ended with money in it.
func (p *Purchase) Open() bool {
	switch p.State {
	case PurchaseIsAwaiting:
		return true
	case PurchaseIsExpired, PurchaseIsFailed:
		return len(p.Payments) > 0
	}
	return false
}

// URL is where the customer pays: the newest link's; "" while there is none.
func (p *Purchase) URL() string {
	if len(p.Links) == 0 {
		return ""
	}
	return p.Links[len(p.Links)-1].URL
}

func purchaseName(id string) string { return "purchase/" + id }

func endOfPurchase(id string) Effect {
	return Effect{Deadlines: []Deadline{{Kind: DeadlinePurchase, ID: id}}}
}

// StartPurchase begins a purchase. Frozen accounts may buy: it is how debt is paid.
//
// Checks, in order: amount-invalid (with the minimum), amount-too-large (with the fee,
// too); duplicate-id; limit-exceeded (open purchases).
type StartPurchase struct {
	Purchase string
	Amount   domain.Amount
}

// NameFor asks about the id: the state forgets purchases that ended.
func (c StartPurchase) NameFor(*State) string { return purchaseName(c.Purchase) }

func (c StartPurchase) decide(d *decision) error {
	if c.Amount < MinPurchase {
		return domain.Refuse(domain.CodeAmountInvalid, "amount %s is below the minimum of %s", c.Amount, MinPurchase).
			With("field", "amount").With("value", c.Amount.String()).With("minimum", MinPurchase.String())
	}
	if err := bounded(c.Amount); err != nil {
		return err
	}
	fee, err := c.Amount.Share(int64(d.now().Policy.PurchaseFeeBasisPoints), maxBasisPoints)
	if err != nil {
		return err
	}
	if c.Amount+fee > domain.MaxAmount { // no payment may be as large
		return domain.Refuse(domain.CodeAmountTooLarge, "amount %s with its fee of %s is above the limit of %s", c.Amount, fee, domain.MaxAmount).
			With("field", "amount").With("value", c.Amount.String()).With("limit", domain.MaxAmount.String())
	}
	if d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "purchase %q exists already", c.Purchase).
			With("field", "purchase_id").With("value", c.Purchase)
	}
	if err := limit("purchases", len(d.now().OpenPurchases), maxOpenPurchases); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.emit(&PurchaseStarted{
		Purchase: c.Purchase, Amount: c.Amount, Fee: fee, ToPay: c.Amount + fee,
		StartedAt: d.cmd.At, ExpiresAt: d.cmd.At.Add(purchaseLife),
	})
	return nil
}

// openPurchase finds a purchase that is still to be paid.
func (d *decision) openPurchase(id string) (Purchase, error) {
	p, open := d.now().OpenPurchases[id]
	if open && p.State == PurchaseIsAwaiting {
		return p, nil
	}
	const why = ": it is no longer to be paid"
	if open {
		return p, wrongStatus(ObjectPurchase, id, p.Status(), why)
	}
	if ended, was := d.initial.OpenPurchases[id]; was {
		return p, d.over(ObjectPurchase, id, &ended, why)
	}
	if d.cmd.NameTaken {
		return p, d.over(ObjectPurchase, id, nil, why)
	}
	return p, unknownPurchase(id)
}

func unknownPurchase(id string) error {
	return domain.Refuse(domain.CodeUnknownPurchase, "the account has no purchase %q", id).
		With("field", "purchase_id").With("value", id)
}

// endPurchase ends the time to pay; what came so far waits for people to look at.
func (d *decision) endPurchase(id string, end domain.Event) {
	p := d.now().OpenPurchases[id]
	d.emit(end)
	for _, payment := range p.Payments {
		d.emit(&PaymentUnmatched{
			Payment: payment.Payment, Purchase: id, Amount: payment.Amount,
			Kind: KindPayment, Why: WhyUnderpaid, EffectiveAt: d.clock,
		})
	}
}
