package projections

import (
	"context"

	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// applyJournal posts the event to the books of its account and of the company.
func applyJournal(w *writer, s *step) error {
	if w.g.company == nil {
		company, err := lookup(w.db, []byte{companyKey}, decodeBooks)
		if err != nil {
			return err
		}
		w.g.company = &company
	}
	posted, err := w.clerk.Book(s.Body, s.Revision, &s.Effect, s.Row.Books, w.g.company)
	w.company = w.company || posted
	return err
}

// flushCompany puts the company's books into the change.
func (w *writer) flushCompany() (err error) {
	if !w.company {
		return nil
	}
	if w.scratch, err = w.g.company.AppendBinary(w.scratch[:0]); err != nil {
		return err
	}
	w.append([]byte{companyKey}, w.scratch)
	return nil
}

func decodeBooks(value []byte) (t journal.Totals, err error) { return t, t.UnmarshalBinary(value) }

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
	m, leave, err := v.read() // totals and position as of one moment
	if err != nil {
		return t, err
	}
	defer leave()
	if t.Totals, err = lookup(m, []byte{companyKey}, decodeBooks); err != nil {
		return t, err
	}
	c, err := readCheckpoint(m)
	t.Position = c.Position
	return t, err
}

// Books gives the running totals of one account: its own trial balance. Where its row is
// unwritten, with the events since from the log.
func (v *Views) Books(ctx context.Context, name string) (journal.Totals, error) {
	if err := ctx.Err(); err != nil {
		return journal.Totals{}, err
	}
	g, leave, err := v.enter()
	if err != nil {
		return journal.Totals{}, err
	}
	defer leave()
	shown, lately := g.shown.balance(name) // first: it may be dropped once the row is written
	m := g.shown.enter()
	defer m.leave()
	row, err := lookup(m, balanceKey(name), decodeAccount)
	if err != nil || row == nil {
		return journal.Totals{}, err
	}
	if !lately || shown.Revision <= row.Revision {
		return *row.Books, nil
	}
	if err := v.catchUp(ctx, name, row, shown.Position); err != nil {
		return journal.Totals{}, err
	}
	return *row.Books, nil
}
