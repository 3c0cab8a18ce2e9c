package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/transparency"
)

// TestReceiptIsOfTheEventThatWasAskedFor: an id that no event of the account has is
// refused, though another event is at the revision in it.
func TestReceiptIsOfTheEventThatWasAskedFor(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	e.trade("demo-2")
	e.must("auditor", http.MethodGet, "/v1/audit/checkpoint", "", "")
	require.NoError(t, e.stop())
	idOf := func(account, revision string) string {
		out, _, err := run(t, "receipt", account, revision, "--data", data)
		require.NoError(t, err)
		receipt, err := transparency.ParseReceipt([]byte(out))
		require.NoError(t, err)
		return receipt.ID.String()
	}
	own, other := idOf("demo-1", "3"), idOf("demo-2", "3")
	require.Equal(t, own, idOf("demo-1", own))
	changed := own[:35] + "0"
	if changed == own {
		changed = own[:35] + "1"
	}
	for _, c := range []struct {
		id   string
		want int
	}{
		{changed, exitFailed}, {other, exitFailed}, {"00000000-0000-0000-0000-000000000000", exitFailed}, {"99", exitFailed},
		{"{" + own + "}", exitUsage}, {"urn:uuid:" + own, exitUsage}, {strings.ReplaceAll(own, "-", ""), exitUsage}, {"-1", exitUsage},
	} {
		out, _, err := run(t, "receipt", "demo-1", c.id, "--data", data)
		require.Equal(t, c.want, exitCode(err), "%s: %v", c.id, err)
		require.Empty(t, out)
		if c.want == exitFailed {
			require.ErrorContains(t, err, "unknown-transaction")
		}
	}
}
