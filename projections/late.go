package projections

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain"
)

// lateScan gives the entries of a list as of a time that were recorded after it, newest
// first, with one entry a bucket in memory. In a bucket entries stand in the order of
// their revisions too, because recorded times never go back in a stream: the newest of
// all is the newest of the buckets' newest.
type lateScan struct {
	it *pebble.Iterator
	// newest has, of each bucket, the newest entry that was not given out yet.
	newest []lateEntry
	// at is the index of the one that the iterator stands on, or -1.
	at int
}

// lateEntry is one in the index. Nothing of its bucket at or below end is wanted.
type lateEntry struct {
	key, end  []byte
	effective time.Time
	amount    domain.Amount
}

// read takes the entry on which an iterator stands.
func (e *lateEntry) read(it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	if len(value) <= timeBytes {
		return fmt.Errorf("%w at %q", errDamaged, it.Key())
	}
	amount, n := binary.Varint(value[timeBytes:])
	if n <= 0 {
		return fmt.Errorf("%w at %q", errDamaged, it.Key())
	}
	e.key = append(e.key[:0], it.Key()...)
	e.effective, e.amount = timeOf(value), domain.Amount(amount)
	return nil
}

// openLate begins at the newest entry below a revision. The caller MUST close it.
func openLate(ctx context.Context, db pebble.Reader, q *Query, below int64) (*lateScan, error) {
	after, last, err := lateRange(ctx, db, q, below)
	if err != nil {
		return nil, err
	}
	start := key(latePrefix, q.Account)
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: start, UpperBound: keyAfter(start)})
	if err != nil {
		return nil, err
	}
	s := &lateScan{it: it, at: -1}
	for ok := after.Before(last) && it.Last(); ok; {
		bucket := it.Key()[len(start)]
		upTo := last
		if end := time.Unix(q.AsOf.Unix()+1<<bucket, 0); end.Before(upTo) {
			upTo = end
		}
		e := lateEntry{end: lateKey(q.Account, int(bucket), after, math.MaxInt64)}
		if it.SeekLT(lateKey(q.Account, int(bucket), upTo, below)) && bytes.Compare(it.Key(), e.end) > 0 {
			if err := e.read(it); err != nil {
				return nil, errors.Join(err, s.close())
			}
			s.newest = append(s.newest, e)
		}
		ok = it.SeekLT(append(slices.Clone(start), bucket))
	}
	if err := it.Error(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// lateRange bounds when an entry was recorded that is wanted: after the first time, and
// not after the second.
func lateRange(ctx context.Context, db pebble.Reader, q *Query, below int64) (after, last time.Time, err error) {
	after, last = q.AsOf, endOfTime
	if before := q.From.Add(-1); before.After(after) {
		after = before
	}
	if !q.KnownAt.IsZero() {
		last = q.KnownAt
	}
	if before := q.To.Add(-1); !q.To.IsZero() && before.Before(last) {
		last = before
	}
	if below == math.MaxInt64 {
		return after, last, nil
	}
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: key(transactionPrefix, q.Account), UpperBound: transactionKey(q.Account, below),
	})
	if err != nil {
		return after, last, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		return after, after, it.Error()
	}
	t, err := currentTransaction(it)
	if err == nil && t.RecordedAt.Before(last) {
		last = t.RecordedAt
	}
	return after, last, err
}

// next gives the newest entry that was not given out yet; false if there is none.
func (s *lateScan) next() (revision int64, effective time.Time, ok bool, err error) {
	if len(s.newest) == 0 {
		return 0, time.Time{}, false, nil
	}
	first := 0
	for i := range s.newest {
		if r := revisionOfKey(s.newest[i].key); r > revision || i == 0 {
			first, revision = i, r
		}
	}
	e := &s.newest[first]
	effective = e.effective
	if s.at == first {
		ok = s.it.Prev()
	} else {
		ok = s.it.SeekLT(e.key)
	}
	if s.at = first; ok && bytes.Compare(s.it.Key(), e.end) > 0 {
		return revision, effective, true, e.read(s.it)
	}
	s.newest, s.at = slices.Delete(s.newest, first, first+1), -1
	return revision, effective, true, s.it.Error()
}

func (s *lateScan) close() error { return s.it.Close() }

// scanLate visits the entries of lateScan. False if the visitor has enough.
func scanLate(ctx context.Context, db pebble.Reader, q *Query, below int64, visit visitor) (more bool, err error) {
	late, err := openLate(ctx, db, q, below)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, late.close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		revision, effective, ok, err := late.next()
		if err != nil || !ok {
			return err == nil, err
		}
		if effective.After(q.AsOf) {
			if !visit(revision, nil) {
				return false, nil
			}
			continue
		}
		t, err := lookup(db, transactionKey(q.Account, revision), decodeTransaction)
		if err != nil {
			return false, err
		}
		t.Account, t.Revision = q.Account, revision
		if !visit(revision, &t) {
			return false, nil
		}
	}
}
