package httpapi

import (
	"context"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/projections"
)

// answer writes the answer to a command; object adds what it made or changed.
func (k *call) answer(status int, result ledger.Result, object func(*document) error) error {
	d := newDocument()
	d.open()
	d.number("revision", result.Revision)
	d.number("position", int64(result.Position))
	d.array("transactions")
	if err := k.appendTransactions(d, &result); err != nil {
		return err
	}
	d.end()
	d.object("balance")
	d.balance(k.account, &result.Balance, result.Head)
	d.close()
	if object != nil {
		if err := object(d); err != nil {
			return err
		}
	}
	d.close()
	if result.Replayed {
		k.Response().Header()[replayedHeader] = replayedValue
	}
	k.send(status, jsonType, d)
	return nil
}

var replayedValue = []string{"true"}

// appendTransactions gives the entries of a command's events.
func (k *call) appendTransactions(d *document, result *ledger.Result) error {
	balances := result.Balances
	if result.Replayed {
		var err error
		if balances, err = k.balancesAfter(result); err != nil {
			return err
		}
	}
	for i := range result.Facts {
		t, shows := projections.TransactionOf(result.Facts[i], balances[i])
		if !shows {
			continue
		}
		if err := k.relate(&t, &result.Facts[i], result.Facts); err != nil {
			return err
		}
		if err := k.server.appendTransaction(k.ctx, d, &t); err != nil {
			return err
		}
	}
	return nil
}

// relate finds the id of a transaction that an event names by its revision alone: in the
// same answer, or in the log, which never lags.
func (k *call) relate(t *projections.Transaction, fact *eventstore.Fact, facts []eventstore.Fact) error {
	revision, known := projections.RelatedRevision(*fact)
	if !known {
		return nil
	}
	for i := range facts {
		if facts[i].Revision == revision {
			t.Related = facts[i].ID
			return nil
		}
	}
	for r, err := range k.server.opts.Store.ReadStream(k.ctx, fact.Stream, revision, eventstore.Forwards, 1) {
		if err != nil {
			return err
		}
		t.Related = r.ID
	}
	return nil
}

// balancesAfter gives a replay the balances that its first answer had: from the history,
// or, while that is late, by adding up the account's events. So an answer that was given
// once can always be given again, if slowly.
func (k *call) balancesAfter(result *ledger.Result) ([]domain.Amount, error) {
	balances := make([]domain.Amount, len(result.Facts))
	err := k.server.waitFor(k.ctx, result.Position)
	if err == nil {
		for i := range result.Facts {
			t, _, err := k.server.opts.Views.Transaction(k.ctx, k.account, result.Facts[i].Revision)
			if err != nil {
				return nil, err
			}
			balances[i] = t.BalanceAfter
		}
		return balances, nil
	}
	if !domain.IsCode(err, domain.CodeReadBehind) || len(result.Facts) == 0 {
		return nil, err
	}
	w := streamWalk{server: k.server, account: k.account, stream: result.Facts[0].Stream}
	if err := w.foldTo(k.ctx, result.Facts[0].Revision); err != nil {
		return nil, err
	}
	for i := range result.Facts {
		if err := w.fold(result.Facts[i].Recorded); err != nil {
			return nil, err
		}
		balances[i] = w.balance
	}
	return balances, nil
}

// appendTransaction writes an entry of the history with its text opened.
func (s *Server) appendTransaction(ctx context.Context, d *document, t *projections.Transaction) error {
	d.open()
	defer d.close()
	return s.transactionMembers(ctx, d, t)
}

func (s *Server) transactionMembers(ctx context.Context, d *document, t *projections.Transaction) error {
	description, err := s.openText(ctx, t.Account, t.Description)
	if err != nil {
		return err
	}
	d.id("transaction_id", t.ID)
	d.text("account", t.Account)
	d.text("service", string(t.Service))
	d.text("type", string(t.Type))
	d.money("amount", t.Amount)
	d.money("held", t.Held)
	d.money("balance_after", t.BalanceAfter)
	d.time("recorded_at", t.RecordedAt)
	d.time("effective_at", t.EffectiveAt)
	d.text("reference", t.Reference)
	d.text("description", description)
	d.text("actor", t.Actor)
	d.lots(t.Lots)
	d.nullable("related_transaction", idText(t.Related))
	d.number("revision", t.Revision)
	d.number("position", int64(t.Position))
	return nil
}

func (d *document) lots(uses []account.LotUse) {
	d.array("lots")
	for _, u := range uses {
		d.open()
		d.number("lot", u.Lot)
		d.text("class", string(u.Class))
		d.money("amount", u.Amount)
		d.close()
	}
	d.end()
}

// balance writes the members of a balance.
func (d *document) balance(name string, b *account.Balance, at ledger.Mark) {
	d.text("account", name)
	d.money("balance", b.Balance)
	d.money("available", b.Available)
	d.money("reserved", b.Reserved)
	d.money("withdrawing", b.Withdrawing)
	d.money("promotional", b.Promotional)
	d.money("purchased", b.Purchased)
	d.money("withdrawable", b.Withdrawable)
	d.money("debt", b.Debt)
	d.money("allowance", b.Allowance)
	d.money("spendable", b.Spendable)
	d.flag("frozen", b.Frozen)
	d.number("revision", at.Revision)
	d.number("position", int64(at.Position))
	d.time("recorded_at", at.RecordedAt)
}

// freshness writes as of which event of the account a read answers. What it answers MUST
// have been read afterwards: it is then at least as new as it is said to be.
func (d *document) freshness(revision int64, position eventstore.Position, lag int64) {
	d.number("revision", revision)
	d.number("position", int64(position))
	d.number("lag", lag)
}

func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// firstOf finds a command's first event of a type. Events of deadlines that came due with
// the command stand before its own, so it MUST be a type that no deadline makes.
func firstOf[E domain.Event](facts []eventstore.Fact) (event E, fact *eventstore.Fact) {
	for i := range facts {
		if e, ok := facts[i].Body.(E); ok {
			return e, &facts[i]
		}
	}
	return event, nil
}
