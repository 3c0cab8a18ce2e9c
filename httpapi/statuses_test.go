package httpapi_test

import (
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
		c.body = `{"unheard":"of"}`
		if !strings.HasPrefix(operation, "POST /webhooks/") {
			require.Equal(t, "unheard", r.refused(400, "field-unknown", c).Body["field"], operation)
		}
	}
}
