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
	// what is held.
	Count        int
	Amount, Held domain.Amount
}

// Statement adds an account's entries up. Error: they don't lead from the
// balance before the first to the one after the last, so the view is damaged.
func (v *Views) Statement(ctx context.Context, name string, from, to time.Time) (Statement, error) {
	s := Statement{Account: name, From: from, To: to, last: -1}
	before, err := v.Transactions(ctx, Query{Account: name, To: from, Limit: 1})
	if err != nil {
		return s, err
	}
	if len(before.Items) > 0 {
		s.Opening, s.first = before.Items[0].BalanceAfter, before.Items[0].Revision+1
	}
	s.Closing = s.Opening
	totals := map[account.EntryType]*StatementTotal{}
	for t, err := range v.ascending(ctx, name, s.first, to) {
		if err != nil {
			return s, err
		}
		total := totals[t.Type]
		if total == nil {
			total = &StatementTotal{Type: t.Type}
			totals[t.Type] = total
		}
		total.Count, total.Amount, total.Held = total.Count+1, total.Amount+t.Amount, total.Held+t.Held
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

// StatementEntries yields the entries that the statement adds up, oldest first.
func (v *Views) StatementEntries(ctx context.Context, s Statement) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		for t, err := range v.ascending(ctx, s.Account, s.first, s.To) {
			if err == nil && t.Revision > s.last || !yield(t, err) {
				return
			}
		}
	}
}

// ascending yields the entries from a revision on that were recorded before a
// time, oldest first.
func (v *Views) ascending(ctx context.Context, name string, first int64, to time.Time) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		stopped := false
		err := v.eachAscending(ctx, name, first, to, func(t Transaction) bool {
			stopped = !yield(t, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Transaction{}, err)
		}
	}
}

func (v *Views) eachAscending(ctx context.Context, name string, first int64, to time.Time, visit func(Transaction) bool) (err error) {
	g, leave, err := v.enter()
	if err != nil {
		return err
	}
	defer leave()
	it, err := g.db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: transactionKey(name, first), UpperBound: keyAfter(key(transactionPrefix, name)),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := currentTransaction(it)
		if err != nil {
			return err
		}
		t.Account = name
		if !t.RecordedAt.Before(to) || !visit(t) {
			return nil
		}
	}
	return it.Error()
}
