package account

import "iocredits/domain"

// DebtKind tells the two debts apart (money.md, Debt).
type DebtKind string

// Chargeback debt is paid before spending debt.
const (
	DebtChargeback DebtKind = "chargeback"
	DebtSpending   DebtKind = "spending"
)

// DebtRepaid takes credits that arrived to pay what is owed. The balance does
// not change, so the history shows nothing.
type DebtRepaid struct {
	plain
	Debt DebtKind `json:"debt"`
	Lots []LotUse `json:"lots"`
}

// EventName is the stored type.
func (*DebtRepaid) EventName() string { return "debt-repaid" }

func (e *DebtRepaid) effect() Effect {
	if e.Debt == DebtChargeback {
		return Effect{Taken: e.Lots, ChargebackDebt: -sum(e.Lots)}
	}
	return Effect{Taken: e.Lots, SpendingDebt: -sum(e.Lots)}
}

func (e *DebtRepaid) evolve(s *State) {
	if e.Debt == DebtChargeback {
		s.repayReversal(e.Lots)
		return
	}
	s.DebtPaidByPurchased += sumOf(e.Lots, Purchased)
}

// repayDebt restores the invariant of design.md rule 6: while anything is owed,
// nothing unreserved is left.
func (d *decision) repayDebt() {
	d.repay(DebtChargeback, d.now().ChargebackDebt)
	d.repay(DebtSpending, d.now().SpendingDebt)
}

func (d *decision) repay(kind DebtKind, owed domain.Amount) {
	if owed == 0 {
		return
	}
	uses, _ := d.now().Lots.pick(owed)
	if len(uses) == 0 {
		return
	}
	for _, some := range split(uses) {
		d.emit(&DebtRepaid{Debt: kind, Lots: some})
	}
}
