package journal

import (
	"fmt"

	"iocredits/domain"
	"iocredits/domain/account"
)

// Posting is one line of a journal entry.
type Posting struct {
	Account Account
	// Amount is a debit if positive, a credit if negative; never 0.
	Amount domain.Amount
}

// Of derives the postings of an event, in the order of the chart; none for an
// event that moves no money. revision is the event's own. They add up to zero.
//
// Error: the event's type has no rule, or its rule doesn't fit what the event
// does. Both are mistakes of the program: the log has what the books can't hold.
func Of(event domain.Event, revision int64) ([]Posting, error) {
	effect := account.EffectOf(event, revision)
	var e entry
	if err := e.derive(event, revision, &effect); err != nil {
		return nil, err
	}
	return e.postings(), nil
}

// Clerk books many events, in memory of its own. The zero value is ready; not for
// concurrent use.
type Clerk struct{ e entry }

// Book adds the postings of an event, those that Of gives, to books; false if it has none.
func (c *Clerk) Book(event domain.Event, revision int64, effect *account.Effect, books *Totals) (bool, error) {
	c.e = entry{}
	if err := c.e.derive(event, revision, effect); err != nil {
		return false, err
	}
	moves := false
	for a, amount := range c.e {
		if amount == 0 {
			continue
		}
		moves = true
		books[a] = books[a].Add(amount)
	}
	return moves, nil
}

// entry is the postings of one event under construction.
type entry [ChartSize]domain.Amount

func (e *entry) derive(event domain.Event, revision int64, effect *account.Effect) error {
	rule, known := rules[event.EventName()]
	if !known {
		return fmt.Errorf("event type %q has no journal rule", event.EventName())
	}
	e.customer(effect)
	if err := rule(e, event); err != nil {
		return fmt.Errorf("journal of %s at revision %d: %w", event.EventName(), revision, err)
	}
	if open := e.open(); open != 0 {
		return fmt.Errorf("journal of %s at revision %d: %s has no other side", event.EventName(), revision, open)
	}
	return nil
}

// customer posts what the event does to lots, holds and debt. A liability grows
// by a credit, so what the customer gains is negative here.
func (e *entry) customer(effect *account.Effect) {
	e.lots(effect.Given, -1, PurchasedCredits, PromotionalCredits)
	e[byClass(effect.Made.Class, PurchasedCredits, PromotionalCredits)] -= effect.Made.Amount
	e.lots(effect.Taken, +1, PurchasedCredits, PromotionalCredits)
	purchased, promotional := PurchasedReserved, PromotionalReserved
	if effect.Hold.Kind == account.HoldWithdrawal {
		purchased, promotional = Withdrawals, Withdrawals
	}
	e.lots(effect.Hold.In, -1, purchased, promotional)
	e.lots(effect.Hold.Out, +1, purchased, promotional)
	e[SpendingReceivable] += effect.SpendingDebt
	e[ChargebackReceivable] += effect.ChargebackDebt
	e[Provision] -= effect.ChargebackDebt
	e[ChargebackLoss] += effect.ChargebackDebt
}

func (e *entry) lots(uses []account.LotUse, sign domain.Amount, purchased, promotional Account) {
	for _, use := range uses {
		e[byClass(use.Class, purchased, promotional)] += sign * use.Amount
	}
}

// open is what is debited and not credited yet.
func (e *entry) open() (sum domain.Amount) {
	for _, amount := range e {
		sum += amount
	}
	return sum
}

// close posts all that is open to one account.
func (e *entry) close(to Account) { e[to] -= e.open() }

// move posts an amount that no customer has a part in.
func (e *entry) move(debit, credit Account, amount domain.Amount) {
	e[debit] += amount
	e[credit] -= amount
}

func (e *entry) postings() []Posting {
	n := 0
	for _, amount := range e {
		if amount != 0 {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	list := make([]Posting, 0, n)
	for a, amount := range e {
		if amount != 0 {
			list = append(list, Posting{Account(a), amount})
		}
	}
	return list
}
