package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// moneyField is a place where an amount comes in.
type moneyField struct{ as, method, path, field, body string }

var moneyFields = []moneyField{
	{"service", "POST", "/v1/accounts/demo-1/deductions", "amount", `{"service":"vm","amount":%s}`},
	{"service", "POST", "/v1/accounts/demo-1/refunds", "amount", `{"transaction_id":"00000000-0000-8000-8000-000000000000","amount":%s}`},
	{"service", "POST", "/v1/accounts/demo-1/reservations", "amount", `{"service":"vm","reservation_id":"r","amount":%s}`},
	{"service", "POST", "/v1/accounts/demo-1/reservations/r/capture", "amount", `{"amount":%s}`},
	{"bd", "POST", "/v1/accounts/demo-1/incentives", "amount", `{"amount":%s}`},
	{"support", "POST", "/v1/accounts/demo-1/adjustments", "amount", `{"amount":%s}`},
	{"customer:demo-1", "POST", "/v1/accounts/demo-1/withdrawals", "amount", `{"network":"stripe","wallet_address":"acct_1032D82eZvKYlo2C","amount":%s}`},
	{"support", "POST", "/v1/accounts/demo-1/disputes/x/resolve", "refund", `{"outcome":"upheld","refund":%s}`},
	{"finance", "PUT", "/v1/accounts/demo-1/policy", "allowance", `{"allowance":%s}`},
	{"finance", "PUT", "/v1/accounts/demo-1/policy", "low_balance_at", `{"low_balance_at":%s}`},
	{"admin", "POST", "/dev/accounts/demo-1/purchases", "amount", `{"amount":%s}`},
}

// TestAWordForAFigureIsRefusedAsInAString: what isn't JSON has the code of the figure that it
// stands for.
func TestAWordForAFigureIsRefusedAsInAString(t *testing.T) {
	r := newRig(t, nil)
	for path, fields := range map[string]map[string]string{
		"/meters/m/readings":   {"quantity": "quantity-invalid", "unit_price": "rate-invalid"},
		"/deployments":         {"hourly_price": "rate-invalid"},
		"/deployments/d/usage": {"quantity": "quantity-invalid", "unit_price": "rate-invalid", "amount": "amount-invalid"},
	} {
		for field, code := range fields {
			got := r.refused(422, code, call{as: "service", method: "POST", path: demo + path, key: "k", body: `{"` + field + `":NaN}`, wrong: true})
			require.Equal(t, []any{field, "NaN"}, []any{got.Body["field"], got.Body["value"]})
		}
	}
}

func TestBadAmounts(t *testing.T) {
	r := newRig(t, nil)
	bad := []struct{ value, code string }{
		{`"-1"`, "amount-invalid"}, {`-1`, "amount-invalid"}, {`"0.0000001"`, "amount-invalid"}, {`0.0000001`, "amount-invalid"},
		{`"1e400"`, "amount-invalid"}, {`1e400`, "amount-invalid"}, {`1e2`, "amount-invalid"},
		{`"NaN"`, "amount-invalid"}, {`NaN`, "amount-invalid"}, {`"Inf"`, "amount-invalid"}, {`Infinity`, "amount-invalid"}, {`-Infinity`, "amount-invalid"}, {`-NaN`, "amount-invalid"}, {`-Inf`, "amount-invalid"},
		{`"١٢"`, "amount-invalid"}, {`" 1"`, "amount-invalid"}, {`"1 "`, "amount-invalid"}, {`"1 0"`, "amount-invalid"}, {`""`, "amount-invalid"},
		{`"+1"`, "amount-invalid"}, {`"1."`, "amount-invalid"}, {`"0x10"`, "amount-invalid"}, {`"1,5"`, "amount-invalid"},
		{`true`, "amount-invalid"}, {`{}`, "amount-invalid"}, {`[1]`, "amount-invalid"},
		{`"1000000000000000"`, "amount-too-large"}, {`1000000000000000`, "amount-too-large"}, {`"1000000000.000001"`, "amount-too-large"},
		{`"` + strings.Repeat("9", 500) + `"`, "amount-too-large"},
	}
	for _, f := range moneyFields {
		for _, b := range bad {
			signed := strings.Contains(f.path, "adjustments")
			if signed && strings.HasPrefix(strings.Trim(b.value, `"`), "-1") {
				continue
			}
			got := r.refused(422, b.code, call{as: f.as, method: f.method, path: f.path, key: "k", body: fmt.Sprintf(f.body, b.value), wrong: true})
			require.Equal(t, f.field, got.Body["field"], "%s %s", f.path, b.value)
			require.Contains(t, got.Body["detail"], f.field)
			if strings.HasPrefix(strings.Trim(b.value, "-"), "Inf") || strings.HasSuffix(b.value, "NaN") {
				require.Equal(t, []any{b.value, f.field + " " + b.value + " is not an amount"}, []any{got.Body["value"], got.Body["detail"]})
			}
		}
		if f.method == http.MethodPost {
			zero := call{as: f.as, method: f.method, path: f.path, key: "k", body: fmt.Sprintf(f.body, `"0"`), wrong: true}
			require.Equal(t, f.field, r.refused(422, "amount-invalid", zero).Body["field"])
		}
	}
	for _, value := range []string{"0", "-1", "1e400", "NaN", "Inf", "%D9%A1", "+1", "1%20", ""} {
		got := r.refused(422, "amount-invalid", call{as: "customer:demo-1", method: "GET", path: "/credits/check?amount=" + value, wrong: true})
		require.Equal(t, "amount", got.Body["field"])
	}
	r.refused(422, "amount-too-large", call{as: "customer:demo-1", method: "GET", path: "/credits/check?amount=1000000000000000", wrong: true})
	for _, path := range []string{"/credits/check", "/credits/check?account=demo-1", demo + "/checkout"} {
		got := r.refused(422, "amount-invalid", call{as: "customer:demo-1", method: "GET", path: path, wrong: true})
		require.Equal(t, []any{"amount", "amount is missing"}, []any{got.Body["field"], got.Body["detail"]})
	}
	require.Equal(t, -1.0, r.balance("demo-1")["revision"], "nothing of all that left an event")
}

func TestBadReadings(t *testing.T) {
	r := newRig(t, nil)
	reading := func(body string) call {
		return call{as: "service", method: "POST", path: "/v1/accounts/demo-1/meters/m/readings", key: "k", body: body, wrong: true}
	}
	for body, want := range map[string][2]string{
		`{"service":"vm","quantity":"1.0000001","unit_price":"1"}`:         {"quantity-invalid", "quantity"},
		`{"service":"vm","quantity":"-1","unit_price":"1"}`:                {"quantity-invalid", "quantity"},
		`{"service":"vm","quantity":"1","unit_price":"0.0000000000001"}`:   {"rate-invalid", "unit_price"},
		`{"service":"vm","quantity":"1","unit_price":1e-3}`:                {"rate-invalid", "unit_price"},
		`{"service":"vm","quantity":"1"}`:                                  {"rate-invalid", "unit_price"},
		`{"service":"vm","unit_price":"1"}`:                                {"quantity-invalid", "quantity"},
		`{"service":"vm","quantity":"1000000000000","unit_price":"1"}`:     {"amount-too-large", "quantity"},
		`{"service":"vm","quantity":"1000000000","unit_price":"1000"}`:     {"amount-too-large", "quantity"},
		`{"service":"credits","quantity":"1","unit_price":"1"}`:            {"field-invalid", "service"},
		`{"quantity":"1","unit_price":"1"}`:                                {"field-invalid", "service"},
		`{"service":"vm","quantity":"1","unit_price":"1","final":"maybe"}`: {"field-invalid", "final"},
	} {
		require.Equal(t, want[1], r.refused(422, want[0], reading(body)).Body["field"], body)
	}
	costly := r.refused(422, "amount-too-large", reading(`{"service":"vm","quantity":"1000000000","unit_price":"1000"}`)).Body
	require.Equal(t, "1000000000", costly["value"])
	// What Python's json.dumps makes of 0.00001.
	float := r.refused(422, "rate-invalid", reading(`{"service":"vm","quantity":"1","unit_price":1e-05}`)).Body
	require.Equal(t, "1e-05", float["value"])
	require.Contains(t, float["detail"], "up to 12 decimals, no exponent; send a string")
}

func TestBadBodies(t *testing.T) {
	r := newRig(t, nil)
	deduct := func(body string) call {
		return call{as: "service", method: "POST", path: "/v1/accounts/demo-1/deductions", key: "k", body: body, wrong: true}
	}
	long := strings.Repeat("x", 129)
	for _, c := range []struct {
		status            int
		code, field, body string
	}{
		{400, "field-unknown", "amout", `{"service":"vm","amount":"1","amout":"1"}`},
		{400, "field-unknown", "Amount", `{"service":"vm","amount":"1","Amount":"1"}`},
		{400, "body-invalid", "amount", `{"service":"vm","amount":"1","amount":"2"}`},
		{400, "body-invalid", "", `{"service":"vm","amount":"1"} {}`},
		{400, "body-invalid", "", `{"service":"vm","amount":"1"`},
		{400, "body-invalid", "", `{"service":"vm","amount":Infinityx}`},
		{400, "body-invalid", "", `{"service":"vm","amount":--Infinity}`},
		{400, "body-invalid", "", `{"service":"vm","amount":"1 NaN`},
		{400, "body-invalid", "", `["amount"]`},
		{400, "body-invalid", "", `null`},
		{400, "body-invalid", "", "{\"service\":\"vm\",\"amount\":\"1\",\"reference\":\"\xff\"}"},
		{400, "body-invalid", "", `amount=1`},
		{400, "body-invalid", "", "\u00a0" + `{"service":"vm","amount":"1"}`},
		{400, "body-invalid", "", `{"service":"vm","amount":"1"}` + "\u0085"},
		{400, "body-invalid", "", `{"service":"vm","amount":"1"}` + "\v"},
		{400, "body-invalid", "", "\f"},
		{422, "field-invalid", "service", `{"service":"mainframe","amount":"1"}`},
		{422, "field-invalid", "service", `{"service":7,"amount":"1"}`},
		{422, "field-invalid", "reference", `{"service":"vm","amount":"1","reference":"` + long + `"}`},
		{422, "field-invalid", "reference", `{"service":"vm","amount":"1","reference":"a\u0000b"}`},
		{422, "field-invalid", "description", `{"service":"vm","amount":"1","description":"` + strings.Repeat("x", 2001) + `"}`},
		{422, "time-invalid", "effective_at", `{"service":"vm","amount":"1","effective_at":"yesterday"}`},
		{422, "time-invalid", "effective_at", `{"service":"vm","amount":"1","effective_at":"0001-01-01T00:00:00Z"}`},
		{422, "time-invalid", "effective_at", `{"service":"vm","amount":"1","effective_at":"9999-12-31T23:59:59-10:00"}`},
		{422, "time-invalid", "effective_at", `{"service":"vm","amount":"1","effective_at":"2099-01-01T00:00:00Z"}`},
		{422, "amount-invalid", "amount", ``},
	} {
		got := r.refused(c.status, c.code, deduct(c.body))
		if c.field != "" {
			require.Equal(t, c.field, got.Body["field"], c.body)
		}
	}
}

// TestLengthsAreTold: what is too long or too short is refused with how long it is, how
// long it may be and how it begins: never with all of it.
func TestLengthsAreTold(t *testing.T) {
	r := newRig(t, nil)
	long := strings.Repeat("x", 9_000)
	body := func(as, path, body string) call {
		return call{as: as, method: "POST", path: path, key: "k", body: body, wrong: true}
	}
	deduct := func(key, members string) call {
		return call{as: "service", method: "POST", path: demo + "/deductions", key: key, wrong: true, body: `{"service":"vm","amount":"1"` + members + `}`}
	}
	read := func(path string) call { return call{as: "service", method: "GET", path: path, wrong: true} }
	for _, c := range []struct {
		code, field, limit string
		call               call
	}{
		{"field-invalid", "Idempotency-Key", "255", deduct(long, "")},
		{"field-invalid", "reference", "128", deduct("k", `,"reference":"`+long+`"`)},
		{"field-invalid", "description", "2000", deduct("k", `,"description":"`+long+`"`)},
		{"field-invalid", "reason", "2000", body(customer, demo+"/credit-requests", `{"amount":"1","name":"Ada","reason":"`+long+`"}`)},
		{"field-invalid", "reason", "200", body("admin", demo+"/forget", `{"reason":"`+long+`"}`)},
		{"id-invalid", "account", "128", read("/v1/accounts/" + long + "/balance")},
		{"id-invalid", "reservation_id", "128", body("service", demo+"/reservations", `{"amount":"1","service":"vm","reservation_id":"`+long+`"}`)},
	} {
		got := r.refused(422, c.code, c.call)
		require.Equal(t, []any{c.field, "9000", c.limit}, []any{got.Body["field"], got.Body["length"], got.Body["limit"]}, c.call.path)
		require.Equal(t, strings.Repeat("x", 40)+"…", got.Body["value"], c.call.path)
		require.Regexp(t, "^"+c.field+" is 9000 (bytes|characters) long", got.Body["detail"])
		require.Less(t, len(got.Body["detail"].(string)), 100, "nothing of it is here")
	}
	none := r.refused(422, "field-invalid", body("admin", demo+"/forget", `{"reason":""}`)).Body
	require.Equal(t, []any{"reason", "", "0", "200"}, []any{none["field"], none["value"], none["length"], none["limit"]})
	none = r.refused(422, "id-invalid", body("service", demo+"/reservations", `{"amount":"1","service":"vm","reservation_id":""}`)).Body
	require.Equal(t, []any{"reservation_id", "", "0", "128"}, []any{none["field"], none["value"], none["length"], none["limit"]})
}

// TestTextIsCountedInCharacters, as the contract says: a text in Japanese has as many as
// one in English.
func TestTextIsCountedInCharacters(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	deduct := func(key string, reference, description int) call {
		c := post("service", demo+"/deductions", key, fmt.Sprintf(`{"service":"vm","amount":"1","reference":%q,"description":%q}`,
			strings.Repeat("川", reference), strings.Repeat("🌊", description)))
		c.wrong = reference > 128 || description > 2000
		return c
	}
	got := part(r.must(deduct("a", 128, 2000)), "deduction")
	entry := r.must(get(customer, demo+"/transactions/"+got["id"].(string))).Body
	require.Equal(t, strings.Repeat("🌊", 2000), entry["description"])
	for i, c := range []struct {
		reference, description int
		field, length          string
	}{{129, 1, "reference", "129"}, {1, 2001, "description", "2001"}} {
		refused := r.refused(422, "field-invalid", deduct(fmt.Sprint("b", i), c.reference, c.description)).Body
		require.Equal(t, []any{c.field, c.length}, []any{refused["field"], refused["length"]})
	}
}

func TestBodyLimit(t *testing.T) {
	r := newRig(t, nil)
	body := `{"service":"vm","amount":"1","description":"` + strings.Repeat("x", 1<<20) + `"}`
	c := call{as: "service", method: "POST", path: "/v1/accounts/demo-1/deductions", key: "k", body: body, wrong: true}
	r.refused(413, "body-too-large", c)

	// A body whose length nobody announced is counted as it comes.
	request := r.request(c)
	request.ContentLength, request.Body = -1, readerOnly{strings.NewReader(body)}
	response, err := r.http.Client().Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, 413, response.StatusCode)

	batch := call{as: "service", method: "POST", path: "/v1/deductions/batch", body: strings.Repeat("\n", 32<<20+1), wrong: true,
		header: http.Header{"Content-Type": {"application/x-ndjson"}}}
	r.refused(413, "body-too-large", batch)
}

// readerOnly hides how much there is to read.
type readerOnly struct{ *strings.Reader }

func (readerOnly) Close() error { return nil }

func TestBadIDs(t *testing.T) {
	r := newRig(t, nil)
	for _, id := range []string{strings.Repeat("a", 129), "a%2Fb", "a%20b", "%C3%A9", "a%00b", "a%0Ab", "..%2F..", "a'b"} {
		for _, path := range []string{"/v1/accounts/" + id + "/balance", "/v1/accounts/" + id + "/transactions"} {
			require.Equal(t, "account", r.refused(422, "id-invalid", call{as: "service", method: "GET", path: path, wrong: true}).Body["field"], id)
		}
		for _, path := range []string{"/v1/accounts/demo-1/meters/" + id + "/readings", "/v1/accounts/demo-1/reservations/" + id + "/release"} {
			body := ""
			if strings.HasSuffix(path, "readings") {
				body = `{"service":"vm","quantity":"1","unit_price":"1"}`
			}
			r.refused(422, "id-invalid", call{as: "service", method: "POST", path: path, key: "k", body: body, wrong: true})
		}
	}
	r.refused(422, "id-invalid", call{as: "service", method: "POST", path: "/v1/accounts/demo-1/reservations", key: "k", wrong: true,
		body: `{"reservation_id":"a b","amount":"1","service":"vm"}`})
	r.refused(422, "id-invalid", call{as: "service", method: "GET", path: "/credits/check?amount=1&account=a%20b", wrong: true})
	r.refused(422, "id-invalid", call{as: "service", method: "GET", path: "/credits/check?amount=1", wrong: true})
	r.refused(422, "id-invalid", call{as: "support", method: "GET", path: "/v1/accounts?prefix=a%20b", wrong: true})
	escaped := r.do(call{as: "service", method: "GET", path: "/v1/accounts/a%40b:c._-/balance", wrong: true}) // the validator doesn't unescape
	require.Equal(t, "a@b:c._-", escaped.Body["account"])
}

func TestBadQueries(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	for _, c := range []struct{ path, query, field, value, detail string }{
		{"transactions", "limit=0", "limit", "0", `limit "0" is not a whole number from 1 to 1000`},
		{"transactions", "limit=%2B5", "limit", "+5", `limit "+5" is not a whole number from 1 to 1000`},
		{"transactions", "limit=005", "limit", "005", `limit "005" is not a whole number from 1 to 1000`},
		{"transactions", "limit=1001", "limit", "1001", `limit "1001" is not a whole number from 1 to 1000`},
		{"transactions", "limit=99999999999999999999", "limit", "99999999999999999999", "from 1 to 1000"},
		{"transactions", "limit=abc", "limit", "abc", "not a whole number from 1 to 1000"},
		{"transactions", "limit=", "limit", "", "not a whole number from 1 to 1000"},
		{"transactions", "limit=1&limit=2", "limit", "2", "limit is given twice"},
		{"transactions", "limit=1&%6Cimit=2", "limit", "2", "limit is given twice"},
		{"transactions", "limit=" + strings.Repeat("9", 99), "limit", strings.Repeat("9", 64) + "…", "from 1 to 1000"},
		{"transactions", "type=gift", "type", "gift", "is none of purchase, grant, incentive, deduction, "},
		{"transactions", "service=mainframe", "service", "mainframe", `service "mainframe" is none of ray, caas, vm, kubernetes, baremetal, inference, credits`},
		{"transactions", "reference=", "reference", "", "reference is empty; leave it out to list all"},
		{"transactions", "cursor=abc", "cursor", "abc", "cursor is none that a list gave out"},
		{"transactions", "cursor=", "cursor", "", "cursor is empty; the first page has none"},
		{"transactions", "limit=2&cursor", "cursor", "", "cursor is empty; the first page has none"},
		{"transactions", "min_position=-1", "min_position", "-1", "not a whole number from 0 to 9223372036854775807"},
		{"balance", "min_position=abc", "min_position", "abc", "not a whole number from 0 to 9223372036854775807"},
		{"balance", "consistency=strong&known_at=2026-03-01T12:00:00Z", "consistency", "strong", "the write side knows no past"},
		{"balance", "consistency=weak", "consistency", "weak", `consistency "weak" is none of strong`},
		{"events", "from=-1", "from", "-1", "not a whole number from 0 to 9223372036854775807"},
		{"events", "with=hashes", "with", "hashes", `with "hashes" is none of balance`},
		{"events", "cursor=abc", "cursor", "abc", "cursor is none that this list gave out"},
		{"events", "limit=0", "limit", "0", "not a whole number from 1 to 1000"},
		{"withdrawals", "cursor=abc", "cursor", "abc", "cursor is none that this list gave out"},
		{"/v1/withdrawals", "late=maybe", "late", "maybe", `late "maybe" is not true or false`},
		{"/v1/withdrawals", "late=1", "late", "1", `late "1" is not true or false`},
		{"/v1/withdrawals", "late=t", "late", "t", `late "t" is not true or false`},
		{"/v1/withdrawals", "late=TRUE", "late", "TRUE", `late "TRUE" is not true or false`},
		{"/v1/withdrawals", "late=", "late", "", `late "" is not true or false`},
		{"/v1/withdrawals", "status=foo", "status", "foo", "is none of open, requested, approved, paid, rejected, cancelled, failed"},
		{"/v1/withdrawals", "network=foo", "network", "foo", "is none of solana, ethereum, stripe"},
		{"/v1/withdrawals", "cursor=abc", "cursor", "abc", "cursor is none that this list gave out"},
		{"/v1/accounts", "frozen=maybe", "frozen", "maybe", `frozen "maybe" is not true or false`},
		{"/v1/accounts", "cursor=abc", "cursor", "abc", "cursor is none that this list gave out"},
		{"/v1/deployments", "status=running", "status", "running", "is none of active, pending-payment, paused, completed, stopped, cancelled, failed"},
		{"/v1/deployments", "after_position=-1", "after_position", "-1", "not a whole number from 0 to"},
		{"/v1/disputes", "service=credits", "service", "credits", "is none of ray, caas, vm, kubernetes, baremetal, inference"},
		{"/v1/audit/journal", "cursor=abc", "cursor", "abc", "cursor is none that this list gave out"},
		{"/v1/audit/journal", "from=-1", "from", "-1", "not a whole number from 0 to"},
		{"/v1/audit/proofs/consistency", "from=0", "from", "0", "not a whole number from 1 to"},
		{"/v1/audit/proofs/consistency", "to=1", "from", "", "from is missing"},
	} {
		path := c.path
		if path[0] != '/' {
			path = demo + "/" + path
		}
		got := r.refused(422, "field-invalid", call{as: "auditor", method: "GET", path: path + "?" + c.query, wrong: true})
		require.Equal(t, c.field, got.Body["field"], c.query)
		require.Contains(t, got.Body["detail"], c.detail, c.query)
		value, told := got.Body["value"]
		require.Equal(t, !strings.HasSuffix(c.detail, "is missing"), told, c.query)
		if told {
			require.Equal(t, c.value, value, c.query)
		}
	}
	r.refused(400, "field-unknown", call{as: "service", method: "GET", path: demo + "/transactions?typ=refund", wrong: true})
	r.refused(422, "field-invalid", call{as: "admin", method: "POST", path: "/dev/clock", body: `{"advance":"-5m"}`})
}

// A null is as if the field weren't there, but where that means more.
func TestNull(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	made := func(a answer) map[string]any { return a.Body["transactions"].([]any)[0].(map[string]any) }
	charge := made(r.must(post("service", demo+"/deductions", "d", `{"amount":"9","service":"vm"}`)))["transaction_id"].(string)
	refund := func(key, members string) call {
		return call{as: "support", method: "POST", path: demo + "/refunds", key: key, wrong: true, body: `{"transaction_id":"` + charge + `"` + members + `}`}
	}
	got := r.refused(422, "amount-invalid", refund("r1", `,"amount":null`))
	require.Equal(t, [3]any{"amount", "null", "amount is null: leave it out, or say what it is"}, [3]any{got.Body["field"], got.Body["value"], got.Body["detail"]})
	require.Equal(t, "91", r.balance("demo-1")["balance"])
	r.refused(422, "field-invalid", call{as: "service", method: "POST", path: demo + "/deployments/d/stop", key: "s", wrong: true, body: `{"used_minutes":null}`})
	long := `{"amount":{"` + strings.Repeat("k", 20_000) + `":[` + strings.Repeat("1,", 100_000) + `"null"]}}`
	r.refused(422, "amount-invalid", call{as: customer, method: "POST", path: demo + "/purchases", key: "long", wrong: true, body: long})
	got = r.refused(422, "field-invalid", call{as: "finance", method: "PUT", path: demo + "/policy", key: "p", wrong: true, body: `{"grace_minutes":7,"minimum_minutes":{"ray":5,"vm":null}}`})
	require.Equal(t, [3]any{"minimum_minutes/vm", "null", "minimum_minutes/vm is null: leave it out, or say what it is"}, [3]any{got.Body["field"], got.Body["value"], got.Body["detail"]})
	require.Equal(t, 60.0, r.must(get("finance", demo+"/policy")).Body["minimum_minutes"].(map[string]any)["vm"])
	got = r.refused(422, "quantity-invalid", call{as: "service", method: "POST", path: demo + "/meters/m/readings", key: "q", wrong: true, body: `{"service":"vm","quantity":{"a":null},"unit_price":"1"}`})
	require.Equal(t, "quantity", got.Body["field"], "a figure is no table")
	r.must(refund("r2", `,"reason":null`))
	require.Equal(t, "100", r.balance("demo-1")["balance"])
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"1","expires_at":null}`))
	named := r.must(post("service", demo+"/deductions", "e", `{"amount":"1","service":"vm","reference":"null-and-void"}`))
	require.Equal(t, "null-and-void", made(named)["reference"])
}

// TestTimesOfAQueryAreThoseOfABody: what a body refuses as a time, a query refuses, in
// the same words, and takes what that takes.
func TestTimesOfAQueryAreThoseOfABody(t *testing.T) {
	r := newRig(t, nil)
	for _, wrong := range []string{
		"x", "", "2026-01-01", "2026-01-01T12:00:00,5Z", "2026-01-01T12:00:00+24:00", "2026-01-01T12:00:00", "2026-01-01T1:00:00Z",
		"2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-10:00",
	} {
		body := r.refused(422, "time-invalid", call{as: "service", method: "POST", path: demo + "/deductions", key: "k", wrong: true,
			body: fmt.Sprintf(`{"amount":"1","service":"vm","effective_at":%q}`, wrong)}).Body
		require.Equal(t, wrong, body["value"])
		for path, fields := range map[string][]string{demo + "/balance": {"as_of", "known_at"}, demo + "/transactions": {"as_of", "known_at", "from", "to"}} {
			for _, field := range fields {
				c := call{as: "service", method: "GET", path: path + "?" + field + "=" + url.QueryEscape(wrong), wrong: true}
				got := r.refused(422, "time-invalid", c).Body
				require.Equal(t, []any{field, wrong}, []any{got["field"], got["value"]})
				require.Equal(t, strings.Replace(body["detail"].(string), "effective_at", field, 1), got["detail"])
			}
		}
	}
	space := r.refused(422, "time-invalid", call{as: "service", method: "GET", path: demo + "/balance?as_of=2026-01-01T12:00:00+01:00", wrong: true})
	require.Equal(t, "2026-01-01T12:00:00 01:00", space.Body["value"])
	require.Contains(t, space.Body["detail"], "a + has to be written %2B")
	r.must(get("service", demo+"/balance?as_of=2026-01-01T12:00:00.5%2B01:00"))
}
