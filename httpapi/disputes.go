package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

var disputes = resource{account.ObjectDispute, disputeForm}

// OpenDispute is POST …/disputes.
func (h handlers) OpenDispute(c echo.Context, name api.Account, _ api.OpenDisputeParams) error {
	k := callOf(c)
	var request api.DisputeRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	transaction, err := canonicalTransactionID("transaction_id", &request.TransactionId)
	if err != nil {
		return err
	}
	reason, err := k.seal("reason", name, request.Reason)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	return k.change(statusCreated, disputes, order{
		do: account.OpenDispute{Dispute: id, Transaction: transaction, Reason: reason}, body: request,
	})
}

// ResolveDispute is POST …/disputes/{id}/resolve.
func (h handlers) ResolveDispute(c echo.Context, name api.Account, id api.DisputeID, _ api.ResolveDisputeParams) error {
	k, request := callOf(c), api.DisputeResolution{}
	return k.changeByID(disputes, id, &request, func() (account.Action, error) {
		refund, err := optionalMoneyOf("refund", request.Refund)
		if err != nil {
			return nil, err
		}
		note, err := k.seal("note", name, request.Note)
		outcome := account.DisputeOutcome(clip(string(request.Outcome)))
		return account.ResolveDispute{Dispute: id, Outcome: outcome, Refund: refund, Note: note}, err
	})
}

// GetDispute is GET …/disputes/{id}.
func (h handlers) GetDispute(c echo.Context, _ api.Account, id api.DisputeID, params api.GetDisputeParams) error {
	return callOf(c).sendObject(disputes, id, params.MinPosition)
}

// ListDisputes is GET …/disputes of an account.
func (h handlers) ListDisputes(c echo.Context, _ api.Account, params api.ListDisputesParams) error {
	return callOf(c).sendObjects(disputes, params.Order, paging{params.Limit, params.Cursor, params.MinPosition})
}

// ListDisputeQueue is GET /v1/disputes, support's desk.
func (h handlers) ListDisputeQueue(c echo.Context, params api.ListDisputeQueueParams) error {
	q := queueQuery{
		statuses: statusesOf(params.Status, string(account.DisputeIsOpen)), account: params.Account,
		paging: paging{params.Limit, params.Cursor, params.MinPosition},
	}
	if params.Service != nil {
		service := domain.Service(*params.Service)
		q.keep = func(r *projections.ObjectRecord) bool {
			x, ok := r.Object.(*account.Dispute)
			return ok && x.Service == service
		}
	}
	return callOf(c).sendQueue(disputes, q)
}

func disputeForm(k *call, d *document, r *projections.ObjectRecord) error {
	x, ok := r.Object.(*account.Dispute)
	if !ok {
		return wrongObject(r)
	}
	reason, err := k.server.openText(k.ctx, r.Account, x.Reason)
	if err != nil {
		return err
	}
	until := r.ChangedAt
	if x.Open() {
		until = k.server.opts.Clock()
	}
	d.text("id", r.ID)
	d.text("account", r.Account)
	d.text("status", x.Status())
	d.text("transaction_id", x.Deduction.String())
	d.money("amount", x.Amount)
	d.text("service", string(x.Service))
	d.text("reference", x.Reference)
	d.text("reason", reason)
	d.text("opened_by", x.OpenedBy)
	d.time("opened_at", r.CreatedAt)
	d.age(r.CreatedAt, until)
	if !x.Open() {
		d.money("refund", x.Refund)
		d.text("resolved_by", x.ResolvedBy)
	}
	if err := k.sealedText(d, "note", r.Account, x.Note); err != nil {
		return err
	}
	d.steps(r.Steps)
	return nil
}
