package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExplain(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.fund("demo-1", "50")
	charged := e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", "d", `{"amount":"12.5","service":"vm","reference":"vm-31","description":"VM, 3 h"}`)
	id := charged["deduction"].(map[string]any)["id"].(string)

	out, _, err := run(t, "explain", "demo-1", id, "--url", e.url, "--dev-keys", filepath.Join(data, "dev-keys.json"))
	require.NoError(t, err)
	for _, line := range []string{
		"Transaction " + id + " of account demo-1\n", `deduction of 12.5 credits for vm, reference "vm-31": "VM, 3 h"`,
		"balance before 50, after 37.5", "12.5 purchased of lot 0", "revenue:vm                         credit 12.5",
	} {
		require.Contains(t, out, line)
	}
	out, _, err = run(t, "explain", "demo-1", id, "--url", e.url, "--key", e.keys["auditor"], "--json")
	require.NoError(t, err)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Equal(t, "37.5", answer["balance_after"])

	_, _, err = run(t, "explain", "demo-2", id, "--url", e.url, "--key", e.keys["auditor"])
	require.ErrorContains(t, err, "unknown-transaction")
	_, _, err = run(t, "explain", "demo-1", id, "--url", e.url, "--key", e.keys["finance"])
	require.ErrorContains(t, err, "role-not-allowed")
	var usage *usageError
	for _, args := range [][]string{
		{"explain", "demo-1", "nonsense", "--url", e.url}, {"explain", "a/b", id, "--url", e.url},
		{"explain", "demo-1"}, {"explain", "demo-1", id, "--dev-keys", filepath.Join(data, "none.json")},
	} {
		_, _, err = run(t, args...)
		require.ErrorAs(t, err, &usage, "%v", args)
	}
}
