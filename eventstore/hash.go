package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"iocredits/domain"
)

// Hash is the SHA-256 that chains an event to all that came before it in its
// stream. The zero value precedes the first event.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText gives lower-case hex. It never fails.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads lower-case hex of exactly 32 bytes.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("hash has %d characters, not %d", len(text), hex.EncodedLen(len(h)))
	}
	var read Hash
	if _, err := hex.Decode(read[:], text); err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	for _, c := range text {
		if c >= 'A' && c <= 'F' {
			return errors.New("hash is not in lower case")
		}
	}
	*h = read
	return nil
}

// chain is the input of both digests: every part behind its length, so that no
// byte can move from one part to its neighbour unseen.
type chain struct{ buf []byte }

func (c *chain) part(b []byte) {
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(len(b)))
	c.buf = append(c.buf, b...)
}

func (c *chain) text(s string) {
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(len(s)))
	c.buf = append(c.buf, s...)
}

// ChainHash is the hash of an event (design.md rule 11):
//
//	SHA-256( stream ‖ revision ‖ id ‖ type ‖ data ‖ metadata ‖ previous )
//
// each part behind its length as a big-endian uint32, the revision as a
// big-endian uint64. The metadata holds previous too, in hex, so that a single
// record shows which history it claims.
func ChainHash(stream string, revision int64, event Event, previous Hash) Hash {
	d := digesters.Get().(*Digester) //nolint:forcetypeassert // the pool has nothing else
	defer digesters.Put(d)
	return d.ChainHash(stream, revision, event, previous)
}

var digesters = sync.Pool{New: func() any { return new(Digester) }}

// Digester computes the hashes of many events in one buffer, which is much of
// their cost. Not for concurrent use.
type Digester struct{ chain chain }

// ChainHash is the function of this name.
func (d *Digester) ChainHash(stream string, revision int64, event Event, previous Hash) Hash {
	c := d.begin(len(stream) + len(event.Type) + len(event.Data) + len(event.Metadata))
	c.text(stream)
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(revision))
	c.part(number[:])
	c.part(event.ID[:])
	c.text(event.Type)
	c.part(event.Data)
	c.part(event.Metadata)
	c.part(previous[:])
	return sha256.Sum256(c.buf)
}

// EventID is the function of this name.
func (d *Digester) EventID(stream string, revision int64, typ string, data, metadata []byte, previous Hash) domain.TransactionID {
	c := d.begin(len(stream) + len(typ) + len(data) + len(metadata))
	c.part(previous[:])
	c.text(stream)
	c.text(typ)
	c.part(data)
	c.part(metadata)
	return domain.NewTransactionID(revision, sha256.Sum256(c.buf))
}

// largestChain bounds what a digester keeps after an event that was large.
const largestChain = 64 << 10

// begin empties the buffer and makes room for parts of so many bytes in all.
func (d *Digester) begin(bytes int) *chain {
	const around = 160 // lengths, hashes, ids
	if have := cap(d.chain.buf); have < bytes+around || have > largestChain && bytes < largestChain/2 {
		d.chain.buf = make([]byte, 0, bytes+around)
	}
	d.chain.buf = d.chain.buf[:0]
	return &d.chain
}

// EventID derives an event's id from everything that makes it what it is
// (design.md rule 10), so that the repeat of an append has the same ids and two
// engines that decide apart never do.
func EventID(stream string, revision int64, typ string, data, metadata []byte, previous Hash) domain.TransactionID {
	d := digesters.Get().(*Digester) //nolint:forcetypeassert // the pool has nothing else
	defer digesters.Put(d)
	return d.EventID(stream, revision, typ, data, metadata, previous)
}
