package pebblestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble writes its logs and manifests in chunks, within blocks of chunkBlock bytes.
// Numbers are little-endian:
//
//	crc:4 length:2 type:1 payload                   in a manifest
//	crc:4 length:2 type:1 log:4 synced:8 payload    in a log; synced is how much was, then
//
// It takes the first chunk that it can't read for the end: there a crash leaves one of which
// not all came to the disk. So a bit that was lost would take with it all that stands behind
// it and was acknowledged. What was written when that chunk was durable proves that it is
// damage. Pebble looks for such a proof in the blocks behind it, in no manifest; and it
// counts too little as synced, the less the larger its groups are.
type chunks struct {
	header int
	// types are the first and the last that a chunk may have. With the first it is a whole
	// record, with the next it begins one.
	types [2]byte
	// log is the log's number; a manifest's chunks have none.
	log uint32
	// proof is how many different figures of what was synced the chunks behind a damaged one
	// must have, where none reaches to it. The first may be from before that one was written,
	// and the sync of the second may have begun before; who writes the third has waited for
	// one that covers it.
	proof int
}

const chunkBlock = 32 << 10

// manifestChunks are of a file of which each record is synced before the next is written.
var manifestChunks = chunks{header: 7, types: [2]byte{1, 4}, proof: 1}

func logChunks(number uint64) chunks {
	return chunks{header: 19, types: [2]byte{9, 12}, log: uint32(number), proof: 3}
}

// next gives the end of the chunk at a place in a block; false if none can be read there.
func (c *chunks) next(block []byte, at int) (end int, whole bool) {
	b := block[at:]
	if len(b) < c.header || b[6] < c.types[0] || b[6] > c.types[1] {
		return 0, false
	}
	length := c.header + int(binary.LittleEndian.Uint16(b[4:]))
	if length > len(b) || c.log != 0 && binary.LittleEndian.Uint32(b[7:]) != c.log {
		return 0, false
	}
	crc := crc32.Checksum(b[6:length], castagnoli)
	return at + length, binary.LittleEndian.Uint32(b) == crc>>15|crc<<17+0xa282ead8
}

// synced is what the chunk at the beginning of b says; of a manifest 0, which reaches nowhere.
func (c *chunks) synced(b []byte) uint64 {
	if c.log == 0 {
		return 0
	}
	return binary.LittleEndian.Uint64(b[11:])
}

// isProof tells whether the chunk at the beginning of b was written after a sync, or says how
// far one went. A manifest's chunk was, if it begins a record: the others of a record are
// written, and come to the disk, together with its first, in any order.
func (c *chunks) isProof(b []byte) bool { return c.log != 0 || b[6] <= c.types[0]+1 }

// damage gives where in a file the first chunk is that can't be read, if it once was durable.
func (c *chunks) damage(f io.Reader) (at int64, found bool, err error) {
	block := make([]byte, chunkBlock)
	at, proofs, newest := -1, 0, uint64(math.MaxUint64)
	for start := int64(0); ; start += chunkBlock {
		n, err := io.ReadFull(f, block)
		if errors.Is(err, io.EOF) {
			return at, false, nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return at, false, err
		}
		here, i := false, 0
		for n-i >= c.header {
			end, whole := c.next(block[:n], i)
			switch {
			case whole:
				if synced := c.synced(block[i:]); at >= 0 && synced != newest && c.isProof(block[i:]) {
					proofs, newest = proofs+1, synced
				}
				if proofs == c.proof || proofs > 0 && newest > uint64(at) {
					return at, true, nil
				}
				i = end
			case at < 0:
				at, here = start+int64(i), true
			case here:
				i++ // nobody knows how long a chunk is that can't be read
			default:
				i = n // each block begins with a chunk
			}
		}
		// What is too short for a chunk is zeros, and Pebble ends where it isn't. It doesn't
		// look at less than the shortest header.
		if rest := block[i:n]; at < 0 && n == chunkBlock && len(rest) >= manifestChunks.header && !isZero(rest) {
			at = start + int64(i)
		}
	}
}

func isZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// checkEnds tells whether there is a store. It refuses one of which a log or manifest would be
// read up to damage only, and a part of one without the file that makes it a store. It MUST be
// called before Pebble opens the folder, which removes files that aren't in the manifest, as
// far as it reads it.
func checkEnds(disk vfs.FS, dir string) (exists bool, err error) {
	names, err := disk.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	newest, number, part := "", uint64(0), ""
	for _, name := range names {
		if ext := path.Ext(name); ext == ".sst" || ext == ".log" {
			part = name
		}
		digits, isLog := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(digits, 10, 64); isLog && err == nil && n >= number {
			newest, number = disk.PathJoin(dir, name), n
		}
	}
	if newest != "" {
		err = checkEnd(disk, newest, logChunks(number))
	}
	if err != nil {
		return false, err
	}
	found, err := pebble.Peek(dir, disk)
	if err == nil && !found.Exists && part != "" { // a new store has neither before its marker
		err = fmt.Errorf("%s is there, and no file marker.manifest: the folder is a part of a log, in which a new one would remove the rest. Restore all of it, empty files too", part)
	}
	if err != nil || !found.Exists {
		return false, err
	}
	return true, checkEnd(disk, found.ManifestFilename, manifestChunks)
}

func checkEnd(disk vfs.FS, name string, c chunks) (err error) {
	f, err := disk.Open(name, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at, found, err := c.damage(f)
	if err == nil && found {
		err = fmt.Errorf("%s is damaged at byte %d: what was there had been made durable before what stands behind it was written", name, at)
	}
	return err
}
