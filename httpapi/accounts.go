package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

// ListAccounts is GET /v1/accounts.
func (h handlers) ListAccounts(c echo.Context, params api.ListAccountsParams) error {
	k := callOf(c)
	if params.Prefix != nil {
		if err := domain.CheckID("prefix", *params.Prefix); err != nil {
			return err
		}
	}
	if err := k.awaitAll(params.MinPosition); err != nil {
		return err
	}
	page, err := h.opts.Views.Accounts(k.ctx, projections.AccountsQuery{
		Prefix: valueOf(params.Prefix), Limit: limitOf(params.Limit), After: valueOf(params.Cursor), Filter: k.filter(),
		Keep: func(b *projections.Balance) bool {
			return (params.Frozen == nil || b.Frozen == *params.Frozen) && (params.InDebt == nil || (b.Debt > 0) == *params.InDebt)
		},
	})
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.array("items")
	for i := range page.Items {
		b := &page.Items[i]
		d.open()
		d.balance(b.Account, &b.Balance.Balance, ledger.Mark{Revision: b.Revision, Position: b.Position, RecordedAt: b.RecordedAt})
		d.close()
	}
	d.end()
	d.nullable("next_cursor", page.Next)
	d.number("lag", k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}
