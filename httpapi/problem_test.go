package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
)

func TestEveryCodeHasARow(t *testing.T) {
	for _, code := range domain.Codes() {
		row, known := problems[code]
		require.True(t, known, "code %s has no row in problem.go", code)
		require.GreaterOrEqual(t, row.Status, 400, code)
		require.NotEmpty(t, row.Title, code)
		require.NotEmpty(t, help[code].Cause, "code %s has no row in problem_help.go", code)
		require.NotEmpty(t, help[code].Do, code)
		members := slices.Sorted(slices.Values(ProblemMembers(string(code))))
		require.Equal(t, members, slices.Compact(slices.Clone(members)), "a figure of %s has the name of another member", code)
	}
	require.Len(t, help, len(problems))
	require.Len(t, problems, len(domain.Codes()), "a row is for a code that the domain doesn't have")
}

// The statuses that clients switch on, from api.md.
func TestPromisedStatuses(t *testing.T) {
	for code, status := range map[domain.Code]int{
		"insufficient-credits": 402, "account-frozen": 403, "self-approval": 403, "role-not-allowed": 403,
		"unknown-account": 404, "unknown-reservation": 404, "reservation-closed": 409, "duplicate-id": 409, "wrong-status": 409, "conflict": 409,
		"amount-invalid": 422, "amount-too-large": 422, "refund-exceeds-deduction": 422, "capture-exceeds-reservation": 422,
		"idempotency-key-missing": 400, "idempotency-key-reused": 422, "precondition-failed": 412, "overloaded": 503,
	} {
		require.Equal(t, status, problems[code].Status, code)
	}
}

// The one refusal that no test of a route comes to: it takes a charge of more than 500 lots.
func TestMembersWhereAPartIsNamed(t *testing.T) {
	part := account.Recorded{Revision: 8, Event: &account.Deducted{Amount: 1, Part: account.Part{Index: 2, Count: 2}}}
	_, err := account.Decide(account.New(), account.Command{Do: account.Refund{}, Original: []account.Recorded{part}})
	refusal, ok := domain.AsError(err)
	require.True(t, ok, err)
	require.Equal(t, domain.CodeNotADeduction, refusal.Code)
	for _, f := range refusal.Fields {
		require.Contains(t, help[refusal.Code].Members, f.Name)
	}
}

func TestErrorsThatAreNoRefusals(t *testing.T) {
	for err, code := range map[error]domain.Code{
		eventstore.ErrUnavailable:                            domain.CodeUnavailable,
		fmt.Errorf("read: %w", eventstore.ErrClosed):         domain.CodeUnavailable,
		fmt.Errorf("seal: %w", keyring.ErrClosed):            domain.CodeUnavailable,
		errors.New("something broke"):                        domain.CodeInternal,
		&eventstore.CorruptError{Position: 7, Reason: "x"}:   domain.CodeInternal,
		echo.NewHTTPError(http.StatusBadRequest, "anything"): domain.CodeFieldInvalid,
	} {
		refusal, fault := refusalOf(err)
		require.Equal(t, code, refusal.Code, err)
		require.Equal(t, code == domain.CodeInternal || errors.Is(err, keyring.ErrClosed), fault)
		require.NotContains(t, refusal.Detail, "broke", "the text of a fault is for the log")
	}
}
