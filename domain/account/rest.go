package account

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"iocredits/domain"
)

// restID is the id under which the rest of a payment waits: no provider's id, and no
// reversal's, because no payment has the id of one.
func restID(payment string) string { return reversalID(reversalID(payment)) }

// RecordRest records what a payment has above the amount with which it was recorded. The
// provider told its refund first, in the refund's amount, so that came, and went again; or
// the payment has grown. It is money that may be here, and counts for nothing yet: people
// have to look. Without an event if there is no more, or if some was recorded before.
type RecordRest struct {
	Payment, Purchase string
	// Recorded is the amount with which the payment came, Amount the one that is told.
	Recorded, Amount domain.Amount
}

// NameFor asks whether the rest is known.
func (c RecordRest) NameFor(*State) string { return paymentName(restID(c.Payment)) }

func (c RecordRest) decide(d *decision) error {
	if d.cmd.NameTaken || c.Amount <= c.Recorded {
		return nil
	}
	d.emit(&PaymentUnmatched{
		Payment: restID(c.Payment), Purchase: c.Purchase, Amount: c.Amount - c.Recorded,
		Kind: KindPayment, Why: WhyAmountDiffers, EffectiveAt: d.cmd.At,
	})
	return nil
}

// RecordFurtherReversal records that a payment was taken back with another amount than
// that with which its reversal waits: a second refund of a part of it, or by now the
// whole. It follows ReversePurchase, which knows a reversal by its payment. Two amounts
// that are more than the payment together are no two refunds: the later one is the sum of
// both, and only what is new of it waits; what finance has closed of a further one counts
// as new again. Without an event if nothing is, if it was told before, or if ReversePurchase
// took the payment's credits.
type RecordFurtherReversal struct {
	Payment, Purchase string
	Kind              ReversalKind
	// Recorded is the amount with which the payment came, Amount the one that is told.
	Recorded, Amount domain.Amount
}

// furtherPrefix begins the ids of further reversals. No payment begins with the prefix of
// reversals, so no rest does with three of them.
const furtherPrefix = reversalPrefix + reversalPrefix + reversalPrefix

// id is that under which it waits: of each amount one does.
func (c RecordFurtherReversal) id() string {
	return furtherPrefix + c.Amount.String() + ":" + furtherOf(c.Payment)
}

// furtherOf is what the id says of the payment: with the rest of it, it has to be one that
// a path can name.
func furtherOf(payment string) string {
	const most = 72
	if len(payment) <= most {
		return payment
	}
	digest := sha256.Sum256([]byte(payment))
	return hex.EncodeToString(digest[:])
}

// NameFor asks whether it is known.
func (c RecordFurtherReversal) NameFor(*State) string { return paymentName(c.id()) }

// ClaimFor asks for the reversal that was told first.
func (c RecordFurtherReversal) ClaimFor(*State) string { return paymentName(reversalID(c.Payment)) }

func (c RecordFurtherReversal) decide(d *decision) error {
	first, _, waited := d.recordedPayment()
	if d.cmd.NameTaken || !waited || c.Amount == first {
		return nil
	}
	s, before := d.now(), first
	for id, p := range s.Unmatched {
		told, further := strings.CutPrefix(id, furtherPrefix)
		if _, of, _ := strings.Cut(told, ":"); further && of == furtherOf(c.Payment) {
			before += p.Amount
		}
	}
	recorded, more := c.Recorded, c.Amount
	if credited, here := s.settled(creditedName(c.Payment)); here { // it came in another account
		recorded = credited.Amount
	}
	if before+c.Amount > recorded {
		more = c.Amount - before
	}
	if more > 0 {
		d.emit(&PaymentUnmatched{
			Payment: c.id(), Purchase: c.Purchase, Amount: more,
			Kind: UnmatchedKind(c.Kind), Why: WhyAmountDiffers, EffectiveAt: d.cmd.At,
		})
	}
	return nil
}

// waitedKind is the Kind of the event that resolves what waits: a payment's is left
// out, unless its id is one of those that are made here. See PaymentResolved.Reversal.
func waitedKind(id string, p Payment) UnmatchedKind {
	if p.Kind == KindPayment && !MadeID(id) {
		return ""
	}
	return p.Kind
}
