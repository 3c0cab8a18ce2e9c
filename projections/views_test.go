package projections_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
	"iocredits/projections"
)

// seeded runs a test on several random seeds, each in its name; on a quarter of them
// with -short.
func seeded(t *testing.T, runs int, test func(t *testing.T, rng *rand.Rand)) {
	if testing.Short() {
		runs = max(1, runs/4)
	}
	for range runs {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { test(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

// After any history the views say what the log says, whatever the batches were.
func TestViewsSayWhatTheLogSays(t *testing.T) {
	seeded(t, 20, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		p := newPlayer(r, 3, rng.IntN)
		for range 250 {
			p.step()
			if rng.IntN(20) == 0 {
				r.toEnd()
			}
		}
		require.Greater(t, p.accepted, 50, "the game was no game")
		r.toEnd()
		all := r.log()
		for name, a := range all {
			r.checkBalance(name, a)
			r.checkHistory(name, a)
		}
		r.checkDeadlines(all, rng)
		require.NoError(t, r.views.Close())
		require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
	})
}

func (r *rig) checkBalance(name string, a *told) {
	r.t.Helper()
	got, err := r.views.Balance(bg, name)
	require.NoError(r.t, err)
	last := a.facts[len(a.facts)-1]
	require.Equal(r.t, projections.Balance{
		Balance: a.state.Figures.Balance(), Policy: a.state.Policy,
		Revision: last.Revision, Position: last.Position, RecordedAt: last.Meta.RecordedAt,
	}, got)
	strong, err := r.Read(bg, name)
	require.NoError(r.t, err)
	require.Equal(r.t, strong.Balance, got.Balance)
	require.Equal(r.t, strong.Policy, got.Policy)
	require.Equal(r.t, strong.Revision, got.Revision)
}

func (r *rig) history(q projections.Query) []projections.Transaction {
	r.t.Helper()
	var all []projections.Transaction
	for entry, err := range r.views.Each(bg, q) {
		require.NoError(r.t, err)
		all = append(all, entry)
	}
	return all
}

// checkHistory adds a history up: amounts make the balance, entry by entry, and
// held sums make what is reserved.
func (r *rig) checkHistory(name string, a *told) {
	r.t.Helper()
	entries := r.history(projections.Query{Account: name})
	slices.Reverse(entries)
	require.Equal(r.t, a.entries, entries)
	var balance, held domain.Amount
	for _, e := range entries {
		balance += e.Amount
		held += e.Held
		require.Equal(r.t, balance, e.BalanceAfter)
		one, found, err := r.views.Transaction(bg, name, e.Revision)
		require.NoError(r.t, err)
		require.True(r.t, found)
		require.Equal(r.t, e, one)
	}
	now, err := r.views.Balance(bg, name)
	require.NoError(r.t, err)
	require.Equal(r.t, now.Balance.Balance, balance)
	require.Equal(r.t, now.Reserved+now.Withdrawing, held)
}

// checkDeadlines compares with the lots and deadlines of the folded states.
func (r *rig) checkDeadlines(all map[string]*told, rng *rand.Rand) {
	r.t.Helper()
	first := map[string]time.Time{}
	for name, a := range all {
		for _, at := range deadlines(a.state) {
			if soonest, known := first[name]; !known || at.Before(soonest) {
				first[name] = at
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(first), func(a, b string) int { return first[a].Compare(first[b]) })
	next, found, err := r.views.NextDue(bg)
	require.NoError(r.t, err)
	require.Equal(r.t, len(names) > 0, found)
	if found {
		require.True(r.t, first[names[0]].Equal(next), "next due is %s, not %s", next, first[names[0]])
	}
	for range 10 {
		now := r.clock.Now().Add(time.Duration(rng.IntN(7200)-1800) * time.Second)
		var want []time.Time
		for _, name := range names {
			if !first[name].After(now) {
				want = append(want, first[name])
			}
		}
		due, err := r.views.DueAccounts(bg, now, 100, func(string) bool { return false })
		require.NoError(r.t, err)
		var got []time.Time
		for _, name := range due {
			got = append(got, first[name])
		}
		require.Equal(r.t, want, got)
	}
}

func deadlines(s *account.State) []time.Time {
	var all []time.Time
	for _, l := range s.Lots {
		if !l.ExpiresAt.IsZero() {
			all = append(all, l.ExpiresAt)
		}
	}
	for _, d := range s.Due {
		all = append(all, d.At)
	}
	return all
}

func TestAnAccountNeverSeenReadsAsZeros(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	got, err := r.views.Balance(bg, "nobody")
	require.NoError(t, err)
	require.Equal(t, projections.Balance{Policy: account.DefaultPolicy(), Revision: -1}, got)
	page, err := r.views.Transactions(bg, projections.Query{Account: "nobody", Limit: 10, From: start, To: start.Add(1)})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.Empty(t, page.Next)
	_, found, err := r.views.Transaction(bg, "nobody", 0)
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = r.views.Find(bg, "nobody", ledger.NameOfCommand("k"))
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = r.views.NextDue(bg)
	require.NoError(t, err)
	require.False(t, found)
}

// A history never disagrees with the balance read before it, nor a balance with the
// history read before it, however fast the log moves, and neither ever goes back.
func TestReadersSeeOneMoment(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.follow()
	r.spend("a", 1)
	require.NoError(t, r.views.WaitThrough(within(t), r.AckedAny()))
	ctx, stop := context.WithCancel(bg)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := r.try("a", "", account.Deduct{Amount: 7, Service: domain.ServiceVM}); err != nil {
				t.Errorf("deduct: %v", err)
				return
			}
		}
	})
	last, seen := int64(0), 0
	for seen < 100 {
		require.False(t, t.Failed(), "nothing more comes")
		newest, err := r.views.Transactions(bg, projections.Query{Account: "a", Limit: 1})
		require.NoError(t, err)
		b, err := r.views.Balance(bg, "a")
		require.NoError(t, err)
		require.GreaterOrEqual(t, b.Revision, newest.Items[0].Revision, "a balance is behind its history")
		require.GreaterOrEqual(t, b.Revision, last, "a balance went back")
		if b.Revision > last {
			seen++
		}
		last = b.Revision
		found := false
		for e, err := range r.views.Each(bg, projections.Query{Account: "a"}) {
			require.NoError(t, err)
			if found = e.Revision == b.Revision; found {
				require.Equal(t, b.Balance.Balance, e.BalanceAfter)
				require.Equal(t, b.Position, e.Position)
			}
			if e.Revision <= b.Revision {
				break
			}
		}
		require.True(t, found, "the balance's event is not in the history")
	}
}

func TestClosedViewsAnswerSo(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 1)
	waiting := make(chan error, 1)
	go func() { waiting <- r.views.WaitThrough(bg, r.AckedAny()+1) }()
	require.NoError(t, r.views.Close())
	require.NoError(t, r.views.Close())
	require.ErrorIs(t, <-waiting, projections.ErrClosed)
	_, err := r.views.Balance(bg, "a")
	require.ErrorIs(t, err, projections.ErrClosed)
	_, _, err = r.views.Find(bg, "a", ledger.NameOfCommand("k"))
	require.ErrorIs(t, err, projections.ErrClosed)
	_, err = r.views.DueAccounts(bg, start, 1, nil)
	require.ErrorIs(t, err, projections.ErrClosed)
	err = nil
	for _, stopped := range r.views.Each(bg, projections.Query{Account: "a"}) {
		err = errors.Join(err, stopped)
	}
	require.ErrorIs(t, err, projections.ErrClosed, "a file would be short, and look whole")
	require.ErrorIs(t, r.views.RunToEnd(bg, nil), projections.ErrClosed)
	require.ErrorIs(t, r.views.Rebuild(bg, nil), projections.ErrClosed)
	r.views.Run(bg)
}
