package account

import (
	"time"

	"iocredits/domain"
)

// The events below stand in a stream of their own beside the account's: what a
// customer was told ahead of time, and what they have seen. No rule of money
// depends on them, and writing them never holds up a command.

// ExpiryAnnounced tells that credits will expire soon.
type ExpiryAnnounced struct {
	plain
	// Lot is the revision, in the account's stream, of the event that made it.
	Lot       int64         `json:"lot"`
	Amount    domain.Amount `json:"amount"`
	ExpiresAt time.Time     `json:"expires_at"`
}

// EventName is the stored type.
func (*ExpiryAnnounced) EventName() string { return "expiry-announced" }

// NoticeSeen marks a notice that the customer has seen.
type NoticeSeen struct {
	plain
	Notice string `json:"notice"`
}

// EventName is the stored type.
func (*NoticeSeen) EventName() string { return "notice-seen" }
