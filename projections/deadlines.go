package projections

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain"
	"iocredits/domain/account"
)

// lotDeadline is the kind of a lot's date; other kinds are the account's own.
const lotDeadline = "lot"

// applyDeadlines keeps the dates of lots that still have unreserved credits, and
// all other deadlines as the events set them.
func applyDeadlines(w *writer, s *step) error {
	effect := &s.Effect
	if err := w.changeLot(s.Account, effect.Made, +1); err != nil {
		return err
	}
	for _, use := range effect.Given {
		if err := w.changeLot(s.Account, use, +1); err != nil {
			return err
		}
	}
	for _, use := range effect.Taken {
		if err := w.changeLot(s.Account, use, -1); err != nil {
			return err
		}
	}
	for _, to := range effect.Deadlines {
		if err := w.changeDeadline(s.Account, to); err != nil {
			return err
		}
	}
	return nil
}

// changeLot moves credits in or out of a lot with a date. A lot is due as long
// as something unreserved is in it.
func (w *writer) changeLot(name string, use account.LotUse, sign domain.Amount) error {
	if use.Amount == 0 || use.ExpiresAt.IsZero() {
		return nil
	}
	id := binary.BigEndian.AppendUint64(nil, uint64(use.Lot))
	k := key(lotPrefix, name, id...)
	stored, err := w.get(k)
	if err != nil {
		return err
	}
	var before domain.Amount
	if stored != nil {
		before = domain.Amount(binary.BigEndian.Uint64(stored))
	}
	after := before + sign*use.Amount
	due := deadlineKey(use.ExpiresAt, name, lotDeadline, id)
	switch {
	case after < 0:
		return fmt.Errorf("lot %d of %s has %s, and %s are taken", use.Lot, name, before, use.Amount)
	case after == 0:
		w.delete(k)
		w.delete(due)
		return nil
	case before == 0:
		w.set(due, []byte{})
		w.deadlines = true
	}
	w.set(k, binary.BigEndian.AppendUint64(nil, uint64(after)))
	return nil
}

// changeDeadline replaces the one deadline that a thing has.
func (w *writer) changeDeadline(name string, to account.Deadline) error {
	k := key(setDeadlinePrefix, name, []byte(string(to.Kind)+"/"+to.ID)...)
	stored, err := w.get(k)
	if err != nil {
		return err
	}
	if stored != nil {
		w.delete(k)
		w.delete(deadlineKey(timeOf(stored), name, string(to.Kind), []byte(to.ID)))
	}
	if to.At.IsZero() {
		return nil
	}
	w.set(k, appendTime(nil, to.At))
	w.set(deadlineKey(to.At, name, string(to.Kind), []byte(to.ID)), []byte{})
	w.deadlines = true
	return nil
}

// deadlineKey sorts by time, then by account.
func deadlineKey(at time.Time, name, kind string, id []byte) []byte {
	k := appendTime([]byte{deadlinePrefix}, at)
	k = append(k, name...)
	k = append(k, 0)
	k = append(k, kind...)
	k = append(k, '/')
	return append(k, id...)
}

// appendTime keeps an instant, to the nanosecond, in 12 bytes that sort like it.
func appendTime(b []byte, at time.Time) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(at.Unix())^(1<<63))
	return binary.BigEndian.AppendUint32(b, uint32(at.Nanosecond()))
}

const timeBytes = 12

func timeOf(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)^(1<<63)), int64(binary.BigEndian.Uint32(b[8:]))).UTC()
}

// NextDue is the time of the earliest deadline; false if there is none.
func (v *Views) NextDue(ctx context.Context) (next time.Time, found bool, err error) {
	err = v.eachDeadline(ctx, func(at time.Time, _ string) bool {
		next, found = at, true
		return false
	})
	return next, found, err
}

// DueAccounts lists at most limit accounts with a deadline at or before now, the
// longest due first, without those that skip names.
func (v *Views) DueAccounts(ctx context.Context, now time.Time, limit int, skip func(account string) bool) ([]string, error) {
	var due []string
	seen := map[string]bool{}
	err := v.eachDeadline(ctx, func(at time.Time, name string) bool {
		if at.After(now) {
			return false
		}
		if !seen[name] && !skip(name) {
			due = append(due, name)
		}
		seen[name] = true
		return len(due) < limit
	})
	return due, err
}

func (v *Views) eachDeadline(ctx context.Context, visit func(at time.Time, name string) bool) error {
	return v.eachDeadlineKey(ctx, []byte{deadlinePrefix}, func(at time.Time, name string, _ []byte) bool { return visit(at, name) })
}

// eachDeadlineKey visits deadlines in time order, from a key on, with the thing,
// kind/id, that each is of. thing is valid during the visit only.
func (v *Views) eachDeadlineKey(ctx context.Context, from []byte, visit func(at time.Time, name string, thing []byte) bool) error {
	g, leave, err := v.enter()
	if err != nil {
		return err
	}
	defer leave()
	it, err := g.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: []byte{deadlinePrefix + 1}})
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()[1:]
		end := bytes.IndexByte(k[min(timeBytes, len(k)):], 0)
		if end < 0 {
			return fmt.Errorf("%w: deadline %q", errDamaged, it.Key())
		}
		if !visit(timeOf(k), string(k[timeBytes:timeBytes+end]), k[timeBytes+end+1:]) || ctx.Err() != nil {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return it.Error()
}

// ExpiringLots visits lots whose date is after from and at or before until, and
// whose customers were not told yet; visit says whether to go on. It answers the place
// where it stopped; the next call goes on behind it. nil: from the beginning.
func (v *Views) ExpiringLots(ctx context.Context, from, until time.Time, behind []byte, visit func(name string, lot account.ExpiryAnnounced) bool) (last []byte, err error) {
	g, leave, err := v.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	start := appendTime([]byte{deadlinePrefix}, from)
	if behind != nil {
		start, last = append(bytes.Clone(behind), 0), behind
	}
	var failed error
	err = v.eachDeadlineKey(ctx, start, func(at time.Time, name string, thing []byte) bool {
		if at.After(until) {
			return false
		}
		id, isLot := bytes.CutPrefix(thing, []byte(lotDeadline+"/"))
		if !isLot || len(id) != 8 || !at.After(from) {
			return true
		}
		lot := account.ExpiryAnnounced{Lot: int64(binary.BigEndian.Uint64(id)), ExpiresAt: at}
		var told []byte
		told, failed = lookup(g.db, announcedKey(name, lot.Lot), func([]byte) ([]byte, error) { return []byte{1}, nil })
		if failed != nil || told != nil {
			return failed == nil
		}
		lot.Amount, failed = lookup(g.db, key(lotPrefix, name, id...), func(b []byte) (domain.Amount, error) {
			return domain.Amount(binary.BigEndian.Uint64(b)), nil
		})
		if failed != nil || lot.Amount == 0 {
			return failed == nil // spent since this look began
		}
		last = deadlineKey(at, name, lotDeadline, id)
		return visit(name, lot)
	})
	return last, errors.Join(err, failed)
}
