package account

import (
	"time"

	"iocredits/domain"
)

// IncentiveGranted gives promotional credits.
type IncentiveGranted struct {
	plain
	Amount    domain.Amount `json:"amount"`
	Campaign  string        `json:"campaign,omitempty"`
	ExpiresAt time.Time     `json:"expires_at,omitzero"`
}

// EventName is the stored type.
func (*IncentiveGranted) EventName() string { return "incentive-granted" }

func (e *IncentiveGranted) effect() Effect {
	return Effect{Made: LotUse{Class: Promotional, Amount: e.Amount, ExpiresAt: e.ExpiresAt}}
}

func (e *IncentiveGranted) entry() Entry {
	return Entry{Type: EntryIncentive, Service: domain.ServiceCredits, Reference: e.Campaign}
}

// GrantIncentive gives promotional credits.
//
// Checks, in order: amount-invalid, amount-too-large; time-invalid (expires_at);
// limit-exceeded (lots).
type GrantIncentive struct {
	Amount   domain.Amount
	Campaign string
	// ExpiresAt of the credits; zero: never.
	ExpiresAt time.Time
}

func (c GrantIncentive) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	if err := d.room(c.Amount); err != nil {
		return err
	}
	if err := d.inFuture("expires_at", c.ExpiresAt); err != nil {
		return err
	}
	if err := d.roomForLot(); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.emit(&IncentiveGranted{Amount: c.Amount, Campaign: c.Campaign, ExpiresAt: c.ExpiresAt})
	d.arrived()
	return nil
}
