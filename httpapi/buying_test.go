package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
)

// rightSignature stands for the provider's HMAC, which is spherepay's to check.
const rightSignature = "right"

func readWebhook(signature string, body []byte) (account.ProviderPayment, error) {
	if signature != rightSignature {
		return account.ProviderPayment{}, domain.Refuse(domain.CodeUnauthenticated, "the signature is wrong")
	}
	var said struct{ Account, Purchase, Payment, Status, Amount string }
	if err := json.Unmarshal(body, &said); err != nil {
		return account.ProviderPayment{}, domain.Refuse(domain.CodeBodyInvalid, "not JSON")
	}
	p := account.ProviderPayment{Account: said.Account, Purchase: said.Purchase, Payment: said.Payment, Status: account.ProviderStatus(said.Status)}
	var exact bool
	if p.Amount, exact = domain.ReadAmount(said.Amount); !exact {
		p.Odd, p.Told = account.WhyAmountInvalid, said.Amount
	}
	return p, nil
}

func (r *rig) play(_ context.Context, purchase, action string) error {
	r.played = append(r.played, purchase+" "+action)
	return nil
}

// tell is a webhook of the provider.
func tell(acct, purchase, payment, status, amount string) call {
	return call{
		method: "POST", path: "/webhooks/spherepay", header: http.Header{"Signature": {rightSignature}},
		body: fmt.Sprintf(`{"account":%q,"purchase":%q,"payment":%q,"status":%q,"amount":%q}`, acct, purchase, payment, status, amount),
	}
}

func object(answer map[string]any, name string) map[string]any { return answer[name].(map[string]any) }

// makeLink does what the reactor does for a purchase.
func (r *rig) makeLink(acct, purchase string) {
	r.t.Helper()
	for _, do := range []account.Action{
		account.RequestLink{Purchase: purchase, Attempt: 1},
		account.RecordLink{Purchase: purchase, Attempt: 1, Link: "l1", URL: "https://pay.example/l1"},
	} {
		_, err := r.ledger.Execute(r.t.Context(), ledger.Request{Account: acct, Do: do, Actor: "reactor", Role: "engine"})
		require.NoError(r.t, err)
	}
}

// buyingTour goes through every route of buying and deploying.
func buyingTour(t *testing.T, r *rig, run func(step) map[string]any) {
	const a = "/v1/accounts/demo-1"
	t.Helper()
	run(step{get("customer:demo-1", a+"/checkout?amount=1"), 200, &api.Checkout{}})
	bought := object(run(step{post("customer:demo-1", a+"/purchases", "buy", `{"amount":"50"}`), 201, &api.PurchaseAnswer{}}), "purchase")
	id := bought["id"].(string)
	run(step{tell("demo-1", id, "pay-1", "succeeded", "50"), 200, &api.WebhookAnswer{}})
	run(step{get("finance", a+"/purchases/"+id), 200, &api.Purchase{}})
	run(step{get("customer:demo-1", a+"/purchases"), 200, &api.PurchaseList{}})
	run(step{post("finance", a+"/purchases/"+id+"/reverse", "rev", `{"reason":"the bank"}`), 200, &api.PurchaseAnswer{}})
	run(step{post("admin", "/dev/payments/"+id, "", `{"action":"pay"}`), 200, &api.PlayAnswer{}})
	require.Equal(t, []string{id + " pay"}, r.played)

	run(step{tell("nobody", "", "pay-2", "succeeded", "7"), 200, &api.WebhookAnswer{}})
	waiting := run(step{get("finance", "/v1/payments/unmatched"), 200, &api.PaymentList{}})["items"].([]any)
	require.Len(t, waiting, 1)
	run(step{get("finance", "/v1/payments/unmatched/"+waiting[0].(map[string]any)["id"].(string)), 200, &api.Payment{}})
	run(step{post("finance", "/v1/payments/unmatched/"+waiting[0].(map[string]any)["id"].(string)+"/resolve", "res", `{"account":"demo-1","note":"theirs"}`), 200, &api.PaymentAnswer{}})

	const requests = a + "/credit-requests"
	ask := func(key string) string {
		answer := run(step{post("customer:demo-1", requests, key, `{"amount":"500","name":"Ada","reason":"more"}`), 201, &api.CreditRequestAnswer{}})
		return object(answer, "credit_request")["id"].(string)
	}
	first := ask("ask-1")
	run(step{get("bd", "/v1/credit-requests?status=requested"), 200, &api.CreditRequestList{}})
	run(step{post("bd", requests+"/"+first+"/approve", "ok", `{"approved_amount":"400","promotional":true,"expires_at":"2099-01-01T00:00:00Z"}`), 200, &api.CreditRequestAnswer{}})
	run(step{get("customer:demo-1", requests+"/"+first), 200, &api.CreditRequest{}})
	run(step{get("customer:demo-1", requests), 200, &api.CreditRequestList{}})
	run(step{post("bd", requests+"/"+ask("ask-2")+"/reject", "no", `{"reason":"no"}`), 200, &api.CreditRequestAnswer{}})
	run(step{post("customer:demo-1", requests+"/"+ask("ask-3")+"/cancel", "back", ``), 200, &api.CreditRequestAnswer{}})

	const deployments = a + "/deployments"
	for _, name := range []string{"d-1", "d-2", "d-3"} {
		run(step{post("service", deployments, name, deploymentBody(name, "vm", "2", 3)), 201, &api.DeploymentAnswer{}})
	}
	run(step{post("service", deployments+"/d-1/extend", "dep-x", `{"duration_hours":1}`), 200, &api.DeploymentAnswer{}})
	run(step{post("service", deployments+"/d-1/usage", "dep-u", `{"quantity":"3","unit_price":"0.5"}`), 200, &api.DeploymentAnswer{}})
	run(step{post("service", deployments+"/d-1/stop", "dep-s", `{"used_minutes":90}`), 200, &api.DeploymentAnswer{}})
	run(step{post("service", deployments+"/d-2/cancel", "dep-c", ``), 200, &api.DeploymentAnswer{}})
	run(step{post("service", deployments+"/d-3/fail", "dep-f", `{"reason":"the host"}`), 200, &api.DeploymentAnswer{}})
	run(step{get("support", deployments), 200, &api.DeploymentList{}})
	run(step{get("service", "/v1/deployments?after_position=1&status=stopped"), 200, &api.ChangedDeployments{}})
	run(step{get("customer:demo-1", deployments+"/d-1"), 200, &api.Deployment{}})
}

func deploymentBody(id, service, price string, hours int) string {
	return fmt.Sprintf(`{"deployment_id":%q,"service":%q,"payment_method":"credits","hourly_price":%q,"duration_hours":%d}`, id, service, price, hours)
}

func TestAPurchaseAnswersWithItsLink(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.LinkPatience = time.Minute })
	position := r.views.Through() + 1 // before the purchase, which may be there at once
	began := make(chan answer, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(began)
		defer cancel() // the answer has the link: without one nobody waits for the purchase
		began <- r.do(post("customer:demo-1", "/v1/accounts/demo-1/purchases", "k", `{"amount":"25"}`))
	}()
	id := ""
	for ; id == ""; position++ {
		require.NoError(t, r.views.WaitThrough(ctx, position), "the request has ended")
		page, err := r.views.QueueSince(t.Context(), account.ObjectPurchase, "awaiting-payment", time.Time{}, 1, "")
		require.NoError(t, err)
		if len(page.Items) > 0 {
			id = page.Items[0].ID
		}
	}
	r.makeLink("demo-1", id)
	got := <-began
	require.Equal(t, 201, got.Status, got.Text)
	purchase := object(got.Body, "purchase")
	require.Equal(t, id, purchase["id"])
	require.Equal(t, "https://pay.example/l1", purchase["payment_url"])
	require.Equal(t, "2026-03-01T12:20:00Z", purchase["expires_at"])

	again := r.must(post("customer:demo-1", "/v1/accounts/demo-1/purchases", "k", `{"amount":25}`))
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, id, object(again.Body, "purchase")["id"], "one request has one purchase")
	refused := r.refused(422, "amount-invalid", post("customer:demo-1", "/v1/accounts/demo-1/purchases", "l", `{"amount":"0.99"}`))
	require.Equal(t, "1", refused.Body["minimum"])
}

func TestWebhooks(t *testing.T) {
	r := newRig(t, nil)
	const a = "/v1/accounts/demo-1"
	id := object(r.must(post("customer:demo-1", a+"/purchases", "k", `{"amount":"50"}`)).Body, "purchase")["id"].(string)

	forged := tell("demo-1", id, "x", "succeeded", "50")
	forged.header = http.Header{"Signature": {"wrong"}}
	r.refused(401, "unauthenticated", forged)
	large := tell("demo-1", id, strings.Repeat("x", 70_000), "succeeded", "50")
	r.refused(413, "body-too-large", large)
	require.Equal(t, "0", r.balance("demo-1")["balance"])

	for range 3 {
		require.Equal(t, true, r.must(tell("demo-1", id, "half", "succeeded", "25")).Body["taken"])
	}
	require.Equal(t, false, r.must(tell("demo-1", id, "half", "pending", "25")).Body["taken"])
	r.must(tell("demo-1", id, "half", "failed", "25")) // an old event, out of order
	require.Equal(t, "0", r.balance("demo-1")["balance"], "half of it credits nothing")
	r.must(tell("demo-1", id, "rest", "succeeded", "30"))
	require.Equal(t, "55", r.balance("demo-1")["balance"], "what is above is credited")
	got := r.must(get("customer:demo-1", a+"/purchases/"+id)).Body
	require.Equal(t, "settled", got["status"])
	require.Equal(t, "55", got["received"])

	acked := r.ledger.AckedAny()
	require.Equal(t, false, r.must(tell("", "", "", "", "0")).Body["taken"], "an event that says nothing is answered")
	require.Equal(t, acked, r.ledger.AckedAny(), "and recorded nowhere")

	// The provider took one back and told of it before it told of its arrival.
	second := object(r.must(post("customer:demo-1", a+"/purchases", "l", `{"amount":"10"}`)).Body, "purchase")["id"].(string)
	r.must(tell("demo-1", second, "early", "refunded", "10"))
	r.must(tell("demo-1", second, "early", "succeeded", "10"))
	require.Equal(t, "55", r.balance("demo-1")["balance"])
	require.Equal(t, "reversed", r.must(get("customer:demo-1", a+"/purchases/"+second)).Body["status"])
}

func TestUnmatchedPayments(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.fund("demo-2", "1")
	r.must(tell("demo-1", "gone", "x1", "succeeded", "5"))
	r.must(tell("a stranger", "?", "x 2", "succeeded", "7"))
	r.must(tell("@unmatched", "", "x3", "succeeded", "9"))
	r.clock.Move(-time.Second) // another engine's clock is ahead, by which they came
	require.Contains(t, r.must(get("finance", "/v1/payments/unmatched")).Text, `"age_seconds":0`)
	r.clock.Move(91 * time.Second)
	items := r.must(get("finance", "/v1/payments/unmatched")).Body["items"].([]any)
	require.Len(t, items, 3)
	first, second, third := items[0].(map[string]any), items[1].(map[string]any), items[2].(map[string]any)
	require.Equal(t, "demo-1~x1", func() any {
		for _, i := range items {
			if i.(map[string]any)["account"] == "demo-1" {
				return i.(map[string]any)["id"]
			}
		}
		return nil
	}())
	for _, item := range []map[string]any{first, second, third} {
		require.Equal(t, 90.0, item["age_seconds"])
		require.Equal(t, "purchase-unknown", item["why"])
	}

	resolve := func(key, id, body string) call {
		return post("finance", "/v1/payments/unmatched/"+id+"/resolve", key, body)
	}
	here := r.must(resolve("a", "demo-1~x1", `{"account":"demo-1"}`)).Body
	require.Equal(t, "credited", object(here, "payment")["status"])
	require.Equal(t, "6", object(here, "balance")["balance"])

	for _, key := range []string{"b", "b"} {
		there := r.must(resolve(key, "@unmatched~x3", `{"account":"demo-2","note":"found the sender"}`)).Body
		require.Equal(t, "credited", object(there, "payment")["status"])
		require.Equal(t, "demo-2", object(there, "payment")["credited_account"])
		require.Equal(t, "found the sender", object(there, "payment")["note"])
	}
	require.Equal(t, "10", r.balance("demo-2")["balance"])
	require.Equal(t, "10", r.balance("demo-2")["withdrawable"])
	r.refused(409, "wrong-status", resolve("c", "@unmatched~x3", `{"account":"demo-1"}`))
	left := r.must(get("finance", "/v1/payments/unmatched")).Body["items"].([]any)
	require.Len(t, left, 1)
	odd := left[0].(map[string]any)["id"].(string)
	require.True(t, strings.HasPrefix(odd, "@unmatched~sha256:"), odd)
	require.Equal(t, "returned", object(r.must(resolve("d", odd, `{"returned":true,"note":"sent back by wire"}`)).Body, "payment")["status"])
	require.Empty(t, r.must(get("finance", "/v1/payments/unmatched")).Body["items"])

	r.refused(404, "unknown-payment", resolve("e", "demo-1~none", `{"returned":true}`))
	r.refused(422, "field-invalid", resolve("f", "demo-1~x1", `{}`))
	r.refused(422, "id-invalid", resolve("g", "demo-1~x1", `{"account":"@unmatched"}`))
	r.refused(422, "id-invalid", post("finance", "/v1/accounts/@unmatched/freeze", "h", `{}`))
	require.Equal(t, "0", r.must(get("auditor", "/v1/accounts/@unmatched/balance")).Body["balance"])
}

func TestCreditRequestsNeedOtherPeople(t *testing.T) {
	r := newRig(t, nil)
	const path = "/v1/accounts/demo-1/credit-requests"
	asked := object(r.must(post("customer:demo-1", path, "a", `{"amount":"500","name":"Ada Lovelace","reason":"a larger run"}`)).Body, "credit_request")
	require.Equal(t, "Ada Lovelace", asked["name"])
	approve := func(as, key, body string) call { return post(as, path+"/"+asked["id"].(string)+"/approve", key, body) }
	once := object(r.must(approve("bd", "b", `{"approved_amount":"450"}`)).Body, "credit_request")
	require.Equal(t, "requested", once["status"], "purchased credits without payment need two")
	require.Equal(t, 1.0, once["approval_level"])
	r.refused(403, "self-approval", approve("bd", "c", `{"approved_amount":"450"}`))
	other := r.refused(422, "field-invalid", approve("bd2", "d", `{"approved_amount":"451"}`))
	require.Equal(t, []any{"approved_amount", "451", "450"}, []any{other.Body["field"], other.Body["value"], other.Body["first"]})
	other = r.refused(422, "field-invalid", approve("bd2", "d", `{"approved_amount":"450","promotional":true}`))
	require.Equal(t, []any{"promotional", "true", "false"}, []any{other.Body["field"], other.Body["value"], other.Body["first"]})
	granted := r.must(approve("bd2", "e", `{"approved_amount":"450"}`)).Body
	require.Equal(t, "approved", object(granted, "credit_request")["status"])
	require.Equal(t, "grant", granted["transactions"].([]any)[0].(map[string]any)["type"])
	require.Equal(t, "0", object(granted, "balance")["allowance"], "it has not paid")
	require.Empty(t, r.must(get("bd", "/v1/credit-requests")).Body["items"])
	require.Len(t, r.must(get("bd", "/v1/credit-requests?status=approved&account=demo-1")).Body["items"], 1)
	r.refused(404, "unknown-credit-request", post("bd", path+"/none/reject", "f", `{}`))
	r.refused(403, "role-not-allowed", post("customer:demo-1", path+"/"+asked["id"].(string)+"/reject", "g", `{}`))
}

func TestCheckoutShowsThreeWays(t *testing.T) {
	r := newRig(t, nil)
	credits := func(amount string) map[string]any {
		options := r.must(get("customer:demo-1", "/v1/accounts/demo-1/checkout?amount="+amount)).Body["options"].([]any)
		require.Len(t, options, 3)
		require.Equal(t, "usdc", options[0].(map[string]any)["method"])
		require.Equal(t, "io_coin", options[1].(map[string]any)["method"])
		return options[2].(map[string]any)
	}
	require.Equal(t, false, credits("5")["visible"])
	r.fund("demo-1", "5")
	require.Equal(t, map[string]any{"method": "credits", "visible": true, "enabled": true, "message": "Pay & Deploy Container", "required": "5", "available": "5"}, credits("5"))
	require.Equal(t, map[string]any{"method": "credits", "visible": true, "enabled": false, "message": "Not enough credits. Use another payment method or request more.", "required": "5.000001", "available": "5"}, credits("5.000001"))
}

// TestShortfallIsTodays: whoever tops up what a deployment is said to lack gets it.
func TestShortfallIsTodays(t *testing.T) {
	r := newRig(t, nil)
	const path = "/v1/accounts/demo-1/deployments"
	lacks := func(status, shortfall string) {
		t.Helper()
		d := r.must(get("customer:demo-1", path+"/d-1")).Body
		url := any("/manage-funds")
		if shortfall == "0" {
			url = nil
		}
		require.Equal(t, []any{status, shortfall, url}, []any{d["status"], d["shortfall"], d["top_up_url"]})
	}
	r.fund("demo-1", "5")
	r.must(post("customer:demo-1", path, "k1", deploymentBody("d-1", "caas", "50", 1)))
	lacks("pending-payment", "35") // 5, and 10 of allowance
	r.fund("demo-1", "20")
	lacks("pending-payment", "15")
	r.must(post("service", "/v1/accounts/demo-1/deductions", "k2", `{"amount":"24","service":"vm"}`))
	lacks("pending-payment", "39")
	listed := r.must(get("customer:demo-1", path)).Body["items"].([]any)[0].(map[string]any)
	require.Equal(t, "39", listed["shortfall"])
	r.fund("demo-1", "39")
	lacks("active", "0")
	r.must(post("service", path+"/d-1/usage", "k3", `{"amount":"7"}`))
	lacks("paused", "7")
	r.fund("demo-1", "3")
	lacks("paused", "4")
	r.fund("demo-1", "4")
	lacks("active", "0")

	r.must(post("service", path+"/d-1/usage", "k5", `{"amount":"1"}`))
	r.must(call{as: "admin", method: "PUT", path: "/v1/accounts/demo-1/policy", key: "k6", body: `{"allowance":"2"}`})
	lacks("paused", "9") // 8 of them are debt beyond the allowance, which is paid first
	r.fund("demo-1", "9")
	lacks("active", "0")
}

func TestDeployments(t *testing.T) {
	r := newRig(t, nil)
	const path = "/v1/accounts/demo-1/deployments"
	deploy := func(key, id, price string, hours int) call {
		return post("customer:demo-1", path, key, deploymentBody(id, "vm", price, hours))
	}
	wrong := r.refused(422, "payment-method-unsupported", post("service", path, "k0", strings.Replace(deploymentBody("d", "vm", "1", 1), "credits", "usdc", 1)))
	require.Equal(t, "payment_method", wrong.Body["field"])

	pending := r.do(deploy("k1", "d-1", "2.5", 4))
	require.Equal(t, 202, pending.Status, pending.Text)
	waits := object(pending.Body, "deployment")
	require.Equal(t, "pending-payment", waits["status"])
	require.Equal(t, "10", waits["shortfall"])
	require.Equal(t, "2026-03-01T12:05:00Z", waits["grace_ends_at"])
	require.Equal(t, "/manage-funds", waits["top_up_url"])
	r.refused(409, "wrong-status", post("service", path+"/d-1/extend", "k2", `{"duration_hours":1}`))

	r.fund("demo-1", "12") // pays what waits, in the same append
	replay := r.do(deploy("k1", "d-1", "2.50", 4))
	require.Equal(t, 202, replay.Status, "a replay has the first answer's status")
	require.Equal(t, "active", object(replay.Body, "deployment")["status"], "and today's object")

	r.clock.Move(72 * time.Minute)
	open := r.do(post("service", path+"/d-1/usage", "k3", `{"amount":"12.000001"}`))
	require.Equal(t, 202, open.Status, open.Text)
	require.Equal(t, "paused", object(open.Body, "deployment")["status"])
	require.Equal(t, "0.000001", object(open.Body, "deployment")["shortfall"])
	r.fund("demo-1", "1")
	require.Equal(t, "active", r.must(get("customer:demo-1", path+"/d-1")).Body["status"])

	stopped := r.must(post("service", path+"/d-1/stop", "k4", ``)).Body
	ended := object(stopped, "deployment")
	require.Equal(t, "stopped", ended["status"])
	require.Equal(t, "3", ended["used"], "72 minutes at 2.5 an hour")
	require.Equal(t, "7", ended["refunded"])
	refund := stopped["transactions"].([]any)[0].(map[string]any)
	require.Equal(t, "refund", refund["type"])

	// The answer and the history relate the refund to the payment.
	history := r.must(get("customer:demo-1", "/v1/accounts/demo-1/transactions?reference=d-1")).Body["items"].([]any)
	payment := history[len(history)-1].(map[string]any)
	require.Equal(t, "-10", payment["amount"])
	require.Equal(t, payment["transaction_id"], refund["related_transaction"])
	require.Equal(t, payment["transaction_id"], history[0].(map[string]any)["related_transaction"])
	require.Equal(t, "-2.000001", object(stopped, "balance")["balance"], "12 and 1 came, 10 and 12.000001 went, 7 came back")
	r.refused(409, "wrong-status", post("service", path+"/d-1/cancel", "k5", ``))
	r.refused(404, "unknown-deployment", get("service", path+"/none"))
	require.Len(t, r.must(get("service", path)).Body["items"], 1)
}
