package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// detail is what a refused request is told.
type detail struct {
	call   call
	status int
	code   string
	text   string
	// with are members of the problem.
	with map[string]any
}

func (r *rig) details(all ...detail) {
	r.t.Helper()
	for _, d := range all {
		got := r.refused(d.status, d.code, d.call)
		require.Equal(r.t, d.text, got.Body["detail"], "%s %s", d.call.path, d.call.body)
		for name, value := range d.with {
			require.Equal(r.t, value, got.Body[name], "%s of %s", name, got.Text)
		}
	}
}

// TestDetailsNameTheInput: a refusal is about what the request has.
func TestDetailsNameTheInput(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	r.fund("owing", "5")
	r.must(post("service", "/v1/accounts/owing/deductions", "d", `{"amount":"8","service":"vm"}`))
	spent := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"4","service":"vm"}`)), "deduction")["id"].(string)
	r.must(post("service", demo+"/refunds", "r", `{"transaction_id":"`+spent+`"}`))
	none := r.refused(422, "refund-exceeds-deduction", post("service", demo+"/refunds", "r2", `{"transaction_id":"`+spent+`"}`))
	require.Equal(t, "the deduction of 4 was refunded in full before", none.Body["detail"])
	require.NotContains(t, none.Body, "required", "nobody named an amount")
	r.details(
		detail{post("service", demo+"/deployments", "h", `{"deployment_id":"h","service":"vm","payment_method":"credits","hourly_price":"900000000","duration_hours":100}`),
			422, "amount-too-large", "hourly_price x duration_hours, 900000000 x 100, is above the limit of 1000000000",
			map[string]any{"field": "hourly_price", "value": "90000000000"}},
		detail{call{as: "finance", method: "PUT", path: demo + "/policy", body: `{"minimum_minutes":{"gpu":3}}`, wrong: true},
			422, "field-invalid", `minimum_minutes has "gpu", which is none of ray, caas, vm, kubernetes, baremetal, inference`,
			map[string]any{"field": "minimum_minutes", "value": "gpu"}},
		detail{post("service", demo+"/reservations", "v", `{"reservation_id":"v","amount":"2000","service":"vm"}`),
			402, "insufficient-credits", "2000 credits are required and 100 are available: a hold takes no allowance",
			map[string]any{"available": "100", "spendable": "110", "shortfall": "1900"}},
		detail{post("service", demo+"/deductions", "v", `{"amount":"2000","service":"vm"}`),
			402, "insufficient-credits", "2000 credits are required and 110 can be spent", nil},
		detail{post("service", "/v1/accounts/owing/reservations", "v", `{"reservation_id":"v","amount":"1","service":"vm"}`),
			402, "insufficient-credits", "1 credit is required and 0 are available: a hold takes no allowance",
			map[string]any{"available": "-3", "spendable": "7", "shortfall": "4"}},
		detail{get("auditor", "/v1/audit/proofs/consistency?from=5&to=2"),
			422, "field-invalid", "from 5 is above to, which is 2", map[string]any{"field": "from"}},
	)
}

// TestRefusalsNameTheField that is wrong, or missing, where a rule has none of its own.
func TestRefusalsNameTheField(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	field := func(status int, code string, c call) any {
		c.wrong = true
		return r.refused(status, code, c).Body["field"]
	}
	require.Equal(t, "Idempotency-Key", field(400, "idempotency-key-missing", post("service", demo+"/deductions", "", `{"amount":"1","service":"vm"}`)))
	require.Equal(t, "Idempotency-Key", field(400, "idempotency-key-missing", call{
		as: "service", method: "POST", path: demo + "/deductions", body: `{"amount":"1","service":"vm"}`, header: http.Header{"Idempotency-Key": {""}},
	}))
	unknown := r.refused(400, "field-unknown", call{as: customer, method: "GET", path: demo + "/balance?asof=1", wrong: true})
	require.Equal(t, []any{"asof", `the route has no parameter "asof"`}, []any{unknown.Body["field"], unknown.Body["detail"]})
	asked := part(r.must(post("support", demo+"/adjustments", "a", `{"amount":"5000"}`)), "adjustment")["id"].(string)
	r.must(post("finance", demo+"/adjustments/"+asked+"/approve", "b", ""))
	again := r.refused(403, "self-approval", post("finance", demo+"/adjustments/"+asked+"/approve", "c", ""))
	require.Equal(t, []any{"adjustment_id", asked}, []any{again.Body["field"], again.Body["value"]})
}

// TestWhatIsntSetUpIsNotAskedForAgain: to repeat such a request helps nobody.
func TestWhatIsntSetUpIsNotAskedForAgain(t *testing.T) {
	r := newRig(t, func(p *parts) {
		p.server.Audit, p.server.ReadWebhook = nil, nil
		p.server.Dev.Play = nil
	})
	for part, c := range map[string]call{
		"signer":           get("auditor", "/v1/audit/checkpoint"),
		"payment-provider": post(customer, demo+"/purchases", "a", `{"amount":"5"}`),
		"payment-sandbox":  post("admin", "/dev/payments/p", "", `{"action":"pay"}`),
	} {
		refused := r.refused(503, "unavailable", c)
		require.Equal(t, part, refused.Body["not_set_up"])
		require.Empty(t, refused.Header.Get("Retry-After"))
	}
}

// TestWhatToBuyForAShortfall is never less than can be bought.
func TestWhatToBuyForAShortfall(t *testing.T) {
	r := newRig(t, nil)
	for amount, want := range map[string][2]string{"0.25": {"0.25", "1"}, "7.5": {"7.5", "7.5"}} {
		refused := r.refused(402, "insufficient-credits", post("service", demo+"/deductions", "a", `{"amount":"`+amount+`","service":"vm"}`)).Body
		require.Equal(t, want, [2]string{refused["shortfall"].(string), refused["top_up_amount"].(string)})
	}
}

// TestWhatToBuyInDebt: debt beyond the allowance is paid first.
func TestWhatToBuyInDebt(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	r.must(post("service", demo+"/deductions", "a", `{"amount":"20","service":"vm"}`)) // all of the allowance
	r.must(call{as: "finance", method: "PUT", path: demo + "/policy", key: "p", body: `{"allowance":"4"}`})
	deduct := post("service", demo+"/deductions", "b", `{"amount":"5","service":"vm"}`)
	refused := r.refused(402, "insufficient-credits", deduct).Body
	require.Equal(t, []any{"5", "11"}, []any{refused["shortfall"], refused["top_up_amount"]})
	r.fund("demo-1", "10.999999")
	r.refused(402, "insufficient-credits", deduct)
	r.fund("demo-1", "0.000001")
	r.must(deduct)
}

// TestDetailsNameWhoMay: what can't be reached says what can.
func TestDetailsNameWhoMay(t *testing.T) {
	r := newRig(t, nil)
	r.details(
		detail{call{method: "GET", path: "/v1/nothing", wrong: true}, 404, "unknown-route", "there is no path /v1/nothing; /docs lists those that there are", nil},
		detail{call{method: "DELETE", path: demo + "/deployments", wrong: true}, 405, "method-not-allowed",
			demo + "/deployments takes GET, HEAD, POST, not DELETE", map[string]any{"methods": "GET, HEAD, POST"}},
		detail{get(customer, "/v1/accounts/demo-2/balance"), 403, "account-not-allowed", "the key is for account demo-1, not for demo-2", map[string]any{"account": "demo-2"}},
		detail{post(customer, demo+"/freeze", "f", `{}`), 403, "role-not-allowed", "role customer may not do this; finance, admin may",
			map[string]any{"role": "customer", "roles": "finance, admin"}},
	)
}

// TestWrongStatusSaysWhich: object, id and status as documented, closed ones too.
func TestWrongStatusSaysWhich(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	id := func(a answer, object string) string { return part(a, object)["id"].(string) }
	wrong := func(object, id, status, why string, c call) {
		t.Helper()
		r.details(detail{c, 409, "wrong-status", object + ` "` + id + `" is ` + status + why, map[string]any{"current_status": status, "value": id}})
	}

	spent := id(r.must(post("service", demo+"/deductions", "d", `{"amount":"4","service":"vm"}`)), "deduction")
	dispute := id(r.must(post(customer, demo+"/disputes", "x", `{"transaction_id":"`+spent+`"}`)), "dispute")
	resolve := func(key string) call {
		return post("support", demo+"/disputes/"+dispute+"/resolve", key, `{"outcome":"rejected"}`)
	}
	r.must(resolve("x1"))
	wrong("dispute", dispute, "rejected", ", not open", resolve("x2"))

	request := id(r.must(post(customer, demo+"/credit-requests", "c", `{"amount":"5"}`)), "credit_request")
	cancel := demo + "/credit-requests/" + request + "/cancel"
	r.must(post(customer, cancel, "c1", ""))
	wrong("credit request", request, "cancelled", ", not requested", post(customer, cancel, "c2", ""))

	w := r.withdraw("w", "10")
	withdrawal := w[len(demo+"/withdrawals/"):]
	wrong("withdrawal", withdrawal, "requested", ", not approved", post("finance", w+"/paid", "w1", `{"tx_url":"https://solscan.io/tx/1"}`))
	r.must(post("finance", w+"/reject", "w2", `{}`))
	wrong("withdrawal", withdrawal, "rejected", ", not requested", post("finance", w+"/approve", "w3", ""))

	r.must(post("service", demo+"/deployments", "h", `{"deployment_id":"h","service":"ray","payment_method":"credits","hourly_price":"1","duration_hours":1}`))
	stop := func(key string) call { return post("service", demo+"/deployments/h/stop", key, `{"used_minutes":5}`) }
	r.must(stop("h1"))
	wrong("deployment", "h", "stopped", ": it has ended", stop("h2"))
}

// TestFrozenQuestions: what docs/clients.md says of a frozen account.
func TestFrozenQuestions(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	r.must(post("finance", demo+"/freeze", "f", `{}`))
	check := r.must(get(customer, "/credits/check?amount=5")).Body
	require.Equal(t, []any{false, true, "0", "0"}, []any{check["sufficient"], check["frozen"], check["allowance"], check["shortfall"]})
	for _, option := range r.must(get(customer, demo+"/checkout?amount=5")).Body["options"].([]any) {
		require.Equal(t, true, option.(map[string]any)["enabled"])
	}
	r.refused(422, "time-invalid", post("service", demo+"/deductions", "a", `{"amount":"1","service":"vm","effective_at":"2099-01-01T00:00:00Z"}`))
	r.refused(422, "time-invalid", post("service", demo+"/deductions", "a", `{"amount":"1","service":"vm","effective_at":"1969-12-31T23:59:59Z"}`))
	r.refused(403, "account-frozen", post("service", demo+"/deductions", "a", `{"amount":"1","service":"vm","effective_at":"1970-01-01T00:00:00Z"}`))
}
