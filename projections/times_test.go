package projections_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/projections"
)

// replayed answers a question about the past by going through everything.
func replayed(a *told, asOf, knownAt time.Time) (known account.Balance, revision int64, effective domain.Amount, statement []int64) {
	figures := account.New().Figures
	revision = eventstore.NoStream
	for _, f := range a.facts {
		if !f.Meta.RecordedAt.After(knownAt) {
			figures.Apply(f.Body, f.Revision)
			revision = f.Revision
		}
	}
	for _, e := range a.entries {
		if !e.RecordedAt.After(knownAt) && !e.EffectiveAt.After(asOf) {
			effective += e.Amount
			statement = append([]int64{e.Revision}, statement...)
		}
	}
	return figures.Balance(), revision, effective, statement
}

// TestThePastAgreesWithAReplay asks about random times, those of events included.
func TestThePastAgreesWithAReplay(t *testing.T) {
	seeded(t, 8, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		p := newPlayer(r, 2, rng.IntN)
		for range 400 {
			p.step()
			if rng.IntN(3) == 0 {
				p.lateCharge(rng)
			}
		}
		r.toEnd()
		for name, a := range r.log() {
			for range 60 {
				r.checkPast(name, a, pastTime(rng, a), pastTime(rng, a))
			}
		}
	})
}

// lateCharge spends something that was used long before, by any scale of time.
func (p *player) lateCharge(rng *rand.Rand) {
	late := time.Duration(rng.Int64N(int64(time.Second) << rng.IntN(30)))
	_, _ = p.try(fmt.Sprint("a", p.intn(p.accounts)), "", account.Deduct{
		Amount: p.amount(), Service: domain.ServiceRay, EffectiveAt: p.clock.Now().Add(-late),
	})
}

func pastTime(rng *rand.Rand, a *told) time.Time {
	f := a.facts[rng.IntN(len(a.facts))]
	if e := a.entries[rng.IntN(len(a.entries))]; rng.IntN(3) == 0 {
		return e.EffectiveAt
	}
	return f.Meta.RecordedAt.Add(time.Duration(rng.IntN(3)-1) * time.Microsecond)
}

// checkPast holds what the views say of a past to a replay.
func (r *rig) checkPast(name string, a *told, asOf, knownAt time.Time) {
	r.t.Helper()
	known, revision, effective, statement := replayed(a, asOf, knownAt)
	got, err := r.views.BalanceKnownAt(bg, name, knownAt)
	require.NoError(r.t, err)
	require.Equal(r.t, known, got.Balance, "known at %s", knownAt)
	require.Equal(r.t, revision, got.Revision)
	balance, err := r.views.BalanceAsOf(bg, name, asOf, knownAt)
	require.NoError(r.t, err)
	require.Equal(r.t, effective, balance, "as of %s, known at %s", asOf, knownAt)
	r.checkStatement(name, asOf, knownAt, statement)
}

func (r *rig) checkStatement(name string, asOf, knownAt time.Time, want []int64) {
	r.t.Helper()
	var got []int64
	q := projections.Query{Account: name, AsOf: asOf, KnownAt: knownAt, Limit: 7}
	for {
		page, err := r.views.Transactions(bg, q)
		require.NoError(r.t, err)
		for _, e := range page.Items {
			got = append(got, e.Revision)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	require.Equal(r.t, want, got, "statement as of %s, known at %s", asOf, knownAt)
}

// TestALateReadingChangesAsOfOnly is the sentence of the issue.
func TestALateReadingChangesAsOfOnly(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 100 * credit})
	yesterday := r.clock.Now().Add(time.Minute)
	r.clock.Move(24 * time.Hour)
	before := r.clock.Now()
	r.clock.Move(time.Minute)
	quantity, err := domain.ParseQuantity("quantity", "3")
	require.NoError(t, err)
	price, err := domain.ParseRate("unit_price", "2")
	require.NoError(t, err)
	r.do("a", "", account.RecordReading{Meter: "m", Service: domain.ServiceVM, Quantity: quantity, UnitPrice: price, EffectiveAt: yesterday})
	r.toEnd()

	asOf := func(at, known time.Time) string {
		balance, err := r.views.BalanceAsOf(bg, "a", at, known)
		require.NoError(t, err)
		return balance.String()
	}
	knownAt, err := r.views.BalanceKnownAt(bg, "a", before)
	require.NoError(t, err)
	require.Equal(t, "100", knownAt.Balance.Balance.String(), "what was known then stays so")
	require.Equal(t, "94", asOf(yesterday, time.Time{}), "what is known now of yesterday")
	require.Equal(t, "100", asOf(yesterday, before), "what was known then of yesterday")
	require.Equal(t, "100", asOf(yesterday.Add(-time.Microsecond), time.Time{}), "before it counts")
}

// TestALongPastReadsLittle: 20,000 events, and the log is asked for a few.
func TestALongPastReadsLittle(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	counting := &countingStore{Store: r.store}
	r.opts.Store = counting
	require.NoError(t, r.views.Close())
	r.views = openViews(t, "views", r.opts)
	r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
	var middle time.Time
	for i := range 20 {
		if i == 10 {
			middle = r.clock.Now()
		}
		r.clock.Move(time.Hour)
		batch := make([]account.Action, 1000)
		for j := range batch {
			batch[j] = account.Deduct{Amount: 1, Service: domain.ServiceRay}
		}
		r.all("a", batch)
	}
	r.toEnd()
	counting.read = 0
	got, err := r.views.BalanceKnownAt(bg, "a", middle)
	require.NoError(t, err)
	require.Equal(t, int64(10_000), got.Revision)
	require.LessOrEqual(t, counting.read, 256)
	balance, err := r.views.BalanceAsOf(bg, "a", middle, middle)
	require.NoError(t, err)
	require.Equal(t, got.Balance.Balance, balance)
}
