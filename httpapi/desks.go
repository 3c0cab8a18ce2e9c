package httpapi

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

// What the kinds of account.Object have in common: a command makes or changes one
// object, whose life the read models keep, lists show it, and a desk may have a queue.

// objectForm writes the members of an object of one kind.
type objectForm func(*call, *document, *projections.ObjectRecord) error

// resource is a kind of object as the API has it.
type resource struct {
	kind account.ObjectKind
	form objectForm
}

// idField is the name of its id in paths and refusals.
func (r resource) idField() string { return string(r.kind) + "_id" }

// newID makes another UUIDv7 at each try. A repeated request is answered with the events of
// the first one, so one request has one id all the same.
func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

// orderAbout reads a request about one object into request, and makes the order
// of it: command is called once request has what was sent, and makes it canonical.
func (k *call) orderAbout(of resource, id string, request any, command func() (account.Action, error)) (order, error) {
	if err := k.decode(request); err != nil {
		return order{}, err
	}
	if err := domain.CheckID(of.idField(), id); err != nil {
		return order{}, err
	}
	do, err := command()
	return order{do: do, body: request}, err
}

// changeByID does what a request asks about one object.
func (k *call) changeByID(of resource, id string, request any, command func() (account.Action, error)) error {
	o, err := k.orderAbout(of, id, request, command)
	if err != nil {
		return err
	}
	return k.change(statusOK, of, o)
}

// change executes an order about an object, and answers with it as it is once
// the read models have the order's events.
func (k *call) change(status int, of resource, o order) error {
	result, err := k.execute(o)
	if err != nil {
		return err
	}
	record, err := k.objectAfter(of.kind, objectIn(of.kind, result.Facts), result.Position)
	if err != nil {
		return err
	}
	return k.answerWith(status, result, of, record)
}

// answerWith is answer with an object, under the name of its kind.
func (k *call) answerWith(status int, result ledger.Result, of resource, record *projections.ObjectRecord) error {
	return k.answer(status, result, func(d *document) error {
		d.object(string(of.kind))
		if err := of.form(k, d, record); err != nil {
			return err
		}
		d.close()
		return nil
	})
}

// unknownObjects are the codes of an id that nothing has.
var unknownObjects = map[account.ObjectKind]domain.Code{
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
	if err == nil && (!found || k.key.Role == RoleCustomer && !forCustomers(record.Object)) {
		err = unknownObject(kind, id)
	}
	return record, err
}

// unknownObject is the refusal of an id that nothing has.
func unknownObject(kind account.ObjectKind, id string) error {
	return domain.Refuse(unknownObjects[kind], "the account has no %s %q", wordsOf(string(kind)), clip(id)).
		With("field", string(kind)+"_id").With("value", clip(id))
}

// sendObject answers with one object of the account.
func (k *call) sendObject(of resource, id string, minPosition *int64) error {
	if err := domain.CheckID(of.idField(), id); err != nil {
		return err
	}
	if err := k.await(k.account, minPosition); err != nil {
		return err
	}
	at, err := k.server.opts.Views.Balance(k.ctx, k.account)
	if err != nil {
		return err
	}
	record, err := k.mustObject(of.kind, id)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	if err := of.form(k, d, record); err != nil {
		return err
	}
	d.freshness(at.Revision, at.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// sendObjects answers with a page of the account's objects of a kind, by id. Ids that
// the engine makes are UUIDv7, so that is in the order in which they began; those of
// deployments are the clients', and so is their order.
func (k *call) sendObjects(of resource, order *api.Order, p paging) error {
	if err := k.await(k.account, p.minPosition); err != nil {
		return err
	}
	list := k.server.opts.Views.Objects
	if valueOf(order) == api.Desc {
		list = k.server.opts.Views.ObjectsDown
	}
	at, err := k.server.opts.Views.Balance(k.ctx, k.account)
	if err != nil {
		return err
	}
	page, err := list(k.ctx, k.account, of.kind, limitOf(p.limit), valueOf(p.cursor))
	if err != nil {
		return err
	}
	return k.sendPage(of.form, page, func(d *document) { d.freshness(at.Revision, at.Position, k.lag) })
}

// paging is which page of a list is asked for, and how new it has to be.
type paging struct {
	limit       *int
	cursor      *string
	minPosition *int64
}

// queueQuery is what the desks' lists can be asked.
type queueQuery struct {
	statuses []string
	account  *string
	keep     func(*projections.ObjectRecord) bool
	paging
}

// statusesOf are those that a desk's list is asked for: one, or, if none is named,
// those in which the desk still has something to do.
func statusesOf[S ~string](given *S, toDo ...string) []string {
	if given == nil {
		return toDo
	}
	return []string{string(*given)}
}

// sendQueue answers with a page of a desk's queue over all accounts.
func (k *call) sendQueue(of resource, q queueQuery) error {
	if q.account != nil {
		if err := domain.CheckID("account", *q.account); err != nil {
			return err
		}
	}
	if err := k.awaitAll(q.minPosition); err != nil {
		return err
	}
	page, err := k.server.opts.Views.Waiting(k.ctx, projections.Waiting{
		Kind: of.kind, Statuses: q.statuses, Limit: limitOf(q.limit), After: valueOf(q.cursor), Filter: k.filter(),
		Keep: func(r *projections.ObjectRecord) bool {
			return (q.account == nil || r.Account == *q.account) && (q.keep == nil || q.keep(r))
		},
	})
	if err != nil {
		return err
	}
	return k.sendPage(of.form, page, func(d *document) { d.number("lag", k.lag) })
}

// filter is what a list and its cursors belong to: the route and the parameters that select.
// Statuses aren't in it, as a default may stand for them: projections.Waiting has those.
func (k *call) filter() string {
	query := k.Request().URL.Query()
	for _, name := range []string{"status", "limit", "cursor", "min_position"} {
		query.Del(name)
	}
	return k.route.name + "?" + query.Encode()
}

func (k *call) sendPage(form objectForm, page projections.ObjectPage, fresh func(*document)) error {
	d := newDocument()
	d.open()
	if err := k.items(d, form, page.Items); err != nil {
		return err
	}
	d.nullable("next_cursor", page.Next)
	fresh(d)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

func (k *call) items(d *document, form objectForm, records []*projections.ObjectRecord) error {
	d.array("items")
	for _, record := range records {
		d.open()
		if err := form(k, d, record); err != nil {
			return err
		}
		d.close()
	}
	d.end()
	return nil
}

// sealedText writes a text that is kept sealed; it leaves the member out if there is none.
func (k *call) sealedText(d *document, name, of string, sealed domain.Sealed) error {
	text, err := k.server.openText(k.ctx, of, sealed)
	d.optional(name, text)
	return err
}

// age writes how long something has waited, in whole seconds. What another engine recorded,
// of which the clock is ahead, has waited for none.
func (d *document) age(since, until time.Time) {
	d.number("age_seconds", max(0, int64(until.Sub(since)/time.Second)))
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
		if s.Amount != 0 {
			d.money("amount", s.Amount)
		}
		d.text("transaction_id", s.Transaction.String())
		d.close()
	}
	d.end()
}

// wrongObject is a fault: an object of another kind than was asked for.
func wrongObject(r *projections.ObjectRecord) error {
	return fmt.Errorf("%s %s of %s is a %T", r.Kind, r.ID, r.Account, r.Object)
}
