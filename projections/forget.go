package projections

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain/account"
)

// applyForgotten lists who was forgotten: few of all accounts, so a start can hold all of
// them to the keyring.
func applyForgotten(w *writer, s *step) error {
	if _, gone := s.Body.(*account.Forgotten); !gone {
		return nil
	}
	w.forgotten = append(w.forgotten, s.Account)
	w.keyScratch = binary.BigEndian.AppendUint64(appendKey(w.keyScratch[:0], forgottenPrefix, s.Account), uint64(s.Revision))
	w.append(w.keyScratch, nil)
	return nil
}

// EachForgotten visits every event that says that an account's key was destroyed: by
// account, the oldest first.
func (v *Views) EachForgotten(ctx context.Context, visit func(name string, revision int64)) (err error) {
	g, leave, err := v.enter()
	if err != nil {
		return err
	}
	defer leave()
	it, err := g.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{forgottenPrefix}, UpperBound: []byte{forgottenPrefix + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		row := Row{Key: it.Key()}
		revision, _ := row.Revision()
		visit(row.Account(), revision)
	}
	return errors.Join(ctx.Err(), it.Error())
}
