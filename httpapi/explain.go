package httpapi

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

// ExplainTransaction is GET …/transactions/{id}/explain: the whole story of a
// charge, as JSON or as text. What it says comes from the log; the read models
// only tell where to look.
func (h handlers) ExplainTransaction(c echo.Context, name api.Account, text api.TransactionID, params api.ExplainTransactionParams) error {
	k := callOf(c)
	id, err := parseTransactionID("transaction_id", text)
	if err != nil {
		return err
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	x := &explanation{server: h.Server, account: name, reader: k.key.Role, asker: k.key.Role, nameless: params.For != nil, events: map[int64]explained{}}
	if x.nameless {
		x.reader = RoleCustomer
	}
	at, err := h.opts.Views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	if err := x.gather(k.ctx, id); err != nil {
		return err
	}
	d := newDocument()
	if k.wants("text/plain") {
		x.text(d)
		k.send(statusOK, textType, d)
		return nil
	}
	d.open()
	if err := x.json(k.ctx, d); err != nil {
		return err
	}
	d.freshness(at.Revision, at.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// explanation is all that led to a charge and followed from it.
type explanation struct {
	server  *Server
	account string
	// reader is the role that it is for, asker the role that asks: both have to be allowed
	// to read what people said of an object.
	reader, asker Role
	// nameless: everybody but customers is shown by role and not by name.
	nameless bool

	entry       projections.Transaction
	description string
	// parts are the events that the charge was split into: one for most.
	parts  []eventstore.Fact
	before domain.Amount
	after  domain.Amount
	lots   []explainedLot
	// debt is what no lot covered, of a charge or of a payment that was taken back;
	// below zero, what a refund ended of it.
	debt domain.Amount
	// given are the lots that a refund went back to; made are the new ones that it made.
	given []explainedLot
	made  []account.LotUse
	// related is what a refund gives back, or what a correction names.
	related *sequel

	// waited is the usage that the charge covers, if that had to wait for credits.
	waited  []waitedUsage
	objects []story
	since   []sequel
	// refunded is what has come back in all; untold counts the refunds that since leaves out.
	refunded domain.Amount
	untold   int
	// events has whatever was looked at, by revision.
	events map[int64]explained
}

// explainedLot is what a lot gave, and where the lot came from.
type explainedLot struct {
	account.LotUse
	origin sequel
}

// sequel is an event of the story in words: a lot's origin, a refund since.
type sequel struct {
	fact        eventstore.Fact
	entry       account.Entry
	reference   string
	amount      domain.Amount
	description string
	object      *story
}

// story is the life of an object.
type story struct {
	kind, id, status string
	// asked is what was said when it began, answered what was when it ended.
	asked, answered string
	// payments are those of a purchase, by the provider's ids.
	payments []account.PurchasePayment
	// deployment has the terms, if it is one.
	deployment *account.Deployment
	steps      []projections.ObjectStep
	// cut: it has, or may have, more steps.
	cut bool
}

// explained is an event with what it has to do with the charge.
type explained struct {
	fact eventstore.Fact
	why  string
}

// gather reads the story. Refusal: unknown-transaction.
func (x *explanation) gather(ctx context.Context, id domain.TransactionID) error {
	if err := x.charge(ctx, id); err != nil {
		return err
	}
	if err := x.command(ctx); err != nil {
		return err
	}
	if err := x.cause(ctx); err != nil {
		return err
	}
	if err := x.wait(ctx); err != nil {
		return err
	}
	if err := x.relate(ctx); err != nil {
		return err
	}
	for _, part := range x.parts {
		if err := x.moved(ctx, part); err != nil {
			return err
		}
	}
	if err := x.follow(ctx, id); err != nil {
		return err
	}
	return x.withhold(ctx)
}

// moved adds the lots that a part of the charge moved, and where they came from.
func (x *explanation) moved(ctx context.Context, part eventstore.Fact) error {
	effect := account.EffectOf(part.Body, part.Revision)
	x.debt += effect.SpendingDebt + effect.ChargebackDebt
	for _, use := range slices.Concat(effect.Taken, effect.Hold.Out) {
		origin, err := x.sequel(ctx, use.Lot, "lot")
		if err != nil {
			return err
		}
		x.lots = append(x.lots, explainedLot{use, origin})
	}
	if x.entry.Type != account.EntryRefund {
		return nil
	}
	if effect.Made.Amount > 0 {
		x.made = append(x.made, effect.Made)
	}
	for _, use := range effect.Given {
		origin, err := x.sequel(ctx, use.Lot, "lot")
		if err != nil {
			return err
		}
		x.given = append(x.given, explainedLot{use, origin})
	}
	return nil
}

// relate finds what a refund gives back or a correction names, with all the parts of it.
func (x *explanation) relate(ctx context.Context) error {
	revision, named, ok := account.AboutOf(x.parts[0].Body)
	if !ok || revision >= x.parts[0].Revision {
		return nil
	}
	_, noted := x.events[revision]
	facts, err := x.read(ctx, revision, 1, "related")
	if err != nil {
		return err
	}
	if named != uuid.Nil && named != facts[0].ID { // the id of another account's, or of nothing
		if !noted {
			delete(x.events, revision)
		}
		return nil
	}
	s, err := x.sequel(ctx, revision, "related")
	if err != nil || x.hidden(&s) {
		return err
	}
	if n := account.PartsOf(s.fact.Body); n > 1 && isFirst(s.fact) {
		parts, err := x.read(ctx, revision, n, "related")
		if err != nil {
			return err
		}
		s.amount = 0
		for _, part := range parts {
			entry, _ := account.EntryOf(part.Body)
			s.amount += entry.Amount
		}
	}
	x.related = &s
	return nil
}

// charge finds the entry and the events behind it.
func (x *explanation) charge(ctx context.Context, id domain.TransactionID) error {
	entry, err := x.server.transaction(ctx, x.account, id)
	if err != nil {
		return err
	}
	revision := entry.Revision
	x.entry, x.before = entry, entry.BalanceAfter-entry.Amount
	if x.description, err = x.server.openText(ctx, x.account, entry.Description); err != nil {
		return err
	}
	if x.parts, err = x.read(ctx, revision, 1, "charge"); err != nil {
		return err
	}
	x.entry.Actor = x.parts[0].Meta.Actor
	if n := account.PartsOf(x.parts[0].Body); n > 1 && isFirst(x.parts[0]) {
		if x.parts, err = x.read(ctx, revision, n, "charge"); err != nil {
			return err
		}
	}
	last, _, err := x.server.opts.Views.Transaction(ctx, x.account, x.parts[len(x.parts)-1].Revision)
	x.after = last.BalanceAfter
	return err
}

// isFirst tells whether an event opens its movement: a refund would name it.
func isFirst(f eventstore.Fact) bool {
	index, _ := account.PlaceOf(f.Body)
	return index == 1
}

// command adds what the same command did beside the charge: deadlines that were
// due, debts that were paid.
func (x *explanation) command(ctx context.Context) error {
	first := x.parts[0]
	command := first.Meta.Command
	_, err := x.read(ctx, first.Revision-int64(command.Index), command.Count, "same-command")
	return err
}

// cause adds what the charge belongs to: its reservation, or an object such as its
// deployment.
func (x *explanation) cause(ctx context.Context) error {
	first := x.parts[0]
	if kind, id, ok := objectOf(first.Body); ok {
		s, err := x.story(ctx, kind, id, "object")
		if err != nil {
			return err
		}
		if s != nil {
			x.objects = append(x.objects, *s)
		}
	}
	return x.hold(ctx)
}

// maxSequels bounds the refunds, disputes and corrections that are told of one charge: the
// oldest are.
const maxSequels = 1_000

// follow adds refunds, disputes and corrections since.
func (x *explanation) follow(ctx context.Context, id domain.TransactionID) error {
	revisions, err := x.server.opts.Views.Related(ctx, x.account, x.parts[0].Revision)
	if err != nil {
		return err
	}
	told := min(len(revisions), maxSequels)
	for _, revision := range revisions[:told] {
		_, noted := x.events[revision]
		s, err := x.sequel(ctx, revision, "since")
		if err != nil {
			return err
		}
		// The index goes by revision: another account's id may have the same.
		_, named, _ := account.AboutOf(s.fact.Body)
		if named != uuid.Nil && named != id || x.hidden(&s) {
			if !noted { // it may be where one of the charge's lots came from
				delete(x.events, revision)
			}
			continue
		}
		if refund, is := s.fact.Body.(*account.Refunded); is {
			x.refunded += refund.Amount
		}
		x.since = append(x.since, s)
	}
	return x.count(ctx, revisions[told:])
}

// count adds what came back with refunds that are too many to be told.
func (x *explanation) count(ctx context.Context, revisions []int64) error {
	for _, revision := range revisions {
		for r, err := range x.server.opts.Store.ReadStream(ctx, eventstore.AccountStream(x.account), revision, eventstore.Forwards, 1) {
			if err != nil {
				return err
			}
			f, err := x.server.opts.Codec.Open(r)
			if err != nil {
				return err
			}
			if refund, is := f.Body.(*account.Refunded); is {
				x.refunded += refund.Amount
				x.untold++
			}
		}
	}
	return nil
}

// sequel tells an event in words.
func (x *explanation) sequel(ctx context.Context, revision int64, why string) (sequel, error) {
	facts, err := x.read(ctx, revision, 1, why)
	if err != nil {
		return sequel{}, err
	}
	s := sequel{fact: facts[0]}
	entry, _ := account.EntryOf(s.fact.Body)
	s.entry, s.reference, s.amount = entry, entry.Reference, entry.Amount
	if s.amount == 0 {
		s.amount = account.EffectOf(s.fact.Body, revision).Made.Amount
	}
	if s.description, err = x.server.openText(ctx, x.account, entry.Description); err != nil {
		return s, err
	}
	if kind, id, ok := objectOf(s.fact.Body); ok {
		if s.reference == "" {
			s.reference = id
		}
		s.object, err = x.story(ctx, kind, id, why)
	}
	return s, err
}

// objectOf is the object that an event's story is of: also the payment behind
// credits that finance assigned, if it stands in this account.
func objectOf(event domain.Event) (kind account.ObjectKind, id string, ok bool) {
	if credited, is := event.(*account.PaymentCredited); is && credited.From == "" {
		return account.ObjectPayment, credited.Payment, true
	}
	return account.ObjectOf(event)
}

// story tells an object's life, and adds the events of it; nil if there is none to tell.
func (x *explanation) story(ctx context.Context, kind account.ObjectKind, id, why string) (*story, error) {
	record, found, err := x.server.opts.Views.Object(ctx, x.account, kind, id)
	if err != nil || !found || x.forCustomer() && !forCustomers(record.Object) {
		return nil, err
	}
	s := &story{kind: string(kind), id: id, status: record.Object.Status(), steps: record.Steps}
	for i := range record.Steps {
		step := &record.Steps[i]
		step.Actor = x.nameOf(step.Actor, step.Role)
		revision, _ := domain.RevisionOf(step.Transaction)
		if _, err := x.read(ctx, revision, 1, why); err != nil {
			return nil, err
		}
	}
	switch o := record.Object.(type) {
	case *account.Purchase:
		s.payments = o.Payments
	case *account.Deployment:
		s.deployment = o
	}
	asked, answered := textsOf(record.Object)
	if s.asked, err = x.open(ctx, asked); err != nil {
		return nil, err
	}
	s.answered, err = x.open(ctx, answered)
	return s, err
}

// read gives events of the account, and notes why. What was noted before keeps
// its reason: the nearest to the charge comes first.
func (x *explanation) read(ctx context.Context, revision int64, count int, why string) ([]eventstore.Fact, error) {
	facts := make([]eventstore.Fact, 0, count)
	stream := eventstore.AccountStream(x.account)
	for r, err := range x.server.opts.Store.ReadStream(ctx, stream, revision, eventstore.Forwards, count) {
		if err != nil {
			return nil, err
		}
		f, err := x.server.opts.Codec.Open(r)
		if err != nil {
			return nil, err
		}
		meta := *f.Meta
		meta.Actor, f.Meta = x.nameOf(meta.Actor, meta.Role), &meta
		facts = append(facts, f)
		if _, noted := x.events[f.Revision]; !noted {
			x.events[f.Revision] = explained{f, why}
		}
	}
	if len(facts) < count {
		return nil, &eventstore.CorruptError{Stream: stream, Revision: revision, Reason: "the log ends before what the read models have"}
	}
	return facts, nil
}

// inOrder lists the events by revision.
func (x *explanation) inOrder() []explained {
	list := make([]explained, 0, len(x.events))
	for _, e := range x.events {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b explained) int { return cmp.Compare(a.fact.Revision, b.fact.Revision) })
	return list
}
