package projections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain/account"
)

// Waiting selects what waits at a desk.
type Waiting struct {
	Kind account.ObjectKind
	// Statuses are listed as one queue.
	Statuses []string
	// Keep, if set, selects among them.
	Keep func(*ObjectRecord) bool
	// Limit of a page; MUST be positive.
	Limit int
	// After is the cursor of the page before; empty: the beginning.
	After string
	// Filter names what Keep keeps, so that a cursor goes on with the same.
	Filter string
}

// hash covers what selects objects, not how many are shown.
func (q Waiting) hash() [8]byte {
	return hashOf(append([]string{"waiting", string(q.Kind), q.Filter}, q.Statuses...)...)
}

// cursor is the filter's hash and then a place in the queue: what follows the
// status in a key, so that an object which moves between two of the statuses is
// neither lost nor doubled.
func (q Waiting) cursor(place []byte) string {
	hash := q.hash()
	return keyCursor(append(hash[:], place...))
}

// after gives the place behind the cursor of the page before.
func (q Waiting) after() ([]byte, error) {
	if q.After == "" {
		return nil, nil
	}
	hash := q.hash()
	place, err := afterKey(hash[:], nil, q.After)
	if err != nil {
		return nil, err
	}
	return place[len(hash):], nil
}

// Waiting lists objects over all accounts in the order of their queue. A page
// may be short and have a next one: a rare filter over a long queue is answered
// in bounded steps. Error: CodeFieldInvalid for a cursor that isn't of this list and
// filter.
func (v *Views) Waiting(ctx context.Context, q Waiting) (page ObjectPage, err error) {
	after, err := q.after()
	if err != nil {
		return page, err
	}
	db, leave, err := v.read()
	if err != nil {
		return page, err
	}
	defer leave()
	m, err := merge(ctx, db, q, after)
	if err != nil {
		return page, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	var last []byte // place of the page
	for scanned := 0; ; scanned++ {
		place := m.next()
		if place == nil {
			return page, m.err()
		}
		if len(page.Items) == q.Limit || scanned == maxScan {
			page.Next = q.cursor(last)
			return page, nil
		}
		last = append(last[:0], place...)
		name, id, _ := bytes.Cut(place[timeBytes:], []byte{0})
		r, err := getObject(db, string(name), q.Kind, string(id))
		if err != nil {
			return page, err
		}
		if r == nil {
			return page, fmt.Errorf("%w: no object behind %q", errDamaged, place)
		}
		if q.Keep == nil || q.Keep(r) {
			page.Items = append(page.Items, r)
		}
	}
}

// merged goes through the queues of several statuses as one. Desks have two or
// three, so the least of them is found by looking at each.
type merged struct {
	its    []*pebble.Iterator
	starts [][]byte
	at     int
}

func merge(ctx context.Context, db pebble.Reader, q Waiting, after []byte) (*merged, error) {
	m := &merged{at: -1}
	for _, status := range q.Statuses {
		start := queueStart(q.Kind, status)
		lower := append(bytes.Clone(start), after...)
		it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: keyAfter(start)})
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		it.First()
		m.its, m.starts = append(m.its, it), append(m.starts, start)
	}
	return m, nil
}

// next gives the next place in the queue, without the status; nil at the end. It
// is valid until the next call.
func (m *merged) next() []byte {
	if m.at >= 0 {
		m.its[m.at].Next()
	}
	var least []byte
	for i, it := range m.its {
		if !it.Valid() {
			continue
		}
		if place := it.Key()[len(m.starts[i]):]; least == nil || bytes.Compare(place, least) < 0 {
			least, m.at = place, i
		}
	}
	return least
}

func (m *merged) err() error {
	var err error
	for _, it := range m.its {
		err = errors.Join(err, it.Error())
	}
	return err
}

func (m *merged) close() error {
	var err error
	for _, it := range m.its {
		err = errors.Join(err, it.Close())
	}
	return err
}

// CountWaiting counts the objects of a kind in the given statuses, and those of
// them whose place in the queue is before a time: what is late at a desk that
// works by due date.
func (v *Views) CountWaiting(ctx context.Context, kind account.ObjectKind, statuses []string, before time.Time) (all, late int, err error) {
	db, leave, err := v.read()
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	m, err := merge(ctx, db, Waiting{Kind: kind, Statuses: statuses}, nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	for place := m.next(); place != nil; place = m.next() {
		all++
		if timeOf(place).Before(before) {
			late++
		}
	}
	return all, late, m.err()
}
