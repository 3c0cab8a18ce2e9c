package account

import (
	"fmt"

	"iocredits/domain"
)

// Fault is a rule that a state breaks. The decider never makes one: an auditor
// looks for them in a log that he doesn't trust.
type Fault struct {
	Rule            string
	Expected, Found string
}

// Faults finds what must hold after every event. owed is the spending debt
// before the event: to owe more needs an allowance that covers it.
func (f *Figures) Faults(owed domain.Amount) (faults []Fault) {
	for _, figure := range []struct {
		name  string
		value domain.Amount
	}{
		{"free promotional credits", f.FreePromotional},
		{"free purchased credits", f.FreePurchased},
		{"reserved promotional credits", f.HeldPromotional},
		{"reserved purchased credits", f.HeldPurchased},
		{"withdrawing", f.Withdrawing},
		{"spending debt", f.SpendingDebt},
		{"chargeback debt", f.ChargebackDebt},
	} {
		if figure.value < 0 {
			faults = append(faults, Fault{figure.name + " are never below zero", "0 or more", figure.value.String()})
		}
	}
	if limit := f.Allowance(); f.SpendingDebt > owed && f.Debt() > limit {
		faults = append(faults, Fault{"nothing is spent beyond the allowance", "debt up to " + limit.String(), f.Debt().String()})
	}
	return faults
}

// Faults finds what must hold after every command: while anything is owed,
// nothing unreserved is left (design.md rule 6).
func (s *State) Faults() []Fault {
	if free := s.FreePromotional + s.FreePurchased; s.Debt() > 0 && free > 0 {
		return []Fault{{"while something is owed nothing unreserved is left", "0", free.String()}}
	}
	return nil
}

// LotFaults compares the figures with the lots and holds that they are sums of.
func (s *State) LotFaults() (faults []Fault) {
	same := func(rule string, lots, figure domain.Amount) {
		if lots != figure {
			faults = append(faults, Fault{rule, figure.String(), lots.String()})
		}
	}
	free := map[Class]domain.Amount{}
	for _, l := range s.Lots {
		if l.Free <= 0 {
			faults = append(faults, Fault{fmt.Sprintf("lot %d holds credits", l.ID), "above 0", l.Free.String()})
		}
		free[l.Class] += l.Free
	}
	same("promotional lots add up to the free promotional credits", free[Promotional], s.FreePromotional)
	same("purchased lots add up to the free purchased credits", free[Purchased], s.FreePurchased)
	held := map[Class]domain.Amount{}
	for _, r := range s.Reservations {
		for _, class := range []Class{Promotional, Purchased} {
			held[class] += sumOf(r.Lots, class)
		}
	}
	same("reservations add up to the reserved promotional credits", held[Promotional], s.HeldPromotional)
	same("reservations add up to the reserved purchased credits", held[Purchased], s.HeldPurchased)
	withdrawing, promotional := domain.Amount(0), domain.Amount(0)
	for _, w := range s.Withdrawals {
		withdrawing += sum(w.Lots)
		promotional += sumOf(w.Lots, Promotional)
	}
	same("withdrawals add up to what is being withdrawn", withdrawing, s.Withdrawing)
	same("no withdrawal holds promotional credits", promotional, 0)
	return faults
}

// AmountFaults finds an amount that isn't what the event's lots and debt come to. Balances,
// entries and postings go by those, what may be refunded by the amount.
func AmountFaults(body domain.Event) []Fault {
	var stated, moved domain.Amount
	switch e := body.(type) {
	case *Deducted:
		stated, moved = e.Amount, sum(e.Lots)+e.Debt
	case *UsageMetered:
		stated, moved = e.Amount, sum(e.Lots)+e.Debt
	case *DeploymentPaid:
		stated, moved = e.Amount, sum(e.Lots)+e.Debt
	case *DeploymentExtended:
		stated, moved = e.Amount, sum(e.Lots)+e.Debt
	case *DeploymentUsed:
		stated, moved = e.Amount, sum(e.Lots)+e.Debt
	case *PurchaseReversed:
		stated, moved = e.Amount, sum(e.Lots)+e.Debt
	case *Adjusted:
		if stated = min(e.Amount, 0); stated < 0 {
			moved = -sum(e.Lots) - e.Debt
		}
	case *Refunded:
		stated, moved = e.Amount, sum(e.Lots)+e.Debt+e.Made
	case *Reserved:
		stated, moved = e.Amount, sum(e.Lots)
	case *Captured:
		stated, moved = e.Amount, sum(e.Lots)
	case *Released:
		stated, moved = e.Amount, sum(e.Lots)
	case *WithdrawalRequested:
		stated, moved = e.Amount, sum(e.Lots)
	case *WithdrawalPaid:
		stated, moved = e.Amount, sum(e.Lots)
	case *WithdrawalReturned:
		stated, moved = e.Amount, sum(e.Lots)
	}
	if stated == moved {
		return nil
	}
	return []Fault{{"an event's lots and debt add up to its amount", moved.String(), stated.String()}}
}
