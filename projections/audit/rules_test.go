package audit_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/projections/audit"
)

// TestForgedRules: a log whose ids and hashes were all made anew, and that nobody has
// signed, is held to each rule by itself.
func TestForgedRules(t *testing.T) {
	c := newCompany(t)
	c.must("a", account.RecordPurchase{Purchase: "p", Amount: credit})
	c.must("a", account.GrantIncentive{Amount: credit})
	c.must("a", account.Deduct{Amount: credit / 2, Service: domain.ServiceVM})
	c.must("a", account.Deduct{Amount: credit / 4, Service: domain.ServiceVM})
	data := func(old, with string) func(*testing.T, *eventstore.Recorded) {
		return func(_ *testing.T, r *eventstore.Recorded) { r.Data = replaced(r.Data, old, with) }
	}
	metadata := func(change func(*eventstore.Metadata)) func(*testing.T, *eventstore.Recorded) {
		return func(t *testing.T, r *eventstore.Recorded) {
			meta, err := eventstore.DecodeMetadata(r.Metadata)
			require.NoError(t, err)
			change(&meta)
			r.Metadata, err = eventstore.EncodeMetadata(meta)
			require.NoError(t, err)
		}
	}
	const lot = `"lots":[{"lot":1,"class":"promotional","amount":"0.5"}]`
	for name, row := range map[string]struct {
		change func(*testing.T, *eventstore.Recorded) // of the first deduction, at revision 2
		want   string
	}{
		"nothing":                    {data(lot, lot), ""},
		"time that goes back":        {metadata(func(m *eventstore.Metadata) { m.RecordedAt = m.RecordedAt.Add(-time.Hour) }), "recorded-at account=a revision=2"},
		"half a command":             {metadata(func(m *eventstore.Metadata) { m.Command.Count++ }), "command account=a revision=3"},
		"an amount for itself":       {data(`"amount":"0.5","service"`, `"amount":"500","service"`), `invariant "an event's lots and debt add up to its amount" account=a revision=2 position=3 expected="0.5" found="500"`},
		"a lot of another class":     {data(`"promotional"`, `"purchased"`), `invariant "purchased lots add up to the free purchased credits" account=a revision=3 position=4 `},
		"a debt beside free credits": {data(lot, `"debt":"0.5"`), `invariant "while something is owed nothing unreserved is left" account=a revision=2`},
		"more than the allowance":    {data(lot, `"debt":"11"`), `invariant "nothing is spent beyond the allowance" account=a revision=2`},
		"a lot that isn't there":     {data(`{"lot":1`, `{"lot":7`), `invariant "promotional lots add up to the free promotional credits" account=a revision=3 position=4 `},
	} {
		t.Run(name, func(t *testing.T) {
			events := rechained(t, c.log(), func(r *eventstore.Recorded) {
				if r.Revision == 2 {
					row.change(t, r)
				}
			})
			_, found := verify(t, audit.Source{Store: rewritten(t, events)}, nil)
			var lines bytes.Buffer
			for _, f := range found {
				lines.WriteString(f.String() + "\n")
			}
			if row.want == "" {
				require.Empty(t, lines.String())
				return
			}
			require.Contains(t, lines.String(), row.want)
		})
	}
}

// TestReadModelsBeyondTheLog are a finding: they have events that the log has lost.
func TestReadModelsBeyondTheLog(t *testing.T) {
	c := newCompany(t)
	c.must("a", account.GrantIncentive{Amount: credit})
	c.must("a", account.GrantIncentive{Amount: credit})
	summary, found := verify(t, audit.Source{Store: rewritten(t, c.log()[:1]), Views: c.copied()}, nil)
	require.Len(t, found, 1)
	require.Contains(t, found[0].String(), `read-model "position" account=- revision=- position=2 expected="at most 1, where the log ends" found="2"`)
	require.False(t, summary.ViewsCompared)
}
