package projections

import (
	"context"
	"time"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Balance is what an account has as of its last event that the views have.
type Balance struct {
	account.Balance
	Policy account.Policy
	// Revision and Position of that event; NoStream and 0 if there is none.
	Revision   int64
	Position   eventstore.Position
	RecordedAt time.Time
}

// balanceRecord is what is stored. It has no pointers, not even a time.Time's: there are
// two of each busy account, and the garbage collector can skip them.
type balanceRecord struct {
	Figures    account.Figures
	Revision   int64
	Position   eventstore.Position
	RecordedAt instant
}

// instant is a time in UTC as the seconds and nanoseconds since time.Time's zero.
type instant struct{ Seconds, Nanos int64 }

// yearOne is time.Time's zero in Unix seconds.
var yearOne = time.Time{}.Unix()

func instantOf(t time.Time) instant { return instant{t.Unix() - yearOne, int64(t.Nanosecond())} }

func (i instant) time() time.Time { return time.Unix(i.Seconds+yearOne, i.Nanos).UTC() }

func (i instant) String() string { return i.time().String() }

func newBalance() balanceRecord {
	return balanceRecord{Figures: account.New().Figures, Revision: eventstore.NoStream}
}

// accountRow is what the views have once an account and change with each of its
// events: one row, because each key that an event writes has its price.
type accountRow struct {
	name string
	balanceRecord
	// changed: the change that is being filled has changed it. unwritten: one before did,
	// and didn't write it. stored: it was written at least once.
	changed, unwritten, stored bool
}

// applyBalance puts an event into its account's row. Error: errDamaged if the row hasn't
// exactly the events before it.
func applyBalance(w *writer, s *step) error {
	row, err := w.account(s.Account)
	if err != nil {
		return err
	}
	if s.Revision != row.Revision+1 {
		return row.outOfPlace(s.Stream, s.Revision)
	}
	s.Row = row
	s.BalanceBefore = row.Figures.Available() + row.Figures.Held()
	row.apply(s.Fact, &s.Effect)
	s.LowBalanceAt = row.Figures.Policy.LowBalanceAt
	s.BalanceAfter = row.Figures.Available() + row.Figures.Held()
	return nil
}

func (r *balanceRecord) apply(f *eventstore.Fact, effect *account.Effect) {
	r.Figures.ApplyEffect(f.Body, effect)
	r.Revision, r.Position, r.RecordedAt = f.Revision, f.Position, instantOf(f.Meta.RecordedAt)
}

func (r *balanceRecord) balance() Balance {
	return Balance{
		Balance: r.Figures.Balance(), Policy: r.Figures.Policy,
		Revision: r.Revision, Position: r.Position, RecordedAt: r.RecordedAt.time(),
	}
}

// account gives an account's row to change; it is written with the change, or later.
func (w *writer) account(name string) (*accountRow, error) {
	row := w.g.accounts.rows[name]
	if row == nil {
		row = w.g.accounts.add(name)
		row.balanceRecord = newBalance()
		if !w.first {
			record, err := lookup(w.db, balanceKey(name), decodeBalanceOf)
			if err != nil {
				return nil, err
			}
			if record != nil {
				row.balanceRecord, row.stored = *record, true
			}
		}
	}
	if !row.changed {
		row.changed = true
		w.rows = append(w.rows, row)
	}
	return row, nil
}

func balanceKey(name string) []byte { return append([]byte{balancePrefix}, name...) }

// Balance answers for any account; one never seen has zeros.
func (v *Views) Balance(ctx context.Context, name string) (Balance, error) {
	if err := ctx.Err(); err != nil {
		return Balance{}, err
	}
	g, leave, err := v.enter()
	if err != nil {
		return Balance{}, err
	}
	defer leave()
	record, err := g.balance(name)
	return record.balance(), err
}

// Figures gives the sums of an account, and the revision that they are of: NoStream if it
// is never seen.
func (v *Views) Figures(ctx context.Context, name string) (revision int64, figures account.Figures, err error) {
	if err := ctx.Err(); err != nil {
		return 0, figures, err
	}
	g, leave, err := v.enter()
	if err != nil {
		return 0, figures, err
	}
	defer leave()
	record, err := g.balance(name)
	return record.Revision, record.Figures, err
}

// balance gives an account's balance as it was shown last.
func (g *generation) balance(name string) (balanceRecord, error) {
	if shown, ok := g.shown.balance(name); ok {
		return shown, nil
	}
	m := g.shown.enter()
	defer m.leave()
	record, err := lookup(m, balanceKey(name), decodeBalanceOf)
	if err != nil || record == nil {
		return newBalance(), err
	}
	return *record, nil
}
