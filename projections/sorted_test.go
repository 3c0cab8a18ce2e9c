package projections

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOrderOfKeys: few keys and many, of accounts whose names begin alike or don't,
// come in the order of their bytes; of those with one key the earlier comes first.
func TestOrderOfKeys(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var s sortedKeys
	for _, n := range []int{0, 1, 2, 100, byHeadFrom - 1, byHeadFrom, 20_000} {
		for _, accounts := range []string{"customer-%05d", "%d", "%x", "one account, always the same, whatever the number%.0d"} {
			s.reset()
			for i := range n {
				name := fmt.Sprintf(accounts, rng.IntN(1+n/3))
				rest := make([]byte, rng.IntN(20))
				for at := range rest {
					rest[at] = byte(rng.IntN(1 + rng.IntN(256)))
				}
				prefix := []byte{namePrefix, transactionPrefix, balancePrefix, checkpointKey}[rng.IntN(4)]
				s.add(entry{key: s.copy(key(prefix, name, rest...)), value: fmt.Append(nil, i)})
			}
			want := slices.Clone(s.entries)
			slices.SortStableFunc(want, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
			var got []entry
			for _, p := range s.order() {
				got = append(got, s.entries[p.index])
			}
			require.Equal(t, len(want), len(got))
			for i := range want {
				require.Equal(t, string(want[i].key), string(got[i].key), "%d of %d keys, %s", i, n, accounts)
				require.Equal(t, string(want[i].value), string(got[i].value), "%d of %d keys, %s", i, n, accounts)
			}
		}
	}
}

// TestMemoryOfALargeBatchIsGivenBack, but for as much as is kept for the next.
func TestMemoryOfALargeBatchIsGivenBack(t *testing.T) {
	var s sortedKeys
	for range 2 * maxArenas {
		s.copy(make([]byte, arenaBytes))
	}
	s.reset()
	require.Len(t, s.arenas, maxArenas)
	for _, behind := range s.arenas[len(s.arenas):cap(s.arenas)] {
		require.Zero(t, cap(behind))
	}
}
