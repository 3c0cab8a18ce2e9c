package keyring

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// place is the newest key of an account, without its secret: that stays on the
// disk until it is asked for.
type place struct {
	slot       uint32
	generation uint32
	live       bool
	first      uint32
}

// scan is what reading a file of keys gives.
type scan struct {
	accounts map[string]place
	// slots up to the last record; what lies beyond was never acknowledged.
	slots uint32
	// newest is the slot of the first record of the last batch.
	newest uint32
	holes  []uint32
	bytes  int64
}

var zeroRecord [recordSize]byte

// scanFile reads all records and tells what a power cut leaves from damage.
//
// Batches are written one after the other, each synced before the next begins.
// So a power cut can leave only records of the last batch unwritten: zeros, at
// the end or as holes between its siblings. A hole that a record of a later
// batch follows, and every record that is neither zeros nor whole, is damage:
// going on would give an account a second key and lose the texts of its first.
func scanFile(f io.ReaderAt) (scan, error) {
	s := scan{accounts: make(map[string]place)}
	in := bufio.NewReaderSize(io.NewSectionReader(f, 0, int64(maxSlots)*recordSize), 1<<20)
	var b [recordSize]byte
	for slot := uint32(0); ; slot++ {
		n, err := io.ReadFull(in, b[:])
		s.bytes += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return scan{}, fmt.Errorf("read slot %d: %w", slot, err)
		}
		if b == zeroRecord {
			s.holes = append(s.holes, slot)
			continue
		}
		r, err := decodeRecord(b[:])
		if err == nil {
			err = s.take(slot, r)
		}
		if err != nil {
			return scan{}, fmt.Errorf("damaged keyring: slot %d: %w", slot, err)
		}
	}
	for len(s.holes) > 0 && s.holes[len(s.holes)-1] >= s.slots {
		s.holes = s.holes[:len(s.holes)-1]
	}
	return s, nil
}

func (s *scan) take(slot uint32, r record) error {
	s.slots, s.newest = slot+1, min(r.first, slot)
	if n := len(s.holes); n > 0 && s.holes[0] < r.first {
		return fmt.Errorf("slot %d was zeroed after it had been synced", s.holes[0])
	}
	if r.status == statusVoid {
		return nil
	}
	before, known := s.accounts[r.account]
	if r.first > slot || r.generation != before.generation+1 || known && before.live {
		return fmt.Errorf("generation %d of account %q doesn't follow %d", r.generation, r.account, before.generation)
	}
	s.accounts[r.account] = place{slot: slot, generation: r.generation, live: r.status == statusLive, first: r.first}
	return nil
}

// repair makes the file end with its last record and its holes recognisable,
// so that zeros can be taken for damage from then on.
func (s *scan) repair(f file) error {
	end := int64(s.slots) * recordSize
	if s.bytes == end && len(s.holes) == 0 {
		return nil
	}
	if err := f.Truncate(end); err != nil {
		return fmt.Errorf("cut the keyring's torn tail: %w", err)
	}
	for _, slot := range s.holes {
		// One first for all, so that a power cut between them is no damage.
		b := record{status: statusVoid, first: s.holes[0]}.encode()
		if _, err := f.WriteAt(b, int64(slot)*recordSize); err != nil {
			return fmt.Errorf("fill the keyring's slot %d: %w", slot, err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the keyring: %w", err)
	}
	return nil
}

// rewrite writes the last batch again, and the keys that have ended. A process before this
// one may have ended because a sync of them failed: then they can be read, and no sync alone
// would bring them to the disk. All else was synced before the newest batch was begun.
func (s *scan) rewrite(f file) error {
	at := int64(s.newest) * recordSize
	if b := make([]byte, int64(s.slots)*recordSize-at); len(b) > 0 {
		if _, err := f.ReadAt(b, at); err != nil {
			return fmt.Errorf("read the keyring's newest records: %w", err)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("write the keyring's newest records again: %w", err)
		}
	}
	for account, at := range s.accounts {
		if at.live {
			continue
		}
		if _, err := f.WriteAt(at.erased(account), int64(at.slot)*recordSize); err != nil {
			return fmt.Errorf("write slot %d of the keyring again: %w", at.slot, err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the keyring: %w", err)
	}
	return nil
}

// erased is the record that is left of an account's key.
func (at place) erased(account string) []byte {
	return record{status: statusErased, generation: at.generation, first: at.first, account: account}.encode()
}
