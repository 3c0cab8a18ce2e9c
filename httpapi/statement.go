package httpapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

// GetStatement is GET …/statement: a month, as JSON or as text. A long one is
// written as it is read.
func (h handlers) GetStatement(c echo.Context, name api.Account, params api.GetStatementParams) error {
	k := callOf(c)
	from, err := time.Parse("2006-01", params.Month)
	to := from.AddDate(0, 1, 0)
	if err != nil || from.Year() < 1970 || to.Year() > 9999 {
		return domain.Refuse(domain.CodeFieldInvalid, "month %q is not a month like 2026-11, from 1970-01 to 9999-11", clip(params.Month)).
			With("field", "month").With("value", clip(params.Month))
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	at, err := h.opts.Views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	s, err := h.opts.Views.Statement(k.ctx, name, from, to)
	if err != nil {
		return err
	}
	if k.wants("text/plain") {
		return k.statementText(params.Month, s)
	}
	return k.statementJSON(params.Month, s, &at)
}

func (k *call) statementJSON(month string, s projections.Statement, at *projections.Balance) error {
	k.begin(jsonType)
	d := newDocument()
	defer d.free()
	d.open()
	d.text("account", s.Account)
	d.text("month", month)
	d.time("from", s.From)
	d.time("to", s.To)
	d.money("opening_balance", s.Opening)
	d.money("closing_balance", s.Closing)
	d.array("totals")
	for _, total := range s.Totals {
		d.open()
		d.text("type", string(total.Type))
		d.number("count", int64(total.Count))
		d.text("amount", total.Amount.String())
		d.text("held", total.Held.String())
		d.close()
	}
	d.end()
	d.freshness(at.Revision, at.Position, k.lag)
	d.array("entries")
	for t, err := range k.server.opts.Views.StatementEntries(k.ctx, s) {
		if err == nil {
			err = k.server.appendTransaction(k.ctx, d, &t)
		}
		if err == nil {
			err = k.flush(d)
		}
		if err != nil {
			return err
		}
	}
	d.end()
	d.close()
	return k.finish(d)
}

func (k *call) statementText(month string, s projections.Statement) error {
	if k.behind != nil {
		return k.behind
	}
	k.begin(textType)
	d := newDocument()
	defer d.free()
	d.printf("Statement of account %s for %s (times in UTC)\n", s.Account, month)
	d.printf("%-62s %20s", "Opening balance", s.Opening)
	for _, total := range s.Totals {
		d.printf("  %-50s %8d %21s", total.Type, total.Count, signedSum(total.Amount))
	}
	d.printf("%-62s %20s\n", "Closing balance", s.Closing)
	d.printf("%-20s  %-20s %-10s  %20s  %20s  %s", "Recorded", "Type", "Service", "Amount", "Balance", "Transaction and reference")
	for t, err := range k.server.opts.Views.StatementEntries(k.ctx, s) {
		if err != nil {
			return err
		}
		description, err := k.server.openText(k.ctx, t.Account, t.Description)
		if err != nil {
			return err
		}
		d.printf("%-20s  %-20s %-10s  %20s  %20s  %s%s", t.RecordedAt.UTC().Format(time.RFC3339), t.Type, t.Service,
			signed(t.Amount), t.BalanceAfter, t.ID, quoted(t.Reference, description))
		if err := k.flush(d); err != nil {
			return err
		}
	}
	return k.finish(d)
}
