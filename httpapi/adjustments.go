package httpapi

import (
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

var adjustments = resource{account.ObjectAdjustment, adjustmentForm}

// RequestAdjustment is POST …/adjustments.
func (h handlers) RequestAdjustment(c echo.Context, name api.Account, _ api.RequestAdjustmentParams) error {
	k := callOf(c)
	var request api.AdjustmentRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	amount, err := domain.ParseSignedAmount("amount", string(request.Amount))
	if err != nil {
		return err
	}
	request.Amount = api.Figure(amount.String())
	related := uuid.Nil
	if request.RelatedTransaction != nil {
		if related, err = canonicalTransactionID("related_transaction", request.RelatedTransaction); err != nil {
			return err
		}
	}
	reason, err := k.seal("reason", name, request.Reason)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	return k.change(statusCreated, adjustments, order{
		do:   account.RequestAdjustment{Adjustment: id, Amount: amount, Reason: reason, Related: related},
		body: request,
	})
}

// ApproveAdjustment is POST …/adjustments/{id}/approve.
func (h handlers) ApproveAdjustment(c echo.Context, _ api.Account, id api.AdjustmentID, _ api.ApproveAdjustmentParams) error {
	return callOf(c).changeByID(adjustments, id, &api.EmptyRequest{}, func() (account.Action, error) {
		return account.ApproveAdjustment{Adjustment: id}, nil
	})
}

// RejectAdjustment is POST …/adjustments/{id}/reject.
func (h handlers) RejectAdjustment(c echo.Context, name api.Account, id api.AdjustmentID, _ api.RejectAdjustmentParams) error {
	k, request := callOf(c), api.ReasonRequest{}
	return k.changeByID(adjustments, id, &request, func() (account.Action, error) {
		reason, err := k.seal("reason", name, request.Reason)
		return account.RejectAdjustment{Adjustment: id, Reason: reason}, err
	})
}

// GetAdjustment is GET …/adjustments/{id}.
func (h handlers) GetAdjustment(c echo.Context, _ api.Account, id api.AdjustmentID, params api.GetAdjustmentParams) error {
	return callOf(c).sendObject(adjustments, id, params.MinPosition)
}

// ListAdjustmentQueue is GET /v1/adjustments: what waits for finance.
func (h handlers) ListAdjustmentQueue(c echo.Context, params api.ListAdjustmentQueueParams) error {
	return callOf(c).sendQueue(adjustments, queueQuery{
		statuses: statusesOf(params.Status, string(account.AdjustmentIsRequested)), account: params.Account,
		paging: paging{params.Limit, params.Cursor, params.MinPosition},
	})
}

func adjustmentForm(k *call, d *document, r *projections.ObjectRecord) error {
	a, ok := r.Object.(*account.Adjustment)
	if !ok {
		return wrongObject(r)
	}
	reason, err := k.server.openText(k.ctx, r.Account, a.Reason)
	if err != nil {
		return err
	}
	d.text("id", r.ID)
	d.text("account", r.Account)
	d.text("status", a.Status())
	d.money("amount", a.Amount)
	d.text("reason", reason)
	d.nullable("related_transaction", idText(a.Related))
	d.text("requested_by", a.RequestedBy)
	d.time("requested_at", r.CreatedAt)
	d.names("approved_by", a.ApprovedBy)
	d.optional("rejected_by", a.RejectedBy)
	if err := k.sealedText(d, "rejection", r.Account, a.Rejection); err != nil {
		return err
	}
	d.steps(r.Steps)
	return nil
}
