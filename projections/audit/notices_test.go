package audit_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/notices"
	"iocredits/projections/audit"
)

// noticed is a company whose customers were told things and have seen some.
func noticed(t *testing.T) *company {
	t.Helper()
	c := played(t, 60)
	w := &notices.Writer{Store: c.store, Codec: codec, Clock: func() time.Time { return c.now }}
	position, err := w.AnnounceExpiry(bg, "a:0", account.ExpiryAnnounced{Lot: 0, Amount: credit, ExpiresAt: c.now.Add(time.Hour)})
	require.NoError(t, err)
	require.NoError(t, c.views.WaitThrough(bg, position))
	page, err := c.views.Notices(bg, "a:0", "", 100)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(page.Items), 2)
	for _, n := range page.Items[:2] {
		position, err = w.MarkSeen(bg, "a:0", n.ID, eventstore.BeforeFirst, notices.By{Actor: "customer", Role: "customer"})
		require.NoError(t, err)
		c.must("a:0", account.GrantIncentive{Amount: credit}) // both streams grow in turns
	}
	require.NoError(t, c.views.WaitThrough(bg, max(position, c.AckedAny())))
	return c
}

// diff gives the findings of one account.
func diff(t *testing.T, source audit.Source, name string) (audit.Summary, []string) {
	t.Helper()
	source.Codec = codec
	var lines []string
	summary, err := audit.Diff(bg, source, name, audit.Options{
		Logger: quiet(), Report: func(f audit.Finding) { lines = append(lines, f.String()) },
	})
	require.NoError(t, err)
	return summary, lines
}

// TestNoticesAreHeldToTheirEvents: the read model of notices comes from two streams.
func TestNoticesAreHeldToTheirEvents(t *testing.T) {
	c := noticed(t)
	summary, lines := diff(t, audit.Source{Store: c.store, Views: c.copied()}, "a:0")
	require.Empty(t, lines)
	require.True(t, summary.ViewsCompared)
	source := audit.Source{Store: c.store, Views: c.copied(), Checkpoints: c.checkpoints(), Verifier: c.verifier}
	whole, found := verify(t, source, nil)
	require.Empty(t, found)
	require.Equal(t, accounts, whole.Accounts, "notices are no accounts")
	source.Checkpoints, source.Views = c.checkpoints(), nil
	again, found := verify(t, source, func(o *audit.Options) { o.MaxAccounts, o.Workers = 1, 2 })
	require.Empty(t, found)
	require.Equal(t, whole.Head, again.Head, "notices are no leaves")

	for prefix, kind := range map[byte]string{'m': "notice", 'i': "notice-id", 'a': "expiry-announced"} {
		t.Run(kind, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "views")
			require.NoError(t, c.views.Copy(dir))
			edit(t, filepath.Join(dir, "000001"), []byte(string(prefix)+"a:0"))
			image := openImage(t, dir, c.store)
			_, lines := diff(t, audit.Source{Store: c.store, Views: image}, "a:0")
			require.Len(t, lines, 1)
			require.Contains(t, lines[0], fmt.Sprintf(`read-model %q account=a:0`, kind))
			if kind == "notice" {
				require.Contains(t, lines[0], "Topic:", "a person can read it")
			}
			_, found := verify(t, audit.Source{Store: c.store, Views: image}, nil)
			require.Len(t, found, 1)
			require.Equal(t, lines[0], found[0].String())
		})
	}
}

// TestTamperingWithNotices: what a customer was told has a chain of its own.
func TestTamperingWithNotices(t *testing.T) {
	c := noticed(t)
	events := c.log()
	var at []int
	for i := range events {
		if events[i].Stream == "notices-a:0" {
			at = append(at, i)
		}
	}
	require.Len(t, at, 3)
	changed := slices.Clone(events)
	changed[at[0]].Data = replaced(changed[at[0]].Data, `"amount":"1"`, `"amount":"9"`)
	for name, row := range map[string]struct {
		log  []eventstore.Recorded
		want []string
	}{
		"a changed event": {changed, []string{`event-id "notices" account=a:0 revision=0`, `previous-hash "notices" account=a:0 revision=1`}},
		"a removed event": {
			slices.Delete(slices.Clone(events), at[1], at[1]+1), []string{`previous-hash "notices" account=a:0 revision=1`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := rewritten(t, row.log)
			_, one := diff(t, audit.Source{Store: store}, "a:0")
			_, found := verify(t, audit.Source{Store: store, Checkpoints: c.checkpoints(), Verifier: c.verifier}, nil)
			require.ElementsMatch(t, one, lines(found))
			for _, want := range row.want {
				require.Contains(t, strings.Join(one, "\n"), want)
			}
		})
	}
}
