package account

import (
	"cmp"

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
	// Odd and Told are as in RecordPayment.
	Odd  UnmatchedWhy
	Told string
}

// Recorded says that it has arrived by what the provider tells, so that something of it
// is recorded in an account: its arrival, that it was taken back, or both.
func (p ProviderPayment) Recorded() bool { return p.Status == ProviderSucceeded || p.takenBack() }

func (p ProviderPayment) takenBack() bool { return p.reversal() != "" }

// reversal is how it was taken back; "" if it wasn't.
func (p ProviderPayment) reversal() ReversalKind {
	switch p.Status {
	case ProviderChargedBack:
		return ReversalChargeback
	case ProviderRefunded:
		return ReversalRefund
	}
	return ""
}

// Actions are what has to be recorded, in order; each may be recorded again. A
// payment that was taken back has arrived before, though the provider's events
// come in any order and may be lost: so it is recorded first, or what tells of
// its arrival would credit it later. Its ids MUST be ones that ours can be:
// whoever asks has seen to that.
func (p ProviderPayment) Actions() []Action {
	arrived := RecordPayment{
		Payment: p.Payment, Purchase: p.Purchase, Link: p.Link, Amount: p.Amount, Named: p.Named, Odd: p.Odd, Told: p.Told,
		TakenBack: p.reversal(),
	}
	switch {
	case p.Status == ProviderSucceeded:
		return []Action{arrived}
	case p.Status == ProviderFailed:
		return []Action{RecordPaymentFailure{Payment: p.Payment, Purchase: p.Purchase, Why: p.Why}}
	case !p.takenBack():
		return nil
	}
	reversed := ReversePurchase{Purchase: p.Purchase, Payment: p.Payment, Kind: p.reversal(), Amount: p.Amount}
	if p.Odd == WhyPaymentUnnamed {
		// Its arrival, if it was told, has another id: people have to find it.
		reversed.Odd = p.Odd
		return []Action{reversed}
	}
	return []Action{arrived, reversed}
}

// More is what has to be recorded after Actions: what it tells beyond the amount with
// which its arrival, or its reversal, was recorded first. Nil: nothing. recorded is the
// former amount. It belongs where the last of Actions does.
func (p ProviderPayment) More(recorded domain.Amount) Action {
	switch {
	case p.Status == ProviderSucceeded && p.Odd == "" && p.Amount > recorded:
		return RecordRest{Payment: p.Payment, Purchase: p.Purchase, Recorded: recorded, Amount: p.Amount}
	case p.takenBack() && p.Odd != WhyPaymentUnnamed:
		return RecordFurtherReversal{
			Payment: p.Payment, Purchase: p.Purchase, Kind: p.reversal(), Recorded: recorded,
			Amount: cmp.Or(p.Amount, recorded), // without an amount it is the whole
		}
	}
	return nil
}
