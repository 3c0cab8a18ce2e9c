package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// Statement says what an account had at the beginning and the end of a time and
// what happened in it, by the times when it was recorded.
type Statement struct {
	Account string
	// From is inclusive, To exclusive.
	From, To time.Time
	// Opening + the sum of all totals = Closing.
	Opening, Closing domain.Amount
	Totals           []StatementTotal
	Entries          int

	// first and last bound the entries: what is recorded later is not in.
	first, last int64
}

// StatementTotal adds up the entries of one type.
type StatementTotal struct {
	Type account.EntryType
	// Count of the entries; Amount is what they changed of the balance, Held of
	// what is held: sums, which an amount has no room for.
	Count        int
	Amount, Held journal.Sum
}

// Statement adds an account's entries up. Error: they don't lead from the
// balance before the first to the one after the last, so the view is damaged.
func (v *Views) Statement(ctx context.Context, name string, from, to time.Time) (s Statement, err error) {
	s = Statement{Account: name, From: from, To: to, last: -1}
	// The opening and the entries are of one moment: what is applied in between would
	// be neither's, and come as an entry of any time.
	it, end, err := v.history(ctx, name, 0)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, end()) }()
	begins, err := s.begin(it)
	if err != nil {
		return s, err
	}
	totals := map[account.EntryType]*StatementTotal{}
	for t, err := range ascending(ctx, it, begins, name, to) {
		if err != nil {
			return s, err
		}
		total := totals[t.Type]
		if total == nil {
			total = &StatementTotal{Type: t.Type}
			totals[t.Type] = total
		}
		total.Count, total.Amount, total.Held = total.Count+1, total.Amount.Add(t.Amount), total.Held.Add(t.Held)
		s.Closing += t.Amount
		s.Entries, s.last = s.Entries+1, t.Revision
		if s.Closing != t.BalanceAfter {
			return s, fmt.Errorf("%w: revision %d of %s leads to %s, its entry says %s", errDamaged, t.Revision, name, s.Closing, t.BalanceAfter)
		}
	}
	for _, total := range totals {
		s.Totals = append(s.Totals, *total)
	}
	slices.SortFunc(s.Totals, func(a, b StatementTotal) int { return cmp.Compare(a.Type, b.Type) })
	return s, nil
}

// begin takes the balance before the statement, and goes to the first entry of its time or
// after it; false if there is none.
func (s *Statement) begin(it *pebble.Iterator) (ok bool, err error) {
	before, err := seekLast(it, &Query{Account: s.Account, To: s.From})
	if err != nil || !before {
		return it.First(), errors.Join(err, it.Error())
	}
	t, err := currentTransaction(it)
	s.Opening, s.Closing, s.first = t.BalanceAfter, t.BalanceAfter, t.Revision+1
	return it.Next(), err
}

// StatementEntries yields the entries that the statement adds up, oldest first.
func (v *Views) StatementEntries(ctx context.Context, s Statement) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		it, end, err := v.history(ctx, s.Account, s.first)
		if err != nil {
			yield(Transaction{}, err)
			return
		}
		defer func() { _ = end() }()
		for t, err := range ascending(ctx, it, it.First(), s.Account, s.To) {
			if err == nil && t.Revision > s.last || !yield(t, err) {
				return
			}
		}
	}
}

// history opens an account's entries from a revision on, as they are now, until end.
func (v *Views) history(ctx context.Context, name string, first int64) (it *pebble.Iterator, end func() error, err error) {
	m, leave, err := v.read()
	if err != nil {
		return nil, nil, err
	}
	it, err = m.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: transactionKey(name, first), UpperBound: keyAfter(key(transactionPrefix, name)),
	})
	if err != nil {
		leave()
		return nil, nil, err
	}
	return it, func() error { defer leave(); return it.Close() }, nil
}

// ascending yields the entry on which an iterator stands, if ok, and those after it that
// were recorded before a time, oldest first.
func ascending(ctx context.Context, it *pebble.Iterator, ok bool, name string, to time.Time) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		for ; ok; ok = it.Next() {
			t, err := currentTransaction(it)
			if err = errors.Join(ctx.Err(), err); err != nil {
				yield(Transaction{}, err)
				return
			}
			t.Account = name
			if !t.RecordedAt.Before(to) || !yield(t, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(Transaction{}, err)
		}
	}
}
