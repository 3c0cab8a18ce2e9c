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

// chains are used again: a digest is taken of the buffer twice an event.
var chains = sync.Pool{New: func() any { return &chain{buf: make([]byte, 0, 1024)} }}

func newChain() *chain { return chains.Get().(*chain) } //nolint:forcetypeassert // the pool has nothing else

// sum gives the digest and the buffer back, unless a large event made it large.
func (c *chain) sum() Hash {
	digest := sha256.Sum256(c.buf)
	if c.buf = c.buf[:0]; cap(c.buf) <= 64<<10 {
		chains.Put(c)
	}
	return digest
}

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
	c := newChain()
	c.text(stream)
	c.buf = binary.BigEndian.AppendUint32(c.buf, 8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(revision))
	c.part(event.ID[:])
	c.text(event.Type)
	c.part(event.Data)
	c.part(event.Metadata)
	c.part(previous[:])
	return c.sum()
}

// EventID derives an event's id from everything that makes it what it is
// (design.md rule 10), so that the repeat of an append has the same ids and two
// engines that decide apart never do.
func EventID(stream string, revision int64, typ string, data, metadata []byte, previous Hash) domain.TransactionID {
	c := newChain()
	c.part(previous[:])
	c.text(stream)
	c.text(typ)
	c.part(data)
	c.part(metadata)
	return domain.NewTransactionID(revision, c.sum())
}
