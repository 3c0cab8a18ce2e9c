package httpapi

import (
	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// objectIn finds the id of the object of a kind that a command was about.
func objectIn(kind account.ObjectKind, facts []eventstore.Fact) string {
	for i := range facts {
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
