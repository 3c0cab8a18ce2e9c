package httpapi_test

import (
	"context"
	"net/http"
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

// TestHeadersInSeveralLines: a list may stand in several; of what there can be one of, the
// refusal says which there are two of.
func TestHeadersInSeveralLines(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "5")
	with := func(c call, name string, lines ...string) call {
		c.header = http.Header{name: lines}
		return c
	}
	etag := r.must(get("service", demo+"/balance")).Header.Get("ETag")
	require.Equal(t, 304, r.do(with(get("service", demo+"/balance"), "If-None-Match", `"x"`, etag)).Status)
	require.Equal(t, 304, r.do(with(get("service", demo+"/balance"), "If-None-Match", etag, `"x"`)).Status)
	require.Equal(t, 200, r.do(with(get("service", demo+"/balance"), "If-None-Match", `"x"`, `"y"`)).Status)

	deduct := post("service", demo+"/deductions", "k", `{"amount":"1","service":"vm"}`)
	for _, other := range []string{etag, "*"} {
		refused := r.refused(422, "field-invalid", with(deduct, "If-Match", other, `"9"`)).Body
		require.Equal(t, []any{"If-Match", other + `, "9"`}, []any{refused["field"], refused["value"]})
	}
	batch := with(call{as: "service", method: "POST", path: "/v1/deductions/batch", body: "{}", wrong: true}, "If-Match", "*", etag)
	require.Equal(t, "If-Match", r.refused(422, "field-invalid", batch).Body["field"])
	r.must(with(deduct, "Signature", "sig1=:of another kind:", "sig2=:which this route doesn't look at:"))
	require.Equal(t, "4", r.balance("demo-1")["balance"])

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	id := r.notices("")[0].(map[string]any)["id"].(string)
	stream := r.request(with(get(customer, notifications+"/stream"), "Last-Event-Id", "not an id", id)).WithContext(ctx)
	answer, err := r.http.Client().Do(stream)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(t, 200, answer.StatusCode)

	two := tell("demo-1", "p", "pay", "succeeded", "1")
	two.header.Add("Signature", "another")
	r.refused(401, "unauthenticated", two)
}
