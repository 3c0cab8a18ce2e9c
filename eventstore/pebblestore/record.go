package pebblestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
	"time"

	"iocredits/eventstore"
)

// Keys, numbers big-endian so that they sort. In the log:
//
//	'e' position:8                               → record
//	'i'                                          → movedFormat, 0: the index is not here
//
// In the index's database (indexdb.go):
//
//	's' length:2 stream revision:8               → positions of the events from there on
//	'i'                                          → format, position through which 's' has all, both
//	                                               uvarints; then the id of the event there: 16
//	'p' stream                                   → snapshot
//
// The length before the stream keeps every stream's keys together and apart
// from those of all others, whatever bytes a name has.
const (
	eventPrefix    = 'e'
	indexedKey     = 'i'
	streamPrefix   = 's'
	snapshotPrefix = 'p'
)

// eventKeyLen is the length of an event's key.
const eventKeyLen = 9

func eventKey(b []byte, position eventstore.Position) []byte {
	return binary.BigEndian.AppendUint64(append(b, eventPrefix), uint64(position))
}

func streamKey(b []byte, stream string, revision int64) []byte {
	b = binary.BigEndian.AppendUint16(append(b, streamPrefix), uint16(len(stream)))
	return binary.BigEndian.AppendUint64(append(b, stream...), uint64(revision))
}

func snapshotKey(stream string) []byte { return append([]byte{snapshotPrefix}, stream...) }

// Record:
//
//	crc:4 flags:1 revision created id:16 stream type data metadata
//
// crc is CRC-32C over the position (8 bytes, big-endian) and all that follows,
// so a record at another place is damage too. revision is a uvarint, created a
// varint of microseconds since 1970; stream, type and data stand behind their
// lengths as uvarints; metadata is the rest.
const (
	crcBytes = 4
	idBytes  = 16
)

// flags is the byte behind the checksum.
type flags byte

const (
	// flagLast marks the last event of an append.
	flagLast flags = 1 << iota
	// flagErased marks a record whose type, data and metadata were taken away. It
	// holds its place, and its id answers who repeats the append.
	flagErased
)

func (f flags) last() bool   { return f&flagLast != 0 }
func (f flags) erased() bool { return f&flagErased != 0 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is of the position, as eight bytes, and the body behind it.
func checksum(position eventstore.Position, body []byte) uint32 {
	crc := ^uint32(0) // bytes that are handed to crc32 would be memory of their own
	for shift := 56; shift >= 0; shift -= 8 {
		crc = castagnoli[byte(crc)^byte(position>>shift)] ^ crc>>8
	}
	return crc32.Update(^crc, castagnoli, body)
}

// appendRecord encodes r, whose Position MUST be set.
func appendRecord(b []byte, r *eventstore.Recorded, last bool) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0)
	if last {
		b[start+crcBytes] = byte(flagLast)
	}
	b = binary.AppendUvarint(b, uint64(r.Revision))
	b = binary.AppendVarint(b, r.Created.UnixMicro())
	b = append(b, r.ID[:]...)
	b = appendPart(b, r.Stream)
	b = appendPart(b, r.Type)
	b = appendPart(b, r.Data)
	b = append(b, r.Metadata...)
	binary.BigEndian.PutUint32(b[start:], checksum(r.Position, b[start+crcBytes:]))
	return b
}

// erasedRecord encodes what is left of r.
func erasedRecord(r *eventstore.Recorded, f flags) []byte {
	left := *r
	left.Event = eventstore.Event{ID: r.ID}
	b := appendRecord(nil, &left, f.last())
	b[crcBytes] |= byte(flagErased)
	binary.BigEndian.PutUint32(b, checksum(r.Position, b[crcBytes:]))
	return b
}

func appendPart[T ~string | ~[]byte](b []byte, part T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// recordLen is the exact length of appendRecord's result.
func recordLen(r *eventstore.Recorded) int {
	created := r.Created.UnixMicro()
	return crcBytes + 1 + uvarintLen(uint64(r.Revision)) + uvarintLen(uint64(created)<<1^uint64(created>>63)) + idBytes +
		partLen(len(r.Stream)) + partLen(len(r.Type)) + partLen(len(r.Data)) + len(r.Metadata)
}

func partLen(n int) int { return uvarintLen(uint64(n)) + n }

// uvarintLen is how many bytes a uvarint takes: seven bits each.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// recordSize bounds the encoding of an event.
func recordSize(stream string, e *eventstore.Event) int {
	return 64 + len(stream) + len(e.Type) + len(e.Data) + len(e.Metadata)
}

var (
	errChecksum = errors.New("checksum is wrong")
	errShort    = errors.New("record ends early")
)

// decodeRecord reads the record at position. The result keeps no reference to b.
func decodeRecord(position eventstore.Position, b []byte) (r eventstore.Recorded, f flags, err error) {
	if len(b) < crcBytes+1 {
		return r, 0, errShort
	}
	if binary.BigEndian.Uint32(b) != checksum(position, b[crcBytes:]) {
		return r, 0, errChecksum
	}
	p := parser{rest: b[crcBytes+1:]}
	r.Position = position
	r.Revision = int64(p.uvarint())
	r.Created = time.UnixMicro(p.varint()).UTC()
	copy(r.ID[:], p.take(idBytes))
	r.Stream = string(p.part())
	r.Type = eventstore.Intern(p.part())
	data := p.part()
	if p.failed {
		return eventstore.Recorded{}, 0, errShort
	}
	// One allocation for both; the caps keep an append to Data off Metadata.
	own := append(append(make([]byte, 0, len(data)+len(p.rest)), data...), p.rest...)
	r.Data = own[:len(data):len(data)]
	r.Metadata = own[len(data):]
	return r, flags(b[crcBytes]), nil
}

// parser reads fields until one is missing.
type parser struct {
	rest   []byte
	failed bool
}

func (p *parser) take(n int) []byte {
	if n < 0 || n > len(p.rest) {
		p.failed, p.rest = true, nil
		return nil
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.failed, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.rest)
	if n <= 0 {
		p.failed, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) part() []byte {
	length := p.uvarint()
	if length > uint64(len(p.rest)) {
		p.failed, p.rest = true, nil
		return nil
	}
	return p.take(int(length))
}
