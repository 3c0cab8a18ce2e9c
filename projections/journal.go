package projections

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// applyJournal posts the event to the books of its account and of the company.
// Both stand in memory until the batch is written.
func applyJournal(w *writer, s *step) error {
	postings, err := journal.OfEffect(s.Body, s.Revision, &s.Effect)
	if err != nil || len(postings) == 0 {
		return err
	}
	books, err := w.booksOf(booksKey(s.Account))
	if err != nil {
		return err
	}
	company, err := w.booksOf([]byte{companyKey})
	if err != nil {
		return err
	}
	books.Post(postings)
	company.Post(postings)
	return nil
}

func (w *writer) booksOf(key []byte) (*journal.Totals, error) {
	name := string(key)
	if books, ok := w.books[name]; ok {
		return books, nil
	}
	books := w.knownBooks.get(name)
	if books == nil {
		stored, err := lookup(w.db, key, decodeBooks)
		if err != nil {
			return nil, err
		}
		books = &stored
		w.knownBooks.put(name, books)
	}
	w.books[name] = books
	return books, nil
}

func decodeBooks(value []byte) (t journal.Totals, err error) { return t, t.UnmarshalBinary(value) }

func (w *writer) flushBooks() error {
	for key, books := range w.books {
		value, err := books.AppendBinary(nil)
		if err != nil {
			return err
		}
		if err := w.append([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

func booksKey(name string) []byte { return append([]byte{booksPrefix}, name...) }

// TrialBalance is the company's books as of the last event that the views have.
type TrialBalance struct {
	Totals   journal.Totals
	Position eventstore.Position
}

// TrialBalance gives the running totals of all accounts together.
func (v *Views) TrialBalance(ctx context.Context) (t TrialBalance, err error) {
	if err := ctx.Err(); err != nil {
		return t, err
	}
	g, leave, err := v.enter()
	if err != nil {
		return t, err
	}
	defer leave()
	db := g.db.NewSnapshot() // totals and position as of one moment
	defer func() { err = errors.Join(err, db.Close()) }()
	if t.Totals, err = lookup(db, []byte{companyKey}, decodeBooks); err != nil {
		return t, err
	}
	c, err := readCheckpoint(db)
	t.Position = c.Position
	return t, err
}

// Books gives the running totals of one account: its own trial balance.
func (v *Views) Books(ctx context.Context, name string) (journal.Totals, error) {
	if err := ctx.Err(); err != nil {
		return journal.Totals{}, err
	}
	g, leave, err := v.enter()
	if err != nil {
		return journal.Totals{}, err
	}
	defer leave()
	return lookup(pebble.Reader(g.db), booksKey(name), decodeBooks)
}
