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
	places  []placed
	// moved is where places are moved to while they are sorted.
	moved []placed
	// arenas have the keys and values; the first used of them are in use.
	arenas [][]byte
	used   int
}

// entry is a write. nil for a value deletes.
type entry struct {
	key, value []byte
	merge      bool
}

// arenaBytes is the size of an arena; a longer value gets one of its own. What
// maxArenas and maxEntries don't hold is given back after a batch.
const (
	arenaBytes = 64 << 10
	maxArenas  = 128
	maxEntries = 1 << 17
)

// reset forgets everything and keeps the memory.
func (s *sortedKeys) reset() {
	if cap(s.entries) > maxEntries {
		s.entries, s.places, s.moved = nil, nil, nil
	}
	clear(s.entries)
	s.entries = s.entries[:0]
	kept := min(len(s.arenas), maxArenas)
	clear(s.arenas[kept:])
	s.arenas = s.arenas[:kept]
	for i := range s.arenas {
		s.arenas[i] = s.arenas[i][:0]
	}
	s.used = min(1, len(s.arenas))
}

// copy keeps bytes that the caller uses again.
func (s *sortedKeys) copy(b []byte) []byte {
	arena := s.room(len(b))
	start := len(*arena)
	*arena = append(*arena, b...)
	return (*arena)[start:len(*arena):len(*arena)]
}

func (s *sortedKeys) copyText(text string) []byte {
	arena := s.room(len(text))
	start := len(*arena)
	*arena = append(*arena, text...)
	return (*arena)[start:len(*arena):len(*arena)]
}

// room gives the arena with room for n bytes.
func (s *sortedKeys) room(n int) *[]byte {
	if s.used > 0 {
		if last := &s.arenas[s.used-1]; len(*last)+n <= cap(*last) {
			return last
		}
	}
	if s.used == len(s.arenas) || cap(s.arenas[s.used]) < n {
		s.arenas = slices.Insert(s.arenas, s.used, make([]byte, 0, max(arenaBytes, n)))
	}
	s.used++
	return &s.arenas[s.used-1]
}

func (s *sortedKeys) add(e entry) { s.entries = append(s.entries, e) }

// placed is an entry's place in the order of keys. Places are sorted in the entries'
// stead: they are small, and the garbage collector doesn't follow them.
type placed struct {
	// head is the key's first byte and the seven after what all keys that begin with
	// it have in common: it decides most comparisons.
	head  uint64
	index uint32
}

// order gives the entries' places. Of those with one key, merges all, the earlier
// stays the earlier.
func (s *sortedKeys) order() []placed {
	s.places = slices.Grow(s.places[:0], len(s.entries))[:len(s.entries)]
	var common commonPrefixes
	for i := range s.entries {
		common.see(s.entries[i].key)
	}
	for i := range s.places {
		s.places[i] = placed{common.head(s.entries[i].key), uint32(i)}
	}
	if len(s.places) < byHeadFrom {
		s.byKey(s.places)
		return s.places
	}
	s.byHead()
	for rest := s.places; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].head == rest[0].head {
			n++
		}
		if n > 1 {
			s.byKey(rest[:n])
		}
		rest = rest[n:]
	}
	return s.places
}

// byKey sorts places by what they compare as.
func (s *sortedKeys) byKey(places []placed) {
	slices.SortFunc(places, func(a, b placed) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		if order := bytes.Compare(s.entries[a.index].key, s.entries[b.index].key); order != 0 {
			return order
		}
		return cmp.Compare(a.index, b.index)
	})
}

// byHeadFrom is how many places are worth byHead's passes.
const byHeadFrom = 512

// byHead sorts the places by their heads alone: a radix sort, byte after byte from the
// last. A byte that all have in common needs no pass.
func (s *sortedKeys) byHead() {
	var counts [8][256]uint32
	for _, p := range s.places {
		for i := range counts {
			counts[i][byte(p.head>>(8*i))]++
		}
	}
	s.moved = slices.Grow(s.moved[:0], len(s.places))[:len(s.places)]
	for i := range counts {
		starts, start := &counts[i], uint32(0)
		if int(starts[byte(s.places[0].head>>(8*i))]) == len(s.places) {
			continue
		}
		for b, count := range starts {
			starts[b] = start
			start += count
		}
		for _, p := range s.places {
			b := byte(p.head >> (8 * i))
			s.moved[starts[b]] = p
			starts[b]++
		}
		s.places, s.moved = s.moved, s.places
	}
}

// commonPrefixes has, for each first byte of a key, what all such keys begin with:
// accounts often have names that begin alike.
type commonPrefixes [256][]byte

func (c *commonPrefixes) see(key []byte) {
	common := &c[key[0]]
	if *common == nil {
		*common = key
		return
	}
	n := min(len(*common), len(key))
	*common = (*common)[:n]
	for i := 1; i < n; i++ {
		if key[i] != (*common)[i] {
			*common = (*common)[:i]
			return
		}
	}
}

func (c *commonPrefixes) head(key []byte) uint64 {
	var head [8]byte
	head[0] = key[0]
	copy(head[1:], key[len(c[key[0]]):])
	return binary.BigEndian.Uint64(head[:])
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
