package account

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// TestLotFaults: an auditor sees a figure that isn't the sum of its lots and
// holds, and a withdrawal of what can't be withdrawn.
func TestLotFaults(t *testing.T) {
	s := New()
	for _, event := range []domain.Event{
		&PurchaseSettled{Purchase: "p", Amount: 10 * domain.Credit},
		&IncentiveGranted{Amount: 5 * domain.Credit},
		&Reserved{Reservation: "r", Amount: 2 * domain.Credit, Lots: []LotUse{{Lot: 1, Class: Promotional, Amount: 2 * domain.Credit}}},
		&WithdrawalRequested{Withdrawal: "w", Amount: 4 * domain.Credit, Lots: []LotUse{{Lot: 0, Class: Purchased, Amount: 4 * domain.Credit}}},
	} {
		Evolve(s, event)
	}
	require.Empty(t, s.LotFaults())
	for rule, change := range map[string]func(*State){
		"promotional lots add up to the free promotional credits": func(s *State) { s.FreePromotional++ },
		"purchased lots add up to the free purchased credits":     func(s *State) { s.FreePurchased-- },
		"reservations add up to the reserved promotional credits": func(s *State) { s.HeldPromotional++ },
		"reservations add up to the reserved purchased credits":   func(s *State) { s.HeldPurchased++ },
		"withdrawals add up to what is being withdrawn":           func(s *State) { s.Withdrawing-- },
		"lot 0 holds credits": func(s *State) { s.FreePurchased = 0; s.Lots[len(s.Lots)-1].Free = 0 },
	} {
		c := s.branch()
		change(c)
		faults := c.LotFaults()
		require.Len(t, faults, 1, rule)
		require.Equal(t, rule, faults[0].Rule)
	}
	Evolve(s, &WithdrawalRequested{Withdrawal: "x", Amount: domain.Credit, Lots: []LotUse{{Lot: 1, Class: Promotional, Amount: domain.Credit}}})
	faults := s.LotFaults()
	require.Len(t, faults, 1)
	require.Equal(t, "no withdrawal holds promotional credits", faults[0].Rule)
}
