package httpapi

import (
	"fmt"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/projections"
)

// What withdrawals, disputes and corrections have in common: a command makes or
// changes one object, whose life the read models keep, and a desk has a queue.

// objectForm writes the members of an object of one kind.
type objectForm func(*call, *document, *projections.ObjectRecord) error

// newID is a UUIDv7 at every try; of a request that is repeated the first one's
// events are the answer, so that one request has one id.
func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

// change executes an order about an object, and answers with it as it is once
// the read models have the order's events.
func (k *call) change(status int, kind account.ObjectKind, form objectForm, o order) error {
	result, err := k.execute(o)
	if err != nil {
		return err
	}
	record, err := k.objectAfter(kind, objectIn(kind, result.Facts), result.Position)
	if err != nil {
		return err
	}
	return k.answer(status, result, func(d *document) error {
		d.object(string(kind))
		if err := form(k, d, record); err != nil {
			return err
		}
		d.close()
		return nil
	})
}

// unknownObject is the refusal of an id that nothing has.
var unknownObject = map[account.ObjectKind]domain.Code{
	account.ObjectAdjustment:    domain.CodeUnknownAdjustment,
	account.ObjectPurchase:      domain.CodeUnknownPurchase,
	account.ObjectPayment:       domain.CodeUnknownPayment,
	account.ObjectCreditRequest: domain.CodeUnknownCreditRequest,
	account.ObjectDeployment:    domain.CodeUnknownDeployment,
	account.ObjectDispute:       domain.CodeUnknownDispute,
	account.ObjectWithdrawal:    domain.CodeUnknownWithdrawal,
}

func (k *call) mustObject(kind account.ObjectKind, id string) (*projections.ObjectRecord, error) {
	record, found, err := k.server.opts.Views.Object(k.ctx, k.account, kind, id)
	if err == nil && !found {
		err = domain.Refuse(unknownObject[kind], "the account has no %s %q", wordsOf(string(kind)), clip(id)).
			With("field", string(kind)+"_id").With("value", clip(id))
	}
	return record, err
}

// sendObject answers with one object of the account.
func (k *call) sendObject(kind account.ObjectKind, id string, minPosition *int64, form objectForm) error {
	if err := domain.CheckID(string(kind)+"_id", id); err != nil {
		return err
	}
	if err := k.await(k.account, minPosition); err != nil {
		return err
	}
	record, err := k.mustObject(kind, id)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	if err := form(k, d, record); err != nil {
		return err
	}
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// sendObjects answers with a page of the account's objects of a kind, by id:
// ids are UUIDv7, so that is in the order in which they began.
func (k *call) sendObjects(kind account.ObjectKind, form objectForm, limit *int, cursor *string, minPosition *int64) error {
	most, err := limitOf(limit)
	if err != nil {
		return err
	}
	if err := k.await(k.account, minPosition); err != nil {
		return err
	}
	page, err := k.server.opts.Views.Objects(k.ctx, k.account, kind, most, valueOf(cursor))
	if err != nil {
		return err
	}
	return k.sendPage(form, page)
}

// queueQuery is what the desks' lists can be asked.
type queueQuery struct {
	kind     account.ObjectKind
	statuses []string
	account  *string
	keep     func(*projections.ObjectRecord) bool

	limit       *int
	cursor      *string
	minPosition *int64
}

// sendQueue answers with a page of a desk's queue over all accounts.
func (k *call) sendQueue(form objectForm, q queueQuery) error {
	most, err := limitOf(q.limit)
	if err != nil {
		return err
	}
	if q.account != nil {
		if err := domain.CheckID("account", *q.account); err != nil {
			return err
		}
	}
	if err := k.awaitAll(q.minPosition); err != nil {
		return err
	}
	page, err := k.server.opts.Views.Waiting(k.ctx, projections.Waiting{
		Kind: q.kind, Statuses: q.statuses, Limit: most, After: valueOf(q.cursor), Filter: k.filter(),
		Keep: func(r *projections.ObjectRecord) bool {
			return (q.account == nil || r.Account == *q.account) && (q.keep == nil || q.keep(r))
		},
	})
	if err != nil {
		return err
	}
	return k.sendPage(form, page)
}

// filter is what the query selects, but for the statuses, which a default may
// stand for, and for what doesn't select: two lists never have the same.
func (k *call) filter() string {
	query := k.Request().URL.Query()
	for _, name := range []string{"status", "limit", "cursor", "min_position"} {
		query.Del(name)
	}
	return k.route.name + "?" + query.Encode()
}

// awaitAll is await for a list over all accounts.
func (k *call) awaitAll(minPosition *int64) error {
	acked := int64(k.server.opts.Ledger.AckedAny())
	least := valueOf(minPosition)
	if least < 0 {
		return domain.Refuse(domain.CodeFieldInvalid, "min_position is below zero").With("field", "min_position")
	}
	err := k.server.waitFor(k.ctx, eventstore.Position(max(acked, least)))
	if domain.IsCode(err, domain.CodeReadBehind) && k.server.opts.Views.Through() >= eventstore.Position(least) {
		return nil
	}
	return err
}

func (k *call) sendPage(form objectForm, page projections.ObjectPage) error {
	d := newDocument()
	d.open()
	d.array("items")
	for _, record := range page.Items {
		d.open()
		if err := form(k, d, record); err != nil {
			return err
		}
		d.close()
	}
	d.end()
	d.nullable("next_cursor", page.Next)
	d.number("lag", k.server.lag())
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// sealedText writes a text that is kept sealed; none is left out.
func (k *call) sealedText(d *document, name, of string, sealed domain.Sealed) error {
	text, err := k.server.openText(k.ctx, of, sealed)
	d.optional(name, text)
	return err
}

func (d *document) names(name string, list []string) {
	d.array(name)
	for _, item := range list {
		d.item(item)
	}
	d.end()
}

func (d *document) steps(steps []projections.ObjectStep) {
	d.array("steps")
	for _, s := range steps {
		d.open()
		d.text("event", s.Event)
		d.text("status", s.Status)
		d.time("at", s.At)
		d.text("actor", s.Actor)
		d.text("role", s.Role)
		d.text("transaction_id", s.Transaction.String())
		d.close()
	}
	d.end()
}

// wrongObject is a fault: an object of another kind than was asked for.
func wrongObject(r *projections.ObjectRecord) error {
	return fmt.Errorf("%s %s of %s is a %T", r.Kind, r.ID, r.Account, r.Object)
}
