package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"iocredits/httpapi/api"
)

// TestExplainUsageThatWaited: the charge is made by the request that brought credits, and
// is for what others had asked, each at its price.
func TestExplainUsageThatWaited(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	const one = demo + "/deployments/dep-1"
	r.must(post("service", demo+"/deployments", "d", deploymentBody("dep-1", "caas", "1", 5)))
	r.must(post("service", demo+"/deployments", "d2", deploymentBody("dep-2", "caas", "1", 1)))
	usage := func(of, key, body string) {
		c := post("service", of+"/usage", key, body)
		c.header = http.Header{"X-Request-Id": {"req-" + key}}
		require.Equal(t, http.StatusAccepted, r.must(c).Status)
	}
	released := func(key, amount string) string {
		r.must(post("admin", "/dev/accounts/demo-1/purchases", key, `{"amount":"`+amount+`"}`))
		return r.must(get("support", demo+"/transactions?type=deduction&limit=1")).Body["items"].([]any)[0].(map[string]any)["transaction_id"].(string)
	}
	usage(one, "before", `{"amount":"20"}`)
	released("top-1", "20") // what waited before isn't told again
	usage(one, "u-1", `{"quantity":"1234.5","unit_price":"0.04"}`)
	r.clock.Move(time.Minute)
	usage(demo+"/deployments/dep-2", "other", `{"amount":"99"}`)
	usage(one, "u-2", `{"quantity":"77","unit_price":"0.1"}`)
	usage(one, "u-3", `{"amount":"2"}`)
	r.clock.Move(time.Minute)
	charge := released("top-2", "65")

	x, text := r.explain(charge)
	require.Equal(t, "-59.08", x.Transaction.Amount)
	require.Equal(t, []string{"admin", "top-2"}, []string{x.Asked.Role, x.Asked.IdempotencyKey})
	var told [][]string
	for _, w := range *x.Waited {
		price := ""
		if w.Quantity != nil {
			price = *w.Quantity + " x " + *w.UnitPrice
		}
		told = append(told, []string{w.Asked.Role, w.Asked.Key, w.Asked.RequestId, w.Asked.IdempotencyKey, price, w.Amount})
	}
	require.Equal(t, [][]string{
		{"service", "key.service", "req-u-1", "u-1", "1234.5 x 0.04", "49.38"},
		{"service", "key.service", "req-u-2", "u-2", "77 x 0.1", "7.7"},
		{"service", "key.service", "req-u-3", "u-3", "", "2"},
	}, told)
	golden(t, "waited", text)

	c := get(customer, demo+"/transactions/"+charge+"/explain")
	text = r.must(asText(c)).Text
	require.Contains(t, text, "  1234.5 x 0.04 = 49.38\n    asked 2026-")
	require.NotContains(t, text, "key.service")
	var told2 api.Explanation
	require.NoError(t, json.Unmarshal([]byte(r.must(c).Text), &told2))
	require.Equal(t, []string{"", "", ""}, []string{(*told2.Waited)[0].Asked.Key, (*told2.Waited)[0].Asked.RequestId, (*told2.Waited)[0].Asked.IdempotencyKey})
}
