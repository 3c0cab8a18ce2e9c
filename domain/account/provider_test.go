package account_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// told is a payment of which all that a provider may tell is filled in.
func told(status account.ProviderStatus) account.ProviderPayment {
	return account.ProviderPayment{
		Account: "acme", Purchase: "p", Payment: "pay", Link: "link", Status: status, Amount: 5 * credit,
		Why: "declined", Named: "elsewhere", Told: "5.0",
	}
}

// TestProviderActions: what a status of the provider records. Only money that has come,
// or has gone back, is a fact; and what has gone back had come.
func TestProviderActions(t *testing.T) {
	arrived := func(takenBack account.ReversalKind) account.RecordPayment {
		return account.RecordPayment{
			Payment: "pay", Purchase: "p", Link: "link", Amount: 5 * credit, Named: "elsewhere", Told: "5.0", TakenBack: takenBack,
		}
	}
	reversed := func(kind account.ReversalKind) account.ReversePurchase {
		return account.ReversePurchase{Purchase: "p", Payment: "pay", Kind: kind, Amount: 5 * credit}
	}
	for status, want := range map[account.ProviderStatus][]account.Action{
		account.ProviderPending:     nil,
		account.ProviderConfirmed:   nil,
		account.ProviderSucceeded:   {arrived("")},
		account.ProviderFailed:      {account.RecordPaymentFailure{Payment: "pay", Purchase: "p", Why: "declined"}},
		account.ProviderRefunded:    {arrived(account.ReversalRefund), reversed(account.ReversalRefund)},
		account.ProviderChargedBack: {arrived(account.ReversalChargeback), reversed(account.ReversalChargeback)},
		"of another time":           nil,
	} {
		require.Equal(t, want, told(status).Actions(), status)
		recorded := len(want) > 0 && status != account.ProviderFailed
		require.Equal(t, recorded, told(status).Recorded(), status)
	}
	odd := told(account.ProviderSucceeded)
	odd.Odd = account.WhyAmountInvalid
	require.Equal(t, account.WhyAmountInvalid, odd.Actions()[0].(account.RecordPayment).Odd)
	// Without an id nobody knows whether its arrival was told: only that it went back is.
	unnamed := told(account.ProviderRefunded)
	unnamed.Odd = account.WhyPaymentUnnamed
	back := reversed(account.ReversalRefund)
	back.Odd = account.WhyPaymentUnnamed
	require.Equal(t, []account.Action{back}, unnamed.Actions())
}

// TestProviderTellsMore: what is left to record of a payment whose arrival was recorded
// with another amount.
func TestProviderTellsMore(t *testing.T) {
	rest := func(recorded domain.Amount) account.Action {
		return account.RecordRest{Payment: "pay", Purchase: "p", Recorded: recorded, Amount: 5 * credit}
	}
	further := func(kind account.ReversalKind, amount domain.Amount) account.Action {
		return account.RecordFurtherReversal{Payment: "pay", Purchase: "p", Kind: kind, Recorded: 4 * credit, Amount: amount}
	}
	for _, c := range []struct {
		status   account.ProviderStatus
		amount   domain.Amount
		odd      account.UnmatchedWhy
		recorded domain.Amount
		want     account.Action
	}{
		{account.ProviderSucceeded, 5 * credit, "", 4 * credit, rest(4 * credit)},
		{account.ProviderSucceeded, 5 * credit, "", 5*credit - 1, rest(5*credit - 1)},
		{account.ProviderSucceeded, 5 * credit, "", 5 * credit, nil},
		{account.ProviderSucceeded, 5 * credit, "", 6 * credit, nil},
		{account.ProviderSucceeded, 5 * credit, account.WhyAmountInvalid, 4 * credit, nil},
		{account.ProviderRefunded, 5 * credit, "", 4 * credit, further(account.ReversalRefund, 5*credit)},
		{account.ProviderChargedBack, 2 * credit, "", 4 * credit, further(account.ReversalChargeback, 2*credit)},
		{account.ProviderRefunded, 0, "", 4 * credit, further(account.ReversalRefund, 4*credit)},
		{account.ProviderRefunded, 5 * credit, account.WhyAmountInvalid, 4 * credit, further(account.ReversalRefund, 5*credit)},
		{account.ProviderRefunded, 5 * credit, account.WhyPaymentUnnamed, 4 * credit, nil},
		{account.ProviderPending, 5 * credit, "", 4 * credit, nil},
		{account.ProviderFailed, 5 * credit, "", 4 * credit, nil},
	} {
		p := told(c.status)
		p.Amount, p.Odd = c.amount, c.odd
		require.Equal(t, c.want, p.More(c.recorded), "%+v", c)
	}
}
