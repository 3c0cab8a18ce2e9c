package httpapi

import (
	"context"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
)

// Forget destroys the key under which an account's free text is sealed, then
// leaves the event that says so: the event is never ahead of the truth. If it is
// cut short between the two, doing it again is right. by says whose account and
// who asks. Refusals: field-invalid (reason), unknown-account.
func Forget(ctx context.Context, l *ledger.Ledger, sealer *keyring.Sealer, by ledger.Request, reason string) (ledger.Result, error) {
	if err := domain.CheckID("account", by.Account); err != nil {
		return ledger.Result{}, err
	}
	if err := account.CheckForgetReason(reason); err != nil {
		return ledger.Result{}, err
	}
	view, err := l.Read(ctx, by.Account)
	if err != nil {
		return ledger.Result{}, err
	}
	if view.Revision == eventstore.NoStream {
		return ledger.Result{}, domain.Refuse(domain.CodeUnknownAccount, "nothing has happened to account %s yet", by.Account).With("account", by.Account)
	}
	if err := sealer.Destroy(ctx, by.Account); err != nil {
		return ledger.Result{}, err
	}
	by.Do = account.RecordForgotten{Reason: reason}
	return l.Execute(ctx, by)
}
