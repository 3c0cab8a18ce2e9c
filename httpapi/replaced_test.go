package httpapi_test

import (
	"bufio"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/httpapi"
)

// TestReplacedKeys: a key that is taken out opens nothing any more, and what it opened
// before ends without another word.
func TestReplacedKeys(t *testing.T) {
	var keys *httpapi.Keys
	r := newRig(t, func(p *parts) { keys = p.server.Keys })
	r.fund("demo-1", "10")
	mine := call{as: customer, method: "GET", path: demo + "/balance"}
	r.must(mine)
	response, err := r.http.Client().Do(r.request(call{as: customer, method: "GET", path: notifications + "/stream"}))
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	require.True(t, lines.Scan(), "the stream begins at once")

	others, err := httpapi.NewKeys([]httpapi.KeySpec{{ID: "key.service", Role: httpapi.RoleService, Actor: "a", SHA256: httpapi.HashKey("service")}})
	require.NoError(t, err)
	keys.Replace(others)
	require.Equal(t, http.StatusUnauthorized, r.do(mine).Status)
	r.must(get("service", demo+"/balance"))

	// A customer is told of a gift.
	r.must(post("service", demo+"/incentives", "i", `{"amount":"5"}`))
	for lines.Scan() {
		require.NotContains(t, lines.Text(), "data:")
	}
	require.NoError(t, lines.Err(), "it ended")
}
