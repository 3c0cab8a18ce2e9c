package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// policyFile writes a file for --policy.
func policyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestPolicyOfNewAccounts: an account keeps what it began with, whatever the engine that
// serves it was started with.
func TestPolicyOfNewAccounts(t *testing.T) {
	data := t.TempDir()
	limits := func(e *engine, account string) []any {
		p := e.must("finance", http.MethodGet, "/v1/accounts/"+account+"/policy", "", "")
		return []any{p["allowance"], p["grace_minutes"], p["minimum_minutes"].(map[string]any)["vm"]}
	}
	compiled, wanted := []any{"10", 5.0, 60.0}, []any{"2.5", 15.0, 0.0}

	e := serve(t, data)
	e.fund("before", "5")
	require.NoError(t, e.stop())

	e = serve(t, data, "--policy", policyFile(t, "allowance: 2.50\ngrace_minutes: 15\nminimum_minutes: {vm: 0}\n"))
	require.Equal(t, wanted, limits(e, "new"))
	e.fund("new", "5")
	grant := `{"amount":"1","campaign":"c"}`
	e.must("bd", http.MethodPost, "/v1/accounts/before/incentives", "k", grant)
	require.Equal(t, "7.5", e.must("service", http.MethodGet, "/v1/accounts/new/balance", "", "")["spendable"])
	require.Equal(t, compiled, limits(e, "before"))
	require.NoError(t, e.stop())

	t.Setenv("IOCREDITS_POLICY", policyFile(t, "grace_minutes: 0\n"))
	e = serve(t, data)
	e.must("bd", http.MethodPost, "/v1/accounts/new/incentives", "k", grant)
	require.Equal(t, wanted, limits(e, "new"))
	require.Equal(t, compiled, limits(e, "before"))
	require.Equal(t, []any{"10", 0.0, 60.0}, limits(e, "next"))
	require.NoError(t, e.stop())

	out, _, err := run(t, "verify", "--data", data)
	require.NoError(t, err, out)
	out, _, err = run(t, "replay", "new", "--data", data)
	require.NoError(t, err, out)
	require.Regexp(t, `(?sm)^0 policy-set.*^1 purchase-settled.*^2 incentive-granted`, out)
	_, _, err = run(t, "diff", "new", "--data", data)
	require.NoError(t, err)
}

// TestPolicyFileMistakes are told at the start, with the field and the figure.
func TestPolicyFileMistakes(t *testing.T) {
	data := t.TempDir()
	for text, want := range map[string]string{
		"grace_minutes: 43201\n":      "field-invalid: grace_minutes 43201 is not between 0 and 43200",
		"grace_minutes: 5.5\n":        "grace_minutes has to be a whole number, without a point or an exponent, not 5.5",
		"allowance: -1\n":             "amount-invalid: allowance",
		"allowance: 2000000000\n":     "allowance 2000000000 is above the limit of 1000000000",
		"minimum_minutes: {vm: -1}\n": "minimum_minutes -1 is not between",
		"allowence: 1\n":              `field "allowence" is unknown`,
		"":                            "none of the members",
	} {
		_, _, err := run(t, "serve", "--dev", "--data", data, "--addr", "127.0.0.1:0", "--policy", policyFile(t, text))
		var usage *usageError
		require.ErrorAs(t, err, &usage, text)
		require.Contains(t, oneLine(err), "--policy /", text)
		require.Contains(t, oneLine(err), want, text)
	}
	_, _, err := run(t, "serve", "--dev", "--data", data, "--addr", "127.0.0.1:0", "--policy", "/nowhere/policy.yaml")
	require.ErrorContains(t, err, "--policy: open /nowhere/policy.yaml")
	require.Equal(t, 2, exitCode(err))
}
