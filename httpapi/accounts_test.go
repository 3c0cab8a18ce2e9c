package httpapi_test

import (
	"encoding/base64"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllAccounts(t *testing.T) {
	r := newRig(t, nil)
	for _, name := range []string{"demo-2", "demo-1", "demo-10", "other"} {
		r.fund(name, "10")
	}
	r.must(post("service", demo+"/deductions", "d", `{"amount":"12.5","service":"ray"}`))
	r.must(post("finance", "/v1/accounts/other/freeze", "f", `{"reason":"case 7"}`))
	list := func(query string) (names []string, next any) {
		t.Helper()
		body := r.must(get("support", "/v1/accounts?"+query)).Body
		for _, item := range body["items"].([]any) {
			names = append(names, item.(map[string]any)["account"].(string))
		}
		return names, body["next_cursor"]
	}
	for query, want := range map[string][]string{
		"":                           {"demo-1", "demo-10", "demo-2", "other"},
		"prefix=demo-1":              {"demo-1", "demo-10"},
		"prefix=nobody":              nil,
		"frozen=true":                {"other"},
		"frozen=false&prefix=o":      nil,
		"in_debt=true":               {"demo-1"},
		"in_debt=false&frozen=false": {"demo-10", "demo-2"},
	} {
		names, next := list(query)
		require.Equal(t, want, names, query)
		require.Nil(t, next, query)
	}
	first := r.must(get("auditor", "/v1/accounts?limit=1")).Body["items"].([]any)[0].(map[string]any)
	delete(first, "lag")
	whole := r.balance("demo-1")
	delete(whole, "lag")
	require.Equal(t, whole, first, "what GET …/balance says")

	for _, query := range []string{"", "prefix=demo-&", "in_debt=false&"} {
		all, _ := list(query)
		var paged []string
		for cursor, more := "", true; more; {
			names, next := list(query + "limit=1" + cursor)
			paged = append(paged, names...)
			if more = next != nil; more {
				cursor = "&cursor=" + url.QueryEscape(next.(string))
			}
		}
		require.Equal(t, all, paged, query)
	}
	_, next := list("limit=1")
	other := get("support", "/v1/accounts?frozen=false&cursor="+next.(string))
	other.wrong = true
	r.refused(422, "field-invalid", other)

	_, next = list("prefix=demo&limit=1")
	raw, err := base64.RawURLEncoding.DecodeString(next.(string))
	require.NoError(t, err)
	outside := get("support", "/v1/accounts?prefix=demo&limit=1&cursor="+base64.RawURLEncoding.EncodeToString(append(raw[:8], "a"...)))
	outside.wrong = true
	r.refused(422, "field-invalid", outside)
}
