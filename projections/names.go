package projections

import (
	"context"
	"encoding/binary"
	"fmt"

	"iocredits/eventstore/ledger"
)

// Views index the names that the ledger asks about.
var _ ledger.Names = (*Views)(nil)

// applyNames remembers who claimed a name first. It writes without reading:
// Pebble's own merge puts a later claim behind the earlier one. No rule allows a
// second claim, but the log decides.
func applyNames(w *writer, s *step) error {
	var room [ledger.MaxNames]ledger.Name
	for _, name := range ledger.AppendNames(room[:0], s.Fact) {
		w.keyScratch = appendNameKey(w.keyScratch[:0], s.Account, name)
		w.g.names.add(w.keyScratch)
		w.merge(w.keyScratch, binary.BigEndian.AppendUint64(w.scratch[:0], uint64(s.Revision)))
	}
	return nil
}

func nameKey(account string, name ledger.Name) []byte {
	return appendNameKey(make([]byte, 0, 2+len(account)+len(name)), account, name)
}

func appendNameKey(k []byte, account string, name ledger.Name) []byte {
	return append(appendKey(k, namePrefix, account), name[:]...)
}

// Find gives the revision of the first event of account that claimed name.
func (v *Views) Find(ctx context.Context, account string, name ledger.Name) (int64, bool, error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	g, leave, err := v.enter()
	if err != nil {
		return 0, false, err
	}
	defer leave()
	var room [192]byte // on the stack, for what nearly always is asked in vain
	if g.names.lacks(appendNameKey(room[:0], account, name)) {
		return 0, false, nil
	}
	revision, err := lookup(g.db, nameKey(account, name), func(value []byte) (int64, error) {
		if len(value) == 0 || len(value)%8 != 0 {
			return 0, fmt.Errorf("%d bytes", len(value))
		}
		return int64(binary.BigEndian.Uint64(value)) + 1, nil
	})
	return revision - 1, revision > 0, err
}
