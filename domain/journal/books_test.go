package journal_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// TestAClerkBooksWhatThePostingsSay, to every book, and says whether there was
// anything; an event that it can't book changes none of them.
func TestAClerkBooksWhatThePostingsSay(t *testing.T) {
	var clerk journal.Clerk
	var want, got journal.Totals
	for revision, event := range []domain.Event{
		&account.PurchaseSettled{Purchase: "p", Amount: 10 * credit, Fee: credit},
		&account.Deducted{Amount: 3 * credit, Service: domain.ServiceRay, Lots: []account.LotUse{paid(0, 2*credit)}, Debt: credit},
		&account.Frozen{},
		&account.Deducted{Amount: credit, Service: domain.ServiceVM, Lots: []account.LotUse{promo(0, credit)}},
	} {
		postings, err := journal.Of(event, int64(revision))
		require.NoError(t, err)
		want.Post(postings)
		effect := account.EffectOf(event, int64(revision))
		booked, err := clerk.Book(event, int64(revision), &effect, &got)
		require.NoError(t, err)
		require.Equal(t, len(postings) > 0, booked, event.EventName())
		require.Equal(t, want, got, event.EventName())
	}
	_, err := clerk.Book(unknownEvent{}, 9, new(account.Effect), &got)
	require.ErrorContains(t, err, "no journal rule")
	bad := account.EffectOf(&account.Frozen{}, 9)
	bad.SpendingDebt = credit
	_, err = clerk.Book(&account.Frozen{}, 9, &bad, &got)
	require.Error(t, err, "a debt has another side")
	require.Equal(t, want, got)
}

// TestTotalsAreReadAsTheyWereWritten, narrow lines and wide ones; and what was cut
// or is of another form is told, or reads as something else.
func TestTotalsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var totals, back journal.Totals
		for range rapid.IntRange(0, 6).Draw(t, "lines") {
			a := rapid.IntRange(0, int(journal.ChartSize)-1).Draw(t, "account")
			for range rapid.IntRange(1, 3).Draw(t, "adds") {
				totals[a] = totals[a].Add(domain.Amount(rapid.Int64().Draw(t, "amount")))
			}
		}
		stored, err := totals.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := back.UnmarshalBinary(stored); err != nil || back != totals {
			t.Fatalf("%v: %s reads as %s", err, &totals, &back)
		}
		for cut := range stored {
			if back.UnmarshalBinary(stored[:cut]) == nil && back == totals {
				t.Fatalf("%s reads as itself from %d of %d bytes", &totals, cut, len(stored))
			}
		}
	})
	for name, stored := range map[string][]byte{
		"a line of zero":        {1, 0},
		"a wide line of one":    {1 | 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		"a wide line cut":       {1 | 0x80, 1, 2},
		"lines in no order":     {2, 2, 1, 2},
		"a line twice":          {2, 2, 2, 2},
		"no line of the chart":  {byte(journal.ChartSize), 2},
		"a number without end":  {1, 0xff},
		"a number of 77 bits":   {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"an account and no sum": {1},
	} {
		require.Error(t, new(journal.Totals).UnmarshalBinary(stored), name)
	}
}

// TestTotalsOfTwoBooks: they add up line by line, and what has no other side stays open.
func TestTotalsOfTwoBooks(t *testing.T) {
	var one, other journal.Totals
	one.Post([]journal.Posting{{Account: journal.ProviderClearing, Amount: 5 * credit}, {Account: journal.PurchasedCredits, Amount: -5 * credit}})
	other.Post([]journal.Posting{{Account: journal.PurchasedCredits, Amount: 2 * credit}, {Account: journal.RevenueCaaS, Amount: -credit}})
	one.Plus(&other)
	require.Equal(t, "assets:clearing:provider 5; liabilities:credits:purchased -3; revenue:caas -1; ", one.String())
	require.Equal(t, "3", one.Balance().String())
	require.Equal(t, []string{"1", "1"}, []string{one.Open().String(), other.Open().String()})
	require.Equal(t, "unknown", journal.ChartSize.String())
}
