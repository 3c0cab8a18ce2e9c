package projections_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/projections"
)

// lateCharges spends n times something of before, by what late says.
func (r *rig) lateCharges(n int, late func(i int) time.Duration) {
	for first := 0; first < n; first += 500 {
		batch := make([]account.Action, 500)
		for i := range batch {
			batch[i] = account.Deduct{Amount: 1, Service: domain.ServiceRay, EffectiveAt: r.clock.Now().Add(-late(first + i))}
		}
		r.all("a", batch)
		r.clock.Move(time.Minute)
	}
}

// looksContext counts how often a scan asks whether to go on: once an entry.
type looksContext struct {
	context.Context
	looks int
}

func (c *looksContext) Err() error {
	c.looks++
	return c.Context.Err()
}

// TestManyLateEntries holds every page of a statement to a replay, and what each
// page costs to its size: not to how much was recorded late.
func TestManyLateEntries(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
	r.clock.Move(365 * 24 * time.Hour)
	rng := rand.New(rand.NewPCG(1, 2))
	r.lateCharges(6000, func(int) time.Duration { return time.Duration(rng.Int64N(int64(time.Second) << rng.IntN(18))) })
	r.toEnd()
	a := r.log()["a"]
	middle := a.entries[3000].RecordedAt
	for _, q := range []projections.Query{
		{AsOf: middle},
		{AsOf: middle, KnownAt: a.entries[4000].RecordedAt},
		{AsOf: middle, To: a.entries[5000].RecordedAt},
		{AsOf: middle, From: a.entries[2000].RecordedAt, To: a.entries[4500].RecordedAt},
		{AsOf: middle, From: a.entries[3500].RecordedAt},
		{AsOf: a.entries[0].RecordedAt.Add(time.Hour)},
		{AsOf: middle, From: a.entries[3500].RecordedAt, To: a.entries[3500].RecordedAt},
	} {
		var want, got []int64
		for _, e := range a.entries {
			known := q.KnownAt.IsZero() || !e.RecordedAt.After(q.KnownAt)
			within := !e.RecordedAt.Before(q.From) && (q.To.IsZero() || e.RecordedAt.Before(q.To))
			if known && within && !e.EffectiveAt.After(q.AsOf) {
				want = append([]int64{e.Revision}, want...)
			}
		}
		q.Account, q.Limit = "a", 100
		for more := true; more; more = q.Cursor != "" {
			ctx := &looksContext{Context: bg}
			page, err := r.views.Transactions(ctx, q)
			require.NoError(t, err)
			for _, e := range page.Items {
				got = append(got, e.Revision)
			}
			require.Less(t, ctx.looks, 700, "of thousands of late entries a page looks at what it needs")
			q.Cursor = page.Next
		}
		require.Equal(t, want, got, "%+v", q)
	}
}

// TestLateEntriesThatDontCount: what is passed over is bounded too, and the next
// page goes on behind it.
func TestLateEntriesThatDontCount(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
	r.clock.Move(time.Hour)
	asOf := r.clock.Now()
	r.clock.Move(3 * time.Second)
	charge := func(n int, late time.Duration) {
		for range n / 500 {
			batch := make([]account.Action, 500)
			for i := range batch {
				batch[i] = account.Deduct{Amount: 1, Service: domain.ServiceRay, EffectiveAt: r.clock.Now().Add(-late)}
			}
			r.all("a", batch)
		}
	}
	charge(500, 3*time.Second)
	charge(10_500, 2*time.Second) // in the same bucket, and effective after asOf
	r.toEnd()
	var sizes []int
	q := projections.Query{Account: "a", AsOf: asOf, Limit: 1000}
	for more := true; more; more = q.Cursor != "" {
		ctx := &looksContext{Context: bg}
		page, err := r.views.Transactions(ctx, q)
		require.NoError(t, err)
		require.LessOrEqual(t, ctx.looks, 10_010)
		sizes = append(sizes, len(page.Items))
		q.Cursor = page.Next
	}
	require.Equal(t, []int{0, 501}, sizes)
}
