package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMissingFields: what isn't there is said to be missing, what is there and
// empty is not, with the same code either way.
func TestMissingFields(t *testing.T) {
	r := newRig(t, nil)
	const acct = "/v1/accounts/demo-1"
	deploy := func(rest string) call {
		return post("service", acct+"/deployments", "k", `{"deployment_id":"d","service":"vm","hourly_price":"1"`+rest+`}`)
	}
	for _, c := range []struct {
		call                call
		code, field, detail string
	}{
		{post("service", acct+"/deductions", "k", `{"service":"vm"}`), "amount-invalid", "amount", "amount is missing"},
		{post("service", acct+"/deductions", "k", ``), "amount-invalid", "amount", "amount is missing"},
		{post("service", acct+"/deductions", "k", " \r\n"), "amount-invalid", "amount", "amount is missing"},
		{post("service", acct+"/deductions", "k", `{"amount":"1"}`), "field-invalid", "service", "service is missing"},
		{post("service", acct+"/deductions", "k", `{"amount":"1","reference":"\u0041"}`), "field-invalid", "service", "service is missing"},
		{post("service", acct+"/reservations", "k", `{"amount":"1","service":"vm"}`), "id-invalid", "reservation_id", "reservation_id is missing"},
		{post("service", acct+"/meters/m/readings", "k", `{"service":"vm","quantity":"1"}`), "rate-invalid", "unit_price", "unit_price is missing"},
		{post("customer:demo-1", acct+"/withdrawals", "k", `{"amount":"1"}`), "field-invalid", "network", "network is missing"},
		{post("customer:demo-1", acct+"/withdrawals", "k", `{"amount":"1","network":"solana"}`), "field-invalid", "wallet_address", "wallet_address is missing"},
		{post("support", acct+"/disputes", "k", `{}`), "id-invalid", "transaction_id", "transaction_id is missing"},
		{deploy(`,"payment_method":"credits"`), "field-invalid", "duration_hours", "duration_hours is missing"},
		{post("service", acct+"/deployments/d/extend", "k", `{}`), "field-invalid", "duration_hours", "duration_hours is missing"},
		{deploy(`,"duration_hours":1`), "payment-method-unsupported", "payment_method", "payment_method is missing"},
		{deploy(`,"payment_method":null,"duration_hours":1`), "payment-method-unsupported", "payment_method", "payment_method is missing"},
		{deploy(`,"payment_method":"credits","duration_hours":null`), "field-invalid", "duration_hours", "duration_hours is missing"},
		{post("service", acct+"/deductions", "k", `{"amount":"1","service":null}`), "field-invalid", "service", "service is missing"},
		{post("customer:demo-1", acct+"/withdrawals", "k", `{"amount":"1","network":null}`), "field-invalid", "network", "network is missing"},
		{post("customer:demo-1", acct+"/withdrawals", "k", `{"amount":"1","network":"solana","wallet_address":null}`), "field-invalid", "wallet_address", "wallet_address is missing"},
		{get("service", "/credits/check?account=demo-1"), "amount-invalid", "amount", "amount is missing"},
		{get("service", "/credits/check?amount=1"), "id-invalid", "account", "account is missing, and the key is for none"},
		{get("service", acct+"/statement"), "field-invalid", "month", "month is missing"},
		{get("service", acct+"/transactions?limit=x"), "field-invalid", "limit", `limit "x" is not a whole number from 1 to 1000`},

		{post("service", acct+"/deductions", "k", `{"service":"vm","amount":""}`), "amount-invalid", "amount", `amount "" is not an amount: digits, optionally a point and up to 6 decimals`},
		{deploy(`,"payment_method":"credits","duration_hours":0`), "field-invalid", "duration_hours", "duration_hours 0 is not between 1 and 8760"},
	} {
		c.call.wrong = true
		got := r.refused(422, c.code, c.call)
		require.Equal(t, c.field, got.Body["field"], c.call.body)
		require.Equal(t, c.detail, got.Body["detail"], c.call.body)
		if strings.HasSuffix(c.detail, "is missing") {
			require.NotContains(t, got.Body, "value", "nobody sent one")
		}
	}
}

func TestMissingFieldsOfLines(t *testing.T) {
	r := newRig(t, nil)
	got := r.do(call{as: "service", method: "POST", path: "/v1/deductions/batch", header: http.Header{"Content-Type": {"application/x-ndjson"}}, wrong: true, body: `{"key":"1","amount":"1","service":"vm"}
{"account":"a","amount":"1","service":"vm"}
{"account":"a","key":"3","service":"vm"}
{"account":"a","key":"4","amount":"1"}
{"account":"a","key":"5","service":"vm","meter":"m"}
{"account":"a","key":"6","service":"vm","meter":"m","quantity":"1"}
{"account":"a","key":"7","service":"","amount":"1"}
{"account":"a","key":"8","service":null,"amount":"1"}
`})
	for _, detail := range []string{
		`"code":"id-invalid","detail":"account is missing"`, `"code":"idempotency-key-missing","detail":"key is missing"`,
		`"code":"amount-invalid","detail":"amount is missing"`, `"code":"field-invalid","detail":"service is missing"`,
		`"code":"quantity-invalid","detail":"quantity is missing"`, `"code":"rate-invalid","detail":"unit_price is missing"`,
		`"detail":"service \"\" is none of ray`, `"key":"8","line":8,"status":422,"code":"field-invalid","detail":"service is missing"`,
	} {
		require.Contains(t, got.Text, detail)
	}
}

// TestWhichFigureOfUsageIsMissing: of a quantity and its price there have to be both.
func TestWhichFigureOfUsageIsMissing(t *testing.T) {
	r := newRig(t, nil)
	for body, field := range map[string]string{
		`{}`: "amount", `{"quantity":"1"}`: "unit_price", `{"unit_price":"1"}`: "quantity",
		`{"amount":"1","quantity":"1"}`: "amount", `{"amount":"1","unit_price":"1"}`: "amount", `{"amount":"1","quantity":"1","unit_price":"1"}`: "amount",
	} {
		got := r.refused(422, "field-invalid", post("service", demo+"/deployments/d/usage", "k", body))
		require.Equal(t, field, got.Body["field"], body)
	}
}

// TestHalfACharacterIsNamed: the body is JSON, and one of its texts is none.
func TestHalfACharacterIsNamed(t *testing.T) {
	r := newRig(t, nil)
	for body, want := range map[string][2]string{
		`{"amount":"1","service":"vm","description":"Ada \ud83d"}`:        {"description", "description has half a character at byte 48"},
		`{"amount":"1","description":"\udc00\ud83d","service":"vm"}`:      {"description", "description has half a character at byte 29"},
		"{\"amount\":\"1\",\"reference\":\"\xff\",\"service\":\"vm\"}":    {"reference", "reference has half a character at byte 27"},
		`{"amount":"1","a\ud83d":"vm"}`:                                   {"", "the body has half a character at byte 16"},
		`{"description":"\ud83d","service":"vm","service":"vm"}`:          {"description", "description has half a character at byte 16"},
		`{"amount":"1","service":"vm","description":"Ada \ud83d"`:         {"", "the body is not JSON at byte"},
		`{"amount":"1","service":"vm","description":"Ada \q and \ud83d"}`: {"", "the body is not JSON at byte 48"},
	} {
		c := post("service", demo+"/deductions", "k", body)
		c.wrong = true
		got := r.refused(400, "body-invalid", c)
		require.Contains(t, got.Body["detail"], want[1], body)
		field, _ := got.Body["field"].(string)
		require.Equal(t, want[0], field, body)
	}
	line := r.do(call{as: "service", method: "POST", path: "/v1/deductions/batch", wrong: true, header: http.Header{"Content-Type": {"application/x-ndjson"}},
		body: `{"account":"a","key":"k","amount":"1","service":"vm","reference":"\ud83d"}`})
	require.Regexp(t, `^{"key":"k","line":1,"status":400,"code":"body-invalid","detail":"reference has half a character at byte .*","field":"reference"}`, line.Text)
}
