package domain

import (
	"errors"
	"fmt"
	"strconv"
)

// Code names a refusal. Codes are public: kebab-case, and never renamed.
type Code string

// Every code there is. httpapi/problem.go gives each its status; a test fails
// if one has no row there.
const (
	CodeAmountInvalid         Code = "amount-invalid"
	CodeAmountTooLarge        Code = "amount-too-large"
	CodeRateInvalid           Code = "rate-invalid"
	CodeQuantityInvalid       Code = "quantity-invalid"
	CodeIDInvalid             Code = "id-invalid"
	CodeFieldInvalid          Code = "field-invalid"
	CodeFieldUnknown          Code = "field-unknown"
	CodeBodyInvalid           Code = "body-invalid"
	CodeBodyTooLarge          Code = "body-too-large"
	CodeEncodingUnsupported   Code = "encoding-unsupported"
	CodeTimeInvalid           Code = "time-invalid"
	CodeInsufficientCredits   Code = "insufficient-credits"
	CodeAccountFrozen         Code = "account-frozen"
	CodeSelfApproval          Code = "self-approval"
	CodeRoleNotAllowed        Code = "role-not-allowed"
	CodeAccountNotAllowed     Code = "account-not-allowed"
	CodeUnauthenticated       Code = "unauthenticated"
	CodeUnknownAccount        Code = "unknown-account"
	CodeUnknownReservation    Code = "unknown-reservation"
	CodeUnknownTransaction    Code = "unknown-transaction"
	CodeUnknownAdjustment     Code = "unknown-adjustment"
	CodeUnknownPurchase       Code = "unknown-purchase"
	CodeUnknownPayment        Code = "unknown-payment"
	CodeUnknownCreditRequest  Code = "unknown-credit-request"
	CodeUnknownDeployment     Code = "unknown-deployment"
	CodeUnknownWithdrawal     Code = "unknown-withdrawal"
	CodeUnknownDispute        Code = "unknown-dispute"
	CodeUnknownNotice         Code = "unknown-notification"
	CodeUnknownRoute          Code = "unknown-route"
	CodeMethodNotAllowed      Code = "method-not-allowed"
	CodeReservationClosed     Code = "reservation-closed"
	CodeDuplicateID           Code = "duplicate-id"
	CodeWrongStatus           Code = "wrong-status"
	CodeConflict              Code = "conflict"
	CodePreconditionFailed    Code = "precondition-failed"
	CodeRefundExceeds         Code = "refund-exceeds-deduction"
	CodeCaptureExceeds        Code = "capture-exceeds-reservation"
	CodeNotADeduction         Code = "not-a-deduction"
	CodePaymentMethod         Code = "payment-method-unsupported"
	CodeNotWithdrawable       Code = "not-withdrawable"
	CodeDisputeOpen           Code = "dispute-open"
	CodeLimitExceeded         Code = "limit-exceeded"
	CodeIdempotencyKeyMissing Code = "idempotency-key-missing"
	CodeIdempotencyKeyReused  Code = "idempotency-key-reused"
	CodeOverloaded            Code = "overloaded"
	CodeUnavailable           Code = "unavailable"
	CodeReadBehind            Code = "read-behind"
	CodeRequestTimeout        Code = "request-timeout"
	CodeInternal              Code = "internal"
)

// Codes lists every code, for tables that must be complete.
func Codes() []Code {
	return []Code{
		CodeAmountInvalid, CodeAmountTooLarge, CodeRateInvalid, CodeQuantityInvalid, CodeIDInvalid,
		CodeFieldInvalid, CodeFieldUnknown, CodeBodyInvalid, CodeBodyTooLarge, CodeEncodingUnsupported, CodeTimeInvalid,
		CodeInsufficientCredits, CodeAccountFrozen, CodeSelfApproval, CodeRoleNotAllowed,
		CodeAccountNotAllowed, CodeUnauthenticated, CodeUnknownAccount, CodeUnknownReservation,
		CodeUnknownTransaction, CodeUnknownAdjustment, CodeUnknownPurchase, CodeUnknownPayment,
		CodeUnknownCreditRequest, CodeUnknownDeployment, CodePaymentMethod, CodeUnknownNotice, CodeUnknownRoute,
		CodeMethodNotAllowed, CodeReservationClosed, CodeDuplicateID, CodeWrongStatus, CodeConflict,
		CodePreconditionFailed, CodeRefundExceeds, CodeCaptureExceeds, CodeNotADeduction,
		CodeUnknownWithdrawal, CodeUnknownDispute, CodeNotWithdrawable, CodeDisputeOpen,
		CodeLimitExceeded, CodeIdempotencyKeyMissing, CodeIdempotencyKeyReused, CodeOverloaded,
		CodeUnavailable, CodeReadBehind, CodeRequestTimeout, CodeInternal,
	}
}

// Field is one figure of a refusal, in its canonical text.
type Field struct {
	Name  string
	Value string
}

// Error is a refusal: the caller's request stands against a rule, nothing was
// written, and the figures say why. Every other error is a fault of ours.
type Error struct {
	Code   Code
	Detail string
	Fields []Field
}

// Refuse makes a refusal; Detail is a sentence for a person.
func Refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// RefuseLength refuses a text that is not from least to most bytes long. The figures
// are how long it is and may be, and how it begins: it may be a megabyte.
func RefuseLength(code Code, field, text string, least, most int) *Error {
	return Refuse(code, "%s is %d bytes long; %d to %d are allowed", field, len(text), least, most).
		With("field", field).With("value", clip(text)).With("length", strconv.Itoa(len(text))).With("limit", strconv.Itoa(most))
}

// RefuseCharacters refuses a text that has count characters where most are allowed. The
// figures are those of RefuseLength.
func RefuseCharacters(code Code, field, text string, count, most int) *Error {
	return Refuse(code, "%s is %d characters long; at most %d are allowed", field, count, most).
		With("field", field).With("value", clip(text)).With("length", strconv.Itoa(count)).With("limit", strconv.Itoa(most))
}

// With adds a figure.
func (e *Error) With(name, value string) *Error {
	e.Fields = append(e.Fields, Field{name, value})
	return e
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// Is matches refusals by code, so that errors.Is(err, &Error{Code: c}) holds.
func (e *Error) Is(target error) bool {
	var other *Error
	return errors.As(target, &other) && other.Code == e.Code
}

// AsError finds the refusal in err.
func AsError(err error) (*Error, bool) {
	return errors.AsType[*Error](err)
}

// IsCode reports whether err is a refusal with this code.
func IsCode(err error, code Code) bool {
	refusal, ok := AsError(err)
	return ok && refusal.Code == code
}
