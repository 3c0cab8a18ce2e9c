package httpapi

import (
	"errors"
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
	return k.objectInLog(kind, id)
}

// objectInLog folds an object from the log.
func (k *call) objectInLog(kind account.ObjectKind, id string) (*projections.ObjectRecord, error) {
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

// withStatus adds to a refusal of a command on a closed object what became of it:
// the decider has forgotten that. A refusal that can't be completed stays as it
// is; the account's own answer matters more than this one word.
func (k *call) withStatus(err error) error {
	var closed *account.ClosedError
	if !errors.As(err, &closed) {
		return err
	}
	record, failed := k.objectAfter(closed.Kind, closed.ID, 0)
	if failed == nil && record.Object.Open() {
		// Another engine closed it, and the read models have yet to hear of that.
		record, failed = k.objectInLog(closed.Kind, closed.ID)
	}
	if failed != nil || record.Events == 0 || record.Object.Open() {
		return err
	}
	return closed.WithStatus(record.Object.Status())
}
