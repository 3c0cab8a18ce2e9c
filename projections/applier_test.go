package projections_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

// TestFillingReadsThroughWhatIsUnderWay: a change is filled while the one before it is
// being written, so the database may not have that yet. Filled so throughout, and again
// after changes that failed, the views are what they are otherwise, byte for byte.
func TestFillingReadsThroughWhatIsUnderWay(t *testing.T) {
	seeded(t, 20, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		r.toEnd() // names are asked for
		p := newPlayer(r, 3, rng.IntN)
		for range 250 {
			p.step()
		}
		require.Greater(t, p.accepted, 50, "the game was no game")
		require.NoError(t, r.views.FillAhead(bg, func() int { return 1 + rng.IntN(8) }, func() bool { return rng.IntN(6) == 0 }))
		require.Equal(t, r.AckedAny(), r.views.Through())
		require.NoError(t, r.views.Close())
		require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
	})
}

// TestRowsWrittenLate: until a rebuild has what the log had at its beginning, rows of
// accounts are in memory alone. When it has, everything is there. If a change fails
// before, the rows are gone, and nothing goes on without them.
func TestRowsWrittenLate(t *testing.T) {
	seeded(t, 10, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		r.toEnd()
		p := newPlayer(r, 3, rng.IntN)
		for range 250 {
			p.step()
		}
		end := r.AckedAny()
		size := func() int { return 1 + rng.IntN(8) }
		broken := openViews(t, "broken", r.opts)
		broken.WholeFrom(end)
		written := 0
		err := broken.FillAhead(bg, size, func() bool { written++; return written == 3 })
		require.ErrorContains(t, err, "are lost")

		r.views.WholeFrom(end - eventstore.Position(rng.IntN(int(end)/2)))
		require.NoError(t, r.views.FillAhead(bg, size, func() bool { return false }))
		require.NoError(t, r.views.Close())
		require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
	})
}
