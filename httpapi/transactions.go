package httpapi

import (
	"context"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/api"
	"iocredits/projections"
	"iocredits/projections/audit"
)

const defaultLimit = 50

// limitOf is the size of a page. The frame has refused one that is out of bounds.
func limitOf(limit *int) int {
	if limit == nil {
		return defaultLimit
	}
	return *limit
}

// notACursor is the refusal of a cursor that belongs to no page of this list.
func notACursor(text string) *domain.Error {
	return domain.Refuse(domain.CodeFieldInvalid, "cursor is none that this list gave out").With("field", "cursor").With("value", clip(text))
}

// ListTransactions is GET …/transactions, as a page or as a file.
func (h handlers) ListTransactions(c echo.Context, name api.Account, params api.ListTransactionsParams) error {
	k := callOf(c)
	q, err := queryOf(name, params)
	if err != nil {
		return err
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	if k.wants("text/csv") {
		return k.sendCSV(q)
	}
	at, err := h.opts.Views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	page, err := h.opts.Views.Transactions(k.ctx, q)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.array("items")
	for i := range page.Items {
		page.Items[i].Account = name
		if err := h.appendTransaction(k.ctx, d, &page.Items[i]); err != nil {
			return err
		}
	}
	d.end()
	d.nullable("next_cursor", page.Next)
	d.freshness(at.Revision, at.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

func queryOf(name string, params api.ListTransactionsParams) (projections.Query, error) {
	q := projections.Query{
		Account: name, Type: account.EntryType(valueOf(params.Type)), Service: domain.Service(valueOf(params.Service)),
		Reference: valueOf(params.Reference), Cursor: valueOf(params.Cursor), Limit: limitOf(params.Limit),
	}
	if params.Reference != nil && *params.Reference == "" { // it would filter nothing
		return q, domain.Refuse(domain.CodeFieldInvalid, "reference is empty; leave it out to list all").With("field", "reference").With("value", "")
	}
	var err error
	if q.From, err = timeOf("from", params.From); err != nil {
		return q, err
	}
	if q.To, err = timeOf("to", params.To); err != nil {
		return q, err
	}
	if params.To != nil && q.From.After(q.To) { // an empty list would look like no usage
		from, to := q.From.Format(time.RFC3339Nano), q.To.Format(time.RFC3339Nano)
		return q, domain.Refuse(domain.CodeTimeInvalid, "from %s is after to %s", from, to).With("field", "from").With("value", from)
	}
	if q.AsOf, err = timeOf("as_of", params.AsOf); err != nil {
		return q, err
	}
	q.KnownAt, err = timeOf("known_at", params.KnownAt)
	return q, err
}

// GetTransaction is GET …/transactions/{id}.
func (h handlers) GetTransaction(c echo.Context, name api.Account, text api.TransactionID, params api.GetTransactionParams) error {
	k := callOf(c)
	id, err := parseTransactionID("transaction_id", text)
	if err != nil {
		return err
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	t, err := h.transaction(k.ctx, name, id)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	if err := h.transactionMembers(k.ctx, d, &t); err != nil {
		return err
	}
	d.number("lag", k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// transaction finds an entry by its id, which has the revision in it. Refusal:
// unknown-transaction.
func (s *Server) transaction(ctx context.Context, name string, id domain.TransactionID) (projections.Transaction, error) {
	revision, ours := domain.RevisionOf(id)
	t, found, err := s.opts.Views.Transaction(ctx, name, revision)
	if err == nil && (!ours || !found || t.ID != id) {
		err = unknownTransaction("transaction_id", id.String())
	}
	return t, err
}

// unknownTransaction is the refusal of an id that none of the account's entries has.
func unknownTransaction(field, id string) error {
	return domain.Refuse(domain.CodeUnknownTransaction, "the account has no transaction %s", clip(id)).
		With("field", field).With("value", clip(id))
}

var csvHeader = []string{
	"transaction_id", "account", "service", "type", "amount", "held", "balance_after", "recorded_at", "effective_at",
	"reference", "description", "actor", "lots", "related_transaction", "revision", "position",
}

// sendCSV writes the whole selection, newest first, as it is read.
func (k *call) sendCSV(q projections.Query) error {
	if k.behind != nil {
		return k.behind
	}
	k.Response().Header()["Content-Disposition"] = []string{`attachment; filename="transactions-` + q.Account + `.csv"`}
	k.begin([]string{"text/csv; charset=utf-8"})
	w := csv.NewWriter(k.Response())
	if err := w.Write(csvHeader); err != nil {
		return err
	}
	rows := 0
	for t, err := range k.server.opts.Views.Each(k.ctx, q) {
		if err != nil {
			return err
		}
		if rows++; rows%1000 == 1 {
			k.writeSoon()
		}
		t.Account = q.Account
		description, err := k.server.openText(k.ctx, t.Account, t.Description)
		if err != nil {
			return err
		}
		if err := w.Write([]string{
			t.ID.String(), audit.PlainCell(t.Account), string(t.Service), string(t.Type),
			t.Amount.String(), t.Held.String(), t.BalanceAfter.String(), timeText(t.RecordedAt), timeText(t.EffectiveAt),
			audit.PlainCell(t.Reference), audit.PlainCell(description), audit.PlainCell(t.Actor), lotsText(t.Lots),
			idText(t.Related), strconv.FormatInt(t.Revision, 10), strconv.FormatUint(uint64(t.Position), 10),
		}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func lotsText(lots []account.LotUse) string {
	parts := make([]string, len(lots))
	for i, u := range lots {
		parts[i] = strconv.FormatInt(u.Lot, 10) + ":" + string(u.Class) + ":" + u.Amount.String()
	}
	return strings.Join(parts, " ")
}
