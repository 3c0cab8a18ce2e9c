package pebblestore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

func FuzzDecodeRecord(f *testing.F) {
	good := appendRecord(nil, &eventstore.Recorded{
		Event:  eventstore.Event{ID: uuid.New(), Type: "t", Data: []byte("d"), Metadata: []byte("m")},
		Stream: "s", Revision: 3, Position: 9, Created: time.UnixMicro(12345),
	}, true)
	f.Add(uint64(9), good, true)
	f.Add(uint64(9), good[:10], false)
	f.Fuzz(func(t *testing.T, position uint64, b []byte, mend bool) {
		if mend && len(b) > crcBytes { // past the checksum, to the fields
			fixed := bytes.Clone(b)
			sum := checksum(eventstore.Position(position), fixed[crcBytes:])
			fixed[0], fixed[1], fixed[2], fixed[3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
			b = fixed
		}
		r, last, err := decodeRecord(eventstore.Position(position), b)
		if err != nil {
			return
		}
		encoded := appendRecord(nil, &r, last.last())
		require.Len(t, encoded, recordLen(&r))
		again, lastAgain, err := decodeRecord(r.Position, encoded)
		require.NoError(t, err)
		require.Equal(t, last.last(), lastAgain.last())
		require.Equal(t, r, again)
	})
}

// TestChecksumIsCastagnolis: logs that are there were written with the library's.
func TestChecksumIsCastagnolis(t *testing.T) {
	body := []byte("body")
	for _, position := range []eventstore.Position{0, 1, 255, 1 << 40, math.MaxUint64} {
		whole := append(binary.BigEndian.AppendUint64(nil, uint64(position)), body...)
		require.Equal(t, crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli)), checksum(position, body))
	}
}
