package httpapi_test

import (
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

func TestReplay(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	c := post("service", "/v1/accounts/demo-1/deductions", "k-1", `{"amount":"4","service":"vm","description":"VM"}`)
	first := r.must(c)
	require.Empty(t, first.Header.Get("Idempotency-Replayed"))
	r.must(post("service", "/v1/accounts/demo-1/deductions", "k-2", `{"amount":"1","service":"vm"}`))
	r.must(post("service", "/v1/accounts/demo-1/refunds", "k-3",
		fmt.Sprintf(`{"transaction_id":%q,"amount":"3"}`, first.Body["deduction"].(map[string]any)["id"])))

	// Spelling is not meaning.
	for _, body := range []string{c.body, `{ "service" : "vm", "description":"\u0056M", "amount" : 4.000000 }`} {
		again := r.do(call{as: c.as, method: c.method, path: c.path, key: c.key, body: body})
		require.Equal(t, first.Status, again.Status)
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		for _, same := range []string{"revision", "position", "transactions"} {
			require.Equal(t, first.Body[same], again.Body[same], same)
		}
		require.Equal(t, "8", again.Body["balance"].(map[string]any)["balance"], "the balance is today's")
		require.Equal(t, "3", again.Body["deduction"].(map[string]any)["refunded"], "the object is today's")
	}
}

// Each field of a request counts, and so do path, method and actor.
func TestReusedKey(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	deductions, refunds := "/v1/accounts/demo-1/deductions", "/v1/accounts/demo-1/refunds"
	first := r.must(post("service", deductions, "k", `{"amount":"4","service":"vm","reference":"a","description":"b","effective_at":"2026-03-01T10:00:00Z"}`))
	for _, body := range []string{
		`{"amount":"5","service":"vm","reference":"a","description":"b","effective_at":"2026-03-01T10:00:00Z"}`,
		`{"amount":"4","service":"ray","reference":"a","description":"b","effective_at":"2026-03-01T10:00:00Z"}`,
		`{"amount":"4","service":"vm","reference":"A","description":"b","effective_at":"2026-03-01T10:00:00Z"}`,
		`{"amount":"4","service":"vm","reference":"a","description":"B","effective_at":"2026-03-01T10:00:00Z"}`,
		`{"amount":"4","service":"vm","reference":"a","description":"b","effective_at":"2026-03-01T10:00:01Z"}`,
		`{"amount":"4","service":"vm","description":"b","effective_at":"2026-03-01T10:00:00Z"}`,
	} {
		r.refused(422, "idempotency-key-reused", post("service", deductions, "k", body))
	}
	same := r.must(post("service", deductions, "k", `{"amount":"4","service":"vm","reference":"a","description":"b","effective_at":"2026-03-01T12:00:00+02:00"}`))
	require.Equal(t, "true", same.Header.Get("Idempotency-Replayed"), "one instant in another zone")
	r.refused(422, "idempotency-key-reused", post("service", "/v1/accounts/demo-1/meters/m/readings", "k", `{"service":"vm","quantity":"4","unit_price":"1"}`))

	id := first.Body["deduction"].(map[string]any)["id"]
	refund := fmt.Sprintf(`{"transaction_id":%q,"amount":"1"}`, id)
	r.must(post("service", refunds, "r", refund))
	r.refused(422, "idempotency-key-reused", post("support", refunds, "r", refund))

	reading := func(meter, body string) call {
		return post("service", "/v1/accounts/demo-1/meters/"+meter+"/readings", "m", body)
	}
	r.must(reading("m", `{"service":"vm","quantity":"4","unit_price":"0.1","reference":"x"}`))
	require.Equal(t, "true", r.must(reading("m", `{"service":"vm","quantity":4.0,"unit_price":0.10,"reference":"x","final":false}`)).Header.Get("Idempotency-Replayed"))
	for _, body := range []string{
		`{"service":"vm","quantity":"4","unit_price":"0.1","reference":"x","final":true}`,
		`{"service":"vm","quantity":"4","unit_price":"0.2","reference":"x"}`,
		`{"service":"vm","quantity":"5","unit_price":"0.1","reference":"x"}`,
	} {
		r.refused(422, "idempotency-key-reused", reading("m", body))
	}
	r.refused(422, "idempotency-key-reused", reading("n", `{"service":"vm","quantity":"4","unit_price":"0.1","reference":"x"}`))
	// Another account is another scope.
	r.fund("demo-2", "10")
	require.Empty(t, r.must(post("service", "/v1/accounts/demo-2/deductions", "k", `{"amount":"5","service":"vm"}`)).Header.Get("Idempotency-Replayed"))
}

func TestARefusalBindsNoKey(t *testing.T) {
	r := newRig(t, nil)
	c := post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":"4","service":"vm"}`)
	r.refused(402, "insufficient-credits", c)
	r.fund("demo-1", "10")
	require.Empty(t, r.must(c).Header.Get("Idempotency-Replayed"))
}

func TestKeyIsNeeded(t *testing.T) {
	r := newRig(t, nil)
	for _, operation := range theContract().operations() {
		method, path, _ := strings.Cut(operation, " ")
		parameter := theContract().doc.Paths.Value(path).GetOperation(method).Parameters.GetByInAndName("header", "Idempotency-Key")
		if parameter == nil || !parameter.Required {
			continue
		}
		as, _, _ := strings.Cut(allowed[operation], " ")
		if as == "customer" {
			as = "customer:demo-1"
		}
		path = strings.NewReplacer("{account}", "demo-1", "{payment_id}", "demo-1~x").Replace(path)
		path = regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(path, "x")
		r.refused(400, "idempotency-key-missing", call{as: as, method: method, path: path, body: "{}", wrong: true})
		empty := call{as: as, method: method, path: path, body: "{}", wrong: true, header: http.Header{"Idempotency-Key": {""}}}
		require.Contains(t, r.refused(400, "idempotency-key-missing", empty).Body["detail"], "empty")
		for key, value := range map[string]string{strings.Repeat("k", 256): strings.Repeat("k", 40) + "…", "schlüssel": "schlüssel"} {
			c := call{as: as, method: method, path: path, key: key, body: "{}", wrong: true}
			refused := r.refused(422, "field-invalid", c).Body
			require.Equal(t, []any{"Idempotency-Key", value}, []any{refused["field"], refused["value"]})
		}
	}
	freeze := call{as: "finance", method: "POST", path: demo + "/freeze", body: "{}", wrong: true, header: http.Header{"Idempotency-Key": {""}}}
	r.refused(422, "field-invalid", freeze) // where none is needed
	two := call{as: "service", method: "POST", path: "/v1/accounts/demo-1/deductions", body: `{"amount":"1","service":"vm"}`, wrong: true,
		header: http.Header{"Idempotency-Key": {"a", "b"}}}
	require.Equal(t, "a, b", r.refused(422, "field-invalid", two).Body["value"])
}

// A thousand identical requests at once have one effect, and one answer says so.
func TestAThousandAtOnce(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1000")
	const many = 1000
	var mu sync.Mutex
	var group sync.WaitGroup
	fresh := 0
	ids := map[any]int{}
	for range many {
		group.Go(func() {
			response, err := r.http.Client().Do(r.request(post("service", "/v1/accounts/demo-1/deductions", "same", `{"amount":"1","service":"vm"}`)))
			if err != nil {
				t.Error(err)
				return
			}
			got, err := readAnswer(response)
			if err != nil || got.Status != 201 {
				t.Errorf("%v %d %s", err, got.Status, got.Text)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[got.Body["deduction"].(map[string]any)["id"]]++
			if got.Header.Get("Idempotency-Replayed") == "" {
				fresh++
			}
		})
	}
	group.Wait()
	require.Equal(t, 1, fresh)
	require.Len(t, ids, 1)
	require.Equal(t, "999", r.balance("demo-1")["balance"])
}

// Ids that the server makes are the first request's, however often it is sent.
func TestServerMadeIDsAreStable(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		call
		object string
	}{
		{post("support", "/v1/accounts/demo-1/adjustments", "a", `{"amount":"1"}`), "adjustment"},
		{post("admin", "/dev/accounts/demo-1/purchases", "p", `{"amount":"1"}`), "purchase"},
	} {
		first, again := r.must(c.call), r.must(c.call)
		require.Equal(t, first.Body[c.object], again.Body[c.object])
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	}
	require.Equal(t, "1", r.balance("demo-1")["balance"])
}

func TestIfMatch(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	etag := r.do(get("service", "/v1/accounts/demo-1/balance")).Header.Get("Etag")
	deduct := func(key, tag string) call {
		c := post("service", "/v1/accounts/demo-1/deductions", key, `{"amount":"1","service":"vm"}`)
		c.header = http.Header{"If-Match": {tag}}
		return c
	}
	r.must(deduct("a", etag))
	require.Equal(t, "true", r.must(deduct("a", etag)).Header.Get("Idempotency-Replayed"), "a repeat is one whatever happened since")
	r.refused(412, "precondition-failed", deduct("b", etag))
	r.must(deduct("c", "*"))
	for _, wrong := range []string{"5", `"x"`, `W/"1"`, `"01"`} {
		require.Equal(t, wrong, r.refused(422, "field-invalid", deduct("d", wrong)).Body["value"])
	}
}

// A batch is about many accounts: a revision that it ignored would pass for a
// protection.
func TestABatchTakesNoIfMatch(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	etag := r.do(get("service", "/v1/accounts/demo-1/balance")).Header.Get("Etag")
	batch := func(tag string) call {
		return call{as: "service", method: "POST", path: "/v1/deductions/batch", body: `{"account":"demo-1","key":"a","amount":"1","service":"vm"}`,
			header: http.Header{"If-Match": {tag}, "Content-Type": {"application/x-ndjson"}}}
	}
	for _, tag := range []string{etag, `"7"`, "x"} {
		refused := r.refused(422, "field-invalid", batch(tag)).Body
		require.Equal(t, []any{"If-Match", tag}, []any{refused["field"], refused["value"]})
	}
	require.Equal(t, "10", r.balance("demo-1")["balance"])
	r.must(batch("*"))
	require.Equal(t, "9", r.balance("demo-1")["balance"])
}

// An id of a transaction is the same one in upper case, and so is the request.
func TestReplaysWithAnotherCaseOfAnID(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	for i, c := range []struct{ as, path, body string }{
		{"support", demo + "/refunds", `{"transaction_id":%q,"amount":"1"}`},
		{"support", demo + "/adjustments", `{"amount":"1","related_transaction":%q}`},
		{customer, demo + "/disputes", `{"transaction_id":%q}`},
	} {
		id := idOf(r.must(post("service", demo+"/deductions", fmt.Sprint("d", i), `{"amount":"3","service":"vm"}`)).Body, "deduction")
		key := fmt.Sprint("k", i)
		require.Empty(t, r.must(post(c.as, c.path, key, fmt.Sprintf(c.body, strings.ToUpper(id)))).Header.Get("Idempotency-Replayed"))
		for _, spelt := range []string{id, strings.ToUpper(id)} {
			require.Equal(t, "true", r.must(post(c.as, c.path, key, fmt.Sprintf(c.body, spelt))).Header.Get("Idempotency-Replayed"), spelt)
		}
	}
}

// What was asked before an account was forgotten is never done twice, and its
// repeat isn't called another request.
func TestKeyOfBeforeForgetting(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	deduction := func(key string) call {
		return post("service", "/v1/accounts/demo-1/deductions", key, `{"amount":"4","service":"vm"}`)
	}
	first := r.must(deduction("before"))
	opening := post("bd", "/v1/accounts/new/incentives", "opens", `{"amount":"4"}`)
	r.must(opening)
	opening.body = `{"amount":"5"}`
	problem := r.refused(422, "idempotency-key-reused", opening)
	require.NotContains(t, problem.Body["detail"], "forgotten", "nor was an account that has one event")
	r.must(post("admin", "/v1/accounts/demo-1/forget", "", `{"reason":"case 7"}`))
	problem = r.refused(422, "idempotency-key-reused", deduction("before"))
	require.Contains(t, problem.Body["detail"], "the account was forgotten since")
	require.EqualValues(t, fmt.Sprint(first.Body["revision"]), problem.Body["revision"])
	r.must(deduction("after"))
	require.Equal(t, "true", r.must(deduction("after")).Header.Get("Idempotency-Replayed"))
	other := deduction("after")
	other.body = `{"amount":"5","service":"vm"}`
	require.NotContains(t, r.refused(422, "idempotency-key-reused", other).Body["detail"], "forgotten")
	require.Equal(t, "2", r.must(get("service", "/v1/accounts/demo-1/balance")).Body["balance"])
}

// What is left out and its default, written out, are one request.
func TestReplaysWithAndWithoutDefaults(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	made := r.must(post(customer, demo+"/credit-requests", "a", `{"amount":"7","name":"n","reason":"r"}`))
	approve := demo + "/credit-requests/" + object(made.Body, "credit_request")["id"].(string) + "/approve"
	r.must(tell("late", "p", "here", "succeeded", "7"))
	payout := r.withdraw("w", "1")
	r.must(post("finance", payout+"/approve", "w2", ""))
	for i, c := range []struct{ as, path, short, long, other string }{
		{"bd", approve, `{"approved_amount":"7"}`, `{"approved_amount":7,"promotional":false}`, `{"approved_amount":"7","promotional":true}`},
		{"finance", "/v1/payments/unmatched/@unmatched~here/resolve", `{"account":"demo-1"}`, `{"account":"demo-1","returned":false}`, `{"account":"demo-2"}`},
		{"finance", payout + "/paid", `{"tx_url":"https://a.b/c"}`, `{"tx_url":"https://a.b/c","network":"stripe"}`, `{"tx_url":"https://a.b/c","network":"solana"}`},
	} {
		key := fmt.Sprint("k", i)
		first := r.must(post(c.as, c.path, key, c.short))
		require.Empty(t, first.Header.Get("Idempotency-Replayed"), c.path)
		for _, body := range []string{c.long, c.short} {
			a := r.must(post(c.as, c.path, key, body))
			require.Equal(t, "true", a.Header.Get("Idempotency-Replayed"), body)
		}
		r.refused(422, "idempotency-key-reused", post(c.as, c.path, key, c.other))
	}
}

// TestReplaysOfBeforeDefaultsWereLeftOut: such a log has the fingerprints of requests in
// which a default was written out, as the client wrote it.
func TestReplaysOfBeforeDefaultsWereLeftOut(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	made := r.must(post(customer, demo+"/credit-requests", "a", `{"amount":"7","name":"n","reason":"r"}`))
	credit := object(made.Body, "credit_request")["id"].(string)
	r.must(tell("late", "p", "here", "succeeded", "7"))
	payout := r.withdraw("w", "1")
	r.must(post("finance", payout+"/approve", "w2", ""))
	terms := account.CreditTerms{Amount: 7 * domain.Credit}
	for i, c := range []struct {
		as, in, path, long, short, other string
		do                               account.Action
	}{
		{"bd", "demo-1", demo + "/credit-requests/" + credit + "/approve",
			`{"approved_amount":"7","promotional":false}`, `{"approved_amount":"7"}`, `{"approved_amount":"7","promotional":true}`,
			account.ApproveCreditRequest{Request: credit, Terms: terms}},
		{"finance", "@unmatched", "/v1/payments/unmatched/@unmatched~here/resolve",
			`{"account":"demo-1","returned":false}`, `{"account":"demo-1"}`, `{"account":"demo-2"}`,
			account.ResolvePayment{Payment: "here", Account: "demo-1"}},
		{"finance", "demo-1", payout + "/paid",
			`{"network":"stripe","tx_url":"https://a.b/c"}`, `{"tx_url":"https://a.b/c"}`, `{"tx_url":"https://a.b/c","network":"solana"}`,
			account.RecordPayout{Withdrawal: path.Base(payout), Network: account.NetworkStripe}},
	} {
		key := fmt.Sprint("k", i)
		then, err := r.sealer.Fingerprint(t.Context(), c.in, http.MethodPost, c.path, "actor."+c.as, []byte(c.long))
		require.NoError(t, err)
		_, err = r.ledger.Execute(t.Context(), ledger.Request{Account: c.in, Do: c.do, Actor: "actor." + c.as, Role: c.as, CommandID: key, Fingerprint: then})
		require.NoError(t, err, c.path)
		for _, body := range []string{c.long, c.short} {
			a := r.must(post(c.as, c.path, key, body))
			require.Equal(t, "true", a.Header.Get("Idempotency-Replayed"), body)
		}
		r.refused(422, "idempotency-key-reused", post(c.as, c.path, key, c.other))
	}
}
