package httpapi

import (
	"context"
	"errors"
	"strconv"

	"iocredits/domain"
	"iocredits/eventstore"
)

// Reads (design.md §3). A read waits until the read models have what it must
// not miss, at most ReadPatience:
//
//   - what was acknowledged for the account, by this engine or before it started: so
//     everybody reads their own writes. If the wait is in vain, the answer says by how
//     much it may be late, in lag: late figures are better than none. A thing that isn't
//     found is then a read-behind problem: that it doesn't exist isn't known. So is a
//     file, which has no place for lag and would be taken for all there is.
//   - min_position, which the caller asked for: in vain, that is a read-behind
//     problem, because the caller said that anything less is no answer.
//
// consistency=strong asks the write side and waits for nothing.

// await waits for the account's acknowledged events and for minPosition.
func (k *call) await(account string, minPosition *int64) error {
	return k.awaitBoth(k.server.opts.Ledger.Acked(account), minPosition)
}

// awaitAll is await for a list over all accounts.
func (k *call) awaitAll(minPosition *int64) error {
	return k.awaitBoth(k.server.opts.Ledger.AckedAny(), minPosition)
}

func (k *call) awaitBoth(acked eventstore.Position, minPosition *int64) error {
	least := eventstore.Position(valueOf(minPosition))
	err := k.server.waitFor(k.ctx, max(acked, least))
	k.lag = k.server.lag()
	if err != nil && domain.IsCode(err, domain.CodeReadBehind) && k.server.opts.Views.Through() >= least {
		k.behind = err
		return nil
	}
	return err
}

// orBehind is err, unless that says that there is no such thing and the read models that
// were asked are behind: whoever is told that what they made doesn't exist would make it
// once more.
func (k *call) orBehind(err error) error {
	if k.behind == nil || err == nil {
		return err
	}
	if refusal, ok := domain.AsError(err); ok && problems[refusal.Code].isUnknown() {
		return k.behind
	}
	return err
}

// waitFor waits until the read models reach a position. Refusal: read-behind.
func (s *Server) waitFor(ctx context.Context, position eventstore.Position) error {
	if s.opts.Views.Through() >= position {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, s.opts.ReadPatience)
	defer cancel()
	err := s.opts.Views.WaitThrough(waiting, position)
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	through := s.opts.Views.Through()
	return domain.Refuse(domain.CodeReadBehind, "the read models are at position %d and not yet at %d", through, position).
		With("through", strconv.FormatUint(uint64(through), 10))
}

// lag is how many positions that were acknowledged here the read models may lack. Every
// answer can have it, because the store needn't be asked.
func (s *Server) lag() int64 {
	through, acked := s.opts.Views.Through(), s.opts.Ledger.AckedAny()
	if acked <= through {
		return 0
	}
	return int64(acked - through)
}

// lagGauge is the lag behind the log itself; -1 when the log can't tell.
func (s *Server) lagGauge() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ReadPatience)
	defer cancel()
	status, err := s.opts.Views.Status(ctx)
	if err != nil {
		return -1
	}
	return float64(status.Lag())
}
