package httpapi

import (
	"context"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

var withdrawals = resource{account.ObjectWithdrawal, withdrawalForm}

// RequestWithdrawal is POST …/withdrawals.
func (h handlers) RequestWithdrawal(c echo.Context, name api.Account, _ api.RequestWithdrawalParams) error {
	k := callOf(c)
	var request api.WithdrawalRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	amount, err := moneyOf("amount", &request.Amount)
	if err != nil {
		return err
	}
	network, err := account.ParseNetwork(string(request.Network))
	if err != nil {
		return err
	}
	// The command gets the seal alone, so the form is checked here.
	if err := account.CheckWallet(network, request.WalletAddress); err != nil {
		return err
	}
	wallet, err := k.seal("wallet_address", name, &request.WalletAddress)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	return k.change(statusCreated, withdrawals, order{
		do:   account.RequestWithdrawal{Withdrawal: id, Amount: amount, Wallet: wallet, Network: network},
		body: request,
	})
}

// CancelWithdrawal is POST …/withdrawals/{id}/cancel.
func (h handlers) CancelWithdrawal(c echo.Context, _ api.Account, id api.WithdrawalID, _ api.CancelWithdrawalParams) error {
	return callOf(c).changeByID(withdrawals, id, &api.EmptyRequest{}, func() (account.Action, error) {
		return account.CancelWithdrawal{Withdrawal: id}, nil
	})
}

// ApproveWithdrawal is POST …/withdrawals/{id}/approve.
func (h handlers) ApproveWithdrawal(c echo.Context, _ api.Account, id api.WithdrawalID, _ api.ApproveWithdrawalParams) error {
	return callOf(c).changeByID(withdrawals, id, &api.EmptyRequest{}, func() (account.Action, error) {
		return account.ApproveWithdrawal{Withdrawal: id}, nil
	})
}

// RejectWithdrawal is POST …/withdrawals/{id}/reject.
func (h handlers) RejectWithdrawal(c echo.Context, name api.Account, id api.WithdrawalID, _ api.RejectWithdrawalParams) error {
	k, request := callOf(c), api.ReasonRequest{}
	return k.changeByID(withdrawals, id, &request, func() (account.Action, error) {
		reason, err := k.seal("reason", name, request.Reason)
		return account.RejectWithdrawal{Withdrawal: id, Reason: reason}, err
	})
}

// FailWithdrawal is POST …/withdrawals/{id}/failed.
func (h handlers) FailWithdrawal(c echo.Context, name api.Account, id api.WithdrawalID, _ api.FailWithdrawalParams) error {
	k, request := callOf(c), api.ReasonRequest{}
	return k.changeByID(withdrawals, id, &request, func() (account.Action, error) {
		reason, err := k.seal("reason", name, request.Reason)
		return account.FailWithdrawal{Withdrawal: id, Reason: reason}, err
	})
}

// RecordPayout is POST …/withdrawals/{id}/paid.
func (h handlers) RecordPayout(c echo.Context, name api.Account, id api.WithdrawalID, _ api.RecordPayoutParams) error {
	k, request := callOf(c), api.PayoutRequest{}
	return k.changeByID(withdrawals, id, &request, func() (account.Action, error) {
		if err := checkWebAddress("tx_url", request.TxUrl); err != nil {
			return nil, err
		}
		network, err := k.paidOn(id, &request)
		if err != nil {
			return nil, err
		}
		sealed, err := k.seal("tx_url", name, &request.TxUrl)
		return account.RecordPayout{Withdrawal: id, TxURL: sealed, Network: network}, err
	})
}

// paidOn is the network of a payout: the one that was asked for, unless the request names
// another. To name the one that was asked for is to name none: both are the same request.
func (k *call) paidOn(id string, request *api.PayoutRequest) (account.Network, error) {
	given := account.Network("")
	if request.Network != nil {
		var err error
		if given, err = account.ParseNetwork(string(*request.Network)); err != nil {
			return "", err
		}
	}
	asked, err := k.askedFor(id)
	switch {
	case domain.IsCode(err, domain.CodeUnknownWithdrawal) && given != "":
		return given, nil // whether there is such a withdrawal is for the account to say
	case err != nil:
		return "", err
	case given == "":
		return asked, nil
	case given == asked:
		request.Network = nil
	}
	return given, nil
}

// askedFor is the network that a withdrawal was asked for on. Read models that are late may
// lack it, which would change what the request means: then the log is asked.
func (k *call) askedFor(id string) (account.Network, error) {
	record, err := k.objectAfter(account.ObjectWithdrawal, id, 0)
	if domain.IsCode(err, domain.CodeUnknownWithdrawal) {
		record, err = k.objectInLog(account.ObjectWithdrawal, id) // another engine may have taken it
	}
	if err == nil && record.Events == 0 {
		err = unknownObject(account.ObjectWithdrawal, id)
	}
	if err != nil {
		return "", err
	}
	w, ok := record.Object.(*account.Withdrawal)
	if !ok {
		return "", wrongObject(record)
	}
	return w.Network, nil
}

// checkWebAddress accepts an https address, because people will follow it. They
// have to see where to: a name before an @, or letters that look like others, show
// another place than the browser goes to.
func checkWebAddress(field, text string) error {
	address, err := url.Parse(text)
	if err != nil || address.Scheme != "https" || address.Hostname() == "" || address.User != nil || !isASCII(address.Host) {
		return domain.Refuse(domain.CodeFieldInvalid, "%s is no https address", field).With("field", field).With("value", clip(text))
	}
	return nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

// GetWithdrawal is GET …/withdrawals/{id}.
func (h handlers) GetWithdrawal(c echo.Context, _ api.Account, id api.WithdrawalID, params api.GetWithdrawalParams) error {
	return callOf(c).sendObject(withdrawals, id, params.MinPosition)
}

// ListWithdrawals is GET …/withdrawals of an account.
func (h handlers) ListWithdrawals(c echo.Context, _ api.Account, params api.ListWithdrawalsParams) error {
	return callOf(c).sendObjects(withdrawals, params.Order, paging{params.Limit, params.Cursor, params.MinPosition})
}

// openWithdrawals are those that finance still has to do something about.
var openWithdrawals = []string{string(account.WithdrawalIsRequested), string(account.WithdrawalIsApproved)}

// ListWithdrawalQueue is GET /v1/withdrawals, finance's desk.
func (h handlers) ListWithdrawalQueue(c echo.Context, params api.ListWithdrawalQueueParams) error {
	given := params.Status
	if given != nil && *given == api.ListWithdrawalQueueParamsStatusOpen {
		given = nil
	}
	network := account.Network(valueOf(params.Network))
	q := queueQuery{
		statuses: statusesOf(given, openWithdrawals...), account: params.Account,
		paging: paging{params.Limit, params.Cursor, params.MinPosition},
	}
	q.keep = func(r *projections.ObjectRecord) bool {
		w, ok := r.Object.(*account.Withdrawal)
		return ok && (network == "" || w.Network == network) && (params.Late == nil || *params.Late == h.late(w))
	}
	return callOf(c).sendQueue(withdrawals, q)
}

// late tells that a withdrawal should have been paid.
func (s *Server) late(w *account.Withdrawal) bool { return w.Open() && s.opts.Clock().After(w.DueBy) }

// deskGauge counts what waits for finance; -1 when the read models can't tell.
func (s *Server) deskGauge() (all, late float64) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ReadPatience)
	defer cancel()
	open, overdue, err := s.opts.Views.CountWaiting(ctx, account.ObjectWithdrawal, openWithdrawals, s.opts.Clock())
	if err != nil {
		return -1, -1
	}
	return float64(open), float64(overdue)
}

func withdrawalForm(k *call, d *document, r *projections.ObjectRecord) error {
	w, ok := r.Object.(*account.Withdrawal)
	if !ok {
		return wrongObject(r)
	}
	wallet, err := k.server.openText(k.ctx, r.Account, w.Wallet)
	if err != nil {
		return err
	}
	d.text("id", r.ID)
	d.text("account", r.Account)
	d.text("status", w.Status())
	d.money("amount", w.Amount)
	d.text("wallet_address", wallet)
	d.text("network", string(w.Network))
	d.text("requested_by", w.RequestedBy)
	d.time("requested_at", r.CreatedAt)
	d.time("due_from", w.DueFrom)
	d.time("due_by", w.DueBy)
	d.flag("late", k.server.late(w))
	d.names("approved_by", w.ApprovedBy)
	d.optional("cause", string(w.Cause))
	if err := k.sealedText(d, "reason", r.Account, w.Reason); err != nil {
		return err
	}
	d.optional("purchase", w.Purchase)
	if err := k.sealedText(d, "tx_url", r.Account, w.TxURL); err != nil {
		return err
	}
	d.optional("paid_on", string(w.PaidOn))
	d.lots(w.Lots)
	d.steps(r.Steps)
	return nil
}
