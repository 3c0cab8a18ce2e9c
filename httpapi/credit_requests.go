package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

var creditRequests = resource{account.ObjectCreditRequest, creditRequestForm}

// RequestCredit is POST …/credit-requests.
func (h handlers) RequestCredit(c echo.Context, name api.Account, _ api.RequestCreditParams) error {
	k := callOf(c)
	var request api.CreditRequestRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	amount, err := moneyOf("amount", &request.Amount)
	if err != nil {
		return err
	}
	who, err := k.seal("name", name, request.Name)
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
	return k.change(statusCreated, creditRequests, order{
		do:   account.RequestCredit{Request: id, Amount: amount, Name: who, Reason: reason},
		body: request,
	})
}

// ApproveCreditRequest is POST …/credit-requests/{id}/approve.
func (h handlers) ApproveCreditRequest(c echo.Context, _ api.Account, id api.CreditRequestID, _ api.ApproveCreditRequestParams) error {
	k, request := callOf(c), api.ApprovalRequest{}
	return k.changeByID(creditRequests, id, &request, func() (account.Action, error) {
		amount, err := moneyOf("approved_amount", &request.ApprovedAmount)
		if err != nil {
			return nil, err
		}
		expires, err := timeOf("expires_at", request.ExpiresAt)
		return account.ApproveCreditRequest{Request: id, Terms: account.CreditTerms{
			Amount: amount, Promotional: valueOf(request.Promotional), ExpiresAt: expires,
		}}, err
	})
}

// RejectCreditRequest is POST …/credit-requests/{id}/reject.
func (h handlers) RejectCreditRequest(c echo.Context, name api.Account, id api.CreditRequestID, _ api.RejectCreditRequestParams) error {
	k, request := callOf(c), api.ReasonRequest{}
	return k.changeByID(creditRequests, id, &request, func() (account.Action, error) {
		reason, err := k.seal("reason", name, request.Reason)
		return account.RejectCreditRequest{Request: id, Reason: reason}, err
	})
}

// CancelCreditRequest is POST …/credit-requests/{id}/cancel.
func (h handlers) CancelCreditRequest(c echo.Context, _ api.Account, id api.CreditRequestID, _ api.CancelCreditRequestParams) error {
	return callOf(c).changeByID(creditRequests, id, &api.EmptyRequest{}, func() (account.Action, error) {
		return account.CancelCreditRequest{Request: id}, nil
	})
}

// GetCreditRequest is GET …/credit-requests/{id}.
func (h handlers) GetCreditRequest(c echo.Context, _ api.Account, id api.CreditRequestID, params api.GetCreditRequestParams) error {
	return callOf(c).sendObject(creditRequests, id, params.MinPosition)
}

// ListAccountCreditRequests is GET …/credit-requests of an account.
func (h handlers) ListAccountCreditRequests(c echo.Context, _ api.Account, params api.ListAccountCreditRequestsParams) error {
	return callOf(c).sendObjects(creditRequests, params.Order, paging{params.Limit, params.Cursor, params.MinPosition})
}

// ListCreditRequests is GET /v1/credit-requests: the BD team's queue.
func (h handlers) ListCreditRequests(c echo.Context, params api.ListCreditRequestsParams) error {
	return callOf(c).sendQueue(creditRequests, queueQuery{
		statuses: statusesOf(params.Status, string(account.CreditIsRequested)), account: params.Account,
		paging: paging{params.Limit, params.Cursor, params.MinPosition},
	})
}

// creditRequestForm writes the members of a request.
func creditRequestForm(k *call, d *document, record *projections.ObjectRecord) error {
	r, ok := record.Object.(*account.CreditRequest)
	if !ok {
		return wrongObject(record)
	}
	d.text("id", record.ID)
	d.text("account", record.Account)
	d.text("status", r.Status())
	d.money("amount", r.Amount)
	for _, text := range []struct {
		name   string
		sealed domain.Sealed
	}{{"name", r.Name}, {"reason", r.Reason}, {"rejection_reason", r.RejectionReason}} {
		if err := k.sealedText(d, text.name, record.Account, text.sealed); err != nil {
			return err
		}
	}
	d.text("requested_by", r.RequestedBy)
	d.names("approved_by", r.ApprovedBy)
	if len(r.ApprovedBy) > 0 {
		d.number("approval_level", int64(len(r.ApprovedBy)))
		d.money("approved_amount", r.Terms.Amount)
		d.flag("promotional", r.Terms.Promotional)
		d.moment("expires_at", r.Terms.ExpiresAt)
	}
	if r.RejectedBy != "" {
		d.text("rejected_by", r.RejectedBy)
		d.number("rejection_level", int64(r.RejectionLevel))
	}
	d.time("requested_at", record.CreatedAt)
	d.steps(record.Steps)
	return nil
}
