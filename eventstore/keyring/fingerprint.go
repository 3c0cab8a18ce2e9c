package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// fingerprinter is an HMAC with its key worked in: to start it anew costs a
// quarter of making one, and no memory.
type fingerprinter struct {
	mu  sync.Mutex
	mac hash.Hash
}

func newFingerprinter(key []byte) *fingerprinter {
	return &fingerprinter{mac: hmac.New(sha256.New, key)}
}

// lists have room for what goes through an HMAC: kept with each of a hundred
// thousand accounts it would be the larger part of them.
var lists = sync.Pool{New: func() any { return new([]byte) }}

// sum gives the fingerprint of parts and a body, each with its length before it:
// so no two lists of them are the same text.
func (f *fingerprinter) sum(parts []string, body []byte) string {
	list := lists.Get().(*[]byte) //nolint:forcetypeassert // the pool has nothing else
	defer lists.Put(list)
	b := (*list)[:0]
	for _, part := range parts {
		b = appendPart(b, part)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mac.Reset()
	f.mac.Write(b)
	f.mac.Write(body)
	b = f.mac.Sum(b[:0])
	*list = b
	return encoding.EncodeToString(b[:fingerprintSize])
}
