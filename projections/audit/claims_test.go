package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/reactor"
	"iocredits/projections/audit"
)

// claimed is a log in which payments were claimed, then recorded.
func claimed(t *testing.T) []eventstore.Recorded {
	c := newCompany(t)
	pay := func(name, payment, purchase string) {
		home, err := reactor.Claims{Store: c.store}.Claim(bg, payment, reactor.Claim{Account: name})
		require.NoError(t, err)
		c.must(home.Account, account.RecordPayment{Payment: payment, Purchase: purchase, Amount: 10 * credit})
	}
	c.must("a", account.RecordPayment{Payment: "before", Purchase: "x", Amount: credit}) // by a version without claims
	c.must("a", account.StartPurchase{Purchase: "p", Amount: 10 * credit})
	pay("a", "one", "p")
	pay("b", "two", "unknown")
	_, err := reactor.Claims{Store: c.store}.Claim(bg, "crashed", reactor.Claim{Account: "a"})
	require.NoError(t, err)
	_, err = reactor.Claims{Store: c.store}.Claim(bg, "before", reactor.Claim{Account: "b"})
	require.NoError(t, err)
	return c.log()
}

// TestVerifyHoldsClaimsToPayments: which account a payment went to is twice in the log,
// and one of them is under no hash.
func TestVerifyHoldsClaimsToPayments(t *testing.T) {
	events := claimed(t)
	_, found := verify(t, audit.Source{Store: rewritten(t, events)}, nil)
	require.Empty(t, found)
	for stream, data := range map[string]string{
		"claim-one": `{"account":"b"}`, "claim-two": `{"account":"a"}`, "claim-crashed": `{"account":""}`, "claim-before": `nonsense`,
	} {
		forged := append([]eventstore.Recorded{}, events...)
		changed := 0
		for i := range forged {
			if forged[i].Stream == stream {
				forged[i].Data = []byte(data)
				changed++
			}
		}
		require.Equal(t, 1, changed)
		_, found := verify(t, audit.Source{Store: rewritten(t, forged)}, nil)
		require.Len(t, found, 1, stream)
		require.Equal(t, audit.CheckClaim, found[0].Check)
		require.Equal(t, stream, eventstore.ClaimStream(found[0].What))
	}
}
