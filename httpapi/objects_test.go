package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// made are objects of demo-1, one of each kind, as a command answered with them.
func (r *rig) made() map[string]map[string]any {
	r.t.Helper()
	r.fund("demo-1", "100")
	charge := part(r.must(post("service", demo+"/deductions", "m-d", `{"amount":"5","service":"vm"}`)), "deduction")["id"].(string)
	return map[string]map[string]any{
		"reservations":    part(r.must(post("service", demo+"/reservations", "m-h", `{"reservation_id":"job-7","amount":"30","service":"kubernetes","reference":"c-5","expires_at":"2099-12-31T00:00:00Z"}`)), "reservation"),
		"adjustments":     part(r.must(post("support", demo+"/adjustments", "m-a", fmt.Sprintf(`{"amount":"2","reason":"for the trouble","related_transaction":%q}`, charge))), "adjustment"),
		"disputes":        part(r.must(post(customer, demo+"/disputes", "m-x", fmt.Sprintf(`{"transaction_id":%q,"reason":"it never ran"}`, charge))), "dispute"),
		"withdrawals":     part(r.must(post(customer, demo+"/withdrawals", "m-w", `{"amount":"10",`+stripe+`}`)), "withdrawal"),
		"credit-requests": part(r.must(post(customer, demo+"/credit-requests", "m-c", `{"amount":"500","name":"Ada","reason":"more"}`)), "credit_request"),
		"purchases":       part(r.must(post(customer, demo+"/purchases", "m-b", `{"amount":"50"}`)), "purchase"),
		"deployments":     part(r.must(post("service", demo+"/deployments", "m-p", deploymentBody("dep-1", "vm", "2", 3))), "deployment"),
	}
}

var unknownCodes = map[string]string{
	"reservations": "unknown-reservation", "adjustments": "unknown-adjustment", "disputes": "unknown-dispute", "withdrawals": "unknown-withdrawal",
	"credit-requests": "unknown-credit-request", "purchases": "unknown-purchase", "deployments": "unknown-deployment",
}

// alone is an object of demo-1 that is read by itself, without what says how new that is.
func (r *rig) alone(c call) map[string]any {
	r.t.Helper()
	body, balance := r.must(c).Body, r.balance("demo-1")
	for _, member := range []string{"revision", "position", "lag"} {
		require.Equal(r.t, balance[member], body[member], member)
		delete(body, member)
	}
	return body
}

// TestObjectsCanBeReadBack: whatever a command answers with can be asked for
// again, in the same form, and by nobody else's customer.
func TestObjectsCanBeReadBack(t *testing.T) {
	r := newRig(t, nil)
	for kind, object := range r.made() {
		path := demo + "/" + kind + "/" + object["id"].(string)
		readers := []string{"support", "auditor", customer}
		if kind == "adjustments" {
			readers = readers[:2] // a customer's has to be in effect
		}
		for _, as := range readers {
			require.Equal(t, object, r.alone(get(as, path)), "%s as %s", kind, as)
		}
		r.refused(403, "account-not-allowed", get("customer:demo-2", path))
		r.refused(404, unknownCodes[kind], get("auditor", demo+"/"+kind+"/none"))
		r.refused(404, unknownCodes[kind], get("customer:demo-2", "/v1/accounts/demo-2/"+kind+"/"+object["id"].(string)))
		r.refused(422, "id-invalid", call{as: "auditor", method: "GET", path: demo + "/" + kind + "/no!", wrong: true})
	}
}

// TestObjectsAreListed: an account's objects of a kind are all there, decided ones
// too, the oldest first; a page at a time, and to nobody else's customer.
func TestObjectsAreListed(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100") // a purchase too
	for kind, c := range map[string]struct {
		body, key string
		before    int
	}{
		"withdrawals":     {`{"amount":"1",` + stripe + `}`, "withdrawal", 0},
		"credit-requests": {`{"amount":"500","name":"Ada","reason":"more"}`, "credit_request", 0},
		"purchases":       {`{"amount":"50"}`, "purchase", 1},
	} {
		path := demo + "/" + kind
		var made []any
		for i := range 3 {
			made = append(made, part(r.must(post(customer, path, fmt.Sprint("l-", kind, i), c.body)), c.key))
		}
		r.must(post("customer:demo-2", "/v1/accounts/demo-2/purchases", "other-"+kind, `{"amount":"7"}`))
		if kind == "credit-requests" {
			made[1] = part(r.must(post(customer, path+"/"+made[1].(map[string]any)["id"].(string)+"/cancel", "l-cancel", "")), c.key)
		}
		for _, as := range []string{customer, "finance", "support", "auditor"} {
			got := r.must(get(as, path)).Body
			require.Equal(t, made, got["items"].([]any)[c.before:], "%s as %s", kind, as)
			require.Nil(t, got["next_cursor"])
			balance := r.balance("demo-1")
			require.Equal(t, balance["revision"], got["revision"])
			require.Equal(t, balance["position"], got["position"])
			require.Zero(t, got["lag"])
		}
		page := r.must(get(customer, fmt.Sprint(path, "?limit=", c.before+1))).Body
		rest := r.must(get(customer, path+"?cursor="+page["next_cursor"].(string))).Body
		require.Equal(t, made, append(page["items"].([]any)[c.before:], rest["items"].([]any)...), kind)
		r.refused(403, "account-not-allowed", get("customer:demo-2", path))
		wrong := r.refused(422, "field-invalid", get("customer:demo-2", "/v1/accounts/demo-2/"+kind+"?cursor="+page["next_cursor"].(string)))
		require.Equal(t, "cursor", wrong.Body["field"])
	}
}

// TestReservationIsReadAsItIs: also one that is partly spent, closed by hand, or
// ended by its time.
func TestReservationIsReadAsItIs(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	r.must(post("service", demo+"/reservations", "a", `{"reservation_id":"a","amount":"30","service":"vm"}`))
	r.must(post("service", demo+"/reservations", "b", `{"reservation_id":"b","amount":"30","service":"vm","expires_at":"2026-03-01T13:00:00Z"}`))
	captured := part(r.must(post("service", demo+"/reservations/a/capture", "c", `{"amount":"12"}`)), "reservation")
	require.Equal(t, "18", captured["held"])
	require.Equal(t, captured, r.alone(get("service", demo+"/reservations/a")))
	released := part(r.must(post("service", demo+"/reservations/a/release", "d", "")), "reservation")
	require.Equal(t, map[string]any{"id": "a", "status": "closed", "held": "0"}, released)
	released["service"] = "vm" // the event that began it still has that
	require.Equal(t, released, r.alone(get("finance", demo+"/reservations/a")))

	before := r.balance("demo-1")["revision"]
	r.clock.Move(2 * time.Hour)
	require.Equal(t, "open", r.must(get("auditor", demo+"/reservations/b")).Body["status"], "its end is due, but not recorded yet")
	require.Equal(t, before, r.balance("demo-1")["revision"], "who reads writes nothing, not even what is due")
	r.must(post("service", demo+"/deductions", "e", `{"amount":"1","service":"vm"}`))
	require.Equal(t, "closed", r.must(get("auditor", demo+"/reservations/b")).Body["status"])
}

// TestPolicyCanBeRead: before somebody set one, and so that a change can rest on it.
func TestPolicyCanBeRead(t *testing.T) {
	r := newRig(t, nil)
	put := func(etag, body string) call {
		return call{as: "finance", method: "PUT", path: demo + "/policy", body: body, header: http.Header{"If-Match": {etag}}}
	}
	never := r.must(get(customer, demo+"/policy"))
	require.Equal(t, "10", never.Body["allowance"])
	require.Equal(t, 60.0, never.Body["minimum_minutes"].(map[string]any)["vm"])
	require.Equal(t, -1.0, never.Body["revision"])
	require.Equal(t, `"-1"`, never.Header.Get("Etag"))

	set := part(r.must(put(`"-1"`, `{"allowance":"25","minimum_minutes":{"ray":5}}`)), "policy")
	for _, as := range []string{customer, "service", "bd", "finance", "support", "auditor", "admin"} {
		got := r.must(get(as, demo+"/policy"))
		require.Equal(t, `"0"`, got.Header.Get("Etag"))
		for _, other := range []string{"account", "revision", "position", "lag", "freeze"} {
			if other != "freeze" {
				require.Contains(t, got.Body, other)
			}
			delete(got.Body, other)
		}
		require.Equal(t, set, got.Body, "what the command answered with")
	}
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"1"}`))
	r.refused(412, "precondition-failed", put(`"0"`, `{"allowance":"30"}`))
	r.refused(403, "account-not-allowed", get("customer:demo-2", demo+"/policy"))
}

// TestObjectReadsWaitForAPosition: what min_position asks for is in the answer,
// or there is none.
func TestObjectReadsWaitForAPosition(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.ReadPatience = 50 * time.Millisecond })
	const far = "?min_position=1000000"
	r.made()
	for _, path := range []string{"/reservations/job-7", "/policy", "/adjustments/x", "/disputes/x", "/withdrawals/x", "/credit-requests/x", "/credit-requests", "/purchases"} {
		r.refused(503, "read-behind", get("auditor", demo+path+far))
	}
}
