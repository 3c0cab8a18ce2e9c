package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/httpapi/api"
)

// GetCheckout is GET …/checkout: the ways to pay.
func (h handlers) GetCheckout(c echo.Context, name api.Account, params api.GetCheckoutParams) error {
	k := callOf(c)
	amount, err := domain.ParseAmount("amount", params.Amount)
	if err != nil {
		return err
	}
	if err := aboveZero("amount", amount); err != nil {
		return err
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	b, err := h.opts.Views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.money("required", amount)
	d.array("options")
	for _, option := range b.Checkout(amount) {
		d.open()
		d.text("method", string(option.Method))
		d.flag("visible", option.Visible)
		d.flag("enabled", option.Enabled)
		d.text("message", option.Message)
		d.money("required", option.Required)
		d.money("available", option.Available)
		d.close()
	}
	d.end()
	d.freshness(b.Revision, b.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}
