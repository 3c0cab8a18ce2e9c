package account

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
)

// Refunded gives back some of a deduction: to its lots, then against the debt
// that it made, then as a lot of its own (money.md, Refund).
type Refunded struct {
	plain
	// Deduction is the transaction that is refunded, Revision its place. A
	// deployment that ends knows only the place of its payments.
	Deduction uuid.UUID      `json:"deduction,omitzero"`
	Revision  int64          `json:"deduction_revision"`
	Amount    domain.Amount  `json:"amount"`
	Service   domain.Service `json:"service"`
	Reference string         `json:"reference,omitempty"`
	Reason    domain.Sealed  `json:"reason,omitempty"`
	Lots      []LotUse       `json:"lots,omitempty"`
	// Debt is open spending debt that ends.
	Debt domain.Amount `json:"debt,omitzero"`
	// Made is a new lot of Class, for debt that was paid long ago. It has no date, of
	// either class, because no rule gives it one: promotional credits expire at their
	// own stated date (a grant or an adjustment may have none), and nobody stated one
	// here; purchased credits a while after their purchase, and which purchase paid
	// the debt isn't kept (money.md, Refund: one counter). A date counted from the
	// refund would be a promise that nobody made, and could take from a customer what
	// was bought without a date.
	Made  domain.Amount `json:"made,omitzero"`
	Class Class         `json:"class,omitempty"`
	// EffectiveAt is set where a deadline gave it back.
	EffectiveAt time.Time `json:"effective_at,omitzero"`
	Part        Part      `json:"part,omitzero"`
}

// EventName is the stored type.
func (*Refunded) EventName() string { return "refunded" }

func (e *Refunded) effect() Effect {
	return Effect{Given: e.Lots, SpendingDebt: -e.Debt, Made: LotUse{Class: e.Class, Amount: e.Made}}
}

func (e *Refunded) entry() Entry {
	entry := Entry{
		Type: EntryRefund, Service: e.Service, Lots: e.Lots,
		Reference: e.Reference, Description: e.Reason, EffectiveAt: e.EffectiveAt, Related: e.Deduction,
	}
	if e.Deduction == uuid.Nil {
		entry.RelatedRevision = new(e.Revision)
	}
	return entry
}

func (e *Refunded) parts() Part { return e.Part }

func (e *Refunded) about() (int64, uuid.UUID) { return e.Revision, e.Deduction }

func (e *Refunded) evolve(s *State) {
	put(&s.Refunded, e.Revision, s.refunded(e.Revision)+e.Amount)
	if e.Class == Purchased && e.Made > 0 {
		s.DebtPaidByPurchased -= e.Made
		s.made(s.Revision)
	}
	if e.Deduction == uuid.Nil {
		s.returned(e)
	}
}

// Refund gives back a deduction, a capture or a metered charge; whole, or in
// pieces up to what is left of it.
//
// Checks, in order: unknown-transaction; not-a-deduction; amount-invalid,
// amount-too-large; self-approval (by who opened a dispute on it that is open);
// refund-exceeds-deduction; amount-too-large (MaxBalance). The last can't meet a
// customer: it takes deductions of more than an account may hold. But deductions are
// as many as there were inflows to spend, so without it refunds of all of them at
// once would leave an int64. Only this one is refused: what comes back of a hold or
// a deployment has its room kept (decision.room).
type Refund struct {
	Transaction domain.TransactionID
	// Amount to give back; zero: all that is left.
	Amount domain.Amount
	Reason domain.Sealed
}

// OriginalID is the deduction that the write side has to read.
func (c Refund) OriginalID(*State) domain.TransactionID { return c.Transaction }

func (c Refund) decide(d *decision) error {
	original, err := c.original(d.cmd.Original)
	if err != nil {
		return err
	}
	if c.Amount != 0 {
		if err := positive(c.Amount); err != nil {
			return err
		}
	}
	revision := d.cmd.Original[0].Revision
	if id, x, open := d.now().disputeOf(revision); open && !x.mayDecide(d.cmd.By) {
		return domain.Refuse(domain.CodeSelfApproval, "%s opened dispute %q on transaction %s and can't refund it: another person has to resolve the dispute, or refund",
			d.cmd.By, id, c.Transaction).
			With("field", "transaction_id").With("value", c.Transaction.String()).With("dispute_id", id)
	}
	done := d.now().refunded(revision)
	left := original.amount - done
	amount := c.Amount
	if amount == 0 {
		amount = left
	}
	if amount > left || left == 0 {
		return tooMuchBack(original.amount, done, c.Amount)
	}
	if err := d.room(amount - original.owed(done, amount, d.now())); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.giveBack(original, done, amount, Refunded{
		Deduction: c.Transaction, Revision: revision,
		Service: original.service, Reference: original.reference, Reason: c.Reason,
	})
	d.arrived()
	return nil
}

// tooMuchBack refuses to give back more than a deduction has left; asked is zero
// where no amount was named.
func tooMuchBack(deducted, done, asked domain.Amount) error {
	left := deducted - done
	detail := fmt.Sprintf("the deduction of %s has %s left to refund", deducted, left)
	if left == 0 && done > 0 {
		detail = fmt.Sprintf("the deduction of %s was refunded in full before", deducted)
	}
	refusal := domain.Refuse(domain.CodeRefundExceeds, "%s", detail).
		With("deducted", deducted.String()).With("refunded", done.String()).With("refundable", left.String())
	if asked > 0 {
		refusal = refusal.With("required", asked.String())
	}
	return refusal
}

func unknownTransaction(field string, id domain.TransactionID) error {
	return domain.Refuse(domain.CodeUnknownTransaction, "the account has no transaction %s", id).
		With("field", field).With("value", id.String())
}

// original puts the parts of the deduction together.
func (c Refund) original(events []Recorded) (charge, error) {
	if len(events) == 0 {
		return charge{}, unknownTransaction("transaction_id", c.Transaction)
	}
	var whole charge
	for i, recorded := range events {
		one, ok := recorded.Event.(charged)
		if !ok {
			return charge{}, domain.Refuse(domain.CodeNotADeduction, "transaction %s is not a deduction", c.Transaction).
				With("field", "transaction_id").With("value", c.Transaction.String())
		}
		if part := one.parts(); i == 0 && !part.first() {
			first := recorded.Revision - int64(part.Index-1)
			return charge{}, domain.Refuse(domain.CodeNotADeduction,
				"transaction %s is part %d of %d of a deduction: name its first part, which is at revision %d", c.Transaction, part.Index, part.Count, first).
				With("field", "transaction_id").With("value", c.Transaction.String()).With("first_revision", strconv.FormatInt(first, 10))
		}
		some := one.charge()
		if i == 0 {
			whole = some
			continue
		}
		whole.amount += some.amount
		whole.lots = append(whole.lots[:len(whole.lots):len(whole.lots)], some.lots...)
		whole.debt += some.debt
	}
	return whole, nil
}

// ofDebt is what a refund of amount, after done, gives back of what no lot covered.
// Debt was consumed after every lot, so it comes back first.
func (c charge) ofDebt(done, amount domain.Amount) domain.Amount {
	return min(amount, max(0, c.debt-done))
}

// owed is what of that is open debt still, which ends.
func (c charge) owed(done, amount domain.Amount, s *State) domain.Amount {
	return min(c.ofDebt(done, amount), s.SpendingDebt)
}

// lotsBack are those that it gives back to.
func (c charge) lotsBack(done, amount domain.Amount) []LotUse {
	return fromEnd(c.lots, max(0, done-c.debt), amount-c.ofDebt(done, amount))
}

// giveBack emits the refund of amount, where done was refunded before.
func (d *decision) giveBack(original charge, done, amount domain.Amount, event Refunded) {
	s := d.now()
	ofDebt, uses := original.ofDebt(done, amount), original.lotsBack(done, amount)
	owed := original.owed(done, amount, s)
	purchased := min(ofDebt-owed, s.DebtPaidByPurchased)
	promotional := ofDebt - owed - purchased

	var events []*Refunded
	for _, lots := range split(uses) {
		e := event
		e.Lots = lots
		events = append(events, &e)
	}
	events[0].Debt = owed
	if purchased > 0 {
		events[0].Made, events[0].Class = purchased, Purchased
	}
	if promotional > 0 {
		last := events[len(events)-1]
		if last.Made > 0 {
			e := event
			last = &e
			events = append(events, last)
		}
		last.Made, last.Class = promotional, Promotional
	}
	for i, e := range events {
		e.Amount = sum(e.Lots) + e.Debt + e.Made
		e.Part = part(i, len(events))
		d.emit(e)
	}
}
