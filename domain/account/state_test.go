package account_test

import (
	"fmt"
	"testing"

	"iocredits/domain/account"
)

// TestStateForgets: what is spent, closed or in effect leaves nothing behind, so
// the state is as large as what is open, whatever the length of the log.
func TestStateForgets(t *testing.T) {
	s := account.New()
	life := func(n int) {
		id := fmt.Sprint("id", n)
		for _, c := range []account.Command{
			{By: "ann", Do: deploy(id, "1", 1)}, // waits, is paid and runs to its end
			{By: "ann", Do: account.GrantIncentive{Amount: 6 * credit, ExpiresAt: hour(9 * (n + 1))}},
			{By: "ann", Do: deploy(id+"b", "9", 1)}, // waits, and fails
			{By: "ann", Do: account.Deduct{Amount: credit, Service: vm}},
			{By: "ann", Do: account.Reserve{Reservation: id, Amount: 2 * credit, Service: vm, ExpiresAt: hour(9*n + 5)}},
			{By: "ann", Do: account.Capture{Reservation: id, Amount: credit, Final: true}},
			{By: "ann", Do: account.Reserve{Reservation: id + "b", Amount: credit, Service: vm, ExpiresAt: hour(9*n + 5)}},
			{By: "ann", Do: finally(reading(id, "1", "0.5"))},
			{By: "ann", Do: account.RequestAdjustment{Adjustment: id, Amount: -credit}},
			{By: "bob", Do: account.ApproveAdjustment{Adjustment: id}},
			{By: "ann", Do: account.Tick{}, At: hour(9 * (n + 1))},
		} {
			if c.At.IsZero() {
				c.At = hour(9 * n)
			}
			events, err := account.Decide(s, c)
			if err != nil {
				t.Fatalf("%T: %v", c.Do, err)
			}
			for _, e := range events {
				account.Evolve(s, e)
			}
		}
	}
	empty := account.New()
	for n := range 2000 {
		life(n)
	}
	events := s.Revision + 1
	if s.Revision = -1; stored(t, s) != stored(t, empty) {
		t.Errorf("after %d events the state of an empty account is %.500s", events, stored(t, s))
	}
	if events < 2000*11 {
		t.Errorf("only %d events", events)
	}
}
