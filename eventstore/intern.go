package eventstore

import (
	"hash/maphash"
	"sync/atomic"
)

// Events repeat the same few strings: their types, who acts and in which role. The
// newest of them are kept, so that a reader of millions of events doesn't make
// millions of copies.
const (
	internSlots = 1 << 10
	internBytes = 64
)

var (
	interned   [internSlots]atomic.Pointer[string]
	internSeed = maphash.MakeSeed()
)

// Intern is string(b), perhaps as a string that was made before.
func Intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > internBytes {
		return string(b)
	}
	slot := &interned[maphash.Bytes(internSeed, b)%internSlots]
	if known := slot.Load(); known != nil && *known == string(b) {
		return *known
	}
	made := string(b)
	slot.Store(&made)
	return made
}
