package projections

import (
	"context"
	"fmt"
	"sync"
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
	record, err := w.balance(s.Account)
	if err != nil {
		return err
	}
	s.BalanceBefore = record.Figures.Available() + record.Figures.Held()
	record.apply(s.Fact, &s.Effect)
	s.LowBalanceAt = record.Figures.Policy.LowBalanceAt
	s.BalanceAfter = record.Figures.Available() + record.Figures.Held()
	return nil
}

func (r *balanceRecord) apply(f eventstore.Fact, effect *account.Effect) {
	r.Figures.ApplyEffect(f.Body, effect)
	r.Revision, r.Position, r.RecordedAt = f.Revision, f.Position, f.Meta.RecordedAt
}

func (r balanceRecord) balance() Balance {
	return Balance{
		Balance: r.Figures.Balance(), Policy: r.Figures.Policy,
		Revision: r.Revision, Position: r.Position, RecordedAt: r.RecordedAt,
	}
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
	if shown, ok := g.shown.get(name); ok {
		return shown.balance(), nil
	}
	record, err := lookup(g.db, balanceKey(name), decodeBalance)
	if err != nil {
		return Balance{}, err
	}
	if record == nil {
		record = new(newBalance())
	}
	return record.balance(), nil
}

// shownBalances has the balances that changed lately, for readers: the ones that
// are asked for most. Only a batch that was committed puts balances in, before
// its position is published; a reader never does, so none is ever older than
// what was published.
type shownBalances struct {
	mu      sync.RWMutex
	records map[string]balanceRecord
}

func (s *shownBalances) get(name string) (balanceRecord, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	record, ok := s.records[name]
	return record, ok
}

func (s *shownBalances) put(changed map[string]*balanceRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil || len(s.records)+len(changed) > maxRecent {
		s.records = make(map[string]balanceRecord, len(changed))
	}
	for name, record := range changed {
		s.records[name] = *record
	}
}
