package httpapi_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi"
)

func TestParsePolicy(t *testing.T) {
	changed := func(change func(*account.Policy)) account.Policy {
		p := account.DefaultPolicy()
		change(&p)
		return p
	}
	for text, want := range map[string]account.Policy{
		"allowance: 25\n":                                  changed(func(p *account.Policy) { p.Allowance = 25 * domain.Credit }),
		"allowance: \"0.10\"\n":                            changed(func(p *account.Policy) { p.Allowance = domain.Credit / 10 }),
		"allowance: 0.300000\n":                            changed(func(p *account.Policy) { p.Allowance = 3 * domain.Credit / 10 }),
		"# as it is compiled in\ngrace_minutes: 5\n":       account.DefaultPolicy(),
		"minimum_minutes: {ray: 5, vm: 0}\n":               changed(func(p *account.Policy) { p.MinimumMinutes = account.MinimumMinutes{Ray: 5} }),
		`{"low_balance_at": "7.5", "minimum_minutes": {}}`: changed(func(p *account.Policy) { p.LowBalanceAt = 15 * domain.Credit / 2 }),
		"minimum_minutes:\n  caas: 1\n  baremetal: 525600\n": changed(func(p *account.Policy) {
			p.MinimumMinutes = account.MinimumMinutes{CaaS: 1, VM: 60, Baremetal: 525_600}
		}),
		"allowance: 1\ngrace_minutes: 2\nlow_balance_at: 3\ntwo_approvers_from: 4\npurchase_fee_basis_points: 5\npurchased_life_months: 6\nminimum_minutes: {vm: 7}\n": {
			Allowance: domain.Credit, GraceMinutes: 2, LowBalanceAt: 3 * domain.Credit, TwoApproversFrom: 4 * domain.Credit,
			PurchaseFeeBasisPoints: 5, PurchasedLifeMonths: 6, MinimumMinutes: account.MinimumMinutes{VM: 7},
		},
	} {
		got, err := httpapi.ParsePolicy(strings.NewReader(text))
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

// TestThePolicyOfTheOperatorsPage can be used as it stands there.
func TestThePolicyOfTheOperatorsPage(t *testing.T) {
	page, err := os.ReadFile("docs/operators.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "# /etc/iocredits/policy.yaml\n")
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "```")
	policy, err := httpapi.ParsePolicy(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, account.Policy{
		Allowance: 25 * domain.Credit, GraceMinutes: 15, LowBalanceAt: 5 * domain.Credit, TwoApproversFrom: 500 * domain.Credit,
		PurchaseFeeBasisPoints: 200, PurchasedLifeMonths: 12, MinimumMinutes: account.MinimumMinutes{VM: 60, Ray: 10},
	}, policy)
}

// TestParsePolicyRefusesAsTheRequestDoes: what a request can say too is refused in the
// same words.
func TestParsePolicyRefusesAsTheRequestDoes(t *testing.T) {
	r := newRig(t, nil)
	for _, text := range []string{
		`{"allowance":"-1"}`, `{"allowance":-1}`, `{"allowance":"1000000000.000001"}`, `{"allowance":"0.0000001"}`, `{"allowance":1e1}`,
		`{"allowance":"ten"}`, `{"allowance":[1]}`, `{"allowance":true}`, `{"low_balance_at":"1000000001"}`, `{"two_approvers_from":"x"}`,
		`{"grace_minutes":-1}`, `{"grace_minutes":43201}`, `{"grace_minutes":5.5}`, `{"grace_minutes":"5"}`, `{"grace_minutes":99999999999999999999}`,
		`{"purchase_fee_basis_points":10001}`, `{"purchased_life_months":121}`, `{"purchased_life_months":true}`,
		`{"minimum_minutes":{"vm":-1}}`, `{"minimum_minutes":{"vm":525601}}`, `{"minimum_minutes":{"gpu":1}}`, `{"minimum_minutes":60}`,
		`{"alowance":"1"}`, `{"allowance":"1","allowance":"2"}`,
	} {
		asked := r.do(call{as: "admin", method: "PUT", path: demo + "/policy", body: text, wrong: true})
		require.Equal(t, 4, asked.Status/100, text)
		_, err := httpapi.ParsePolicy(strings.NewReader(text))
		require.Error(t, err, text)
		refusal, ok := domain.AsError(err)
		if !ok && strings.Contains(text, "[") {
			continue // no request gets as far as a line
		}
		require.True(t, ok, "%s: %v", text, err)
		require.Equal(t, []any{asked.Body["code"], asked.Body["detail"]}, []any{string(refusal.Code), refusal.Detail}, text)
	}
}

// TestParsePolicyRefusesWhatIsNone: mistakes that only a file can have.
func TestParsePolicyRefusesWhatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"": "none of the members", "# nothing\n": "none of the members", "{}": "none of the members", "[]": "none of the members", "[1]\n": "none of the members", "5\n": "none of the members",
		"allowance:\n":                          "allowance has no value",
		"allowance: null\n":                     "allowance has no value",
		"minimum_minutes: {vm: ~}\n":            "minimum_minutes/vm has no value",
		"allowance: 1\n---\nallowance: 2\n":     "more than one document",
		"grace_minutes: 0x10\n":                 "grace_minutes has to be a whole number",
		"allowance: 1_000\n":                    "allowance",
		"allowance: .inf\n":                     "allowance",
		"allowance: &a 1\nlow_balance_at: *a\n": "line 2 takes one plain value",
		"allowance: x: y\n":                     "yaml",
	} {
		_, err := httpapi.ParsePolicy(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
	}
}

// lean is a policy that differs from the default in every figure.
func lean(p *parts) {
	p.ledger.Opening = &account.Policy{
		Allowance: 3 * domain.Credit, GraceMinutes: 30, LowBalanceAt: 2 * domain.Credit, TwoApproversFrom: 4 * domain.Credit,
		PurchaseFeeBasisPoints: 200, PurchasedLifeMonths: 12, MinimumMinutes: account.MinimumMinutes{VM: 120},
	}
}

// TestOpeningPolicyCanBeRead before the account has an event, and is the one that the
// first change rests on.
func TestOpeningPolicyCanBeRead(t *testing.T) {
	r := newRig(t, lean)
	limits := func() map[string]any {
		got := r.must(get(customer, demo+"/policy")).Body
		for _, other := range []string{"account", "revision", "position", "lag"} {
			delete(got, other)
		}
		return got
	}
	before := limits()
	require.Equal(t, "3", before["allowance"])
	require.Equal(t, 120.0, before["minimum_minutes"].(map[string]any)["vm"])
	require.Equal(t, -1.0, r.balance("demo-1")["revision"], "who reads opens no account")

	set := r.must(call{
		as: "finance", method: "PUT", path: demo + "/policy", body: `{"grace_minutes":7}`, header: http.Header{"If-Match": {`"-1"`}},
	}).Body
	before["grace_minutes"] = 7.0
	require.Equal(t, before, set["policy"])
	require.Equal(t, before, limits())
	require.Equal(t, 1.0, set["revision"])
	require.Empty(t, set["transactions"])
}

// TestOpeningPolicyInAnswers: each kind of first command finds its own event behind the
// policy, and so does a repeat of it.
func TestOpeningPolicyInAnswers(t *testing.T) {
	for _, c := range []struct{ as, path, body, object string }{
		{"bd", demo + "/incentives", `{"amount":"5","campaign":"c"}`, ""},
		{customer, demo + "/credit-requests", `{"amount":"5","name":"n","reason":"r"}`, "credit_request"},
		{customer, demo + "/purchases", `{"amount":"50"}`, "purchase"},
		{"support", demo + "/adjustments", `{"amount":"5","reason":"r"}`, "adjustment"},
		{"service", demo + "/deployments", `{"deployment_id":"d","service":"vm","payment_method":"credits","hourly_price":"2","duration_hours":3}`, "deployment"},
		{"finance", demo + "/freeze", `{"reason":"r"}`, ""},
		{"admin", "/dev/accounts/demo-1/purchases", `{"amount":"5"}`, "purchase"},
	} {
		r := newRig(t, lean)
		first, again := r.must(post(c.as, c.path, "k", c.body)), r.must(post(c.as, c.path, "k", c.body))
		require.Equal(t, first.Status, again.Status, c.path)
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"), c.path)
		for _, same := range []string{"revision", "position", "transactions"} {
			require.Equal(t, first.Body[same], again.Body[same], c.path)
		}
		if c.object != "" {
			require.NotEmpty(t, part(first, c.object)["id"], c.path)
			require.Equal(t, part(first, c.object)["id"], part(again, c.object)["id"], c.path)
		}
		events := r.must(get("auditor", demo+"/events")).Body["items"].([]any)
		require.Equal(t, "policy-set", events[0].(map[string]any)["type"], c.path)
		require.EqualValues(t, len(events)-1, first.Body["revision"], "%s: all in one command", c.path)
		for _, n := range r.must(get(customer, demo+"/notifications")).Body["items"].([]any) {
			require.NotEqual(t, "low-balance", n.(map[string]any)["topic"], c.path)
		}
	}
}

// TestOpeningPolicyRules from the first command on.
func TestOpeningPolicyRules(t *testing.T) {
	r := newRig(t, lean)
	bought := part(r.must(post(customer, demo+"/purchases", "buy", `{"amount":"50"}`)), "purchase")
	require.Equal(t, "51", bought["to_pay"], "2 % on top")
	refused := r.refused(402, "insufficient-credits", post("service", "/v1/accounts/demo-2/deductions", "d", `{"amount":"1","service":"vm"}`))
	require.Equal(t, "0", refused.Body["allowance"], "nothing was paid yet")
	require.Equal(t, -1.0, r.balance("demo-2")["revision"])
	r.fund("demo-2", "5")
	check := r.must(get("service", "/credits/check?account=demo-2&amount=8")).Body
	require.Equal(t, []any{true, "3", "8"}, []any{check["sufficient"], check["allowance"], check["spendable"]})
	waits := part(r.must(post("service", "/v1/accounts/demo-2/deployments", "w",
		`{"deployment_id":"d","service":"vm","payment_method":"credits","hourly_price":"9","duration_hours":1}`)), "deployment")
	require.Equal(t, []any{"pending-payment", "2026-03-01T12:30:00Z"}, []any{waits["status"], waits["grace_ends_at"]})

	for range 2 { // what the provider tells twice is recorded once, in the engine's own account too
		r.must(tell("late", "bought-before", "x", "succeeded", "7"))
	}
	require.Len(t, r.unmatched(), 1)
	r.must(resolve("c", "@unmatched~x", `{"account":"late"}`))
	require.Equal(t, "7", r.balance("late")["balance"])
	require.Equal(t, "3", r.must(get("finance", "/v1/accounts/late/policy")).Body["allowance"])
}
