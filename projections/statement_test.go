package projections_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// meanwhile is a context in which something happens when a read looks at it for the
// first time: it has begun by then, and has not ended.
type meanwhile struct {
	context.Context
	happens func()
}

func (m meanwhile) Err() error {
	m.happens()
	return m.Context.Err()
}

// TestAStatementIsOfOneMoment: what is applied while a statement is read is no entry of
// another month's, nor in its opening alone.
func TestAStatementIsOfOneMoment(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	february, march := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	deduct := account.Deduct{Amount: credit, Service: domain.ServiceVM}
	r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 100 * credit})
	r.toEnd()
	r.do("a", "", deduct)
	r.clock.Move(february.Sub(r.clock.Now()))
	r.do("a", "", deduct)
	ctx := meanwhile{bg, sync.OnceFunc(r.toEnd)}
	s, err := r.views.Statement(ctx, "a", february, march)
	require.NoError(t, err)
	require.Equal(t, [2]domain.Amount{100 * credit, 100 * credit}, [2]domain.Amount{s.Opening, s.Closing})
	require.Zero(t, s.Entries)

	require.NoError(t, ctx.Err()) // whatever looked at it before, the rest is applied now
	for e, err := range r.views.StatementEntries(bg, s) {
		t.Fatalf("a statement without entries has %v, %v", e, err)
	}
	s, err = r.views.Statement(bg, "a", february, march)
	require.NoError(t, err)
	require.Equal(t, [2]domain.Amount{99 * credit, 98 * credit}, [2]domain.Amount{s.Opening, s.Closing})
	require.Equal(t, 1, s.Entries)
}

// TestTotalsOfAStatementPassAnAmount: each entry is an amount, and all of a type together
// may come to more than an amount can be.
func TestTotalsOfAStatementPassAnAmount(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: many thousand commands, one after the other")
	}
	r := newRig(t, vfs.NewMem(), nil)
	const each = 1_000_000_000 * credit
	const times = math.MaxInt64/int64(each) + 10
	var in, out journal.Sum
	for i := range times {
		r.do("a", "", account.GrantIncentive{Amount: each})
		r.do("a", "", account.Deduct{Amount: each, Service: domain.ServiceVM})
		in, out = in.Add(each), out.Add(-each)
		if i%1000 == 0 {
			r.toEnd()
		}
	}
	r.toEnd()
	s, err := r.views.Statement(bg, "a", r.clock.Now().Add(-time.Hour), r.clock.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, s.Closing)
	require.Len(t, s.Totals, 2)
	require.Equal(t, out.String(), s.Totals[0].Amount.String())
	require.Equal(t, in.String(), s.Totals[1].Amount.String())
}
