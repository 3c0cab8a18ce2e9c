package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

// impatient is an engine whose read models stand still, and whose reads don't wait long.
func impatient(t *testing.T) *rig {
	t.Helper()
	return newRig(t, func(p *parts) { p.stillViews, p.server.ReadPatience = true, time.Millisecond })
}

// catchUp lets the read models run, and waits until they have what was acknowledged.
func (r *rig) catchUp() {
	r.t.Helper()
	r.followLog()
	require.NoError(r.t, r.views.WaitThrough(r.t.Context(), r.ledger.AckedAny()))
}

// TestNothingIsDeniedAfterARestart: an engine whose read models have yet to catch up says
// of what was acknowledged before its start that it is late, and not that it isn't there.
func TestNothingIsDeniedAfterARestart(t *testing.T) {
	r := impatient(t)
	r.fund("demo-1", "100")
	charge := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"1","service":"vm"}`)), "deduction")["id"].(string)
	r.must(post("service", demo+"/deployments", "v", `{"deployment_id":"v","service":"vm","payment_method":"credits","hourly_price":"1","duration_hours":1}`))
	r.restart()

	file := http.Header{"Accept": {"text/csv"}}
	text := http.Header{"Accept": {"text/plain"}}
	whole := []call{
		get("service", demo+"/deployments/v"), get("service", demo+"/transactions/"+charge), get("support", demo+"/transactions/"+charge+"/explain"),
		get("auditor", "/v1/audit/trial-balance"), get("auditor", "/v1/audit/verify/demo-1"), get("auditor", "/v1/audit/proofs/consistency?from=1&to=2"),
		{as: customer, method: "GET", path: demo + "/transactions", header: file},
		{as: customer, method: "GET", path: demo + "/statement?month=2026-03", header: text},
	}
	for _, c := range whole {
		require.Equal(t, "1", r.refused(503, "read-behind", c).Header.Get("Retry-After"), c.path)
	}
	late := []call{
		get("service", demo+"/balance"), get("service", "/credits/check?account=demo-1&amount=1"), get("service", demo+"/transactions"),
		get(customer, demo+"/statement?month=2026-03"), get(customer, notifications), get("support", "/v1/accounts"), get("service", "/v1/deployments?after_position=0"),
		get("service", "/v1/accounts/never/balance"), // nobody knows that yet
	}
	for _, c := range late {
		require.Greater(t, r.must(c).Body["lag"], 0.0, c.path)
	}

	r.catchUp()
	for _, c := range whole {
		r.must(c)
	}
	for _, c := range late {
		require.Zero(t, r.must(c).Body["lag"], c.path)
	}
	require.Equal(t, "98", r.balance("demo-1")["balance"])
	require.Equal(t, "0", r.balance("never")["balance"])
	r.refused(404, "unknown-deployment", get("service", demo+"/deployments/none"))
	r.refused(422, "field-invalid", get("auditor", "/v1/audit/proofs/consistency?from=1&to=1000"))
}

// TestWhatAnotherEngineWroteIsLate: this one has answered with it, so its read models are
// behind until they have it too.
func TestWhatAnotherEngineWroteIsLate(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews, p.server.ReadPatience, p.ledger.Shared = true, time.Millisecond, true })
	other := ledger.New(r.parts.ledger)
	t.Cleanup(func() { _ = other.Close(t.Context()) })
	_, err := other.Execute(t.Context(), ledger.Request{Account: "demo-1", Actor: "test", Do: account.RecordPurchase{Purchase: "p", Amount: 5_000_000}})
	require.NoError(t, err)
	require.Equal(t, "5", r.must(get("service", demo+"/balance?consistency=strong")).Body["balance"])
	require.Greater(t, r.balance("demo-1")["lag"], 0.0)
	r.catchUp()
	require.Zero(t, r.balance("demo-1")["lag"])
}
