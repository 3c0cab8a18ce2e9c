package httpapi_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

// Who answers a customer reads these texts and must not be misled by them: what
// turns others around, breaks a line or has no shape doesn't come in.
func TestWhatIsNotPrintableIsRefused(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	quoted := func(text string) string {
		b, err := json.Marshal(text)
		require.NoError(t, err)
		return string(b)
	}
	reference := func(text string) call {
		return post("service", demo+"/deductions", "k", `{"amount":"1","service":"vm","reference":`+quoted(text)+`}`)
	}
	free := func(text string) call {
		return post("service", demo+"/deductions", "k", `{"amount":"1","service":"vm","description":`+quoted(text)+`}`)
	}
	forget := func(text string) call { return post("admin", demo+"/forget", "", `{"reason":`+quoted(text)+`}`) }
	bad := []rune{0, 0x1b, 0x7f, 0x80, 0x85, 0x9f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069}
	for field, of := range map[string]func(string) call{"reference": reference, "description": free, "reason": forget} {
		for _, c := range bad {
			got := r.refused(422, "field-invalid", of("a"+string(c)+"b"))
			require.Equal(t, field, got.Body["field"])
			require.Equal(t, fmt.Sprintf("%U", c), got.Body["value"])
			require.Equal(t, fmt.Sprintf("%s has the character %U, which is not printable", field, c), got.Body["detail"])
		}
	}
	r.refused(422, "field-invalid", reference("two\nlines"))
	require.EqualValues(t, 0, r.balance("demo-1")["revision"])

	// What people write with stays: other scripts, their marks, and line breaks in free text.
	r.must(post("service", demo+"/deductions", "l", `{"amount":"1","service":"vm","reference":"سلام\u200f 日本 é","description":"שלום\u200e\n\tsecond line\r\n👩‍🚀"}`))
}

// What was taken before the rule is read as ever: it is in the log for good.
func TestWhatIsStoredIsReadWhateverItHas(t *testing.T) {
	const text = "5 stiderc\u202e\u2066\u2028\u0085"
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	note, err := r.sealer.Seal(t.Context(), "demo-1", text)
	require.NoError(t, err)
	_, err = r.ledger.Execute(t.Context(), ledger.Request{
		Account: "demo-1", Actor: "a", Role: "service",
		Do: account.Deduct{Amount: 1_000_000, Service: domain.ServiceVM, Reference: text, Description: note},
	})
	require.NoError(t, err)
	entry := r.must(get("support", demo+"/transactions?type=deduction")).Body["items"].([]any)[0].(map[string]any)
	require.Equal(t, text, entry["reference"])
	require.Equal(t, text, entry["description"])
	for _, path := range []string{
		demo + "/transactions/" + entry["transaction_id"].(string) + "/explain", demo + "/events?with=balance", demo + "/statement?month=2026-03",
		"/v1/audit/journal", "/v1/audit/verify/demo-1", demo + "/balance?consistency=strong",
	} {
		r.must(get("auditor", path))
	}
	require.Empty(t, r.must(get("auditor", "/v1/audit/verify/demo-1")).Body["findings"])
	cold := ledger.New(ledger.Options{Store: r.store, Snapshots: r.store, Codec: codec, Names: r.views, Clock: r.clock.Now})
	view, err := cold.Read(t.Context(), "demo-1")
	require.NoError(t, err)
	require.Equal(t, domain.Amount(9_000_000), view.Balance.Available)
	require.NoError(t, cold.Close(t.Context()))
}
