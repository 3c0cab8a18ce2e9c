package reactor

import (
	"context"
	"errors"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Provider is the payment provider as the engine needs it.
type Provider interface {
	// CreateLink asks once for a payment link. ErrNoLink in its error: none was
	// made. After any other error nobody knows whether there is one.
	CreateLink(ctx context.Context, request LinkRequest) (Link, error)
	// Links lists the links of a purchase, Payments what was paid at any of them.
	Links(ctx context.Context, purchase string) ([]Link, error)
	Payments(ctx context.Context, purchase string) ([]Payment, error)
}

// ErrNoLink: the provider answered, and made no link.
var ErrNoLink = errors.New("the payment provider made no link")

// LinkRequest is what a link is for. Purchase and Attempt make the provider's
// idempotency key, which it takes once.
type LinkRequest struct {
	Account, Purchase string
	Attempt           int
	// Amount to pay, the fee included.
	Amount domain.Amount
}

// Link is where a customer pays.
type Link struct {
	ID, URL string
	Attempt int
}

// PaymentStatus is what became of a payment.
type PaymentStatus int

// What a payment may be. One that is under way says nothing yet.
const (
	PaymentUnderWay PaymentStatus = iota
	PaymentArrived
	PaymentFailed
	// PaymentReturned: it had arrived and was given back.
	PaymentReturned
)

// Payment is what the provider says of one payment.
type Payment struct {
	ID                string
	Account, Purchase string
	// Link is the id of the link that was paid at.
	Link   string
	Amount domain.Amount
	Status PaymentStatus
	// Why it failed: the provider's code.
	Why string
	// Chargeback: it was given back because the customer's bank forced it.
	Chargeback bool
}

// Actions are the facts in what the provider says, in order. All of them are safe
// to repeat, in any order of the provider's messages: a payment that was given
// back had arrived before, whether or not anybody has heard of that.
func (p Payment) Actions() []account.Action {
	arrived := account.RecordPayment{Payment: p.ID, Purchase: p.Purchase, Link: p.Link, Amount: p.Amount}
	switch p.Status {
	case PaymentArrived:
		return []account.Action{arrived}
	case PaymentFailed:
		return []account.Action{account.RecordPaymentFailure{Payment: p.ID, Purchase: p.Purchase, Why: p.Why}}
	case PaymentReturned:
		kind := account.ReversalRefund
		if p.Chargeback {
			kind = account.ReversalChargeback
		}
		return []account.Action{arrived, account.ReversePurchase{Purchase: p.Purchase, Payment: p.ID, Kind: kind, Amount: p.Amount}}
	}
	return nil
}

// Purchases is the read model of purchases.
type Purchases interface {
	// PurchasesIn lists purchases in a status that were started at or after since,
	// oldest first, behind a cursor; next is empty at the end.
	PurchasesIn(ctx context.Context, status account.PurchaseStatus, since time.Time, after string) (page []OpenPurchase, next string, err error)
	// PurchasesChanged gets a value after a purchase was started.
	PurchasesChanged() <-chan struct{}
	// WaitThrough returns once the read model has everything up to position.
	WaitThrough(ctx context.Context, position eventstore.Position) error
}

// OpenPurchase is a purchase and whose it is.
type OpenPurchase struct {
	Account, ID string
	account.Purchase
}

func (p OpenPurchase) name() string { return p.Account + "/" + p.ID }
