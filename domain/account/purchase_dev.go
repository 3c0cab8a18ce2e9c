package account

import (
	"time"

	"iocredits/domain"
)

// RecordPurchase is for the route /dev/accounts/{account}/purchases alone: it credits a
// purchase at once, without a payment. Real ones begin with StartPurchase and are settled by
// RecordPayment. What fits nowhere becomes a PaymentUnmatched, as a fact of the
// provider would.
//
// Checks: amount-invalid, amount-too-large.
type RecordPurchase struct {
	Purchase string
	Amount   domain.Amount
	// ExpiresAt of the credits; zero: as the policy says.
	ExpiresAt time.Time
}

func (c RecordPurchase) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	s := d.now()
	unmatched := &PaymentUnmatched{
		Payment: c.Purchase, Purchase: c.Purchase, Amount: c.Amount, Kind: KindPayment, EffectiveAt: d.clock,
	}
	if _, settled := s.settled(c.Purchase); settled {
		unmatched.Why = WhySettledBefore
		d.emit(unmatched)
		return nil
	}
	if d.roomToBuy(c.Amount) != nil {
		unmatched.Why = WhyBalanceLimit
		d.emit(unmatched)
		return nil
	}
	expires := c.ExpiresAt
	if expires.IsZero() {
		expires = s.Policy.purchasedExpiry(d.cmd.At)
	}
	d.emit(&PurchaseSettled{Purchase: c.Purchase, Amount: c.Amount, ExpiresAt: expires})
	d.arrived()
	return nil
}
