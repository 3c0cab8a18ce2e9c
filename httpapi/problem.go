package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/projections"
)

// Statuses of answers that aren't problems. No other file has status numbers.
const (
	statusOK          = http.StatusOK
	statusCreated     = http.StatusCreated
	statusAccepted    = http.StatusAccepted
	statusNoContent   = http.StatusNoContent
	statusFound       = http.StatusFound
	statusNotModified = http.StatusNotModified
	statusNotReady    = http.StatusServiceUnavailable
)

// expectationFailed is the status, as it is sent, of an answer that net/http alone gives.
const expectationFailed = "417"

// problemRow is what a code means in HTTP.
type problemRow struct {
	Status int
	Title  string
}

// isUnknown says that what was asked for isn't there.
func (r problemRow) isUnknown() bool { return r.Status == http.StatusNotFound }

// problems is the table code -> status, title. A test fails if a code of the
// domain has no row.
var problems = map[domain.Code]problemRow{
	domain.CodeBodyInvalid:           {http.StatusBadRequest, "The body can't be read"},
	domain.CodeFieldUnknown:          {http.StatusBadRequest, "A field is unknown"},
	domain.CodeIdempotencyKeyMissing: {http.StatusBadRequest, "The Idempotency-Key is missing"},
	domain.CodeUnauthenticated:       {http.StatusUnauthorized, "A valid API key is needed"},
	domain.CodeInsufficientCredits:   {http.StatusPaymentRequired, "Not enough credits"},
	domain.CodeAccountFrozen:         {http.StatusForbidden, "The account is frozen"},
	domain.CodeAccountNotAllowed:     {http.StatusForbidden, "The key is not for this account"},
	domain.CodeRoleNotAllowed:        {http.StatusForbidden, "The key's role may not do this"},
	domain.CodeSelfApproval:          {http.StatusForbidden, "Somebody else has to approve"},
	domain.CodeUnknownAccount:        {http.StatusNotFound, "No such account"},
	domain.CodeUnknownAdjustment:     {http.StatusNotFound, "No such adjustment"},
	domain.CodeUnknownDispute:        {http.StatusNotFound, "No such dispute"},
	domain.CodeUnknownCreditRequest:  {http.StatusNotFound, "No such credit request"},
	domain.CodeUnknownDeployment:     {http.StatusNotFound, "No such deployment"},
	domain.CodeUnknownPayment:        {http.StatusNotFound, "No such payment"},
	domain.CodeUnknownPurchase:       {http.StatusNotFound, "No such purchase"},
	domain.CodeUnknownReservation:    {http.StatusNotFound, "No such reservation"},
	domain.CodeUnknownNotice:         {http.StatusNotFound, "No such notification"},
	domain.CodeUnknownRoute:          {http.StatusNotFound, "No such page"},
	domain.CodeUnknownTransaction:    {http.StatusNotFound, "No such transaction"},
	domain.CodeUnknownWithdrawal:     {http.StatusNotFound, "No such withdrawal"},
	domain.CodeMethodNotAllowed:      {http.StatusMethodNotAllowed, "The method is not allowed here"},
	domain.CodeConflict:              {http.StatusConflict, "The account was changed at the same time"},
	domain.CodeDisputeOpen:           {http.StatusConflict, "The transaction is in dispute"},
	domain.CodeDuplicateID:           {http.StatusConflict, "The id is taken"},
	domain.CodeReservationClosed:     {http.StatusConflict, "The reservation is closed"},
	domain.CodeWrongStatus:           {http.StatusConflict, "The status doesn't allow this"},
	domain.CodePreconditionFailed:    {http.StatusPreconditionFailed, "The account has moved on"},
	domain.CodeBodyTooLarge:          {http.StatusRequestEntityTooLarge, "The body is too large"},
	domain.CodeEncodingUnsupported:   {http.StatusUnsupportedMediaType, "The body's encoding is not supported"},
	domain.CodeAmountInvalid:         {http.StatusUnprocessableEntity, "The amount is invalid"},
	domain.CodeAmountTooLarge:        {http.StatusUnprocessableEntity, "The amount is too large"},
	domain.CodeCaptureExceeds:        {http.StatusUnprocessableEntity, "The reservation holds less"},
	domain.CodeFieldInvalid:          {http.StatusUnprocessableEntity, "A field is invalid"},
	domain.CodeIDInvalid:             {http.StatusUnprocessableEntity, "The id is invalid"},
	domain.CodeIdempotencyKeyReused:  {http.StatusUnprocessableEntity, "The Idempotency-Key belongs to another request"},
	domain.CodeLimitExceeded:         {http.StatusUnprocessableEntity, "The account has too many of these"},
	domain.CodeNotADeduction:         {http.StatusUnprocessableEntity, "The transaction is no deduction"},
	domain.CodeNotWithdrawable:       {http.StatusUnprocessableEntity, "Not so much can be withdrawn"},
	domain.CodePaymentMethod:         {http.StatusUnprocessableEntity, "The payment method is not supported"},
	domain.CodeQuantityInvalid:       {http.StatusUnprocessableEntity, "The quantity is invalid"},
	domain.CodeRateInvalid:           {http.StatusUnprocessableEntity, "The unit price is invalid"},
	domain.CodeRefundExceeds:         {http.StatusUnprocessableEntity, "The deduction has less left"},
	domain.CodeTimeInvalid:           {http.StatusUnprocessableEntity, "The time is invalid"},
	domain.CodeInternal:              {http.StatusInternalServerError, "A fault of the engine"},
	domain.CodeOverloaded:            {http.StatusServiceUnavailable, "Too much at once"},
	domain.CodeReadBehind:            {http.StatusServiceUnavailable, "The read models are behind"},
	domain.CodeRequestTimeout:        {http.StatusServiceUnavailable, "It took too long"},
	domain.CodeUnavailable:           {http.StatusServiceUnavailable, "The engine can't do this now"},
}

// accessLevel is at which level a request is logged: at info what somebody will ask for by
// its id. Of those refused with 503 there may be thousands a second; they are counted.
func accessLevel(status int) slog.Level {
	if status == http.StatusInternalServerError || status == http.StatusForbidden {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// retryAfterSeconds is what a 503 advises, but for what isn't set up.
const retryAfterSeconds = "1"

// refusalOf makes a refusal of any error. fault is true where the error is ours and
// its text is for the log alone, which may be all that an operator learns of it.
func refusalOf(err error) (refusal *domain.Error, fault bool) {
	if refusal, ok := domain.AsError(err); ok {
		return refusal, refusal.Code == domain.CodeInternal
	}
	var binding *echo.HTTPError
	switch {
	case errors.As(err, &binding):
		return bindingRefusal(binding), false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return domain.Refuse(domain.CodeRequestTimeout, "the answer did not come in time; try again with the same Idempotency-Key to learn the outcome"), false
	case errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, eventstore.ErrClosed):
		return domain.Refuse(domain.CodeUnavailable, "the log can't be reached now; try again later"), false
	case errors.Is(err, keyring.ErrUnavailable), errors.Is(err, keyring.ErrClosed):
		return domain.Refuse(domain.CodeUnavailable, "the keyring can't be used now; try again later"), true
	case errors.Is(err, keyring.ErrKeyLost):
		return domain.Refuse(domain.CodeUnavailable, "the keyring lacks the key of this account, under which its requests are compared and its text is sealed; an operator has to put the right keyring back"), false
	case errors.Is(err, projections.ErrStopped), errors.Is(err, projections.ErrClosed):
		return domain.Refuse(domain.CodeUnavailable, "the read models have stopped; an operator has to look"), false
	}
	return domain.Refuse(domain.CodeInternal, "the engine failed to do this; the log has more under the request's id"), true
}

// bindingRefusal restates what echo and the generated parameter code refuse. That is never
// about the query, which the frame has checked before.
func bindingRefusal(e *echo.HTTPError) *domain.Error {
	text, _ := e.Message.(string)
	if rest, ok := strings.CutPrefix(text, "Invalid format for parameter "); ok {
		field := strings.TrimSuffix(strings.Fields(rest)[0], ":")
		return domain.Refuse(domain.CodeFieldInvalid, "parameter %s is of another form than it has to be", field).With("field", field)
	}
	return domain.Refuse(domain.CodeFieldInvalid, "a parameter is missing or of another form")
}

// noRoute restates what echo says of a request that no route took.
func (k *call) noRoute(err error) error {
	var refused *echo.HTTPError
	if !errors.As(err, &refused) {
		return err
	}
	request := k.Request()
	switch refused.Code {
	case http.StatusNotFound:
		return domain.Refuse(domain.CodeUnknownRoute, "there is no path %s; /docs lists those that there are", clip(request.URL.Path))
	case http.StatusMethodNotAllowed:
		// echo answers OPTIONS everywhere; it is no route of ours.
		takes := strings.TrimPrefix(k.Response().Header().Get(echo.HeaderAllow), http.MethodOptions+", ")
		return domain.Refuse(domain.CodeMethodNotAllowed, "%s takes %s, not %s", clip(request.URL.Path), takes, clip(request.Method)).
			With("methods", takes)
	}
	return err
}

// writeProblem answers with RFC 9457. A fault's text goes to the log only.
func (s *Server) writeProblem(k *call, err error) {
	refusal, fault := refusalOf(err)
	if fault {
		s.opts.Logger.Error("request failed", "request_id", k.requestID, "route", k.routeName(), "error", err)
	}
	refusal = sayMissing(refusal, k.missing)
	row, known := problems[refusal.Code]
	if !known {
		row = problems[domain.CodeInternal]
	}
	header := k.Response().Header()
	switch row.Status {
	case http.StatusServiceUnavailable:
		if !isNotSetUp(refusal) {
			header["Retry-After"] = []string{retryAfterSeconds}
		}
	case http.StatusUnsupportedMediaType:
		header["Accept-Encoding"] = []string{"identity"}
	case http.StatusUnauthorized:
		header["Www-Authenticate"] = []string{`Bearer realm="iocredits"`}
	}
	k.send(row.Status, problemType, s.appendProblem(k, refusal, row))
}

// reservedMembers gives a figure that is called like a member of RFC 9457 another name.
// A test holds the figures of all codes to it.
var reservedMembers = map[string]string{"status": "current_status", "type": "current_type", "title": "current_title"}

// topUp is what to buy after a refusal. That may be more than the shortfall: debt beyond the
// allowance is paid first, and there is a least amount that can be bought.
func topUp(refusal *domain.Error) domain.Amount {
	figure := map[string]domain.Amount{}
	for _, f := range refusal.Fields {
		var a domain.Amount
		if a.UnmarshalText([]byte(f.Value)) == nil {
			figure[f.Name] = a
		}
	}
	return max(figure["shortfall"], figure["required"]-figure["available"]-figure["allowance"], account.MinPurchase)
}

// notSetUp refuses what this engine has no part for. To ask again helps nobody, so such a
// problem has no Retry-After.
func notSetUp(part, why string) error {
	return domain.Refuse(domain.CodeUnavailable, "%s", why).With(notSetUpMember, part)
}

const notSetUpMember = "not_set_up"

func isNotSetUp(refusal *domain.Error) bool {
	return slices.ContainsFunc(refusal.Fields, func(f domain.Field) bool { return f.Name == notSetUpMember })
}

func (s *Server) appendProblem(k *call, refusal *domain.Error, row problemRow) *document {
	d := newDocument()
	d.open()
	d.text("type", "/docs/problems#"+string(refusal.Code))
	d.text("title", row.Title)
	d.number("status", int64(row.Status))
	d.text("detail", refusal.Detail)
	d.text("instance", k.Request().URL.EscapedPath())
	d.text("code", string(refusal.Code))
	d.text("request_id", k.requestID)
	for _, f := range refusal.Fields {
		name := f.Name
		if refusal.Code == domain.CodeInsufficientCredits && name == "shortfall" {
			d.money("top_up_amount", topUp(refusal))
		}
		if other, reserved := reservedMembers[name]; reserved {
			name = other
		}
		d.text(name, f.Value)
	}
	if refusal.Code == domain.CodeInsufficientCredits && s.opts.TopUpURL != "" {
		d.text("top_up_url", s.opts.TopUpURL)
	}
	d.close()
	return d
}
