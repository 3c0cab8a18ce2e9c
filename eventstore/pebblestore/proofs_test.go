package pebblestore

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// TestARecordOfTheManifestThatIsHalfWritten, any half of it, is what a power cut leaves:
// a record that goes over the end of a block has two chunks, and one is no proof of the other.
func TestARecordOfTheManifestThatIsHalfWritten(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 60 {
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
			if rng.IntN(4) == 0 {
				cut = cut[:synced+rng.IntN(len(cut)-synced)]
			}
			_, found, err := manifestChunks.damage(bytes.NewReader(cut))
			require.NoError(t, err)
			require.False(t, found, "%d of %d bytes are durable", synced, file.Len())
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

// TestABitLostBetweenBlocks: Pebble reads the zeros that fill a block, too, and takes what
// else is there for the end of the log.
func TestABitLostBetweenBlocks(t *testing.T) {
	const behind = 4
	ofLog := logChunks(aLog)
	header := ofLog.header
	for filling := 1; filling < header; filling++ {
		log := newSyncedLog()
		log.write(t, chunkBlock/2-header)
		log.write(t, chunkBlock/2-header-filling)
		for range behind {
			log.write(t, 100)
		}
		all := bytes.Clone(log.file.Bytes())
		require.NoError(t, log.w.Close())
		require.Equal(t, 2+behind, recordsOf(all))
		for bit := range 8 * filling {
			spoilt := bytes.Clone(all)
			spoilt[chunkBlock-filling+bit/8] ^= 1 << (bit % 8)
			at, found, err := ofLog.damage(bytes.NewReader(spoilt))
			require.NoError(t, err)
			require.True(t, found || recordsOf(spoilt) == 2+behind, "bit %d of %d bytes", bit, filling)
			if found {
				require.EqualValues(t, chunkBlock-filling, at)
				require.GreaterOrEqual(t, filling, manifestChunks.header, "Pebble looks at no less")
			}
		}
	}
}

// aLog is a log's number.
const aLog = 7

// syncedLog is a log of Pebble's of which each record is synced before the next.
type syncedLog struct {
	file  *syncedFile
	w     *record.LogWriter
	queue chan struct{}
}

type syncedFile struct{ bytes.Buffer }

func (*syncedFile) Sync() error { return nil }

func newSyncedLog() *syncedLog {
	l := &syncedLog{file: &syncedFile{}, queue: make(chan struct{}, 1)}
	l.w = record.NewLogWriter(l.file, aLog, record.LogWriterConfig{
		WALFsyncLatency: prometheus.NewHistogram(prometheus.HistogramOpts{}), QueueSemChan: l.queue, WriteWALSyncOffsets: func() bool { return true },
	})
	return l
}

func (l *syncedLog) write(t *testing.T, n int) {
	t.Helper()
	l.queue <- struct{}{}
	var synced sync.WaitGroup
	synced.Add(1)
	var failed error
	_, err := l.w.SyncRecord(make([]byte, n), &synced, &failed)
	require.NoError(t, err)
	synced.Wait()
	require.NoError(t, failed)
}

// recordsOf is how many records Pebble reads of a log.
func recordsOf(log []byte) (n int) {
	for r := record.NewReader(bytes.NewReader(log), aLog); ; n++ {
		next, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, next)
		}
		if err != nil {
			return n
		}
	}
}
