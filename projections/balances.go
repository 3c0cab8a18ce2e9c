package projections

import (
	"context"
	"fmt"
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

// balanceRecord is what is stored.
type balanceRecord struct {
	Figures    account.Figures
	Revision   int64
	Position   eventstore.Position
	RecordedAt time.Time
}

func newBalance() balanceRecord {
	return balanceRecord{Figures: account.New().Figures, Revision: eventstore.NoStream}
}

func applyBalance(w *writer, s *step) error {
	record, ok := w.balances[s.Account]
	if !ok {
		stored, err := w.get(balanceKey(s.Account))
		if err != nil {
			return err
		}
		record = new(newBalance())
		if stored != nil {
			if record, err = decodeBalance(stored); err != nil {
				return fmt.Errorf("balance of %s: %w", s.Account, err)
			}
		}
		w.balances[s.Account] = record
	}
	record.apply(s.Fact)
	s.BalanceAfter = record.Figures.Available() + record.Figures.Held()
	return nil
}

func (r *balanceRecord) apply(f eventstore.Fact) {
	r.Figures.Apply(f.Body, f.Revision)
	r.Revision, r.Position, r.RecordedAt = f.Revision, f.Position, f.Meta.RecordedAt
}

func (r balanceRecord) balance() Balance {
	return Balance{
		Balance: r.Figures.Balance(), Policy: r.Figures.Policy,
		Revision: r.Revision, Position: r.Position, RecordedAt: r.RecordedAt,
	}
}

func (w *writer) flushBalances() error {
	for name, record := range w.balances {
		if err := w.append(balanceKey(name), appendBalance(nil, record)); err != nil {
			return err
		}
	}
	return nil
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
	record, err := lookup(g.db, balanceKey(name), decodeBalance)
	if err != nil {
		return Balance{}, err
	}
	if record == nil {
		record = new(newBalance())
	}
	return record.balance(), nil
}
