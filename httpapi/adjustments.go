package httpapi

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// RequestAdjustment is POST …/adjustments. The id is a new UUIDv7 at every try;
// of a request that is repeated the first one's events are the answer, and the
// object is read from those, so that one request has one id.
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
		if related, err = parseTransactionID("related_transaction", *request.RelatedTransaction); err != nil {
			return err
		}
	}
	reason, err := k.seal("reason", name, request.Reason)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	return k.adjustment(statusCreated, order{
		do:   account.RequestAdjustment{Adjustment: id.String(), Amount: amount, Reason: reason, Related: related},
		body: request,
	})
}

// ApproveAdjustment is POST …/adjustments/{id}/approve.
func (h handlers) ApproveAdjustment(c echo.Context, _ api.Account, id api.AdjustmentID, _ api.ApproveAdjustmentParams) error {
	k := callOf(c)
	var request api.EmptyRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	if err := domain.CheckID("adjustment_id", id); err != nil {
		return err
	}
	return k.adjustment(statusOK, order{do: account.ApproveAdjustment{Adjustment: id}, body: request})
}

// adjustment executes a command about an adjustment and answers with it.
func (k *call) adjustment(status int, o order) error {
	var today account.Adjustment
	id, waits := "", false
	o.inspect = func(s *account.State, facts []eventstore.Fact) {
		id = objectIn(account.ObjectAdjustment, facts)
		today, waits = s.Adjustments[id]
	}
	result, err := k.execute(o)
	if err != nil {
		return err
	}
	object := account.Object(&today)
	if !waits {
		if object, err = k.closedObject(account.ObjectAdjustment, id, result); err != nil {
			return err
		}
	}
	return k.answer(status, result, func(d *document) error {
		a, ok := object.(*account.Adjustment)
		if !ok {
			return fmt.Errorf("adjustment %s is a %T", id, object)
		}
		return k.appendAdjustment(d, id, a)
	})
}

func (k *call) appendAdjustment(d *document, id string, a *account.Adjustment) error {
	reason, err := k.server.openText(k.ctx, k.account, a.Reason)
	if err != nil {
		return err
	}
	d.object("adjustment")
	d.text("id", id)
	d.text("status", a.Status())
	d.money("amount", a.Amount)
	d.text("reason", reason)
	d.nullable("related_transaction", idText(a.Related))
	d.text("requested_by", a.RequestedBy)
	d.texts("approved_by", a.ApprovedBy)
	d.close()
	return nil
}
