package projections

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// sortedKeys collects what a batch writes and hands it to Pebble in the order of
// keys. Pebble's memtable is a list with towers that is searched for every key,
// but hardly for one that stands right behind the one before; and a batch large
// enough to be a memtable of its own is only checked to be in order.
type sortedKeys struct {
	entries []entry
	// arena has the keys and values; a full one is left to its entries.
	arena []byte
}

// entry is a write. nil for a value deletes.
type entry struct {
	key, value []byte
	merge      bool
}

// Arenas of a batch double from the first, which is enough for a few events, to
// the largest.
const (
	firstArena   = 2 << 10
	largestArena = 256 << 10
)

// copy keeps bytes that the caller uses again.
func (s *sortedKeys) copy(b []byte) []byte {
	if len(s.arena)+len(b) > cap(s.arena) {
		size := min(max(firstArena, 2*cap(s.arena)), largestArena)
		s.arena = make([]byte, 0, max(size, len(b)))
	}
	start := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[start:len(s.arena):len(s.arena)]
}

func (s *sortedKeys) add(e entry) { s.entries = append(s.entries, e) }

// placed is an entry's place in the order of keys. Places are sorted in the entries'
// stead: they are small, and the garbage collector doesn't follow them.
type placed struct {
	// head is the key's first eight bytes, which decide most comparisons.
	head  uint64
	index uint32
}

// order gives the entries' places. Of those with one key, merges all, the earlier
// stays the earlier.
func (s *sortedKeys) order() []placed {
	places := make([]placed, len(s.entries))
	for i := range places {
		var head [8]byte
		copy(head[:], s.entries[i].key)
		places[i] = placed{binary.BigEndian.Uint64(head[:]), uint32(i)}
	}
	slices.SortFunc(places, func(a, b placed) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		if order := bytes.Compare(s.entries[a.index].key, s.entries[b.index].key); order != 0 {
			return order
		}
		return cmp.Compare(a.index, b.index)
	})
	return places
}

// write puts everything into the batch.
func (s *sortedKeys) write(to *pebble.Batch) error {
	for _, p := range s.order() {
		e := &s.entries[p.index]
		var err error
		switch {
		case e.merge:
			err = to.Merge(e.key, e.value, nil)
		case e.value == nil:
			err = to.Delete(e.key, nil)
		default:
			err = to.Set(e.key, e.value, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
