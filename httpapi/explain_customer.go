package httpapi

import (
	"context"

	"iocredits/domain/account"
)

// What a customer isn't told of a story.

// withhold takes the events of corrections that aren't in effect from a customer: they
// may stand beside what the same command did.
func (x *explanation) withhold(ctx context.Context) error {
	if !x.forCustomer {
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
	return x.forCustomer && kind == account.ObjectAdjustment && s.object == nil
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
