package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/httpapi/api"
)

// CheckCredits is GET /credits/check: whether a deduction of the amount would be
// taken now.
func (h handlers) CheckCredits(c echo.Context, params api.CheckCreditsParams) error {
	k := callOf(c)
	amount, err := domain.ParseAmount("amount", params.Amount)
	if err != nil {
		return err
	}
	if err := aboveZero("amount", amount); err != nil {
		return err
	}
	name := k.key.Account
	if params.Account != nil {
		name = *params.Account
	} else if name == "" {
		return domain.Refuse(domain.CodeIDInvalid, "account is missing, and the key is for none").With("field", "account")
	}
	if err := domain.CheckID("account", name); err != nil {
		return err
	}
	if err := k.mayEnter(name); err != nil {
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
	d.flag("sufficient", amount <= b.Spendable && !b.Frozen)
	d.money("required", amount)
	d.money("available", b.Available)
	d.money("allowance", b.Allowance)
	d.money("spendable", b.Spendable)
	d.money("shortfall", max(0, amount-b.Spendable))
	d.flag("frozen", b.Frozen)
	d.freshness(b.Revision, b.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}
