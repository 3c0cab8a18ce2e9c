package pebblestore

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/stretchr/testify/require"
)

// TestARecordOfTheManifestThatIsHalfWritten, any half of it, is what a power cut leaves:
// a record that goes over the end of a block has two chunks, and one is no proof of the other.
func TestARecordOfTheManifestThatIsHalfWritten(t *testing.T) {
	const sector = 512
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		var file bytes.Buffer
		w := record.NewWriter(&file)
		synced := 0
		for file.Len() < chunkBlock { // the last goes over the end of a block
			synced = file.Len()
			_, err := w.WriteRecord(randomBytes(rng, 1+rng.IntN(6*sector)))
			require.NoError(t, err)
		}
		for range 20 {
			cut := bytes.Clone(file.Bytes())
			for at := synced; at < len(cut); at = (at/sector + 1) * sector {
				if rng.IntN(2) == 0 {
					clear(cut[at:min((at/sector+1)*sector, len(cut))])
				}
			}
			_, found, err := manifestChunks.damage(bytes.NewReader(cut[:synced+rng.IntN(len(cut)-synced+1)]))
			require.NoError(t, err)
			require.False(t, found, "%d of %d bytes are durable", synced, len(cut))
		}
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
