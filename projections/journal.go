package projections

import (
	"context"

	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// applyJournal posts the event to the books of the company.
func applyJournal(w *writer, s *step) error {
	if w.g.company == nil {
		company, err := lookup(w.db, []byte{companyKey}, decodeBooks)
		if err != nil {
			return err
		}
		w.g.company = &company
	}
	posted, err := w.clerk.Book(s.Body, s.Revision, &s.Effect, w.g.company)
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
