package projections

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Two indexes answer questions about the past without a replay (money.md, Times
// in queries):
//
//	f account 0 recorded:12 revision:8            → figures, every milestoneEvery events
//	e account 0 bucket:1 recorded:12 revision:8   → effective:12 amount, entries recorded late
//
// Nothing is effective after it was recorded. So what is effective by T and known
// by K is all that was recorded by T, and of what was recorded after T, up to K,
// what is late by enough. Bucket b has what is late by less than 2^b seconds and
// not by less than half of that: recorded in (T, T+2^b]. Of what is looked at
// there, about half counts, however long the account's history is.
const milestoneEvery = 256

// applyMilestone keeps the figures of a long account at regular revisions.
func applyMilestone(w *writer, s *step) error {
	if (s.Revision+1)%milestoneEvery != 0 {
		return nil
	}
	w.append(milestoneKey(s.Account, s.Meta.RecordedAt, s.Revision), appendBalance(nil, &s.Row.balanceRecord))
	return nil
}

func milestoneKey(name string, at time.Time, revision int64) []byte {
	return key(milestonePrefix, name, binary.BigEndian.AppendUint64(appendTime(nil, at), uint64(revision))...)
}

// late indexes an entry that is effective before it was recorded.
func (w *writer) late(t *Transaction) {
	if !t.EffectiveAt.Before(t.RecordedAt) {
		return
	}
	value := binary.AppendVarint(appendTime(nil, t.EffectiveAt), int64(t.Amount))
	seconds := t.RecordedAt.Unix() - t.EffectiveAt.Unix() + 1
	w.append(lateKey(t.Account, bits.Len64(uint64(seconds)), t.RecordedAt, t.Revision), value)
}

func lateKey(name string, bucket int, recorded time.Time, revision int64) []byte {
	rest := appendTime([]byte{byte(bucket)}, recorded)
	return key(latePrefix, name, binary.BigEndian.AppendUint64(rest, uint64(revision))...)
}

// BalanceKnownAt gives every figure of an account as recorded by knownAt.
func (v *Views) BalanceKnownAt(ctx context.Context, name string, knownAt time.Time) (Balance, error) {
	g, leave, err := v.enter()
	if err != nil {
		return Balance{}, err
	}
	defer leave()
	record, err := g.balance(name)
	if err != nil {
		return Balance{}, err
	}
	if record.Revision == eventstore.NoStream || !record.RecordedAt.time().After(knownAt) {
		return record.balance(), ctx.Err()
	}
	last := record.Revision
	m := g.shown.enter() // only now: it has all milestones up to there
	defer m.leave()
	if record, err = milestone(ctx, m, name, knownAt); err != nil {
		return Balance{}, err
	}
	for r, err := range v.opts.Store.ReadStream(ctx, eventstore.AccountStream(name), record.Revision+1, eventstore.Forwards, milestoneEvery) {
		if err != nil {
			return Balance{}, err
		}
		f, err := v.opts.Codec.Open(r)
		if err != nil {
			return Balance{}, err
		}
		if f.Meta.RecordedAt.After(knownAt) || f.Revision > last {
			break
		}
		effect := account.EffectOf(f.Body, f.Revision)
		record.apply(&f, &effect)
	}
	return record.balance(), nil
}

// milestone is the last one that was recorded by a time, or the beginning.
func milestone(ctx context.Context, db pebble.Reader, name string, at time.Time) (record balanceRecord, err error) {
	record = newBalance()
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: key(milestonePrefix, name), UpperBound: milestoneKey(name, at, math.MaxInt64),
	})
	if err != nil {
		return record, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		return record, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return record, err
	}
	return decodeBalance(value)
}

// BalanceAsOf gives the balance of what is effective by asOf and was recorded by
// knownAt; zero for knownAt is everything that the views have.
func (v *Views) BalanceAsOf(ctx context.Context, name string, asOf, knownAt time.Time) (domain.Amount, error) {
	if knownAt.IsZero() {
		knownAt = endOfTime
	}
	recorded := asOf
	if knownAt.Before(asOf) {
		recorded = knownAt
	}
	m, leave, err := v.read() // what is late belongs to the history beside it
	if err != nil {
		return 0, err
	}
	defer leave()
	balance, err := balanceRecorded(ctx, m, name, recorded)
	if err == nil {
		err = eachLate(ctx, m, name, asOf, knownAt, func(amount domain.Amount) { balance += amount })
	}
	return balance, err
}

// endOfTime is after every time that an event can have.
var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// balanceRecorded is the balance after the last entry recorded by a time.
func balanceRecorded(ctx context.Context, db pebble.Reader, name string, at time.Time) (balance domain.Amount, err error) {
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: key(transactionPrefix, name), UpperBound: transactionKey(name, math.MaxInt64),
	})
	if err != nil {
		return 0, err
	}
	q := &Query{Account: name, To: at.Add(1)}
	err = visitTransactions(ctx, it, q, func(t Transaction) bool {
		balance = t.BalanceAfter
		return false
	})
	return balance, errors.Join(err, it.Close())
}

// eachLate visits the entries that are effective by asOf, though they were
// recorded after it, up to knownAt. Their order is none that means anything.
func eachLate(ctx context.Context, db pebble.Reader, name string, asOf, knownAt time.Time, visit func(domain.Amount)) (err error) {
	if !asOf.Before(knownAt) {
		return nil
	}
	start := key(latePrefix, name)
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: start, UpperBound: keyAfter(start)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var e lateEntry
	for ok := it.First(); ok; {
		bucket := it.Key()[len(start)]
		last := knownAt
		if end := time.Unix(asOf.Unix()+1<<bucket, 0); end.Before(last) {
			last = end
		}
		end := lateKey(name, int(bucket), last, math.MaxInt64)
		for ok = it.SeekGE(lateKey(name, int(bucket), asOf, math.MaxInt64)); ok && string(it.Key()) <= string(end); ok = it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := e.read(it); err != nil {
				return err
			}
			if !e.effective.After(asOf) {
				visit(e.amount)
			}
		}
		ok = ok && it.SeekGE(append(slices.Clone(start), bucket+1))
	}
	return it.Error()
}
