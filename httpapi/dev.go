package httpapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/api"
)

// The routes under /dev: registrar.add serves them only where Options.Dev is set.

// AdvanceClock is POST /dev/clock: it answers once all that became due was done.
func (h handlers) AdvanceClock(c echo.Context) error {
	k := callOf(c)
	var request api.ClockRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	by, err := time.ParseDuration(request.Advance)
	if err != nil || by <= 0 {
		return domain.Refuse(domain.CodeFieldInvalid, "advance is not a duration above zero, like 90s, 5m or 24h").
			With("field", "advance").With("value", clip(request.Advance))
	}
	if err := h.opts.Dev.Advance(k.ctx, by); err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.time("now", h.opts.Clock())
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// RecordDevPurchase is POST /dev/accounts/{account}/purchases: a payment that
// has settled, without a provider.
func (h handlers) RecordDevPurchase(c echo.Context, _ api.Account, _ api.RecordDevPurchaseParams) error {
	k := callOf(c)
	var request api.DevPurchaseRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	amount, err := moneyOf("amount", &request.Amount)
	if err != nil {
		return err
	}
	expires, err := timeOf("expires_at", request.ExpiresAt)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	result, err := k.execute(order{
		do:   account.RecordPurchase{Purchase: id, Amount: amount, ExpiresAt: expires},
		body: request,
	})
	if err != nil {
		return err
	}
	return k.answer(statusCreated, result, func(d *document) error {
		d.object("purchase")
		if settled, _ := firstOf[*account.PurchaseSettled](result.Facts); settled != nil {
			d.text("id", settled.Purchase)
			d.text("status", "settled")
			d.money("amount", settled.Amount)
		} else if lost, _ := firstOf[*account.PaymentUnmatched](result.Facts); lost != nil {
			d.text("id", lost.Purchase)
			d.text("status", "unmatched")
			d.money("amount", lost.Amount)
		}
		d.close()
		return nil
	})
}

// PlayPayment is POST /dev/payments/{purchase_id}.
func (h handlers) PlayPayment(c echo.Context, id api.PurchaseID) error {
	k := callOf(c)
	var request api.PlayRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	if err := domain.CheckID("purchase_id", id); err != nil {
		return err
	}
	if !request.Action.Valid() {
		return domain.Refuse(domain.CodeFieldInvalid, "action %q is none of pay, fail, half, double, twice, refund and chargeback", clip(string(request.Action))).
			With("field", "action").With("value", clip(string(request.Action)))
	}
	if h.opts.Dev.Play == nil {
		return notSetUp("payment-sandbox", "there is no payment sandbox")
	}
	if err := h.opts.Dev.Play(k.ctx, id, string(request.Action)); err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.text("purchase_id", id)
	d.text("action", string(request.Action))
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}
