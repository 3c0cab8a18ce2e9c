package httpapi_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// changes asks for deployments by their last change, from a position on.
func (r *rig) changes(after float64, query string) (items []string, next float64, more bool) {
	r.t.Helper()
	body := r.must(get("service", fmt.Sprintf("/v1/deployments?after_position=%.0f%s", after, query))).Body
	for _, item := range body["items"].([]any) {
		d := item.(map[string]any)
		items = append(items, fmt.Sprint(d["account"], " ", d["id"], " ", d["status"]))
	}
	return items, body["next_position"].(float64), body["more"].(bool)
}

// TestWhoRunsDeploymentsLearnsOfAllThatChanged: without asking account by account.
func TestWhoRunsDeploymentsLearnsOfAllThatChanged(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	items, begun, more := r.changes(0, "")
	require.Empty(t, items)
	require.Positive(t, begun)
	require.False(t, more)

	for name, id := range map[string]string{"demo-1": "dep-1", "demo-2": "dep-2"} {
		r.must(post("service", "/v1/accounts/"+name+"/deployments", "start", deploymentBody(id, "vm", "2", 3)))
	}
	items, started, more := r.changes(begun, "")
	require.ElementsMatch(t, []string{"demo-1 dep-1 active", "demo-2 dep-2 pending-payment"}, items)
	require.False(t, more)

	r.fund("demo-2", "20") // nobody asks anything about dep-2
	items, paid, _ := r.changes(started, "")
	require.Equal(t, []string{"demo-2 dep-2 active"}, items)
	require.Greater(t, paid, started)
	items, still, _ := r.changes(paid, "")
	require.Empty(t, items)
	require.Equal(t, paid, still)

	r.must(post("service", demo+"/deployments/dep-1/stop", "stop", `{"used_minutes":90}`))
	items, _, _ = r.changes(paid, "")
	require.Equal(t, []string{"demo-1 dep-1 stopped"}, items)

	all := []string{"demo-2 dep-2 active", "demo-1 dep-1 stopped"}
	items, end, more := r.changes(0, "")
	require.Equal(t, all, items, "each once, as it is, by its last change")
	require.False(t, more)

	var paged []string
	for after, more := float64(0), true; more; {
		items, after, more = r.changes(after, "&limit=1")
		paged = append(paged, items...)
	}
	require.Equal(t, all, paged)
	for query, want := range map[string][]string{
		"&status=active": all[:1], "&status=stopped": all[1:], "&account=demo-1": all[1:], "&account=demo-2&status=stopped": nil,
	} {
		items, next, more := r.changes(0, query)
		require.Equal(t, want, items, query)
		require.Equal(t, end, next, query)
		require.False(t, more, query)
	}
	wrong := get("service", "/v1/deployments?account=a%20b")
	wrong.wrong = true
	r.refused(422, "id-invalid", wrong)
}

// TestAPlaceAmongDeploymentsThatTheLogHasNot is of another log, or of what a restored one
// has lost: whoever went on from it would learn of nothing until the log is there again.
func TestAPlaceAmongDeploymentsThatTheLogHasNot(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.ReadPatience = time.Millisecond })
	r.refused(503, "read-behind", get("service", "/v1/deployments?after_position=9223372036854775807"))
}
