package reactor_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/reactor"
)

// TestAPaymentHasOneHome, whatever account those who tell of it at once have found; none
// of them has recorded it yet.
func TestAPaymentHasOneHome(t *testing.T) {
	r := newRig(t)
	r.follow()
	claims := reactor.Claims{Store: r.store}
	for n := range 20 {
		told := account.ProviderPayment{Payment: fmt.Sprint("pay-", n), Status: account.ProviderSucceeded, Amount: credit}
		homes := make([]string, 3)
		var wg sync.WaitGroup
		for i, named := range []string{"a", "b", account.UnmatchedAccount} {
			wg.Go(func() {
				home, _, err := reactor.PaymentHome(t.Context(), r.ledger, claims, told, named)
				if err != nil {
					t.Error(err)
				}
				homes[i] = home
			})
		}
		wg.Wait()
		require.Equal(t, []string{homes[0], homes[0], homes[0]}, homes)
		again, _, err := reactor.PaymentHome(t.Context(), r.ledger, claims, told, "c")
		require.NoError(t, err)
		require.Equal(t, homes[0], again)
	}
}

// TestAFailedPaymentClaimsNothing: the account that it names may come to be before it
// is told that it did arrive.
func TestAFailedPaymentClaimsNothing(t *testing.T) {
	r := newRig(t)
	r.follow()
	claims := reactor.Claims{Store: r.store}
	told := account.ProviderPayment{Payment: "x", Status: account.ProviderFailed}
	_, _, err := reactor.PaymentHome(t.Context(), r.ledger, claims, told, account.UnmatchedAccount)
	require.NoError(t, err)
	told.Status = account.ProviderSucceeded
	home, _, err := reactor.PaymentHome(t.Context(), r.ledger, claims, told, "late")
	require.NoError(t, err)
	require.Equal(t, "late", home)
}

// TestAPaymentFromBeforeThereWereClaims stays where it stands: no claim says so yet.
func TestAPaymentFromBeforeThereWereClaims(t *testing.T) {
	r := newRig(t)
	r.follow()
	told := account.ProviderPayment{Payment: "x", Status: account.ProviderSucceeded, Amount: credit}
	r.do(account.UnmatchedAccount, told.Actions()[0])
	for range 2 {
		home, _, err := reactor.PaymentHome(t.Context(), r.ledger, reactor.Claims{Store: r.store}, told, "a")
		require.NoError(t, err)
		require.Equal(t, account.UnmatchedAccount, home)
	}
}

// TestAClaimThatIsNone stops whoever meets it: nothing is credited on a guess.
func TestAClaimThatIsNone(t *testing.T) {
	r := newRig(t)
	_, err := r.store.Append(t.Context(), eventstore.ClaimStream("x"), eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "noted", Data: []byte("{}")}})
	require.NoError(t, err)
	_, err = reactor.Claims{Store: r.store}.Claim(t.Context(), "x", reactor.Claim{Account: "a"})
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
}
