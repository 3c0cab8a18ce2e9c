package account

import "iocredits/domain"

// restID is the id under which the rest of a payment waits: no provider's id, and no
// reversal's, because no payment has the id of one.
func restID(payment string) string { return reversalID(reversalID(payment)) }

// RecordRest records what is left of a payment that was told with its refund first, in
// the refund's amount: that came, and went again. Now its arrival is told with more, so
// the rest is money that may still be here: people have to look. Without an event if the
// payment wasn't taken back, if there is no more, or if it was recorded before.
type RecordRest struct {
	Payment, Purchase string
	// Recorded is the amount with which the payment came, Amount the one that is told.
	Recorded, Amount domain.Amount
}

// NameFor asks whether the rest is known.
func (c RecordRest) NameFor(*State) string { return paymentName(restID(c.Payment)) }

// ClaimFor asks for the event that took the payment back.
func (c RecordRest) ClaimFor(*State) string { return reversalNameIf(true, c.Payment) }

func (c RecordRest) decide(d *decision) error {
	if d.cmd.NameTaken || c.Amount <= c.Recorded || !d.takenBack() {
		return nil
	}
	d.emit(&PaymentUnmatched{
		Payment: restID(c.Payment), Purchase: c.Purchase, Amount: c.Amount - c.Recorded,
		Kind: KindPayment, Why: WhyAmountDiffers, EffectiveAt: d.cmd.At,
	})
	return nil
}

// takenBack tells that the payment for whose reversal the command asked is gone, and
// its reversal doesn't wait itself.
func (d *decision) takenBack() bool {
	for _, claimed := range d.cmd.Original {
		if _, waits := claimed.Event.(*PaymentUnmatched); !waits {
			return true
		}
	}
	return false
}

// waitedKind is the Kind of the event that resolves what waits: a payment's is left
// out, unless its id is one of those that are made here. See PaymentResolved.Reversal.
func waitedKind(id string, p Payment) UnmatchedKind {
	if p.Kind == KindPayment && !MadeID(id) {
		return ""
	}
	return p.Kind
}
