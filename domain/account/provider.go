package account

import (
	"crypto/sha256"
	"encoding/hex"

	"iocredits/domain"
)

// UnmatchedAccount has the payments that named no account that we know. Accounts
// that begin with "@" are the engine's own: none comes from outside.
const UnmatchedAccount = "@unmatched"

// ProviderStatus is what the payment provider says of a payment.
type ProviderStatus string

// The provider's statuses (io-credits.md, SpherePay). It tells of a chargeback
// as it does of a refund.
const (
	ProviderPending     ProviderStatus = "pending"
	ProviderConfirmed   ProviderStatus = "confirmed"
	ProviderSucceeded   ProviderStatus = "succeeded"
	ProviderFailed      ProviderStatus = "failed"
	ProviderRefunded    ProviderStatus = "refunded"
	ProviderChargedBack ProviderStatus = "charged-back"
)

// ProviderPayment is a payment as the provider has it, from a webhook or from an
// answer to the reconciliation.
type ProviderPayment struct {
	// Account and Purchase are what the link's metadata names; they may be
	// anything, or nothing.
	Account, Purchase string
	Payment, Link     string
	Status            ProviderStatus
	Amount            domain.Amount
	// Why is the provider's code of a failure.
	Why string
	// Named is Account, if the payment can't be recorded there.
	Named string
}

// Normal is the payment with ids that our own can be: whoever learns of it, by
// whatever way, records the same.
func (p ProviderPayment) Normal() ProviderPayment {
	p.Payment, p.Link = shortID(p.Payment), shortID(p.Link)
	if domain.CheckID("purchase", p.Purchase) != nil {
		p.Purchase = ""
	}
	return p
}

// shortID takes the provider's id as it is, or a digest of one that has a form
// which our ids can't have.
func shortID(id string) string {
	if id == "" || domain.CheckID("id", id) == nil && len(id) <= 100 {
		return id
	}
	digest := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(digest[:16])
}

// Actions are what has to be recorded, in order; each may be recorded again. A
// payment that was taken back has arrived before, though the provider's events
// come in any order and may be lost: so it is recorded first, or what tells of
// its arrival would credit it later. p MUST be Normal.
func (p ProviderPayment) Actions() []Action {
	arrived := RecordPayment{Payment: p.Payment, Purchase: p.Purchase, Link: p.Link, Amount: p.Amount, Named: p.Named}
	reversed := ReversePurchase{Purchase: p.Purchase, Payment: p.Payment, Amount: p.Amount}
	switch p.Status {
	case ProviderSucceeded:
		return []Action{arrived}
	case ProviderFailed:
		return []Action{RecordPaymentFailure{Payment: p.Payment, Purchase: p.Purchase, Why: p.Why}}
	case ProviderRefunded:
		reversed.Kind = ReversalRefund
		return []Action{arrived, reversed}
	case ProviderChargedBack:
		reversed.Kind = ReversalChargeback
		return []Action{arrived, reversed}
	}
	return nil
}
