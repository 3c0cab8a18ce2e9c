package httpapi

import (
	"context"
	"slices"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/projections"
)

// No view keeps reservations: the life of one is read from the log, from the event that
// began it until it is closed.

// maxHoldScan bounds the events that are looked at for it: others spend meanwhile.
const maxHoldScan = 10_000

// hold tells the life of the reservation that the charge is of, or that it began.
func (x *explanation) hold(ctx context.Context) error {
	hold := account.EffectOf(x.parts[0].Body, x.parts[0].Revision).Hold
	if hold.Kind != account.HoldReservation {
		return nil
	}
	begun, found, err := x.server.opts.Views.Find(ctx, x.account, reservationName(hold.ID))
	if err != nil || !found {
		return err
	}
	reservation := story{kind: string(account.HoldReservation), id: hold.ID}
	if reservation.cut, err = x.readHold(ctx, begun, hold.ID); err != nil {
		return err
	}
	if reservation.status, err = x.reservationStatus(ctx, hold.ID); err != nil {
		return err
	}
	became := "open"
	for _, e := range x.inOrder() {
		change := account.EffectOf(e.fact.Body, e.fact.Revision).Hold
		if change.Kind != hold.Kind || change.ID != hold.ID {
			continue
		}
		if change.Closes {
			became = "closed"
		}
		reservation.steps = append(reservation.steps, stepOf(e.fact, became))
	}
	x.objects = append(x.objects, reservation)
	return nil
}

// readHold adds the events of a reservation, from the one that began it on: of one with
// more than maxSequels, or that goes on behind more than maxHoldScan events, the first. cut:
// there are more, or may be. The charge, and what its command did beside it, are there already.
func (x *explanation) readHold(ctx context.Context, begun int64, id string) (cut bool, err error) {
	types := []string{(*account.Reserved)(nil).EventName(), (*account.Captured)(nil).EventName(), (*account.Released)(nil).EventName()}
	told := 0
	for r, err := range x.server.opts.Store.ReadStream(ctx, eventstore.AccountStream(x.account), begun, eventstore.Forwards, maxHoldScan+2) {
		if err != nil {
			return false, err
		}
		if r.Revision > begun+maxHoldScan {
			return true, nil
		}
		if !slices.Contains(types, r.Type) {
			continue
		}
		f, err := x.server.opts.Codec.Open(r)
		if err != nil {
			return false, err
		}
		change := account.EffectOf(f.Body, f.Revision).Hold
		if change.Kind != account.HoldReservation || change.ID != id {
			continue
		}
		if told++; told > maxSequels {
			return true, nil
		}
		if _, err := x.read(ctx, f.Revision, 1, "hold"); err != nil || change.Closes {
			return false, err
		}
	}
	return false, nil
}

// reservationStatus is today's, like that of every other object: readHold may not have come
// to its end.
func (x *explanation) reservationStatus(ctx context.Context, id string) (string, error) {
	open := false
	_, err := x.server.opts.Ledger.Look(ctx, x.account, func(s *account.State, _ []eventstore.Fact) {
		_, open = s.Reservations[id]
	})
	if err != nil { // it may still be looking
		return "", err
	}
	if open {
		return "open", nil
	}
	return "closed", nil
}

func stepOf(f eventstore.Fact, status string) projections.ObjectStep {
	return projections.ObjectStep{
		Event: f.Type, Transaction: f.ID, At: f.Meta.RecordedAt, Actor: f.Meta.Actor, Role: f.Meta.Role, Status: status,
	}
}
