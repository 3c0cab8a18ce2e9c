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
	Payments(ctx context.Context, purchase string) ([]account.ProviderPayment, error)
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
