package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// anyCall is a request of an operation, with a key that may make it.
func anyCall(operation string) call {
	method, path, _ := strings.Cut(operation, " ")
	as, _, _ := strings.Cut(allowed[operation], " ")
	if as == "customer" {
		as = customer
	}
	return call{as: as, method: method, path: filled.Replace(path), key: "k", wrong: true}
}

// TestEveryRouteHasTheStatusesOfAll: do holds each answer against the contract, which
// has to have what the frame alone answers with.
func TestEveryRouteHasTheStatusesOfAll(t *testing.T) {
	r := newRig(t, nil)
	tooLarge := strings.Repeat(" ", 1<<20+1)
	for _, operation := range theContract().operations() {
		c := anyCall(operation)
		c.path += "?unheard=of"
		require.Equal(t, "unheard", r.refused(400, "field-unknown", c).Body["field"], operation)
		if c.method == "GET" || strings.HasSuffix(operation, "/batch") {
			continue
		}
		c = anyCall(operation)
		c.body = tooLarge
		r.refused(413, "body-too-large", c)
		c.body, c.header = `{}`, http.Header{"Content-Encoding": {"gzip"}}
		require.Equal(t, "identity", r.refused(415, "encoding-unsupported", c).Header.Get("Accept-Encoding"), operation)
		c.body, c.header = `{"unheard":"of"}`, nil
		if !strings.HasPrefix(operation, "POST /webhooks/") {
			require.Equal(t, "unheard", r.refused(400, "field-unknown", c).Body["field"], operation)
		}
	}
}

// TestDevelopmentTakesIfMatchToo, as all commands about one account do.
func TestDevelopmentTakesIfMatchToo(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	buy := call{as: "admin", method: "POST", path: "/dev/accounts/demo-1/purchases", body: `{"amount":"1"}`, header: http.Header{"If-Match": {`"7"`}}}
	r.refused(412, "precondition-failed", buy)
	buy.header = http.Header{"If-Match": {`"0"`}}
	r.must(buy)
}

func TestEncodedBodiesAreRefused(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	deduct := post("service", demo+"/deductions", "k", `{"amount":"1","service":"vm"}`)
	batch := post("service", "/v1/deductions/batch", "", `{"account":"demo-1","key":"l","amount":"1","service":"vm"}`)
	for header, coding := range map[string]string{"gzip": "gzip", "identity, br": "br", "GZip": "GZip", strings.Repeat("x", 99): strings.Repeat("x", 64) + "…"} {
		for _, c := range []call{deduct, batch} {
			c.header = http.Header{"Content-Encoding": {header}}
			if c.key == "" {
				c.header.Set("Content-Type", "application/x-ndjson")
			}
			got := r.refused(415, "encoding-unsupported", c)
			require.Equal(t, []any{"Content-Encoding", coding}, []any{got.Body["field"], got.Body["value"]})
		}
	}
	for _, header := range []string{"identity", "Identity", ""} {
		deduct.header = http.Header{"Content-Encoding": {header}}
		r.must(deduct)
	}
	freeze := post("service", demo+"/freeze", "", "")
	freeze.as, freeze.header = "finance", http.Header{"Content-Encoding": {"gzip"}}
	r.must(freeze) // there is no body that could be encoded
	require.Equal(t, "9", r.balance("demo-1")["balance"])
}
