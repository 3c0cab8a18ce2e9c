package projections

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"iocredits/eventstore/ledger"
)

// Views index the names that the ledger asks about.
var _ ledger.Names = (*Views)(nil)

// applyNames remembers who claimed a name first. Two engines may both have
// claimed it in a conflict; the later claim lost.
func applyNames(w *writer, s *step) error {
	for _, name := range ledger.NamesOf(s.Fact) {
		k := nameKey(s.Account, name)
		taken, err := w.get(k)
		if err != nil {
			return err
		}
		if taken == nil {
			w.set(k, binary.BigEndian.AppendUint64(nil, uint64(s.Revision)))
		}
	}
	return nil
}

// nameKey keeps 128 bits of the name's hash: names are long and many, and the
// ledger compares the event behind an answer with what it looked for.
func nameKey(account, name string) []byte {
	digest := sha256.Sum256([]byte(name))
	return key(namePrefix, account, digest[:16]...)
}

// Find gives the revision of the first event of account that claimed name.
func (v *Views) Find(ctx context.Context, account, name string) (int64, bool, error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	g, leave, err := v.enter()
	if err != nil {
		return 0, false, err
	}
	defer leave()
	revision, err := lookup(g.db, nameKey(account, name), func(value []byte) (int64, error) {
		if len(value) != 8 {
			return 0, fmt.Errorf("%d bytes", len(value))
		}
		return int64(binary.BigEndian.Uint64(value)) + 1, nil
	})
	return revision - 1, revision > 0, err
}
