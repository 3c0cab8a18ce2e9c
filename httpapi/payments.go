package httpapi

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/reactor"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

// Bounds of a webhook: the provider wants its answer within 5 s.
const (
	maxWebhookBytes = 64 << 10
	webhookPatience = 4 * time.Second
)

// The provider acts under its own name, in a role that no key has.
const (
	providerActor = "spherepay"
	providerRole  = "provider"
)

// TakeWebhook is POST /webhooks/spherepay. It answers once what the event says is
// durable; the provider repeats what isn't answered, and repeating is harmless.
func (h handlers) TakeWebhook(c echo.Context, params api.TakeWebhookParams) error {
	k := callOf(c)
	if h.opts.ReadWebhook == nil {
		return notSetUp("payment-provider", "no payment provider is set up")
	}
	var body bytes.Buffer
	if err := k.readBody(&body, maxWebhookBytes); err != nil {
		return err
	}
	payment, err := h.opts.ReadWebhook(valueOf(params.Signature), body.Bytes())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(k.ctx, webhookPatience)
	defer cancel()
	taken, err := h.recordPayment(ctx, k.requestID, payment)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.flag("taken", taken)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// recordPayment records what the provider says of a payment, in the account that
// it names. False: it says nothing that is recorded.
func (s *Server) recordPayment(ctx context.Context, requestID string, p account.ProviderPayment) (bool, error) {
	name, p, err := s.homeOf(ctx, reactor.Normal(p))
	if err != nil {
		return false, err
	}
	record := func(ctx context.Context, in string, fact account.Action) error {
		_, err := s.opts.Ledger.Execute(ctx, ledger.Request{
			Account: in, Do: fact, Actor: providerActor, Role: providerRole, RequestID: requestID,
		})
		return err
	}
	differs, err := reactor.RecordPayment(ctx, s.opts.Ledger, s.opts.Logger.With("request_id", requestID), name, p, record)
	if err != nil {
		return false, err
	}
	if differs {
		s.opts.Metrics.OnPaymentDiffers()
	}
	return len(p.Actions()) > 0, nil
}

// homeOf is the account in which a payment is recorded, and the payment as it is
// recorded there: the account that it names, if we know that one, unless the payment
// was told of with another before.
func (s *Server) homeOf(ctx context.Context, p account.ProviderPayment) (string, account.ProviderPayment, error) {
	named := account.UnmatchedAccount
	if domain.CheckAccount("account", p.Account) == nil {
		view, err := s.opts.Ledger.Read(ctx, p.Account)
		if err != nil {
			return "", p, err
		}
		if view.Revision != eventstore.NoStream {
			named = p.Account
		}
	}
	home, as, err := reactor.PaymentHome(ctx, s.opts.Ledger, reactor.Claims{Store: s.opts.Store}, p, named)
	if err == nil && home != named && home != account.UnmatchedAccount {
		s.opts.Logger.Warn("the provider tells of a payment with another account than before; it stays where it is, finance has to look",
			"payment", p.Payment, "account", home, "told", named, "purchase", p.Purchase, "status", string(p.Status))
	}
	return home, as, err
}

var payments = resource{account.ObjectPayment, paymentForm}

// ListUnmatchedPayments is GET /v1/payments/unmatched: what waits for finance, or what
// became of it.
func (h handlers) ListUnmatchedPayments(c echo.Context, params api.ListUnmatchedPaymentsParams) error {
	return callOf(c).sendQueue(payments, queueQuery{
		statuses: statusesOf(params.Status, string(account.PaymentIsUnmatched), string(account.PaymentIsAssigned)),
		account:  params.Account,
		paging:   paging{params.Limit, params.Cursor, params.MinPosition},
	})
}

// GetUnmatchedPayment is GET /v1/payments/unmatched/{id}.
func (h handlers) GetUnmatchedPayment(c echo.Context, id api.PaymentID, params api.GetUnmatchedPaymentParams) error {
	k := callOf(c)
	from, payment, err := splitPaymentID(id)
	if err != nil {
		return err
	}
	k.account = from
	return k.sendObject(payments, payment, params.MinPosition)
}

// ResolvePayment is POST /v1/payments/unmatched/{id}/resolve. To another account it
// takes three appends, of which the first is the decision: see unmatched.go in
// the domain. Whoever repeats the request finishes what was begun.
func (h handlers) ResolvePayment(c echo.Context, id api.PaymentID, _ api.ResolvePaymentParams) error {
	k := callOf(c)
	from, payment, err := splitPaymentID(id)
	if err != nil {
		return err
	}
	var request api.ResolveRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	to, returned := valueOf(request.Account), valueOf(request.Returned)
	if (to == "") != returned {
		return domain.Refuse(domain.CodeFieldInvalid, "say either which account gets it, or that it was returned").With("field", "account")
	}
	if !returned {
		if err := domain.CheckAccount("account", to); err != nil {
			return err
		}
	}
	k.account = from
	if err := checkText("note", valueOf(request.Note)); err != nil {
		return err
	}
	elsewhere := to
	if to == from {
		elsewhere = ""
	}
	do := account.ResolvePayment{Payment: payment, Account: elsewhere, Returned: returned}
	if elsewhere != "" {
		err = k.lookElsewhere(&do)
	} else {
		do.Note, err = k.seal("note", from, request.Note)
	}
	if err != nil {
		return err
	}
	result, err := k.execute(order{do: do, body: request})
	if err != nil {
		return err
	}
	if elsewhere != "" {
		closed, err := k.creditElsewhere(payment, elsewhere, request.Note, result)
		if err != nil {
			return err
		}
		result.Position = max(result.Position, closed.Position)
	}
	record, err := k.objectAfter(account.ObjectPayment, payment, result.Position)
	if err != nil {
		return err
	}
	return k.answerWith(statusOK, result, payments, record)
}

// lookElsewhere finds out what a decision has to know of other accounts. Whom the payment
// names, and its amount, the write side knows of one that waits; read models that are late
// would have it credited twice.
func (k *call) lookElsewhere(do *account.ResolvePayment) error {
	var p account.Payment
	_, err := k.server.opts.Ledger.Look(k.ctx, k.account, func(s *account.State, _ []eventstore.Fact) { p = s.Unmatched[do.Payment] })
	if err != nil {
		return err
	}
	view, err := k.server.opts.Ledger.Read(k.ctx, do.Account)
	if err != nil {
		return err
	}
	do.Unused = view.Revision == eventstore.NoStream // which has room for any payment
	if !do.Unused {
		do.NoRoom, err = k.refuses(do.Account, account.RequireRoom{Amount: p.Amount}, domain.CodeAmountTooLarge)
	}
	if err == nil && p.Named != "" { // it came to be there too while the payment was told of twice at once
		do.Twice, err = k.refuses(p.Named, account.RequireNewPayment{Payment: do.Payment}, domain.CodeDuplicateID)
	}
	return err
}

// refuses asks an account something, and tells whether it refuses that with a code.
func (k *call) refuses(name string, ask account.Action, code domain.Code) (bool, error) {
	_, err := k.server.opts.Ledger.Execute(k.ctx, k.request(name, "", order{do: ask}))
	if domain.IsCode(err, code) {
		return true, nil
	}
	return false, err
}

// creditElsewhere does what was decided. Both commands may be repeated. The note stands
// where the credits go, and nowhere else: who is forgotten there was written about.
func (k *call) creditElsewhere(payment, to string, note *string, decided ledger.Result) (ledger.Result, error) {
	assigned, _ := firstOf[*account.PaymentAssigned](decided.Facts)
	if assigned == nil {
		return ledger.Result{}, domain.Refuse(domain.CodeInternal, "payment %q was decided without an event", payment)
	}
	sealed, err := k.seal("note", to, note)
	if err != nil {
		return ledger.Result{}, err
	}
	l := k.server.opts.Ledger
	credit := account.CreditPayment{Payment: payment, From: k.account, Amount: assigned.Amount, Note: sealed}
	if _, err := l.Execute(k.ctx, k.request(to, "", order{do: credit})); err != nil {
		return ledger.Result{}, err
	}
	return l.Execute(k.ctx, k.request(k.account, "", order{do: account.ClosePayment{Payment: payment}}))
}

// splitPaymentID takes apart the id that the queue shows: payments are unique in
// the account in whose log they stand.
func splitPaymentID(id string) (name, payment string, err error) {
	name, payment, found := strings.Cut(id, paymentMark)
	if !found {
		return "", "", domain.Refuse(domain.CodeUnknownPayment, "there is no unmatched payment %q", clip(id)).
			With("field", "payment_id").With("value", clip(id))
	}
	if err := domain.CheckID("payment_id", name); err != nil {
		return "", "", err
	}
	return name, payment, domain.CheckID("payment_id", payment)
}

// paymentMark can be in no id, and needs no escape in a URL.
const paymentMark = "~"

// paymentForm writes the members of a payment that fits nowhere.
func paymentForm(k *call, d *document, r *projections.ObjectRecord) error {
	p, ok := r.Object.(*account.Payment)
	if !ok {
		return wrongObject(r)
	}
	d.text("id", r.Account+paymentMark+r.ID)
	d.text("account", r.Account)
	d.text("payment", r.ID)
	d.text("status", p.Status())
	d.text("kind", string(p.Kind))
	d.optional("purchase", p.Purchase)
	d.money("amount", p.Amount)
	d.text("why", string(p.Why))
	d.moment("since", p.Since)
	if p.Open() {
		d.age(p.Since, k.server.opts.Clock())
	}
	d.optional("named_account", p.Named)
	d.optional("credited_account", p.Account)
	note, of := p.Note, r.Account
	var err error
	if note == "" && p.State == account.PaymentIsCredited && p.Account != "" {
		of = p.Account
		note, err = k.noteWhereCredited(of, r.ID)
	}
	var damaged *eventstore.CorruptError
	switch {
	case errors.As(err, &damaged): // nobody would ever see the other payments of the list
		k.server.opts.Logger.Error("the note of a payment can't be read", "payment", r.ID, "account", of, "error", err)
		d.text("note", unreadable)
	case err != nil:
		return err
	default:
		if err := k.sealedText(d, "note", of, note); err != nil {
			return err
		}
	}
	d.steps(r.Steps)
	return nil
}

// noteWhereCredited is what finance noted on a payment that was credited to another account
// than the one where it stood. Earlier versions sealed it under that one's key, too.
func (k *call) noteWhereCredited(in, payment string) (note domain.Sealed, err error) {
	name := ledger.NameOfClaim(account.ClaimOf(&account.PaymentCredited{Payment: payment}))
	revision, known, err := k.server.opts.Views.Find(k.ctx, in, name)
	if err != nil || !known {
		return "", err
	}
	for r, err := range k.server.opts.Store.ReadStream(k.ctx, eventstore.AccountStream(in), revision, eventstore.Forwards, 1) {
		if err != nil {
			return "", err
		}
		fact, err := k.server.opts.Codec.Open(r)
		if err != nil {
			return "", err
		}
		if credited, is := fact.Body.(*account.PaymentCredited); is {
			note = credited.Note
		}
	}
	return note, nil
}
