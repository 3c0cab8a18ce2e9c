package httpapi

import (
	"math"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
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

// closedObject gives an object that the account's state no longer keeps, for an
// answer. The read models keep it for ever; where they are late, a command that
// was accepted is answered all the same, with what its own events say.
func (k *call) closedObject(kind account.ObjectKind, id string, result ledger.Result) (account.Object, error) {
	err := k.server.waitFor(k.ctx, result.Head.Position)
	if err == nil {
		record, found, err := k.server.opts.Views.Object(k.ctx, k.account, kind, id)
		if err != nil {
			return nil, err
		}
		if found {
			return record.Object, nil
		}
	} else if !domain.IsCode(err, domain.CodeReadBehind) {
		return nil, err
	}
	object := account.NewObject(kind)
	for i := range result.Facts {
		if k, of, ok := account.ObjectOf(result.Facts[i].Body); ok && k == kind && of == id {
			object.Apply(result.Facts[i].Body)
		}
	}
	return object, nil
}

// objectAfter gives an object as it is once the read models have a command's
// events. Where they are late it is folded from the log, slowly: a command that
// was accepted is always answered.
func (k *call) objectAfter(kind account.ObjectKind, id string, position eventstore.Position) (*projections.ObjectRecord, error) {
	err := k.server.waitFor(k.ctx, position)
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
