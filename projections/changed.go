package projections

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Changed selects the objects of a kind over all accounts by their last change.
type Changed struct {
	// Kind MUST be one that inOrderOfChange knows.
	Kind account.ObjectKind
	// After is the position behind which the last change is.
	After eventstore.Position
	// Keep, if set, selects among them.
	Keep func(*ObjectRecord) bool
	// Limit of a page; MUST be positive.
	Limit int
}

// ChangedPage has objects in the order of their last change.
type ChangedPage struct {
	Items []*ObjectRecord
	// Through is the After of the page that goes on: nothing that was selected and changed
	// up to there is missing.
	Through eventstore.Position
	// More: the page is full, and other changes may follow.
	More bool
}

// inOrderOfChange says that objects of a kind are listed by their last change: those acted
// on by somebody who doesn't know which accounts have changed.
func inOrderOfChange(kind account.ObjectKind) bool { return kind == account.ObjectDeployment }

func changedStart(kind account.ObjectKind) []byte {
	return append(append([]byte{changedPrefix}, kind...), 0)
}

// changedKey is where an object stands that changed last at a position. No other does:
// an event is about one object.
func changedKey(kind account.ObjectKind, at eventstore.Position) []byte {
	return binary.BigEndian.AppendUint64(changedStart(kind), uint64(at))
}

// changedValue says which object it is.
func changedValue(name, id string) []byte { return append(append([]byte(name), 0), id...) }

// ChangedObjects lists objects in the order of their last change. One that changes again moves to
// the end, so that whoever goes on from page to page misses none, and has each as it is
// now. A page may be short and not be the last, as one of Waiting's may.
func (v *Views) ChangedObjects(ctx context.Context, q Changed) (page ChangedPage, err error) {
	through := v.Through() // before the rows are read, which may have more
	m, leave, err := v.read()
	if err != nil {
		return page, err
	}
	defer leave()
	start := changedStart(q.Kind)
	it, err := m.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: changedKey(q.Kind, q.After+1), UpperBound: keyAfter(start)})
	if err != nil {
		return page, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	page.Through = q.After
	scanned := 0
	for ok := it.First(); ok; ok = it.Next() {
		if len(page.Items) == q.Limit || scanned == maxScan {
			page.More = true
			return page, nil
		}
		scanned++
		value, err := it.ValueAndErr()
		if err != nil {
			return page, err
		}
		name, id, _ := bytes.Cut(value, []byte{0})
		r, err := getObject(m, string(name), q.Kind, string(id))
		if err != nil {
			return page, err
		}
		if r == nil {
			return page, fmt.Errorf("%w: no object behind %q", errDamaged, it.Key())
		}
		page.Through = eventstore.Position(binary.BigEndian.Uint64(it.Key()[len(start):]))
		if q.Keep == nil || q.Keep(r) {
			page.Items = append(page.Items, r)
		}
	}
	page.Through = max(page.Through, through)
	return page, it.Error()
}
