package projections_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/journal"
)

// TestThePastOfYears is TestThePastAgreesWithAReplay for accounts over years, at a clock that
// steps back by hours and jumps ahead by months, while ledgers come and go: what was recorded
// never goes back, and whatever is asked about the past adds up.
func TestThePastOfYears(t *testing.T) {
	seeded(t, 4, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		p := newPlayer(r, 2, rng.IntN)
		for range 700 {
			p.step()
			switch rng.IntN(12) {
			case 0:
				p.lateCharge(rng)
			case 1:
				r.clock.Move(-time.Duration(rng.Int64N(int64(48 * time.Hour))))
			case 2:
				r.clock.Move(time.Duration(rng.Int64N(int64(40 * 24 * time.Hour))))
			case 3:
				r.clock.Move(-time.Duration(rng.IntN(3)) * time.Microsecond)
			case 4:
				if rng.IntN(6) == 0 {
					r.toEnd()
					r.restart()
				}
			}
		}
		r.toEnd()
		for name, a := range r.log() {
			strong, err := r.Read(bg, name)
			require.NoError(t, err)
			require.Equal(t, a.state.Figures.Balance(), strong.Balance)
			for i := range a.facts[1:] {
				require.False(t, a.facts[i+1].Meta.RecordedAt.Before(a.facts[i].Meta.RecordedAt), "time went back in %s at %d", name, i+1)
			}
			for range 40 {
				r.checkPast(name, a, pastTime(rng, a), pastTime(rng, a))
			}
			r.months(name, a)
			r.booked(name, a)
		}
	})
}

// months holds the statements of all months to the entries: each has what was recorded in it,
// and opens with what the one before has closed with.
func (r *rig) months(name string, a *told) {
	r.t.Helper()
	first, last := a.facts[0].Meta.RecordedAt, a.facts[len(a.facts)-1].Meta.RecordedAt
	entries, closing := 0, domain.Amount(0)
	for from := time.Date(first.Year(), first.Month(), 1, 0, 0, 0, 0, time.UTC); !from.After(last); {
		to := from.AddDate(0, 1, 0)
		s, err := r.views.Statement(bg, name, from, to)
		require.NoError(r.t, err)
		require.Equal(r.t, closing, s.Opening, "%s opens %s", name, from)
		in, sum := 0, s.Opening
		for _, e := range a.entries {
			if !e.RecordedAt.Before(from) && e.RecordedAt.Before(to) {
				in++
				sum += e.Amount
			}
		}
		require.Equal(r.t, in, s.Entries)
		require.Equal(r.t, sum, s.Closing, "%s closes %s", name, from)
		total := journal.Sum{}.Add(s.Opening)
		for _, t := range s.Totals {
			total = total.Plus(t.Amount)
		}
		require.Equal(r.t, s.Closing.String(), total.String())
		entries, closing, from = entries+in, s.Closing, to
	}
	require.Equal(r.t, len(a.entries), entries)
	require.Equal(r.t, a.state.Figures.Balance().Balance, closing)
}

// booked holds an account's balance to the books of its events.
func (r *rig) booked(name string, a *told) {
	r.t.Helper()
	books := a.books(r.t, r.views.Through())
	require.Equal(r.t, journal.Sum{}, books.Open())
	balance, fits := books.Balance().Amount()
	require.True(r.t, fits)
	require.Equal(r.t, a.state.Figures.Balance().Balance, balance)
	b, err := r.views.Balance(bg, name)
	require.NoError(r.t, err)
	require.Equal(r.t, a.state.Figures.Balance(), b.Balance)
}
