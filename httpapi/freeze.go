package httpapi

import (
	"cmp"
	"context"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// FreezeAccount is POST …/freeze.
func (h handlers) FreezeAccount(c echo.Context, name api.Account, _ api.FreezeAccountParams) error {
	return callOf(c).setFrozen(name, func(reason domain.Sealed) account.Action { return account.Freeze{Reason: reason} })
}

// UnfreezeAccount is POST …/unfreeze.
func (h handlers) UnfreezeAccount(c echo.Context, name api.Account, _ api.UnfreezeAccountParams) error {
	return callOf(c).setFrozen(name, func(reason domain.Sealed) account.Action { return account.Unfreeze{Reason: reason} })
}

func (k *call) setFrozen(name string, action func(reason domain.Sealed) account.Action) error {
	var request api.ReasonRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	reason, err := k.seal("reason", name, request.Reason)
	if err != nil {
		return err
	}
	result, err := k.execute(order{do: action(reason), body: request})
	if err != nil {
		return err
	}
	return k.answer(statusOK, result, nil)
}

// freeze is why an account is frozen, for staff. State and read models know only that it is:
// frozen accounts are few, and most hardly grow. So the reason is looked up in the log,
// backwards, in at most maxFreezeScan events.
type freeze struct {
	fact   eventstore.Fact
	cause  account.FreezeCause
	reason domain.Sealed
	// purchase is the one that was taken back, of a chargeback.
	purchase string
}

// maxFreezeScan bounds the search: what already runs on a frozen account goes on making events.
const maxFreezeScan = 10_000

// toldOfFreezes are the roles that may read what staff write to each other of an account.
var toldOfFreezes = setOf([]Role{RoleBD, RoleFinance, RoleSupport, RoleAuditor, RoleAdmin})

// freezeAt finds the freeze that holds at a revision of a frozen account; without a fact if
// it is too far back.
func (s *Server) freezeAt(ctx context.Context, name string, revision int64) (found freeze, err error) {
	stream := eventstore.AccountStream(name)
	for r, err := range s.opts.Store.ReadStream(ctx, stream, revision, eventstore.Backwards, maxFreezeScan) {
		if err != nil {
			return found, err
		}
		f, err := s.opts.Codec.Open(r)
		if err != nil {
			return found, err
		}
		switch e := f.Body.(type) {
		case *account.Frozen:
			if found.fact.Body == nil {
				found.fact, found.cause, found.reason = f, e.Cause, e.Reason
			}
			if e.Cause == account.FreezeDesk {
				return found, nil
			}
		case *account.PurchaseReversed: // the last one before the freeze made the debt that caused it
			if found.fact.Body != nil {
				found.purchase, found.reason = cmp.Or(e.Purchase, e.Payment), e.Reason
				return found, nil
			}
		}
	}
	return found, nil
}

// freeze writes why an account is frozen; null if it isn't, or if that is too far back.
func (k *call) freeze(d *document, name string, frozen bool, revision int64) error {
	if !frozen {
		d.null("freeze")
		return nil
	}
	found, err := k.server.freezeAt(k.ctx, name, revision)
	if err != nil {
		return err
	}
	if found.fact.Body == nil {
		d.null("freeze")
		return nil
	}
	reason, err := k.server.openText(k.ctx, name, found.reason)
	if err != nil {
		return err
	}
	d.object("freeze")
	d.text("cause", string(found.cause))
	d.text("reason", reason)
	d.text("actor", found.fact.Meta.Actor)
	d.time("at", found.fact.Meta.RecordedAt)
	d.optional("purchase", found.purchase)
	d.text("transaction_id", found.fact.ID.String())
	d.close()
	return nil
}
