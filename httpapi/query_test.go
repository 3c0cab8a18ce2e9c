package httpapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAParameterThatCannotBeReadIsRefused: net/url leaves it out, and what it was
// to select would be all, of today, and of the key's own account.
func TestAParameterThatCannotBeReadIsRefused(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	const asOf = "/v1/accounts/demo-1/balance?as_of=2020-01-01T00:00:00Z"
	require.Equal(t, "0", r.must(get("service", asOf)).Body["balance"])
	for path, field := range map[string]any{
		asOf + ";":                         "as_of",
		asOf + "%":                         "as_of",
		asOf + strings.Repeat("&", 10_001): nil,
		"/v1/accounts/demo-1/transactions?service=vm;":  "service",
		"/credits/check?amount=1&account=demo-2;":       "account",
		"/credits/check?amount=1&account=demo-2%x":      "account",
		"/v1/accounts/demo-1/balance?consistency=str;":  "consistency",
		"/v1/accounts/demo-1/balance?min_position=1%2;": "min_position",
	} {
		refused := r.refused(422, "field-invalid", call{as: customer, method: "GET", path: path, wrong: true})
		require.Equal(t, field, refused.Body["field"], path)
	}
}

// TestAnEmptyAccountIsRefused where it stands in a path: it is nobody's, and no
// route may be entered past the check of whose account it is.
func TestAnEmptyAccountIsRefused(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []call{
		get(customer, "/v1/accounts//balance"), get(customer, "/v1/accounts//transactions"),
		post("service", "/v1/accounts//deductions", "a", `{"amount":"1","service":"vm"}`),
		post("service", "/v1/accounts//incentives", "b", `{"amount":"1"}`),
	} {
		response, err := r.http.Client().Do(r.request(c)) // no path of the contract is like these
		require.NoError(t, err)
		got, err := readAnswer(response)
		require.NoError(t, err)
		require.Equal(t, []any{422, "id-invalid", "account"}, []any{got.Status, got.Body["code"], got.Body["field"]}, c.path)
	}
	require.NotContains(t, r.log.String(), "level=ERROR")
}

// TestARangeThatEndsBeforeItBegins is a mistake, and no history without entries.
func TestARangeThatEndsBeforeItBegins(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	const early, late, list = "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", demo + "/transactions?"
	refused := r.refused(422, "time-invalid", get(customer, list+"from="+late+"&to="+early))
	require.Equal(t, []any{"from " + late + " is after to " + early, "from", late}, []any{refused.Body["detail"], refused.Body["field"], refused.Body["value"]})
	for query, want := range map[string]int{"from=" + early + "&to=" + late: 1, "from=" + early: 1, "to=" + late: 1, "from=" + late + "&to=" + late: 0} {
		require.Len(t, r.must(get(customer, list+query)).Body["items"], want, query)
	}
}
