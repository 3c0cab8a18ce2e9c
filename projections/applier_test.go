package projections_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
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
