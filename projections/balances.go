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

// balanceCache has the balances that were changed lately, as they are written.
// It belongs to the goroutine that applies.
type balanceCache struct{ records map[string]*balanceRecord }

// maxKnownBalances bounds the cache, at about 300 bytes each.
const maxKnownBalances = 1 << 16

func (c *balanceCache) get(name string) *balanceRecord { return c.records[name] }

func (c *balanceCache) put(name string, r *balanceRecord) {
	if c.records == nil || len(c.records) >= maxKnownBalances {
		c.records = make(map[string]*balanceRecord)
	}
	c.records[name] = r
}

func (c *balanceCache) clear() { c.records = nil }

func applyBalance(w *writer, s *step) error {
	record, err := w.balance(s.Account)
	if err != nil {
		return err
	}
	s.BalanceBefore = record.Figures.Available() + record.Figures.Held()
	record.Figures.ApplyEffect(s.Body, &s.Effect)
	s.LowBalanceAt = record.Figures.Policy.LowBalanceAt
	record.Revision, record.Position, record.RecordedAt = s.Revision, s.Position, s.Meta.RecordedAt
	s.BalanceAfter = record.Figures.Available() + record.Figures.Held()
	return nil
}

// balance gives an account's balance to change; it is written with the batch.
func (w *writer) balance(name string) (*balanceRecord, error) {
	if record := w.balances[name]; record != nil {
		return record, nil
	}
	record := w.known.get(name)
	if record == nil {
		stored, err := w.get(balanceKey(name))
		if err != nil {
			return nil, err
		}
		record = new(newBalance())
		if stored != nil {
			if record, err = decodeBalance(stored); err != nil {
				return nil, fmt.Errorf("balance of %s: %w", name, err)
			}
		}
		w.known.put(name, record)
	}
	w.balances[name] = record
	return record, nil
}

func (w *writer) flushBalances() error {
	for name, record := range w.balances {
		w.scratch = appendBalance(w.scratch[:0], record)
		if err := w.append(balanceKey(name), w.scratch); err != nil {
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
	return Balance{
		Balance: record.Figures.Balance(), Policy: record.Figures.Policy,
		Revision: record.Revision, Position: record.Position, RecordedAt: record.RecordedAt,
	}, nil
}
