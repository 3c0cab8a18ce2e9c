package httpapi

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json"

	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// json writes the members of an explanation as openapi.yaml has them.
func (x *explanation) json(ctx context.Context, d *document) error {
	d.key("transaction")
	if err := x.server.appendTransaction(ctx, d, &x.entry); err != nil {
		return err
	}
	d.array("parts")
	for _, part := range x.parts {
		d.item(part.ID.String())
	}
	d.end()
	d.asked(x.request(x.parts[0]))
	x.reading(d)
	x.priceJSON(d)
	x.waitedJSON(d)
	d.money("balance_before", x.before)
	d.money("balance_after", x.after)
	d.explainedLots("lots", x.lots)
	d.money("debt", x.debt)
	if len(x.given) > 0 {
		d.explainedLots("given_back", x.given)
	}
	x.madeJSON(d)
	d.money("refunded", x.refunded)
	if x.related != nil {
		d.object("related")
		d.sequel(*x.related)
		d.close()
	}
	d.array("objects")
	for _, s := range x.objects {
		d.open()
		d.story(s)
		d.close()
	}
	d.end()
	d.array("since")
	for _, s := range x.since {
		d.open()
		d.sequel(s)
		d.close()
	}
	d.end()
	return x.log(d)
}

func (x *explanation) madeJSON(d *document) {
	if len(x.made) == 0 {
		return
	}
	d.array("made")
	for _, lot := range x.made {
		d.open()
		d.number("lot", lot.Lot)
		d.text("class", string(lot.Class))
		d.money("amount", lot.Amount)
		d.close()
	}
	d.end()
}

func (d *document) explainedLots(name string, lots []explainedLot) {
	d.array(name)
	for _, lot := range lots {
		d.open()
		d.number("lot", lot.Lot)
		d.text("class", string(lot.Class))
		d.money("amount", lot.Amount)
		d.time("expires_at", lot.ExpiresAt)
		d.object("origin")
		d.sequel(lot.origin)
		d.text("reference", lot.origin.reference)
		d.close()
		d.close()
	}
	d.end()
}

// request is what is known of the request behind an event. Of others' requests a
// customer learns who made them, and not by which names they go: who knows how a
// service makes its keys could take the next one.
func (x *explanation) request(of eventstore.Fact) eventstore.Metadata {
	meta := *of.Meta
	if x.forCustomer() && meta.Role != string(RoleCustomer) {
		meta.Key, meta.RequestID, meta.Command.ID = "", "", ""
	}
	return meta
}

func (d *document) asked(meta eventstore.Metadata) {
	d.object("asked")
	d.text("actor", meta.Actor)
	d.text("role", meta.Role)
	d.text("key", meta.Key)
	d.text("request_id", meta.RequestID)
	d.text("idempotency_key", meta.Command.ID)
	d.time("recorded_at", meta.RecordedAt)
	d.close()
}

func (x *explanation) reading(d *document) {
	reading, metered := x.parts[0].Body.(*account.UsageMetered)
	if !metered {
		return
	}
	d.object("reading")
	d.text("meter", reading.Meter)
	d.text("quantity", reading.Quantity.String())
	d.text("unit_price", reading.UnitPrice.String())
	d.money("charged", reading.Accrued.Charged)
	d.flag("final", reading.Final)
	d.close()
}

// sequel writes the members of an event told in words.
func (d *document) sequel(s sequel) {
	d.text("transaction_id", s.fact.ID.String())
	d.text("event", s.fact.Type)
	d.time("recorded_at", s.fact.Meta.RecordedAt)
	d.text("actor", s.fact.Meta.Actor)
	d.money("amount", s.amount)
	d.text("description", s.description)
	if s.object != nil {
		d.object("object")
		d.story(*s.object)
		d.close()
	}
}

// kindText is a kind as a value: those have hyphens, as all of the API's.
func kindText(kind account.ObjectKind) string { return strings.ReplaceAll(string(kind), "_", "-") }

func (d *document) story(s story) {
	d.text("kind", kindText(account.ObjectKind(s.kind)))
	d.text("id", s.id)
	d.text("status", s.status)
	d.optional("asked", s.asked)
	d.optional("answered", s.answered)
	if s.deployment != nil {
		d.deploymentTerms(s.deployment)
	}
	if len(s.payments) > 0 {
		d.array("payments")
		for _, p := range s.payments {
			d.open()
			d.text("payment", p.Payment)
			d.money("amount", p.Amount)
			d.close()
		}
		d.end()
	}
	d.steps(s.steps)
}

// log writes the events with their hashes and postings.
func (x *explanation) log(d *document) error {
	d.array("events")
	for _, e := range x.inOrder() {
		f := e.fact
		postings, err := journal.Of(f.Body, f.Revision)
		if err != nil {
			return err
		}
		d.open()
		d.number("revision", f.Revision)
		d.number("position", int64(f.Position))
		d.text("id", f.ID.String())
		d.text("type", f.Type)
		d.time("recorded_at", f.Meta.RecordedAt)
		d.text("actor", f.Meta.Actor)
		d.text("role", f.Meta.Role)
		d.text("hash", hashOf(f).String())
		d.text("previous_hash", f.Meta.Previous.String())
		d.text("why", e.why)
		d.array("postings")
		for _, p := range postings {
			d.open()
			d.text("account", p.Account.String())
			d.money("debit", max(0, p.Amount))
			d.money("credit", max(0, -p.Amount))
			d.close()
		}
		d.end()
		data, err := x.data(f)
		if err != nil {
			return err
		}
		d.raw("data", data)
		d.close()
	}
	d.end()
	return nil
}

// data is what is stored of an event. A payment that finance gave to another account
// than it came to names that one, and has finance's note: to a customer, who may be
// either's, it has neither.
func (x *explanation) data(f eventstore.Fact) ([]byte, error) {
	switch {
	case x.nameless:
		return []byte("{}"), nil // it may name who approved
	case !x.forCustomer():
		return f.Data, nil
	}
	switch e := f.Body.(type) {
	case *account.PaymentAssigned:
		plain := *e
		plain.Account, plain.Note = "", ""
		return json.Marshal(&plain)
	case *account.PaymentCredited:
		plain := *e
		plain.From, plain.Note = "", ""
		return json.Marshal(&plain)
	case *account.PaymentResolved:
		plain := *e
		plain.Account, plain.Note = "", ""
		return json.Marshal(&plain)
	}
	return f.Data, nil
}

func hashOf(f eventstore.Fact) eventstore.Hash {
	return eventstore.ChainHash(f.Stream, f.Revision, f.Event, f.Meta.Previous)
}
