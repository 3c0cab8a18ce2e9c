package account_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestOverdueInParts: what is due ends alike, in as many decisions as it takes and in one.
// A hold of more lots than one may end gives them back in parts, which pay what is owed as
// all of them would.
func TestOverdueInParts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	decide := func(s *account.State, at time.Time, do account.Action) []domain.Event {
		t.Helper()
		events, err := account.Decide(s, account.Command{At: at, By: "a", Do: do})
		require.NoError(t, err)
		for _, e := range events {
			account.Evolve(s, e)
		}
		return events
	}
	for _, life := range []string{"small holds", "a large hold", "a large hold and debt"} {
		s := account.New()
		large, owing := life != "small holds", life == "a large hold and debt"
		decide(s, hour(1), account.RecordPurchase{Purchase: "spent", Amount: 500 * credit})
		decide(s, hour(1), account.Deduct{Amount: 500 * credit, Service: vm})
		for i := range 600 {
			amount, until := domain.Amount(1+rng.Int64N(9))*credit, hour(2+rng.IntN(40))
			available := s.Balance().Available
			switch {
			case large && i == 300:
				decide(s, hour(1), account.Reserve{Reservation: "large", Amount: available, Service: vm, ExpiresAt: until})
			case amount <= available && rng.IntN(2) == 0:
				decide(s, hour(1), account.Reserve{Reservation: fmt.Sprint(i), Amount: amount, Service: vm, ExpiresAt: until})
			case owing && i%3 > 0:
				decide(s, hour(1), account.RecordPurchase{Purchase: fmt.Sprint(i), Amount: amount})
			default:
				decide(s, hour(1), account.GrantIncentive{Amount: 3 * amount, ExpiresAt: until})
			}
		}
		if owing {
			decide(s, hour(1), account.Reserve{Reservation: "rest", Amount: s.Balance().Available, Service: vm, ExpiresAt: hour(45)})
			decide(s, hour(1), account.ReversePurchase{Purchase: "spent", Kind: account.ReversalChargeback})
			decide(s, hour(1), account.Unfreeze{})
			require.Equal(t, 500*credit, s.Balance().Debt)
		}
		parts, whole := newHistory(t).reload(stored(t, s)), newHistory(t).reload(stored(t, s))
		end := func() time.Time { return hour(50) }
		require.True(t, parts.Overdue(end))
		require.False(t, parts.Overdue(func() time.Time { return hour(1) }))
		var ticked []domain.Event
		for n := 0; parts.Overdue(end); n++ {
			require.Less(t, n, 600)
			events := decide(parts, end(), account.Tick{})
			require.NotEmpty(t, events)
			require.Less(t, len(events), 100*4)
			ticked = append(ticked, events...)
		}
		ticked = append(ticked, decide(parts, end(), account.Freeze{})...)
		once := decide(whole, end(), account.Freeze{})
		if !large {
			require.True(t, reflect.DeepEqual(once, ticked), "the same events")
		}
		parts.Revision = whole.Revision
		require.Equal(t, whole, parts)
		require.False(t, parts.Overdue(end))
	}
}

// TestOldestWaitsForAllOfAHold: what a hold gives back in parts pays what waits as if it
// had come at once.
func TestOldestWaitsForAllOfAHold(t *testing.T) {
	h := newHistory(t)
	run := func(at time.Time, do account.Action) {
		t.Helper()
		_, err := h.execute(step{at: at, by: "ann", do: do})
		require.NoError(t, err)
	}
	run(hour(0), account.SetPolicy{GraceMinutes: ptr(600)})
	for range 150 {
		run(hour(0), account.GrantIncentive{Amount: credit})
	}
	run(hour(0), account.Reserve{Reservation: "h", Amount: 150 * credit, Service: vm, ExpiresAt: hour(1)})
	run(hour(0), deploy("old", "140", 1))
	run(hour(0), deploy("young", "20", 1))
	for h.state.Overdue(func() time.Time { return hour(1) }) {
		run(hour(1), account.Tick{})
	}
	run(hour(1), account.Tick{})
	require.Equal(t, account.DeploymentIsActive, h.state.Deployments["old"].State)
	require.Equal(t, account.DeploymentIsPending, h.state.Deployments["young"].State)
}
