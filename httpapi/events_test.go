package httpapi_test

import (
	"encoding/base64"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/httpapi"
)

// A client can't make up a balance that the engine then shows as its own.
func TestCursorsOfBalancesCanNotBeMadeUp(t *testing.T) {
	var opts httpapi.Options
	r := newRig(t, func(p *parts) { opts = p.server })
	r.fund("demo-1", "10")
	r.must(post("service", demo+"/deductions", "a", `{"amount":"1","service":"vm"}`))
	r.must(post("service", demo+"/deductions", "b", `{"amount":"2","service":"vm"}`))
	const path = demo + "/events?with=balance&limit=1"
	page := func(cursor string) call { return get("auditor", path+"&cursor="+cursor) }
	balance := func(got answer) any { return got.Body["items"].([]any)[0].(map[string]any)["balance_after"] }
	cursor := r.must(get("auditor", path)).Body["next_cursor"].(string)
	want := r.must(page(cursor))
	require.Equal(t, "9", balance(want))

	b, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	change := func(at int, to byte) string {
		changed := append([]byte(nil), b...)
		changed[at] = to
		return base64.RawURLEncoding.EncodeToString(changed)
	}
	for name, bad := range map[string]string{
		"another balance": change(15, b[15]+1), "another revision": change(7, b[7]+1), "a revision below zero": change(0, 0x80),
		"another list": change(16, b[16]+1), "no seal": base64.RawURLEncoding.EncodeToString(b[:24]),
	} {
		require.Equal(t, "cursor", r.refused(422, "field-invalid", page(bad)).Body["field"], name)
	}

	// Another engine, or this one after a restart, has another key.
	opts.Ledger, opts.Metrics = r.ledger, nil
	other, err := httpapi.New(opts)
	require.NoError(t, err)
	r.http.Close()
	r.http = httptest.NewServer(other.Handler())
	t.Cleanup(r.http.Close)
	require.Equal(t, want.Body["items"], r.must(page(cursor)).Body["items"])
	r.refused(422, "field-invalid", page(change(15, b[15]+1)))
}
