package httpapi

import (
	"context"
	"slices"

	"iocredits/domain"
	"iocredits/domain/account"
)

// What not everybody is told of a story.

func (x *explanation) forCustomer() bool { return x.reader == RoleCustomer }

// said is a text of a person's, and who reads it.
type said struct {
	text domain.Sealed
	by   []Role
}

// textsOf is what people said about an object, at its beginning and its end. The history
// tells everybody some of it; the page of the desks has the whole table.
func textsOf(object account.Object) (asked, answered said) {
	switch o := object.(type) {
	case *account.Dispute:
		asked, answered = said{o.Reason, disputeReaders}, said{o.Note, disputeReaders}
		if o.State == account.DisputeIsUpheld {
			answered.by = readers
		}
	case *account.Adjustment:
		asked, answered = said{o.Reason, adjustmentReaders}, said{o.Rejection, adjustmentReaders}
		if o.State == account.AdjustmentIsApproved {
			asked.by = readers
		}
	case *account.Withdrawal:
		answered = said{o.Reason, readers}
	case *account.CreditRequest:
		asked, answered = said{o.Reason, creditRequestReaders}, said{o.RejectionReason, creditRequestReaders}
	case *account.Payment:
		answered = said{o.Note, paymentNoteReaders}
	}
	return asked, answered
}

func (x *explanation) open(ctx context.Context, s said) (string, error) {
	if !slices.Contains(s.by, x.reader) || !slices.Contains(s.by, x.asker) {
		return "", nil
	}
	return x.server.openText(ctx, x.account, s.text)
}

// withhold takes the events of corrections that aren't in effect from a customer: they
// may stand beside what the same command did.
func (x *explanation) withhold(ctx context.Context) error {
	if !x.forCustomer() {
		return nil
	}
	for revision, e := range x.events {
		kind, id, _ := account.ObjectOf(e.fact.Body)
		if kind != account.ObjectAdjustment {
			continue
		}
		record, found, err := x.server.opts.Views.Object(ctx, x.account, kind, id)
		if err != nil {
			return err
		}
		if !found || !forCustomers(record.Object) {
			delete(x.events, revision)
		}
	}
	return nil
}

// hidden tells of a correction that isn't in effect, of which a customer has no story.
func (x *explanation) hidden(s *sequel) bool {
	kind, _, _ := account.ObjectOf(s.fact.Body)
	return x.forCustomer() && kind == account.ObjectAdjustment && s.object == nil
}

// nameOf is who acted, as the reader may know it.
func (x *explanation) nameOf(actor, role string) string {
	if x.nameless && role != string(RoleCustomer) {
		return role
	}
	return actor
}

// forCustomers tells whether an object is one that a customer may know of. A correction
// that isn't in effect, or never will be, is between support and finance.
func forCustomers(object account.Object) bool {
	a, is := object.(*account.Adjustment)
	return !is || a.State == account.AdjustmentIsApproved
}
