package account

import "iocredits/domain"

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

// waitedKind is the Kind of the event that resolves what waits: a payment's is left
// out, unless its id is one of those that are made here. See PaymentResolved.Reversal.
func waitedKind(id string, p Payment) UnmatchedKind {
	if p.Kind == KindPayment && !MadeID(id) {
		return ""
	}
	return p.Kind
}
