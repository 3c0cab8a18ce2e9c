package account

import (
	"slices"

	"github.com/google/uuid"

	"iocredits/domain"
)

// AdjustmentRequested asks for a correction; nothing moves before it is approved.
type AdjustmentRequested struct {
	plain
	Adjustment  string        `json:"adjustment"`
	Amount      domain.Amount `json:"amount"`
	Reason      domain.Sealed `json:"reason,omitempty"`
	Related     uuid.UUID     `json:"related_transaction,omitzero"`
	RequestedBy string        `json:"requested_by"`
}

// EventName is the stored type.
func (*AdjustmentRequested) EventName() string { return "adjustment-requested" }

func (e *AdjustmentRequested) about() (int64, uuid.UUID) { return aboutID(e.Related) }

func (e *AdjustmentRequested) claim() string { return adjustmentName(e.Adjustment) }

func (e *AdjustmentRequested) object() (ObjectKind, string) { return ObjectAdjustment, e.Adjustment }

func (e *AdjustmentRequested) evolve(s *State) { fold(&s.Adjustments, e.Adjustment, e) }

// AdjustmentApproved is the first of two approvals.
type AdjustmentApproved struct {
	plain
	Adjustment string `json:"adjustment"`
	ApprovedBy string `json:"approved_by"`
}

// EventName is the stored type.
func (*AdjustmentApproved) EventName() string { return "adjustment-approved" }

func (e *AdjustmentApproved) object() (ObjectKind, string) { return ObjectAdjustment, e.Adjustment }

func (e *AdjustmentApproved) evolve(s *State) { fold(&s.Adjustments, e.Adjustment, e) }

// AdjustmentRejected ends a correction that never was in effect.
type AdjustmentRejected struct {
	plain
	Adjustment string        `json:"adjustment"`
	Reason     domain.Sealed `json:"reason,omitempty"`
	RejectedBy string        `json:"rejected_by"`
}

// EventName is the stored type.
func (*AdjustmentRejected) EventName() string { return "adjustment-rejected" }

func (e *AdjustmentRejected) object() (ObjectKind, string) { return ObjectAdjustment, e.Adjustment }

func (e *AdjustmentRejected) evolve(s *State) { fold(&s.Adjustments, e.Adjustment, e) }

// Adjusted is a correction in effect: a promotional lot, or credits taken.
type Adjusted struct {
	plain
	Adjustment string `json:"adjustment"`
	// Amount is signed; in parts of one adjustment it is the part's.
	Amount     domain.Amount `json:"amount"`
	Reason     domain.Sealed `json:"reason,omitempty"`
	Related    uuid.UUID     `json:"related_transaction,omitzero"`
	ApprovedBy string        `json:"approved_by"`
	Lots       []LotUse      `json:"lots,omitempty"`
	Debt       domain.Amount `json:"debt,omitzero"`
	Part       Part          `json:"part,omitzero"`
}

// EventName is the stored type.
func (*Adjusted) EventName() string { return "adjusted" }

func (e *Adjusted) effect() Effect {
	if e.Amount > 0 {
		return Effect{Made: LotUse{Class: Promotional, Amount: e.Amount}}
	}
	return Effect{Taken: e.Lots, SpendingDebt: e.Debt}
}

func (e *Adjusted) entry() Entry {
	return Entry{
		Type: EntryAdjustment, Service: domain.ServiceCredits, Lots: e.Lots,
		Reference: e.Adjustment, Description: e.Reason, Related: e.Related,
	}
}

func (e *Adjusted) parts() Part { return e.Part }

func (e *Adjusted) about() (int64, uuid.UUID) { return aboutID(e.Related) }

func (e *Adjusted) object() (ObjectKind, string) { return ObjectAdjustment, e.Adjustment }

func (e *Adjusted) evolve(s *State) { fold(&s.Adjustments, e.Adjustment, e) }

// AdjustmentStatus is where a correction stands.
type AdjustmentStatus string

// What becomes of a correction.
const (
	AdjustmentIsRequested AdjustmentStatus = "requested"
	AdjustmentIsApproved  AdjustmentStatus = "approved"
	AdjustmentIsRejected  AdjustmentStatus = "rejected"
)

// Adjustment is a correction; the state keeps those that wait for approval.
type Adjustment struct {
	State       AdjustmentStatus `json:"status"`
	Amount      domain.Amount    `json:"amount"`
	Reason      domain.Sealed    `json:"reason,omitempty"`
	Related     uuid.UUID        `json:"related_transaction,omitzero"`
	RequestedBy string           `json:"requested_by"`
	// ApprovedBy has the approvers in order: two where the policy asks for two.
	ApprovedBy []string `json:"approved_by,omitempty"`
	// RejectedBy and Rejection say who didn't, and why.
	RejectedBy string        `json:"rejected_by,omitempty"`
	Rejection  domain.Sealed `json:"rejection,omitempty"`
}

// Apply implements Object.
func (a *Adjustment) Apply(event domain.Event) {
	switch e := event.(type) {
	case *AdjustmentRequested:
		a.State, a.Amount, a.Reason, a.Related, a.RequestedBy = AdjustmentIsRequested, e.Amount, e.Reason, e.Related, e.RequestedBy
	case *AdjustmentApproved:
		a.ApprovedBy = with(a.ApprovedBy, e.ApprovedBy)
	case *AdjustmentRejected:
		a.State, a.RejectedBy, a.Rejection = AdjustmentIsRejected, e.RejectedBy, e.Reason
	case *Adjusted:
		if e.Part.last() {
			a.State, a.ApprovedBy = AdjustmentIsApproved, with(a.ApprovedBy, e.ApprovedBy)
		}
	}
}

// Status implements Object.
func (a *Adjustment) Status() string { return string(a.State) }

// Open implements Object.
func (a *Adjustment) Open() bool { return a.State == AdjustmentIsRequested }

func adjustmentName(id string) string { return "adjustment/" + id }

// maxAdjustments bounds what may wait for approval.
const maxAdjustments = 1_000

// RequestAdjustment asks for a correction of either sign.
//
// Checks, in order: amount-invalid (zero), amount-too-large; unknown-transaction;
// duplicate-id; limit-exceeded.
type RequestAdjustment struct {
	Adjustment string
	Amount     domain.Amount
	Reason     domain.Sealed
	// Related is any event of the account, or Nil.
	Related domain.TransactionID
}

// NameFor asks about the id unless it waits: the state forgets approved ones.
func (c RequestAdjustment) NameFor(s *State) string {
	return nameIfNotIn(s.Adjustments, c.Adjustment, adjustmentName)
}

// OriginalID is the event that the write side has to look for.
func (c RequestAdjustment) OriginalID(*State) domain.TransactionID { return c.Related }

func (c RequestAdjustment) decide(d *decision) error {
	if c.Amount == 0 {
		return domain.Refuse(domain.CodeAmountInvalid, "amount 0 adjusts nothing").With("field", "amount").With("value", "0")
	}
	if err := bounded(c.Amount); err != nil {
		return err
	}
	if c.Related != uuid.Nil && len(d.cmd.Original) == 0 {
		return unknownTransaction("related_transaction", c.Related)
	}
	s := d.now()
	if _, known := s.Adjustments[c.Adjustment]; known || d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "adjustment %q exists already", c.Adjustment).
			With("field", "adjustment_id").With("value", c.Adjustment)
	}
	if err := limit("adjustments", len(s.Adjustments), maxAdjustments); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.emit(&AdjustmentRequested{
		Adjustment: c.Adjustment, Amount: c.Amount, Reason: c.Reason, Related: c.Related, RequestedBy: d.cmd.By,
	})
	return nil
}

// ApproveAdjustment puts a correction in effect, or is the first of two
// approvals where the policy asks for two (money.md, Classes).
//
// Checks, in order: unknown-adjustment, or wrong-status if it is decided;
// self-approval; then for a last approval upwards amount-too-large (MaxBalance)
// and limit-exceeded (lots), downwards insufficient-credits, against spendable.
type ApproveAdjustment struct{ Adjustment string }

// NameFor asks about the id unless it waits.
func (c ApproveAdjustment) NameFor(s *State) string {
	return nameIfNotIn(s.Adjustments, c.Adjustment, adjustmentName)
}

func (c ApproveAdjustment) decide(d *decision) error {
	a, err := d.adjustment(c.Adjustment)
	if err != nil {
		return err
	}
	if slices.Contains(a.ApprovedBy, d.cmd.By) {
		return domain.Refuse(domain.CodeSelfApproval, "%s approved adjustment %q already; a second person has to", d.cmd.By, c.Adjustment).
			With("field", "adjustment_id").With("value", c.Adjustment)
	}
	if max(a.Amount, -a.Amount) >= d.now().Policy.TwoApproversFrom && len(a.ApprovedBy) == 0 {
		d.emit(&AdjustmentApproved{Adjustment: c.Adjustment, ApprovedBy: d.cmd.By})
		return nil
	}
	event := Adjusted{Adjustment: c.Adjustment, Reason: a.Reason, Related: a.Related, ApprovedBy: d.cmd.By}
	if a.Amount > 0 {
		return d.adjustUp(a.Amount, event)
	}
	return d.adjustDown(-a.Amount, event)
}

// RejectAdjustment ends a correction that waits.
//
// Checks, in order: unknown-adjustment, or wrong-status if it is decided;
// self-approval.
type RejectAdjustment struct {
	Adjustment string
	Reason     domain.Sealed
}

// NameFor asks about the id unless it waits.
func (c RejectAdjustment) NameFor(s *State) string {
	return nameIfNotIn(s.Adjustments, c.Adjustment, adjustmentName)
}

func (c RejectAdjustment) decide(d *decision) error {
	if _, err := d.adjustment(c.Adjustment); err != nil {
		return err
	}
	d.emit(&AdjustmentRejected{Adjustment: c.Adjustment, Reason: c.Reason, RejectedBy: d.cmd.By})
	return nil
}

// adjustment finds a correction that waits and that the actor may decide about.
func (d *decision) adjustment(id string) (Adjustment, error) {
	a, waits := d.now().Adjustments[id]
	switch {
	case !waits && d.cmd.NameTaken:
		return a, d.over(ObjectAdjustment, id, nil, ", not requested")
	case !waits:
		return a, domain.Refuse(domain.CodeUnknownAdjustment, "the account has no adjustment %q", id).
			With("field", "adjustment_id").With("value", id)
	case d.cmd.By == a.RequestedBy:
		return a, domain.Refuse(domain.CodeSelfApproval, "%s asked for adjustment %q and can't decide about it", d.cmd.By, id).
			With("field", "adjustment_id").With("value", id)
	}
	return a, nil
}

func (d *decision) adjustUp(amount domain.Amount, event Adjusted) error {
	if err := d.room(amount); err != nil {
		return err
	}
	if err := d.roomForLot(); err != nil {
		return err
	}
	event.Amount = amount
	d.emit(&event)
	d.arrived()
	return nil
}

func (d *decision) adjustDown(amount domain.Amount, event Adjusted) error {
	spent, err := d.spend(amount)
	if err != nil {
		return err
	}
	for i, lots := range spent.lots {
		e := event
		e.Amount, e.Lots, e.Debt, e.Part = -spent.amount(i), lots, spent.debtOf(i), part(i, len(spent.lots))
		d.emit(&e)
	}
	return nil
}
