package keyring

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
)

// fingerprintKey is the key of an account's HMACs, and all that is kept for them:
// crypto/hmac keeps two hashes with the key worked in, and to fetch those of one in
// a hundred thousand accounts from memory costs more than to make them anew.
type fingerprintKey [sha256.Size]byte

// lists have room for what is hashed; one that had to be longer is not kept.
var lists = sync.Pool{New: func() any { return new([]byte) }}

const maxList = 16 << 10

// sum gives the fingerprint of parts and a body, each with its length before it:
// so no two lists of them are the same text.
func (k *fingerprintKey) sum(parts []string, body []byte) string {
	list := lists.Get().(*[]byte) //nolint:forcetypeassert // the pool has nothing else
	defer lists.Put(list)
	length := sha256.BlockSize + 4 + len(body)
	for _, part := range parts {
		length += 4 + len(part)
	}
	// Room for all of it, or the key would stay in the memory that was left behind.
	b := k.appendPad(slices.Grow((*list)[:0], length), innerPad)
	for _, part := range parts {
		b = appendPart(b, part)
	}
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
	if cap(b) <= maxList {
		*list = b
	}
	mac := k.close(b)
	clear(b[:sha256.BlockSize]) // the key doesn't stay in the pool
	return encoding.EncodeToString(mac[:fingerprintSize])
}

// The two hashes of an HMAC (RFC 2104) begin with a block each: the key, with one
// of these in every byte.
const (
	innerPad = 0x36
	outerPad = 0x5c
)

func (k *fingerprintKey) appendPad(b []byte, pad byte) []byte {
	var block [sha256.BlockSize]byte
	copy(block[:], k[:])
	for i := range block {
		block[i] ^= pad
	}
	return append(b, block[:]...)
}

// close gives the HMAC of what stands behind the inner pad in b.
func (k *fingerprintKey) close(b []byte) [sha256.Size]byte {
	inner := sha256.Sum256(b)
	var room [sha256.BlockSize + sha256.Size]byte
	return sha256.Sum256(append(k.appendPad(room[:0], outerPad), inner[:]...))
}
