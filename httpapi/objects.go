package httpapi

import (
	"math"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/projections"
)

// objectIn finds the id of the object of a kind that a command was about: what
// deadlines did to others of the kind stands before it.
func objectIn(kind account.ObjectKind, facts []eventstore.Fact) string {
	for i := len(facts) - 1; i >= 0; i-- {
		if k, id, ok := account.ObjectOf(facts[i].Body); ok && k == kind {
			return id
		}
	}
	return ""
}

// objectAfter gives an object as it is once the read models have a command's
// events. Where they are late it is folded from the log, slowly: a command that
// was accepted is always answered.
func (k *call) objectAfter(kind account.ObjectKind, id string, position eventstore.Position) (*projections.ObjectRecord, error) {
	// A replay is answered with today's object: not only its own events count.
	err := k.server.waitFor(k.ctx, max(position, k.server.opts.Ledger.Acked(k.account)))
	if err == nil {
		return k.mustObject(kind, id)
	}
	if !domain.IsCode(err, domain.CodeReadBehind) {
		return nil, err
	}
	record := projections.NewObjectRecord(k.account, kind, id)
	for r, err := range k.server.opts.Store.ReadStream(k.ctx, eventstore.AccountStream(k.account), 0, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return nil, err
		}
		fact, err := k.server.opts.Codec.Open(r)
		if err != nil {
			return nil, err
		}
		if of, itsID, ok := account.ObjectOf(fact.Body); ok && of == kind && itsID == id {
			record.Apply(fact)
		}
	}
	return record, nil
}
