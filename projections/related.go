package projections

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain/account"
)

// applyRelated remembers what is about an earlier event, so that the story of a
// charge needs no walk through all that came after it. Where an event names an
// id, the revision in it is taken as it is: who reads compares the ids.
func applyRelated(w *writer, s *step) error {
	about, _, ok := account.AboutOf(s.Body)
	if !ok {
		return nil
	}
	k := relatedKey(s.Account, about)
	w.append(binary.BigEndian.AppendUint64(k, uint64(s.Revision)), nil)
	return nil
}

func relatedKey(name string, revision int64) []byte {
	return key(relatedPrefix, name, binary.BigEndian.AppendUint64(nil, uint64(revision))...)
}

// Related lists the revisions of all later events about the one at a revision, oldest
// first.
func (v *Views) Related(ctx context.Context, name string, revision int64) (revisions []int64, err error) {
	m, leave, err := v.read()
	if err != nil {
		return nil, err
	}
	defer leave()
	it, err := m.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: relatedKey(name, revision), UpperBound: relatedKey(name, revision+1),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		revisions = append(revisions, revisionOfKey(it.Key()))
	}
	return revisions, it.Error()
}
