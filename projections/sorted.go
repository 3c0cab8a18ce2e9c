package projections

import (
	"bytes"
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

// arenaBytes is an arena's size; of the large batches of a rebuild there are
// several.
const arenaBytes = 256 << 10

// copy keeps bytes that the caller uses again.
func (s *sortedKeys) copy(b []byte) []byte {
	if len(s.arena)+len(b) > cap(s.arena) {
		s.arena = make([]byte, 0, max(arenaBytes, len(b)))
	}
	start := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[start:len(s.arena):len(s.arena)]
}

func (s *sortedKeys) add(e entry) { s.entries = append(s.entries, e) }

// write puts everything into the batch. Of entries with one key, merges all, the
// earlier stays the earlier.
func (s *sortedKeys) write(to *pebble.Batch) error {
	slices.SortStableFunc(s.entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	for _, e := range s.entries {
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
