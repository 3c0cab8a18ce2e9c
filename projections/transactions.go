package projections

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Transaction is one entry of an account's history.
type Transaction struct {
	ID      domain.TransactionID
	Account string
	Type    account.EntryType
	Service domain.Service
	// Amount is the signed change of the balance, Held of what is held.
	Amount       domain.Amount
	Held         domain.Amount
	BalanceAfter domain.Amount
	RecordedAt   time.Time
	EffectiveAt  time.Time
	Reference    string
	Description  domain.Sealed
	Actor        string
	Lots         []account.LotUse
	Related      uuid.UUID
	Revision     int64
	Position     eventstore.Position
}

// TransactionOf gives the entry of an event, the same for the history and for
// the answer to the command that made it; false if the event shows none. Where
// RelatedRevision gives a place, the caller MUST find the id of the transaction
// there, in the same answer or in the history, and put it in Related.
func TransactionOf(f eventstore.Fact, balanceAfter domain.Amount) (Transaction, bool) {
	effect := account.EffectOf(f.Body, f.Revision)
	entry, ok := account.EntryWith(f.Body, &effect)
	if !ok {
		return Transaction{}, false
	}
	return transactionOf(&f, &entry, balanceAfter), true
}

func transactionOf(f *eventstore.Fact, entry *account.Entry, balanceAfter domain.Amount) Transaction {
	name, _ := eventstore.AccountOf(f.Stream)
	effective := entry.EffectiveAt
	if effective.IsZero() {
		effective = f.Meta.RecordedAt
	}
	service := entry.Service
	if service == "" {
		service = domain.ServiceCredits
	}
	return Transaction{
		ID: f.ID, Account: name, Type: entry.Type, Service: service,
		Amount: entry.Amount, Held: entry.Held, BalanceAfter: balanceAfter,
		RecordedAt: f.Meta.RecordedAt.UTC(), EffectiveAt: effective.UTC(),
		Reference: entry.Reference, Description: entry.Description, Actor: f.Meta.Actor,
		Lots: entry.Lots, Related: entry.Related, Revision: f.Revision, Position: f.Position,
	}
}

// RelatedRevision is the place of the transaction that an event's entry relates
// to, where the event can't name it: both may be of one append.
func RelatedRevision(f eventstore.Fact) (revision int64, known bool) {
	entry, _ := account.EntryOf(f.Body)
	if entry.RelatedRevision == nil {
		return 0, false
	}
	return *entry.RelatedRevision, true
}

func applyTransaction(w *writer, s *step) error {
	entry, ok := account.EntryWith(s.Body, &s.Effect)
	if !ok {
		return nil
	}
	t := transactionOf(s.Fact, &entry, s.BalanceAfter)
	w.keyScratch = appendTransactionKey(w.keyScratch[:0], s.Account, s.Revision)
	if at := entry.RelatedRevision; at != nil {
		id, err := w.transactionID(transactionKey(s.Account, *at))
		if err != nil {
			return err
		}
		t.Related = id
	}
	if kind, _, _ := account.ObjectOf(s.Body); kind == account.ObjectDeployment {
		w.payments[string(w.keyScratch)] = t.ID
	}
	w.late(&t)
	w.scratch = appendTransaction(w.scratch[:0], &t)
	w.append(w.keyScratch, w.scratch)
	return nil
}

// transactionID finds a transaction that is related to by its place: a payment
// of a deployment, of this batch or an earlier one.
func (w *writer) transactionID(k []byte) (domain.TransactionID, error) {
	if id, known := w.payments[string(k)]; known {
		return id, nil
	}
	if w.before != nil {
		if id, known := w.before.payments[string(k)]; known {
			return id, nil
		}
	}
	t, err := lookup(w.db, k, decodeTransaction)
	if err == nil && t.ID == uuid.Nil {
		err = fmt.Errorf("no transaction at %x, to which a later one is related", k)
	}
	return t.ID, err
}

func transactionKey(name string, revision int64) []byte {
	return appendTransactionKey(nil, name, revision)
}

func appendTransactionKey(k []byte, name string, revision int64) []byte {
	return binary.BigEndian.AppendUint64(appendKey(k, transactionPrefix, name), uint64(revision))
}

// Query selects entries of one account's history.
type Query struct {
	Account string
	// Zero values select everything.
	Type      account.EntryType
	Service   domain.Service
	Reference string
	// From (inclusive) and To (exclusive) bound RecordedAt.
	From, To time.Time
	// AsOf selects what is effective by it, KnownAt what was recorded by it.
	AsOf, KnownAt time.Time
	// Limit of a page; MUST be positive.
	Limit int
	// Cursor of the page before; empty: the newest.
	Cursor string
}

func (q *Query) selects(t *Transaction) bool {
	return (q.Type == "" || t.Type == q.Type) &&
		(q.Service == "" || t.Service == q.Service) &&
		(q.Reference == "" || t.Reference == q.Reference)
}

// Page is part of a history, newest first.
type Page struct {
	Items []Transaction
	// Next is the cursor of the page after it; empty: this is the end. A page
	// may be short, even empty, and have a next one: a rare filter over a long
	// history is answered in bounded steps.
	Next string
}

// usualPage is how many entries a page has room for from the beginning.
const usualPage = 50

// maxScan bounds the entries that one page looks at.
const maxScan = 10_000

// Transactions gives one page. Errors: CodeFieldInvalid for a cursor that isn't
// this query's.
func (v *Views) Transactions(ctx context.Context, q Query) (Page, error) {
	filter := q.hash()
	below := int64(math.MaxInt64)
	if q.Cursor != "" {
		c, err := parseCursor(q.Cursor, filter)
		if err != nil {
			return Page{}, err
		}
		below = c.revision
	}
	page := Page{Items: make([]Transaction, 0, min(q.Limit, usualPage))}
	scanned, last := 0, int64(0)
	err := v.scanTransactions(ctx, &q, below, func(revision int64, t *Transaction) bool {
		if t != nil && len(page.Items) == q.Limit || scanned == maxScan {
			page.Next = cursor{revision: last, filter: filter}.String()
			return false
		}
		scanned++
		last = revision
		if t != nil && q.selects(t) {
			page.Items = append(page.Items, *t)
		}
		return true
	})
	return page, err
}

// Each yields every selected entry, newest first, as of the call: for files.
// Limit and Cursor are not looked at.
func (v *Views) Each(ctx context.Context, q Query) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		stopped := false
		err := v.scanTransactions(ctx, &q, math.MaxInt64, func(_ int64, t *Transaction) bool {
			stopped = t != nil && q.selects(t) && !yield(*t, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Transaction{}, err)
		}
	}
}

// Transaction gives the entry of the event at revision; false if there is none.
func (v *Views) Transaction(ctx context.Context, name string, revision int64) (Transaction, bool, error) {
	if err := ctx.Err(); err != nil {
		return Transaction{}, false, err
	}
	m, leave, err := v.read()
	if err != nil {
		return Transaction{}, false, err
	}
	defer leave()
	t, err := lookup(m, transactionKey(name, revision), decodeTransaction)
	t.Account, t.Revision = name, revision
	return t, t.ID != uuid.Nil, err
}

// visitor is called for each entry that a scan looks at, with nil for one that is
// effective after AsOf: that counts towards maxScan too. It answers false when it has enough.
type visitor func(revision int64, t *Transaction) bool

// scanTransactions visits the entries below a revision within the query's dates,
// newest first. Recorded times never go back in a stream, so dates are a range
// of revisions.
func (v *Views) scanTransactions(ctx context.Context, q *Query, below int64, visit visitor) error {
	m, leave, err := v.read()
	if err != nil {
		return err
	}
	defer leave()
	if !q.AsOf.IsZero() {
		if more, err := scanLate(ctx, m, q, below, visit); err != nil || !more {
			return err
		}
	}
	it, err := m.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: key(transactionPrefix, q.Account), UpperBound: transactionKey(q.Account, below),
	})
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	return visitTransactions(ctx, it, q, func(t Transaction) bool { return visit(t.Revision, &t) })
}

func visitTransactions(ctx context.Context, it *pebble.Iterator, q *Query, visit func(Transaction) bool) error {
	ok, err := seekLast(it, q)
	if err != nil {
		return err
	}
	for ; ok; ok = it.Prev() {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := currentTransaction(it)
		if err != nil {
			return err
		}
		t.Account = q.Account
		if t.RecordedAt.Before(q.From) || !visit(t) {
			return nil
		}
	}
	return it.Error()
}

func currentTransaction(it *pebble.Iterator) (Transaction, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return Transaction{}, err
	}
	t, err := decodeTransaction(value)
	if err != nil {
		return t, fmt.Errorf("%w at %q: %w", errDamaged, it.Key(), err)
	}
	t.Revision = revisionOfKey(it.Key())
	return t, nil
}

// recordedBefore bounds the entries that a scan goes through: nothing that was
// recorded by AsOf is effective after it, and scanLate has the rest.
func (q *Query) recordedBefore() time.Time {
	before := q.To
	for _, last := range []time.Time{q.AsOf, q.KnownAt} {
		if end := last.Add(1); !last.IsZero() && (before.IsZero() || end.Before(before)) {
			before = end
		}
	}
	return before
}

// seekLast goes to the newest entry before a time by halving the range of
// revisions: histories are long, and a statement of last year begins far down.
func seekLast(it *pebble.Iterator, q *Query) (bool, error) {
	before := q.recordedBefore()
	if !it.Last() || before.IsZero() {
		return it.Valid(), it.Error()
	}
	low, high := int64(0), revisionOfKey(it.Key())+1
	for low < high {
		middle := low + (high-low)/2
		if !it.SeekGE(transactionKey(q.Account, middle)) {
			high = middle
			continue
		}
		t, err := currentTransaction(it)
		if err != nil {
			return false, err
		}
		if t.RecordedAt.Before(before) {
			low = t.Revision + 1
		} else {
			high = middle
		}
	}
	return it.SeekLT(transactionKey(q.Account, low)), it.Error()
}

func revisionOfKey(k []byte) int64 { return int64(binary.BigEndian.Uint64(k[len(k)-8:])) }
