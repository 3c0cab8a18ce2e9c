package audit

import (
	"context"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// Receipt makes the receipt of an event of an account from what a source has. Error:
// CodeUnavailable if no signed checkpoint covers it yet.
func Receipt(source Source, event eventstore.Recorded) (transparency.Receipt, error) {
	name, _ := eventstore.AccountOf(event.Stream)
	if source.Views == nil || source.Checkpoints == nil {
		return transparency.Receipt{}, domain.Refuse(domain.CodeUnavailable,
			"a receipt is made from the tree of the log and its signed checkpoints: name the data directory of an engine that has both")
	}
	tree, err := source.Views.Tree()
	if err != nil {
		return transparency.Receipt{}, err
	}
	index, found, err := tree.LeafIndex(event.Position)
	if err != nil {
		return transparency.Receipt{}, err
	}
	uncovered := domain.Refuse(domain.CodeUnavailable, "no signed checkpoint covers revision %d of account %s yet: "+
		"an engine that runs with a signer signs one at most a minute after the event, and at once when GET /v1/audit/checkpoint asks", event.Revision, name)
	for signed, err := range source.Checkpoints {
		if err != nil {
			return transparency.Receipt{}, err
		}
		if !found || signed.Size <= index || signed.Size > tree.Size() {
			continue
		}
		hashes, err := tree.Inclusion(index, signed.Size)
		if err != nil {
			return transparency.Receipt{}, err
		}
		return transparency.NewReceipt(event, index, hashes, signed.Checkpoint)
	}
	return transparency.Receipt{}, uncovered
}

// EventAt reads one event of an account. Errors: CodeUnknownAccount,
// CodeUnknownTransaction.
func EventAt(ctx context.Context, store eventstore.Store, name string, revision int64) (eventstore.Recorded, error) {
	for r, err := range store.ReadStream(ctx, eventstore.AccountStream(name), revision, eventstore.Forwards, 1) {
		if err != nil {
			return r, err
		}
		if r.Revision == revision {
			return r, nil
		}
	}
	return eventstore.Recorded{}, absent(ctx, store, name, domain.Refuse(domain.CodeUnknownTransaction, "account %s has no event at revision %d", name, revision))
}

// absent is none, or CodeUnknownAccount where the account has no event at all (api.md).
func absent(ctx context.Context, store eventstore.Store, name string, none error) error {
	for _, err := range store.ReadStream(ctx, eventstore.AccountStream(name), 0, eventstore.Forwards, 1) {
		if err != nil {
			return err
		}
		return none
	}
	return domain.Refuse(domain.CodeUnknownAccount, "the log has no account %q", name).With("account", name)
}

// EventOf reads the event of an account that has this id. Errors: CodeUnknownAccount;
// CodeUnknownTransaction, as for the id of an event that another account has at the same
// revision.
func EventOf(ctx context.Context, store eventstore.Store, name string, id domain.TransactionID) (eventstore.Recorded, error) {
	none := domain.Refuse(domain.CodeUnknownTransaction, "account %s has no event %s", name, id).
		With("field", "transaction_id").With("value", id.String())
	revision, ours := domain.RevisionOf(id)
	if !ours {
		return eventstore.Recorded{}, absent(ctx, store, name, none)
	}
	event, err := EventAt(ctx, store, name, revision)
	if domain.IsCode(err, domain.CodeUnknownTransaction) || err == nil && event.ID != id {
		return eventstore.Recorded{}, none
	}
	return event, err
}
