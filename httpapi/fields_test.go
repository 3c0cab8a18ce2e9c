package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// input is a request that would be accepted, of an operation that reads a body.
type input struct{ as, method, path, body string }

// inputs has one for each operation of the contract.
func inputs(r *rig) []input {
	r.fund("demo-1", "1000")
	charge := r.must(post("service", demo+"/deductions", "d", `{"amount":"10","service":"vm"}`)).Body["deduction"].(map[string]any)["id"].(string)
	r.must(post("service", demo+"/reservations", "h", `{"reservation_id":"held","amount":"20","service":"vm"}`))
	asked := r.must(post("support", demo+"/adjustments", "a", `{"amount":"3"}`))
	payout, approved := r.withdraw("w1", "1"), r.withdraw("w2", "1")
	r.must(post("finance", approved+"/approve", "w3", ""))
	disputed := r.must(post(customer, demo+"/disputes", "x", `{"transaction_id":"`+charge+`"}`))
	request := r.must(post(customer, demo+"/credit-requests", "c", `{"amount":"7"}`))
	bought := r.must(post(customer, demo+"/purchases", "p", `{"amount":"5"}`))
	purchase := idOf(bought.Body, "purchase")
	r.must(post("service", demo+"/deployments", "v", `{"deployment_id":"run","service":"vm","payment_method":"credits","hourly_price":"1","duration_hours":5}`))
	r.must(tell("late", "p", "here", "succeeded", "7"))
	adjustment, credits := demo+"/adjustments/"+idOf(asked.Body, "adjustment"), demo+"/credit-requests/"+idOf(request.Body, "credit_request")
	reason := `{"reason":"r"}`
	return []input{
		{"bd", "POST", demo + "/incentives", `{"amount":"1","campaign":"c","expires_at":"2099-01-01T00:00:00Z"}`},
		{"service", "POST", demo + "/deductions", `{"amount":"1","service":"vm","reference":"r","description":"d","effective_at":"2026-02-01T00:00:00Z"}`},
		{"service", "POST", demo + "/meters/m/readings", `{"service":"vm","quantity":"1","unit_price":"1","reference":"r","effective_at":"2026-02-01T00:00:00Z","final":false}`},
		{"support", "POST", demo + "/refunds", `{"transaction_id":"` + charge + `","amount":"1","reason":"r"}`},
		{"service", "POST", demo + "/reservations", `{"reservation_id":"new","amount":"1","service":"vm","reference":"r","expires_at":"2099-01-01T00:00:00Z"}`},
		{"service", "POST", demo + "/reservations/held/capture", `{"amount":"1","final":false}`},
		{"service", "POST", demo + "/reservations/held/release", reason},
		{"support", "POST", demo + "/adjustments", `{"amount":"1","reason":"r","related_transaction":"` + charge + `"}`},
		{"finance", "POST", adjustment + "/approve", `{}`},
		{"finance", "POST", adjustment + "/reject", reason},
		{"finance", "POST", demo + "/freeze", reason},
		{"finance", "POST", demo + "/unfreeze", reason},
		{"admin", "PUT", demo + "/policy", `{"allowance":"1","grace_minutes":5,"low_balance_at":"1","two_approvers_from":"1","purchase_fee_basis_points":1,"purchased_life_months":1,"minimum_minutes":{"vm":1}}`},
		{customer, "POST", demo + "/withdrawals", `{"amount":"1",` + stripe + `}`},
		{customer, "POST", payout + "/cancel", `{}`},
		{"finance", "POST", payout + "/approve", `{}`},
		{"finance", "POST", payout + "/reject", reason},
		{"finance", "POST", approved + "/paid", `{"tx_url":"https://a.b/c","network":"stripe"}`},
		{"finance", "POST", approved + "/failed", reason},
		{"support", "POST", demo + "/disputes", `{"transaction_id":"` + charge + `","reason":"r"}`},
		{"support", "POST", demo + "/disputes/" + idOf(disputed.Body, "dispute") + "/resolve", `{"outcome":"upheld","refund":"1","note":"n"}`},
		{customer, "POST", demo + "/purchases", `{"amount":"1"}`},
		{"finance", "POST", demo + "/purchases/" + purchase + "/reverse", reason},
		{"finance", "POST", "/v1/payments/unmatched/@unmatched~here/resolve", `{"account":"demo-1","returned":false,"note":"n"}`},
		{customer, "POST", demo + "/credit-requests", `{"amount":"1","name":"n","reason":"r"}`},
		{"bd", "POST", credits + "/approve", `{"approved_amount":"1","promotional":true,"expires_at":"2099-01-01T00:00:00Z"}`},
		{"bd", "POST", credits + "/reject", reason},
		{customer, "POST", credits + "/cancel", `{}`},
		{"service", "POST", demo + "/deployments", `{"deployment_id":"new","service":"vm","payment_method":"credits","hourly_price":"1","duration_hours":1}`},
		{"service", "POST", demo + "/deployments/run/extend", `{"duration_hours":1}`},
		{"service", "POST", demo + "/deployments/run/usage", `{"amount":"1","effective_at":"2026-01-01T00:00:00Z"}`},
		{"service", "POST", demo + "/deployments/run/usage", `{"quantity":"1","unit_price":"1"}`},
		{"service", "POST", demo + "/deployments/run/stop", `{"used_minutes":1}`},
		{"service", "POST", demo + "/deployments/run/cancel", `{}`},
		{"service", "POST", demo + "/deployments/run/fail", `{"used_minutes":1,"reason":"r"}`},
		{"admin", "POST", "/dev/payments/" + purchase, `{"action":"pay"}`},
		{"admin", "POST", "/dev/clock", `{"advance":"5m"}`},
		{"admin", "POST", "/dev/accounts/demo-1/purchases", `{"amount":"1","expires_at":"2099-01-01T00:00:00Z"}`},
		{"admin", "POST", demo + "/forget", reason},
	}
}

// badValues are what no field of a schema may be. zero: nought is none either.
func badValues(schema *openapi3.Schema, required bool) []string {
	if len(schema.AllOf) == 1 {
		schema = schema.AllOf[0].Value
	}
	bad := []string{`{}`, `[1]`}
	add := func(values ...string) { bad = append(bad, values...) }
	if required {
		add(`null`)
	}
	switch {
	case len(schema.OneOf) > 0: // a figure
		add(`true`, `""`, `"x"`, `"1e3"`, `1e400`, `"0.0000000000001"`, `"1000000000000000"`, `"NaN"`)
		if pattern := schema.OneOf[0].Value.Pattern; !strings.HasPrefix(pattern, "^-?") {
			add(`"-1"`, `-1`)
		}
		if strings.HasPrefix(schema.Description, "Credits") {
			add(`"0.0000001"`)
		}
	case schema.Type.Is("integer"):
		add(`true`, `"1"`, `""`, `1.5`, `-1`, `1e30`)
		if schema.Max != nil {
			add(fmt.Sprint(int(*schema.Max) + 1))
		}
		if schema.Min != nil && *schema.Min > 0 {
			add(`0`)
		}
	case schema.Type.Is("boolean"):
		add(`1`, `0`, `"true"`, `""`)
	case schema.Type.Is("object"):
		return []string{`[1]`, `7`, `"x"`, `{"vm":-1}`, `{"vm":"1"}`, `{"mainframe":1}`, `{"vm":525601}`}
	case schema.Format == "date-time":
		add(`7`, `""`, `"yesterday"`, `"0001-01-01T00:00:00Z"`)
	default:
		add(`7`, `true`, quotedText(strings.Repeat("x", 2001)), `"a\u202eb"`, `"a\u0000b"`)
		if required || len(schema.Enum) > 0 || schema.MinLength > 0 {
			add(`""`)
		}
		if len(schema.Enum) > 0 {
			add(`"nothing"`)
		}
	}
	return bad
}

func quotedText(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// with gives a body with another value of one field; "" leaves it out.
func with(t *testing.T, body, field, value string) string {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(body), &members))
	members[field] = json.RawMessage(value)
	var parts []string
	for name, v := range members {
		if len(v) > 0 {
			parts = append(parts, fmt.Sprintf("%q:%s", name, v))
		}
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}

// faults are bodies with something wrong in one field, by that field.
func faults(t *testing.T, in input, schema *openapi3.Schema, refuse func(field, body string)) {
	t.Helper()
	refuse("extra", with(t, in.body, "extra", `1`))
	for name, property := range schema.Properties {
		if !strings.Contains(in.body, `"`+name+`"`) {
			continue // another input has it
		}
		required := slices.Contains(schema.Required, name)
		if required {
			refuse(name, with(t, in.body, name, ""))
		}
		refuse(name, strings.TrimSuffix(in.body, "}")+`,"`+name+`":1}`)
		for _, value := range badValues(property.Value, required) {
			refuse(name, with(t, in.body, name, value))
		}
		if name == "amount" || name == "refund" || name == "promotional" {
			refuse(name, with(t, in.body, name, `null`))
		}
		if strings.Contains(property.Value.Description, "Credits, above zero") && in.method == http.MethodPost {
			refuse(name, with(t, in.body, name, `0`))
		}
	}
}

// TestProblemsNameTheField: whatever is wrong with a field of a body, the answer is a
// problem that names it, and nothing is done.
func TestProblemsNameTheField(t *testing.T) {
	r := newRig(t, nil)
	all := inputs(r)
	before := r.balance("demo-1")["revision"]
	covered := map[string]bool{}
	tried := 0
	for _, in := range all {
		copied := r.request(call{method: in.method, path: in.path})
		copied.URL.Scheme, copied.URL.Host = "", ""
		route, _, err := theContract().router.FindRoute(copied)
		require.NoError(t, err)
		covered[in.method+" "+route.Path] = true
		schema := route.Operation.RequestBody.Value.Content["application/json"].Schema.Value
		faults(t, in, schema, func(field, body string) {
			tried++
			got := r.do(call{as: in.as, method: in.method, path: in.path, key: fmt.Sprint("bad-", tried), body: body, wrong: true})
			named, _, _ := strings.Cut(fmt.Sprint(got.Body["field"]), "/") // of an object's member: its place in it
			if got.Status/100 != 4 || named != field {
				t.Errorf("%s is not named: %s %s %.150s: %s", field, in.method, in.path, body, got.Text)
			}
		})
	}
	require.Equal(t, before, r.balance("demo-1")["revision"], "nothing of all that left an event")
	for _, operation := range theContract().operations() {
		method, path, _ := strings.Cut(operation, " ")
		body := theContract().doc.Paths.Find(path).GetOperation(method).RequestBody
		if body != nil && body.Value.Content["application/json"] != nil && path != "/webhooks/spherepay" {
			require.True(t, covered[operation], "no input for %s", operation)
		}
	}
}

// A value of another kind is shown beside what it has to be.
func TestProblemsSayWhatWasThere(t *testing.T) {
	r := newRig(t, nil)
	for body, want := range map[string][3]any{
		`{"used_minutes":1.5}`:                                {"used_minutes", "1.5", "used_minutes has to be a whole number, without a point or an exponent"},
		`{"used_minutes":3.0}`:                                {"used_minutes", "3.0", "used_minutes has to be a whole number, without a point or an exponent"},
		`{"used_minutes":"1"}`:                                {"used_minutes", "1", "used_minutes has to be a whole number, without a point or an exponent"},
		`{"used_minutes":1e30}`:                               {"used_minutes", "1e30", "used_minutes has to be a whole number, without a point or an exponent"},
		`{"used_minutes":[1]}`:                                {"used_minutes", nil, "used_minutes has to be a whole number, without a point or an exponent"},
		`{"used_minutes":100000000000000000000}`:              {"used_minutes", "100000000000000000000", "used_minutes has more digits than any number here"},
		`{"used_minutes":-100000000000000000000}`:             {"used_minutes", "-100000000000000000000", "used_minutes has more digits than any number here"},
		`{"reason":{"a":"b"}}`:                                {"reason", nil, "reason has to be a string"},
		`{"reason":5}`:                                        {"reason", "5", "reason has to be a string"},
		`{"used_minutes":"` + strings.Repeat("9", 100) + `"}`: {"used_minutes", strings.Repeat("9", 64) + "…", "used_minutes has to be a whole number, without a point or an exponent"},
	} {
		got := r.refused(422, "field-invalid", call{as: "service", method: "POST", path: demo + "/deployments/run/fail", key: "k", body: body, wrong: true})
		require.Equal(t, want, [3]any{got.Body["field"], got.Body["value"], got.Body["detail"]}, body)
	}
	got := r.refused(422, "time-invalid", call{as: "bd", method: "POST", path: demo + "/incentives", key: "k", body: `{"amount":"1","expires_at":"soon"}`, wrong: true})
	require.Equal(t, "soon", got.Body["value"])
	got = r.refused(422, "field-invalid", call{as: "admin", method: "PUT", path: demo + "/policy", body: `{"minimum_minutes":{"vm":"x"}}`, wrong: true})
	require.Equal(t, [2]any{"minimum_minutes/vm", "x"}, [2]any{got.Body["field"], got.Body["value"]})
}
