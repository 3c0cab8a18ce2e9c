package projections_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/projections"
)

// played is a rig with a random history that the views have.
func played(t *testing.T, rng *rand.Rand, steps int) *rig {
	t.Helper()
	r := newRig(t, vfs.NewMem(), nil)
	p := newPlayer(r, 2, rng.IntN)
	for range steps {
		p.step()
	}
	r.toEnd()
	return r
}

// walk follows the pages of a query to the end.
func (r *rig) walk(q projections.Query) []projections.Transaction {
	r.t.Helper()
	var all []projections.Transaction
	for {
		page, err := r.views.Transactions(bg, q)
		require.NoError(r.t, err)
		require.NotNil(r.t, page.Items)
		require.LessOrEqual(r.t, len(page.Items), q.Limit)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		q.Cursor = page.Next
	}
}

// sieve is the slow twin of every query: all entries, one by one.
func sieve(entries []projections.Transaction, q projections.Query) []projections.Transaction {
	var out []projections.Transaction
	for _, e := range slices.Backward(entries) {
		if (q.Type == "" || e.Type == q.Type) && (q.Service == "" || e.Service == q.Service) &&
			(q.Reference == "" || e.Reference == q.Reference) &&
			!e.RecordedAt.Before(q.From) && (q.To.IsZero() || e.RecordedAt.Before(q.To)) {
			out = append(out, e)
		}
	}
	return out
}

func TestEveryFilterEqualsTheSieve(t *testing.T) {
	seeded(t, 6, func(t *testing.T, rng *rand.Rand) {
		r := played(t, rng, 300)
		all := r.log()
		hits := 0
		for range 150 {
			name := fmt.Sprint("a", rng.IntN(2))
			entries := all[name].entries
			q := projections.Query{Account: name, Limit: 1 + rng.IntN(40)}
			sample := entries[rng.IntN(len(entries))]
			if rng.IntN(3) == 0 {
				q.Type = sample.Type
			}
			if rng.IntN(4) == 0 {
				q.Service = sample.Service
			}
			if rng.IntN(5) == 0 {
				q.Reference = sample.Reference
			}
			if rng.IntN(2) == 0 {
				q.From = sample.RecordedAt.Add(time.Duration(rng.IntN(3) - 1))
			}
			if rng.IntN(2) == 0 {
				q.To = entries[rng.IntN(len(entries))].RecordedAt.Add(time.Duration(rng.IntN(3) - 1))
			}
			want := sieve(entries, q)
			hits += len(want)
			require.Equal(t, want, r.walk(q), "%+v", q)
			require.Equal(t, want, r.history(q), "%+v", q)
		}
		require.Positive(t, hits)
	})
}

func TestDatesBeyondTheHistory(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	for i := range 5 {
		r.do("a", "", account.RecordPurchase{Purchase: fmt.Sprint(i), Amount: credit})
		r.clock.Move(time.Hour)
	}
	r.do("b", "", account.RecordPurchase{Purchase: "b", Amount: credit})
	r.toEnd()
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Hour) }
	for _, c := range []struct {
		from, to time.Time
		want     []int64
	}{
		{want: []int64{4, 3, 2, 1, 0}},
		{from: at(1), to: at(3), want: []int64{2, 1}},
		{from: at(1).Add(1), to: at(3).Add(1), want: []int64{3, 2}},
		{to: at(0)},
		{to: at(0).Add(1), want: []int64{0}},
		{to: at(99), want: []int64{4, 3, 2, 1, 0}},
		{from: at(99)},
		{from: at(4), want: []int64{4}},
		{from: at(3), to: at(1)},
		{from: at(1).In(time.FixedZone("", 7200)), to: at(2), want: []int64{1}},
	} {
		var got []int64
		for _, e := range r.walk(projections.Query{Account: "a", From: c.from, To: c.to, Limit: 2}) {
			got = append(got, e.Revision)
		}
		require.Equal(t, c.want, got, "%s to %s", c.from, c.to)
	}
}

// Pages taken while entries arrive show each entry that was there at the first
// page once, and none that came later.
func TestCursorsAreStableUnderWrites(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.follow()
	r.spend("a", 60)
	require.NoError(t, r.views.WaitThrough(within(t), r.AckedAny()))
	ctx, stop := context.WithCancel(bg)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := r.try("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay}); err != nil {
				t.Errorf("deduct: %v", err)
				return
			}
		}
	})
	for limit := 1; limit < 60; limit += 7 {
		got := r.walk(projections.Query{Account: "a", Limit: limit})
		require.Zero(t, got[len(got)-1].Revision)
		for i, e := range got {
			require.Equal(t, got[0].Revision-int64(i), e.Revision, "an entry is missing or doubled")
		}
	}
}

func TestCursorsOfOtherListsAreRefused(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 5)
	r.spend("b", 5)
	r.toEnd()
	q := projections.Query{Account: "a", Type: account.EntryDeduction, Limit: 2}
	page, err := r.views.Transactions(bg, q)
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	refuse := func(q projections.Query) {
		t.Helper()
		_, err := r.views.Transactions(bg, q)
		require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%+v: %v", q, err)
		refusal, _ := domain.AsError(err)
		require.Equal(t, []domain.Field{{Name: "field", Value: "cursor"}, {Name: "value", Value: q.Cursor}}, refusal.Fields)
	}
	q.Cursor = page.Next
	for _, change := range []func(*projections.Query){
		func(q *projections.Query) { q.Account = "b" },
		func(q *projections.Query) { q.Type = account.EntryPurchase },
		func(q *projections.Query) { q.Service = domain.ServiceRay },
		func(q *projections.Query) { q.Reference = "r" },
		func(q *projections.Query) { q.From = start },
		func(q *projections.Query) { q.To = start },
		func(q *projections.Query) { q.Cursor = q.Cursor[:10] },
		func(q *projections.Query) { q.Cursor += "AAAA" },
		func(q *projections.Query) { q.Cursor = "_" + q.Cursor[1:] },
		func(q *projections.Query) { q.Cursor = "no cursor!" },
	} {
		other := q
		change(&other)
		refuse(other)
	}
	q.Limit = 3
	page, err = r.views.Transactions(bg, q)
	require.NoError(t, err, "another limit is the same list")
	require.Len(t, page.Items, 3)
	q.Cursor = page.Next
	page, err = r.views.Transactions(bg, q)
	require.NoError(t, err)
	require.Empty(t, page.Items, "five deductions are two and three")
	require.Empty(t, page.Next)
}

// A filter that selects nothing among very many entries answers in bounded steps.
func TestARareFilterIsAnsweredInSteps(t *testing.T) {
	const entries, scan = 10_300, 10_000
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "", account.RecordPurchase{Purchase: "the one", Amount: 1000 * credit})
	requests := make([]ledgerRequest, entries)
	for i := range requests {
		requests[i] = ledgerRequest{Account: "a", Do: account.Deduct{Amount: 1, Service: domain.ServiceRay}, Actor: "t", Role: "service"}
	}
	for chunk := range slices.Chunk(requests, 5_000) {
		for _, o := range r.ExecuteBatch(bg, chunk) {
			require.NoError(t, o.Err)
		}
	}
	r.toEnd()
	q := projections.Query{Account: "a", Reference: "the one", Limit: 50}
	page, err := r.views.Transactions(bg, q)
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.NotEmpty(t, page.Next)
	q.Cursor = page.Next
	page, err = r.views.Transactions(bg, q)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Empty(t, page.Next)
	q.Cursor, q.Reference = "", ""
	q.Limit = scan + 100
	page, err = r.views.Transactions(bg, q)
	require.NoError(t, err)
	require.Len(t, page.Items, scan)
}

func TestAFileIsAsOfTheCall(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 9)
	r.toEnd()
	seen := 0
	for _, err := range r.views.Each(bg, projections.Query{Account: "a", Limit: 1, Cursor: "ignored"}) {
		require.NoError(t, err)
		if seen++; seen == 3 {
			r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
			r.toEnd()
		}
	}
	require.Equal(t, 10, seen)
	for _, err := range r.views.Each(bg, projections.Query{Account: "a"}) {
		require.NoError(t, err)
		break
	}
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	var last error
	for _, err := range r.views.Each(ctx, projections.Query{Account: "a"}) {
		cancel()
		last = err
	}
	require.ErrorIs(t, last, context.Canceled)
}

func TestTransactionLookUp(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 5 * credit, ExpiresAt: start.Add(time.Hour)})
	deducted := r.do("a", "k", account.Deduct{
		Amount: 2 * credit, Service: domain.ServiceVM, Reference: "ref", Description: "sealed",
		EffectiveAt: start.Add(-time.Hour).In(time.FixedZone("", 3600)),
	})
	refunded := r.do("a", "", account.Refund{Transaction: deducted.Facts[0].ID, Amount: credit, Reason: "why"})
	r.do("a", "", account.Freeze{})
	r.toEnd()
	got, found, err := r.views.Transaction(bg, "a", 1)
	require.NoError(t, err)
	require.True(t, found)
	lot := account.LotUse{Lot: 0, Class: account.Purchased, Amount: 2 * credit, ExpiresAt: start.Add(time.Hour)}
	require.Equal(t, projections.Transaction{
		ID: deducted.Facts[0].ID, Account: "a", Type: account.EntryDeduction, Service: domain.ServiceVM,
		Amount: -2 * credit, BalanceAfter: 3 * credit, RecordedAt: start, EffectiveAt: start.Add(-time.Hour),
		Reference: "ref", Description: "sealed", Actor: "tester", Lots: []account.LotUse{lot}, Related: uuid.Nil,
		Revision: 1, Position: deducted.Position,
	}, got)
	answered, ok := projections.TransactionOf(deducted.Facts[0], deducted.Balances[0])
	require.True(t, ok)
	require.Equal(t, got, answered, "the answer to a command shows what the history shows")

	got, found, err = r.views.Transaction(bg, "a", 2)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, deducted.Facts[0].ID, got.Related)
	require.Equal(t, refunded.Facts[0].ID, got.ID)
	require.Equal(t, 4*credit, got.BalanceAfter)
	for _, missing := range []int64{3, 4, -1} {
		_, found, err = r.views.Transaction(bg, "a", missing)
		require.NoError(t, err)
		require.False(t, found, "revision %d shows no entry", missing)
	}
}
