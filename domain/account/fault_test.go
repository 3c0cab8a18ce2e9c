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

// TestFaults: an auditor sees figures below zero, spending debt beyond what the
// allowance covers, and credits left beside what is owed (design.md rule 6).
func TestFaults(t *testing.T) {
	sound := Figures{
		FreePromotional: 1, FreePurchased: 1, HeldPromotional: 1, HeldPurchased: 1, Withdrawing: 1,
		Paid: domain.Credit, Policy: DefaultPolicy(),
	}
	require.Empty(t, sound.Faults(0))
	require.Empty(t, (&Figures{}).Faults(0), "nothing is no fault")
	for rule, figure := range map[string]func(*Figures) *domain.Amount{
		"free promotional credits are never below zero":     func(f *Figures) *domain.Amount { return &f.FreePromotional },
		"free purchased credits are never below zero":       func(f *Figures) *domain.Amount { return &f.FreePurchased },
		"reserved promotional credits are never below zero": func(f *Figures) *domain.Amount { return &f.HeldPromotional },
		"reserved purchased credits are never below zero":   func(f *Figures) *domain.Amount { return &f.HeldPurchased },
		"withdrawing are never below zero":                  func(f *Figures) *domain.Amount { return &f.Withdrawing },
		"spending debt are never below zero":                func(f *Figures) *domain.Amount { return &f.SpendingDebt },
		"chargeback debt are never below zero":              func(f *Figures) *domain.Amount { return &f.ChargebackDebt },
	} {
		f := sound
		*figure(&f) = -1
		require.Equal(t, []Fault{{rule, "0 or more", "-0.000001"}}, f.Faults(0))
	}
	owing := Figures{SpendingDebt: 10 * domain.Credit, Paid: 1, Policy: DefaultPolicy()}
	require.Empty(t, owing.Faults(0), "the allowance covers it")
	owing.ChargebackDebt = 1
	beyond := []Fault{{"nothing is spent beyond the allowance", "debt up to 10", "10.000001"}}
	require.Equal(t, beyond, owing.Faults(9*domain.Credit))
	require.Empty(t, owing.Faults(10*domain.Credit), "a reversal took what was spent before")

	s := &State{Figures: Figures{FreePurchased: 1}}
	require.Empty(t, s.Faults())
	s.SpendingDebt = 1
	left := Fault{"while something is owed nothing unreserved is left", "0", "0.000001"}
	require.Equal(t, []Fault{left}, s.Faults())
	s.FreePurchased, s.HeldPurchased = 0, 1
	require.Empty(t, s.Faults(), "what is reserved may be")
	s.FreePromotional, s.SpendingDebt, s.ChargebackDebt = 1, 0, 1
	require.Equal(t, []Fault{left}, s.Faults())
}
