package account

import (
	"github.com/google/uuid"

	"iocredits/domain"
)

// DisputeOpened says that somebody holds a deduction to be wrong.
type DisputeOpened struct {
	plain
	Dispute string `json:"dispute"`
	// Deduction is the transaction in dispute, Revision its place.
	Deduction uuid.UUID      `json:"deduction"`
	Revision  int64          `json:"deduction_revision"`
	Amount    domain.Amount  `json:"amount"`
	Service   domain.Service `json:"service"`
	Reference string         `json:"reference,omitempty"`
	Reason    domain.Sealed  `json:"reason,omitempty"`
	OpenedBy  string         `json:"opened_by"`
}

// EventName is the stored type.
func (*DisputeOpened) EventName() string { return "dispute-opened" }

func (e *DisputeOpened) about() (int64, uuid.UUID) { return e.Revision, e.Deduction }

func (e *DisputeOpened) claim() string { return disputeName(e.Dispute) }

func (e *DisputeOpened) object() (ObjectKind, string) { return ObjectDispute, e.Dispute }

func (e *DisputeOpened) evolve(s *State) { fold(&s.Disputes, e.Dispute, e) }

// DisputeOutcome is how a dispute ends.
type DisputeOutcome string

// The outcomes of api.md.
const (
	DisputeUpheld   DisputeOutcome = "upheld"
	DisputeRejected DisputeOutcome = "rejected"
)

// DisputeResolved ends a dispute. What an upheld one gives back are the Refunded
// events before it, in the same command: what they led to stands between, such as
// debt that was repaid and deployments that had waited.
type DisputeResolved struct {
	plain
	Dispute    string         `json:"dispute"`
	Outcome    DisputeOutcome `json:"outcome"`
	Refund     domain.Amount  `json:"refund,omitzero"`
	Note       domain.Sealed  `json:"note,omitempty"`
	ResolvedBy string         `json:"resolved_by"`
}

// EventName is the stored type.
func (*DisputeResolved) EventName() string { return "dispute-resolved" }

func (e *DisputeResolved) object() (ObjectKind, string) { return ObjectDispute, e.Dispute }

func (e *DisputeResolved) evolve(s *State) { fold(&s.Disputes, e.Dispute, e) }

// DisputeStatus is where a dispute stands.
type DisputeStatus string

// A dispute is open, then one of its outcomes.
const (
	DisputeIsOpen     DisputeStatus = "open"
	DisputeIsUpheld   DisputeStatus = DisputeStatus(DisputeUpheld)
	DisputeIsRejected DisputeStatus = DisputeStatus(DisputeRejected)
)

// Dispute is about one deduction; the state keeps the open ones.
type Dispute struct {
	State     DisputeStatus  `json:"status"`
	Deduction uuid.UUID      `json:"deduction"`
	Revision  int64          `json:"deduction_revision"`
	Amount    domain.Amount  `json:"amount"`
	Service   domain.Service `json:"service"`
	Reference string         `json:"reference,omitempty"`
	Reason    domain.Sealed  `json:"reason,omitempty"`
	OpenedBy  string         `json:"opened_by"`

	Refund     domain.Amount `json:"refund,omitzero"`
	Note       domain.Sealed `json:"note,omitempty"`
	ResolvedBy string        `json:"resolved_by,omitempty"`
}

// Apply implements Object.
func (x *Dispute) Apply(event domain.Event) {
	switch e := event.(type) {
	case *DisputeOpened:
		x.State, x.Deduction, x.Revision, x.Amount = DisputeIsOpen, e.Deduction, e.Revision, e.Amount
		x.Service, x.Reference, x.Reason, x.OpenedBy = e.Service, e.Reference, e.Reason, e.OpenedBy
	case *DisputeResolved:
		x.State, x.Refund, x.Note, x.ResolvedBy = DisputeStatus(e.Outcome), e.Refund, e.Note, e.ResolvedBy
	}
}

// Status implements Object.
func (x *Dispute) Status() string { return string(x.State) }

// Open implements Object.
func (x *Dispute) Open() bool { return x.State == DisputeIsOpen }

func disputeName(id string) string { return "dispute/" + id }

// disputeOf finds the open dispute on a deduction: there is one at a time.
func (s *State) disputeOf(deduction int64) (id string, x Dispute, open bool) {
	for id, x := range s.Disputes {
		if x.Revision == deduction {
			return id, x, true
		}
	}
	return "", Dispute{}, false
}

// mayDecide tells whether somebody may give back what is in dispute, by whichever
// way: the opener can't (money.md, Classes).
func (x *Dispute) mayDecide(actor string) bool { return actor != x.OpenedBy }

// maxDisputes bounds what may wait for support.
const maxDisputes = 1_000

// OpenDispute disputes a deduction, a capture or a metered charge.
//
// Checks, in order: unknown-transaction; not-a-deduction; duplicate-id;
// dispute-open (one at a time for a deduction); limit-exceeded.
type OpenDispute struct {
	Dispute     string
	Transaction domain.TransactionID
	Reason      domain.Sealed
}

// NameFor asks about the id unless it is open: the state forgets resolved ones.
func (c OpenDispute) NameFor(s *State) string { return nameIfNotIn(s.Disputes, c.Dispute, disputeName) }

// OriginalID is the deduction that the write side has to read.
func (c OpenDispute) OriginalID(*State) domain.TransactionID { return c.Transaction }

func (c OpenDispute) decide(d *decision) error {
	deduction, err := Refund{Transaction: c.Transaction}.original(d.cmd.Original)
	if err != nil {
		return err
	}
	s, revision := d.now(), d.cmd.Original[0].Revision
	if _, open := s.Disputes[c.Dispute]; open || d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "dispute %q exists already", c.Dispute).
			With("field", "dispute_id").With("value", c.Dispute)
	}
	if _, _, open := s.disputeOf(revision); open {
		return domain.Refuse(domain.CodeDisputeOpen, "transaction %s is in dispute already", c.Transaction).
			With("field", "transaction_id").With("value", c.Transaction.String())
	}
	if err := limit("disputes", len(s.Disputes), maxDisputes); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.emit(&DisputeOpened{
		Dispute: c.Dispute, Deduction: c.Transaction, Revision: revision, Amount: deduction.amount,
		Service: deduction.service, Reference: deduction.reference, Reason: c.Reason, OpenedBy: d.cmd.By,
	})
	return nil
}

// ResolveDispute upholds a dispute with a refund, or rejects it.
//
// Checks, in order: amount-invalid, amount-too-large (refund); unknown-dispute, or
// wrong-status if it is resolved; self-approval (by who opened it); field-invalid
// (outcome; a refund with a rejection); then those of Refund.
type ResolveDispute struct {
	Dispute string
	Outcome DisputeOutcome
	// Refund is what an upheld dispute gives back; nil: all that the deduction
	// has left, which may be nothing.
	Refund *domain.Amount
	Note   domain.Sealed
}

// NameFor asks about the id unless it is open.
func (c ResolveDispute) NameFor(s *State) string {
	return nameIfNotIn(s.Disputes, c.Dispute, disputeName)
}

// OriginalID is the deduction in dispute.
func (c ResolveDispute) OriginalID(s *State) domain.TransactionID {
	return s.Disputes[c.Dispute].Deduction
}

func (c ResolveDispute) decide(d *decision) error {
	if c.Refund != nil {
		if err := positiveField("refund", *c.Refund); err != nil {
			return err
		}
	}
	x, open := d.now().Disputes[c.Dispute]
	switch {
	case !open && d.cmd.NameTaken:
		return d.over(ObjectDispute, c.Dispute, nil, ", not open")
	case !open:
		return domain.Refuse(domain.CodeUnknownDispute, "the account has no dispute %q", c.Dispute).
			With("field", "dispute_id").With("value", c.Dispute)
	case !x.mayDecide(d.cmd.By):
		return domain.Refuse(domain.CodeSelfApproval, "%s opened dispute %q and can't resolve it", d.cmd.By, c.Dispute).
			With("field", "dispute_id").With("value", c.Dispute)
	case c.Outcome == DisputeRejected && c.Refund != nil:
		return badField("refund", c.Refund.String(), "goes with an upheld dispute only")
	case c.Outcome != DisputeRejected && c.Outcome != DisputeUpheld:
		return badField("outcome", string(c.Outcome), "is neither upheld nor rejected")
	}
	var refunded domain.Amount
	if c.Outcome == DisputeUpheld {
		var err error
		if refunded, err = c.refund(d, x); err != nil {
			return err
		}
	}
	// Accepted: nothing below refuses.
	d.emit(&DisputeResolved{Dispute: c.Dispute, Outcome: c.Outcome, Refund: refunded, Note: c.Note, ResolvedBy: d.cmd.By})
	return nil
}

// refund gives back what an upheld dispute is about, by the rules of any refund.
func (c ResolveDispute) refund(d *decision, x Dispute) (domain.Amount, error) {
	amount := x.Amount - d.now().refunded(x.Revision)
	refund := Refund{Transaction: x.Deduction, Reason: c.Note} // all that is left, which may be more than may be asked for
	if c.Refund != nil {
		amount, refund.Amount = *c.Refund, *c.Refund
	}
	if amount == 0 {
		return 0, nil
	}
	return amount, refund.decide(d)
}
