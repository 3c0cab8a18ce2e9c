package httpapi_test

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/httpapi"
)

// allowed is api.md's table of roles, written down once more: the server's own
// table must not be what it is tested with.
var allowed = map[string]string{
	"GET /v1/accounts/{account}/statement":                             "customer service bd finance support auditor admin",
	"GET /v1/accounts/{account}/transactions/{transaction_id}/explain": "support auditor service customer",
	"GET /v1/accounts/{account}/withdrawals":                           "customer finance support auditor admin",
	"GET /v1/accounts/{account}/withdrawals/{withdrawal_id}":           "customer finance support auditor admin",
	"POST /v1/accounts/{account}/withdrawals":                          "customer",
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/cancel":   "customer",
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/approve":  "finance",
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/reject":   "finance",
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/paid":     "finance",
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/failed":   "finance",
	"GET /v1/accounts/{account}/reservations/{reservation_id}":         "customer service finance support auditor admin",
	"GET /v1/accounts/{account}/adjustments/{adjustment_id}":           "customer finance support auditor admin",
	"GET /v1/accounts/{account}/reservations":                          "customer service finance support auditor admin",
	"GET /v1/accounts/{account}/meters":                                "customer service finance support auditor admin",
	"GET /v1/payments/unmatched/{payment_id}":                          "finance auditor",
	"GET /v1/accounts/{account}/policy":                                "customer service bd finance support auditor admin",
	"GET /v1/withdrawals":                                              "finance auditor",
	"GET /v1/accounts/{account}/disputes":                              "customer support auditor admin",
	"GET /v1/accounts/{account}/disputes/{dispute_id}":                 "customer support auditor admin",
	"POST /v1/accounts/{account}/disputes":                             "customer support",
	"POST /v1/accounts/{account}/disputes/{dispute_id}/resolve":        "support",
	"GET /v1/disputes": "support auditor",
	"POST /v1/accounts/{account}/adjustments/{adjustment_id}/reject": "finance",
	"GET /v1/adjustments":                                                     "finance support auditor",
	"GET /credits/check":                                                      "customer service auditor",
	"GET /v1/accounts":                                                        "finance support auditor admin",
	"GET /v1/accounts/{account}/balance":                                      "customer service bd finance support auditor admin",
	"GET /v1/accounts/{account}/transactions":                                 "customer service bd finance support auditor admin",
	"GET /v1/accounts/{account}/transactions/{transaction_id}":                "customer service bd finance support auditor admin",
	"GET /v1/accounts/{account}/events":                                       "auditor support admin",
	"POST /v1/accounts/{account}/incentives":                                  "service bd",
	"POST /v1/accounts/{account}/deductions":                                  "service",
	"POST /v1/deductions/batch":                                               "service",
	"POST /v1/accounts/{account}/meters/{meter}/readings":                     "service",
	"POST /v1/accounts/{account}/refunds":                                     "service support",
	"POST /v1/accounts/{account}/reservations":                                "service",
	"POST /v1/accounts/{account}/reservations/{reservation_id}/capture":       "service",
	"POST /v1/accounts/{account}/reservations/{reservation_id}/release":       "service",
	"POST /v1/accounts/{account}/adjustments":                                 "support",
	"POST /v1/accounts/{account}/adjustments/{adjustment_id}/approve":         "finance",
	"POST /v1/accounts/{account}/freeze":                                      "finance admin",
	"POST /v1/accounts/{account}/unfreeze":                                    "finance admin",
	"PUT /v1/accounts/{account}/policy":                                       "finance admin",
	"POST /dev/clock":                                                         "admin",
	"POST /dev/accounts/{account}/purchases":                                  "admin",
	"GET /v1/accounts/{account}/checkout":                                     "customer service auditor",
	"POST /v1/accounts/{account}/purchases":                                   "customer",
	"GET /v1/accounts/{account}/purchases":                                    "customer finance support auditor",
	"GET /v1/accounts/{account}/purchases/{purchase_id}":                      "customer finance support auditor",
	"POST /v1/accounts/{account}/purchases/{purchase_id}/reverse":             "finance",
	"GET /v1/payments/unmatched":                                              "finance auditor",
	"POST /v1/payments/unmatched/{payment_id}/resolve":                        "finance",
	"POST /webhooks/spherepay":                                                "signature",
	"POST /v1/accounts/{account}/credit-requests":                             "customer",
	"GET /v1/accounts/{account}/credit-requests":                              "customer bd finance support auditor admin",
	"GET /v1/accounts/{account}/credit-requests/{credit_request_id}":          "customer bd finance support auditor admin",
	"POST /v1/accounts/{account}/credit-requests/{credit_request_id}/approve": "bd",
	"POST /v1/accounts/{account}/credit-requests/{credit_request_id}/reject":  "bd",
	"POST /v1/accounts/{account}/credit-requests/{credit_request_id}/cancel":  "customer",
	"GET /v1/credit-requests":                                                 "bd auditor",
	"GET /v1/deployments":                                                     "service support auditor",
	"POST /v1/accounts/{account}/deployments":                                 "service customer",
	"GET /v1/accounts/{account}/deployments":                                  "service customer support auditor",
	"GET /v1/accounts/{account}/deployments/{deployment_id}":                  "service customer support auditor",
	"POST /v1/accounts/{account}/deployments/{deployment_id}/extend":          "service",
	"POST /v1/accounts/{account}/deployments/{deployment_id}/usage":           "service",
	"POST /v1/accounts/{account}/deployments/{deployment_id}/stop":            "service",
	"POST /v1/accounts/{account}/deployments/{deployment_id}/cancel":          "service",
	"POST /v1/accounts/{account}/deployments/{deployment_id}/fail":            "service",
	"GET /v1/accounts/{account}/notifications":                                "customer auditor",
	"GET /v1/accounts/{account}/notifications/stream":                         "customer auditor",
	"POST /v1/accounts/{account}/notifications/{notification_id}/seen":        "customer",
	"POST /dev/payments/{purchase_id}":                                        "admin",
	"POST /v1/accounts/{account}/forget":                                      "admin",
	"GET /v1/audit/checkpoint":                                                "auditor",
	"GET /v1/audit/proofs/inclusion":                                          "auditor",
	"GET /v1/audit/proofs/consistency":                                        "auditor",
	"GET /v1/audit/trial-balance":                                             "auditor",
	"GET /v1/audit/journal":                                                   "auditor",
	"GET /v1/audit/verify/{account}":                                          "auditor",
	"GET /healthz":                                                            "", "GET /readyz": "", "GET /metrics": "", "GET /openapi.json": "", "GET /docs": "", "GET /docs/{page}": "",
}

// filled makes a path of the contract one that can be called.
var filled = strings.NewReplacer("{account}", "demo-1", "{transaction_id}", "x", "{meter}", "m", "{reservation_id}", "x", "{adjustment_id}", "x", "{page}", "clients",
	"{purchase_id}", "x", "{payment_id}", "demo-1~x", "{credit_request_id}", "x", "{deployment_id}", "x", "{notification_id}", "x", "{withdrawal_id}", "x", "{dispute_id}", "x")

// TestRoles tries every key at every route.
func TestRoles(t *testing.T) {
	r := newRig(t, nil)
	for _, operation := range theContract().operations() {
		roleList, listed := allowed[operation]
		require.True(t, listed, "%s is not in the test's table", operation)
		method, path, _ := strings.Cut(operation, " ")
		c := call{method: method, path: filled.Replace(path), key: "k", wrong: true}
		if strings.HasSuffix(path, "/stream") {
			c.header = http.Header{"Last-Event-Id": {"a b"}} // refused, where a stream would have no end
		}
		if roleList == "signature" {
			r.refused(401, "unauthenticated", c)
			continue
		}
		if roleList == "" {
			require.Less(t, r.do(c).Status, 400, operation)
			continue
		}
		require.Equal(t, "unauthenticated", r.refused(401, "unauthenticated", c).Body["code"])
		c.as = "nobody's key"
		require.NotEmpty(t, r.refused(401, "unauthenticated", c).Header.Get("Www-Authenticate"))
		for _, key := range roles {
			role, account, _ := strings.Cut(key, ":")
			c.as = key
			got := r.do(c)
			switch {
			case !strings.Contains(" "+roleList+" ", " "+strings.TrimRight(role, "2")+" "):
				require.Equal(t, "role-not-allowed", got.Body["code"], "%s as %s", operation, key)
				require.Equal(t, 403, got.Status)
			case account == "demo-2" && strings.Contains(path, "{account}"):
				require.Equal(t, "account-not-allowed", got.Body["code"], "%s as %s", operation, key)
				require.Equal(t, 403, got.Status)
			default:
				require.NotContains(t, []int{401, 403}, got.Status, "%s as %s: %s", operation, key, got.Text)
			}
		}
	}
}

// TestAuditorReadsAll: the auditor is refused no read of the contract and may
// write nothing, whatever the tables of roles say of a new route.
func TestAuditorReadsAll(t *testing.T) {
	r := newRig(t, nil)
	for _, operation := range theContract().operations() {
		method, path, _ := strings.Cut(operation, " ")
		if path == "/webhooks/spherepay" {
			continue // signed, and no role's
		}
		c := call{as: "auditor", method: method, path: filled.Replace(path), key: "k", wrong: true}
		if strings.HasSuffix(path, "/stream") {
			c.header = http.Header{"Last-Event-Id": {"a b"}}
		}
		got := r.do(c)
		if method == http.MethodGet {
			require.NotContains(t, []int{401, 403}, got.Status, "%s: %s", operation, got.Text)
			continue
		}
		require.Equal(t, 403, got.Status, "%s: %s", operation, got.Text)
		require.Equal(t, "role-not-allowed", got.Body["code"], operation)
	}
}

func TestKeyForms(t *testing.T) {
	r := newRig(t, nil)
	const path = "/v1/accounts/demo-1/balance"
	for header, status := range map[string]int{
		"Bearer service": 200, "bearer service": 200, "Basic service": 401, "Bearer": 401, "service": 401, "Bearer nobody": 401,
	} {
		got := r.do(call{method: "GET", path: path, header: http.Header{"Authorization": {header}}})
		require.Equal(t, status, got.Status, header)
	}
	for key, status := range map[string]int{"": 200, "nobody": 401, "service": 200} {
		both := http.Header{"X-Api-Key": {key}, "Authorization": {"Bearer service"}}
		require.Equal(t, status, r.do(call{method: "GET", path: path, header: both}).Status, "x-api-key: %s", key)
	}
	r.refused(401, "unauthenticated", call{method: "GET", path: path, header: http.Header{"X-Api-Key": {""}}})
	r.refused(403, "account-not-allowed", get("customer:demo-1", "/credits/check?amount=1&account=demo-2"))
	r.must(get("customer:demo-1", "/credits/check?amount=1&account=demo-1"))
}

// TestAKeyLeavesNothingBehind: what the first use of every key costs doesn't grow with
// how many were used before.
func TestAKeyLeavesNothingBehind(t *testing.T) {
	var specs []httpapi.KeySpec
	for i := range 2_000 {
		id := "key-" + strconv.Itoa(i)
		specs = append(specs, httpapi.KeySpec{ID: id, Role: httpapi.RoleService, Actor: "actor", SHA256: httpapi.HashKey(id)})
	}
	keys, err := httpapi.NewKeys(specs)
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, spec := range specs {
		id, role, known := keys.RoleOf(spec.ID)
		require.True(t, known && id == spec.ID && role == httpapi.RoleService)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
	_, _, known := keys.RoleOf("key-2000")
	require.False(t, known)
}

func TestKeysFile(t *testing.T) {
	hash := httpapi.HashKey("secret")
	const good = "- {id: a, role: service, actor: machine, sha256: HASH}\n"
	_, err := httpapi.ParseKeys(strings.NewReader(strings.ReplaceAll(good, "HASH", hash)))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty":            "[]",
		"unknown field":    "- {id: a, role: service, actor: m, sha256: HASH, colour: red}",
		"unknown role":     "- {id: a, role: boss, actor: m, sha256: HASH}",
		"no actor":         "- {id: a, role: service, sha256: HASH}",
		"no account":       "- {id: a, role: customer, actor: m, sha256: HASH}",
		"account too much": "- {id: a, role: service, account: x, actor: m, sha256: HASH}",
		"short hash":       "- {id: a, role: service, actor: m, sha256: abcd}",
		"no hex":           "- {id: a, role: service, actor: m, sha256: " + strings.Repeat("z", 64) + "}",
		"hash twice":       good + "- {id: b, role: service, actor: m, sha256: HASH}",
		"two documents":    good + "---\n- {id: b, role: admin, actor: m, sha256: " + httpapi.HashKey("other") + "}",
		"id twice":         good + "- {id: a, role: service, actor: m, sha256: " + httpapi.HashKey("other") + "}",
	} {
		_, err := httpapi.ParseKeys(strings.NewReader(strings.ReplaceAll(text, "HASH", hash)))
		require.Error(t, err, name)
	}
	_, err = httpapi.ParseKeys(strings.NewReader(""))
	require.ErrorContains(t, err, "the file has none")
	_, err = httpapi.ParseKeys(strings.NewReader("keys: []"))
	require.EqualError(t, err, "keys: not a list of entries with id, role, account, actor and sha256: line 1: cannot unmarshal !!map")
	_, err = httpapi.ParseKeys(strings.NewReader("- {id: a, rol: service}\n- {id: [b]}"))
	require.EqualError(t, err, "keys: not a list of entries with id, role, account, actor and sha256: "+
		"line 1: field rol not found; line 2: cannot unmarshal !!seq")
}

// TestTwoKeysAreNone, and that is what the refusal says.
func TestTwoKeysAreNone(t *testing.T) {
	r := newRig(t, nil)
	for _, name := range []string{"x-api-key", "Authorization"} {
		c := get("", demo+"/balance")
		c.header = http.Header{http.CanonicalHeaderKey(name): {"service", "Bearer service"}}
		got := r.refused(401, "unauthenticated", c)
		require.Equal(t, "there are 2 headers "+name+": send one", got.Body["detail"])
	}
	c := get("", demo+"/balance")
	c.header = http.Header{"X-Api-Key": {"service", "service"}, "Authorization": {"Bearer service"}}
	require.Equal(t, 200, r.do(c).Status, "there is one that counts")
}
