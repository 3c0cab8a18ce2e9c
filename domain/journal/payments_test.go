package journal_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// books has an account and what its events were booked as.
type books struct {
	t      *testing.T
	state  *account.State
	claims map[string]bool
	totals journal.Totals
}

func newBooks(t *testing.T) *books {
	return &books{t: t, state: account.New(), claims: map[string]bool{}}
}

// do decides a command and books its events.
func (b *books) do(action account.Action) {
	b.t.Helper()
	cmd := account.Command{At: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), By: "ann", Do: action}
	if user, ok := action.(account.NameUser); ok {
		cmd.NameTaken = b.claims[user.NameFor(b.state)]
	}
	events, err := account.Decide(b.state, cmd)
	require.NoError(b.t, err)
	for _, e := range events {
		postings, err := journal.Of(e, b.state.Revision+1)
		require.NoError(b.t, err)
		b.totals.Post(postings)
		account.Evolve(b.state, e)
		if claim := account.ClaimOf(e); claim != "" {
			b.claims[claim] = true
		}
	}
}

func (b *books) lines(lines ...journal.Account) (text []string) {
	for _, line := range lines {
		text = append(text, b.totals[line].String())
	}
	return text
}

func payment(id string, amount domain.Amount) account.RecordPayment {
	return account.RecordPayment{Payment: id, Purchase: "p", Amount: amount}
}

func takenBack(id string, amount domain.Amount) account.ReversePurchase {
	return account.ReversePurchase{Purchase: "p", Payment: id, Kind: account.ReversalChargeback, Amount: amount}
}

// TestAReversalThatWaitedIsClosed: nothing is left where it waited.
func TestAReversalThatWaitedIsClosed(t *testing.T) {
	b := newBooks(t)
	b.do(takenBack("pay", 10*credit))
	require.Equal(t, []string{"-10", "10"}, b.lines(journal.ProviderClearing, journal.Unmatched))
	b.do(account.ResolvePayment{Payment: "reversal:pay", Returned: true})
	require.Equal(t, journal.Totals{}, b.totals)
}

// TestAChargebackThatIsToldOfTwice by finance and by the provider: ten came, and
// ten went.
func TestAChargebackThatIsToldOfTwice(t *testing.T) {
	b := newBooks(t)
	b.do(account.StartPurchase{Purchase: "p", Amount: 10 * credit})
	b.do(payment("pay", 10*credit))
	b.do(account.RecordChargeback{Purchase: "p"})
	b.do(takenBack("pay", 10*credit))
	b.do(account.ResolvePayment{Payment: "reversal:pay", Returned: true})
	require.Equal(t, journal.Totals{}, b.totals)
}

// TestClosingOfWhatWaitedBeforeKinds: events of before they said what had waited.
func TestClosingOfWhatWaitedBeforeKinds(t *testing.T) {
	for _, row := range []struct {
		event account.PaymentResolved
		want  string
	}{
		{account.PaymentResolved{Payment: "pay", Outcome: account.PaymentIsReturned, Amount: credit}, "assets:clearing:provider -1; liabilities:unmatched 1"},
		{account.PaymentResolved{Payment: "reversal:pay", Outcome: account.PaymentIsReturned, Amount: credit}, "assets:clearing:provider 1; liabilities:unmatched -1"},
		{account.PaymentResolved{Payment: "reversal:pay", Kind: account.KindPayment, Outcome: account.PaymentIsReturned, Amount: credit}, "assets:clearing:provider -1; liabilities:unmatched 1"},
		{account.PaymentResolved{Payment: "pay", Kind: account.KindRefund, Outcome: account.PaymentIsReturned, Amount: credit}, "assets:clearing:provider 1; liabilities:unmatched -1"},
		{account.PaymentResolved{Payment: "pay", Outcome: account.PaymentIsCredited, Amount: credit}, ""},
	} {
		got, err := journal.Of(&row.event, 1)
		require.NoError(t, err)
		require.Equal(t, row.want, text(got), "%+v", row.event)
	}
}

// TestTheFeeGoesBackWithItsPurchase, when the last of it goes: the provider then
// owes nothing, and nothing was earned.
func TestTheFeeGoesBackWithItsPurchase(t *testing.T) {
	fee := 200
	bought := func(t *testing.T, payments ...account.RecordPayment) *books {
		b := newBooks(t)
		b.do(account.SetPolicy{PurchaseFeeBasisPoints: &fee})
		b.do(account.StartPurchase{Purchase: "p", Amount: 10 * credit})
		for _, p := range payments {
			b.do(p)
		}
		require.Equal(t, []string{"10.2", "-0.2"}, b.lines(journal.ProviderClearing, journal.Fees))
		return b
	}
	t.Run("one payment", func(t *testing.T) {
		b := bought(t, payment("x", 10_200_000))
		b.do(takenBack("x", 10_200_000))
		require.Equal(t, journal.Totals{}, b.totals)
	})
	t.Run("two payments", func(t *testing.T) {
		b := bought(t, payment("x", 5*credit), payment("y", 5_200_000))
		b.do(takenBack("x", 5*credit))
		require.Equal(t, []string{"5.2", "-0.2"}, b.lines(journal.ProviderClearing, journal.Fees))
		b.do(takenBack("y", 5_200_000))
		require.Equal(t, journal.Totals{}, b.totals)
	})
	t.Run("one by the provider, the rest by finance", func(t *testing.T) {
		b := bought(t, payment("x", 5*credit), payment("y", 5_200_000))
		b.do(takenBack("x", 5*credit))
		b.do(account.RecordChargeback{Purchase: "p"})
		require.Equal(t, journal.Totals{}, b.totals)
	})
	t.Run("two payments, of which the first was all but the fee", func(t *testing.T) {
		b := bought(t, payment("x", 10*credit), payment("y", 200_000))
		b.do(takenBack("x", 10*credit))
		require.Equal(t, []string{"0.2", "-0.2"}, b.lines(journal.ProviderClearing, journal.Fees))
		b.do(takenBack("y", 200_000))
		require.Equal(t, journal.Totals{}, b.totals)
	})
	t.Run("the same, and finance was the first to know", func(t *testing.T) {
		b := bought(t, payment("x", 10*credit), payment("y", 200_000))
		b.do(account.RecordChargeback{Purchase: "p"})
		b.do(takenBack("y", 200_000))
		require.Equal(t, []string{"-0.2", "0.2"}, b.lines(journal.ProviderClearing, journal.Unmatched))
		b.do(account.ResolvePayment{Payment: "reversal:y", Returned: true})
		require.Equal(t, journal.Totals{}, b.totals)
	})
	t.Run("credits that were spent", func(t *testing.T) {
		b := bought(t, payment("x", 10_200_000))
		b.do(account.Deduct{Amount: 4 * credit, Service: domain.ServiceVM})
		b.do(takenBack("x", 10_200_000))
		require.Equal(t, []string{"0", "0", "4"}, b.lines(journal.ProviderClearing, journal.Fees, journal.ChargebackReceivable))
	})
}
