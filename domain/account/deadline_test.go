package account_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestDueAlwaysEnds: whatever stands open, of every kind of deadline at once and
// at the same instants, a command long after applies all of it, each thing once.
func TestDueAlwaysEnds(t *testing.T) {
	const seed, runs, commands = 20261125, 200, 40
	t.Logf("seed %d", seed)
	seen := map[string]int{}
	for n := range runs {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		s, at := account.New(), hour(0)
		run := func(do account.Action) int {
			events, err := account.Decide(s, account.Command{At: at, By: "ann", Do: do})
			if err != nil {
				return 0
			}
			for _, e := range events {
				seen[e.EventName()]++
				account.Evolve(s, e)
			}
			if len(s.Due) > 0 && !s.Due[0].At.After(at) {
				t.Fatalf("run %d: %v is due at %s and left", n, s.Due[0], at)
			}
			return len(events)
		}
		for i := range commands {
			id, amount := fmt.Sprint("id", i), domain.Amount(1+random.IntN(8))*credit
			soon := at.Add(time.Duration(1+random.IntN(4)) * 5 * time.Minute)
			run([]account.Action{
				account.GrantIncentive{Amount: amount, ExpiresAt: soon},
				account.RecordPurchase{Purchase: id, Amount: amount, ExpiresAt: soon},
				account.Reserve{Reservation: id, Amount: amount, Service: vm, ExpiresAt: soon},
				account.StartPurchase{Purchase: id, Amount: amount},
				account.RecordPayment{Payment: id, Purchase: fmt.Sprint("id", random.IntN(i+1)), Amount: amount / 2},
				deploy(id, "4", 1+random.IntN(3)),
				account.RecordUsage{Deployment: fmt.Sprint("id", random.IntN(i+1)), Amount: amount},
				account.ReversePurchase{Purchase: fmt.Sprint("id", random.IntN(i+1)), Kind: account.ReversalChargeback},
				account.Unfreeze{},
			}[random.IntN(9)])
			at = at.Add(time.Duration(random.IntN(3)) * 5 * time.Minute)
		}
		open := len(s.Due) + len(s.Lots) + len(s.Waiting)
		at = at.Add(10_000 * time.Hour)
		if applied, most := run(account.Tick{}), 20*(open+1); applied > most || len(s.Due)+len(s.Lots) > open {
			t.Fatalf("run %d: %d events for %d open things, %d deadlines left", n, applied, open, len(s.Due))
		}
		if again := run(account.Tick{}); len(s.Due) > 0 || again > 0 {
			t.Fatalf("run %d: a second tick has %d events and leaves %v", n, again, s.Due)
		}
	}
	for _, must := range []string{"lot-expired", "reservation-released", "purchase-expired", "deployment-completed", "deployment-failed", "deployment-resumed"} {
		if seen[must] == 0 {
			t.Errorf("no %s in %v", must, seen)
		}
	}
}
