package httpapi

import (
	"context"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
)

// ForgetAccount is POST …/forget.
func (h handlers) ForgetAccount(c echo.Context, name api.Account) error {
	k := callOf(c)
	var request api.ForgetRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	result, err := Forget(k.ctx, h.opts.Ledger, h.opts.Sealer, k.request(name, "", order{}), request.Reason)
	if err != nil {
		return err
	}
	return k.answer(statusOK, result, nil)
}

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
