package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
)

// Reserve is POST …/reservations.
func (h handlers) Reserve(c echo.Context, _ api.Account, _ api.ReserveParams) error {
	k := callOf(c)
	var request api.ReservationRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	if err := domain.CheckID("reservation_id", request.ReservationId); err != nil {
		return err
	}
	amount, err := moneyOf("amount", &request.Amount)
	if err != nil {
		return err
	}
	service, err := domain.ParseService(string(request.Service))
	if err != nil {
		return err
	}
	if err := checkReference("reference", valueOf(request.Reference)); err != nil {
		return err
	}
	expires, err := timeOf("expires_at", request.ExpiresAt)
	if err != nil {
		return err
	}
	return k.reservation(statusCreated, request.ReservationId, request, account.Reserve{
		Reservation: request.ReservationId, Amount: amount, Service: service,
		Reference: valueOf(request.Reference), ExpiresAt: expires,
	})
}

// CaptureReservation is POST …/reservations/{id}/capture.
func (h handlers) CaptureReservation(c echo.Context, _ api.Account, id api.ReservationID, _ api.CaptureReservationParams) error {
	k := callOf(c)
	var request api.CaptureRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	if err := domain.CheckID("reservation_id", id); err != nil {
		return err
	}
	amount, err := moneyOf("amount", &request.Amount)
	if err != nil {
		return err
	}
	final := valueOf(request.Final)
	return k.reservation(statusOK, id, api.CaptureRequest{Amount: request.Amount, Final: &final},
		account.Capture{Reservation: id, Amount: amount, Final: final})
}

// ReleaseReservation is POST …/reservations/{id}/release.
func (h handlers) ReleaseReservation(c echo.Context, name api.Account, id api.ReservationID, _ api.ReleaseReservationParams) error {
	k := callOf(c)
	var request api.ReasonRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	if err := domain.CheckID("reservation_id", id); err != nil {
		return err
	}
	reason, err := k.seal("reason", name, request.Reason)
	if err != nil {
		return err
	}
	return k.reservation(statusOK, id, request, account.Release{Reservation: id, Reason: reason})
}

// GetReservation is GET …/reservations/{id}. No view keeps holds: the write side
// has the open ones, and the index of names knows that there was one.
func (h handlers) GetReservation(c echo.Context, name api.Account, id api.ReservationID, params api.GetReservationParams) error {
	k := callOf(c)
	if err := domain.CheckID("reservation_id", id); err != nil {
		return err
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	// In this order: what the index knows already, the write side knows too. The
	// other way round one that begins in between would look closed.
	begun, known, err := h.opts.Views.Find(k.ctx, name, reservationName(id))
	if err != nil {
		return err
	}
	var today account.Reservation
	open := false
	view, err := h.opts.Ledger.Look(k.ctx, name, func(s *account.State, _ []eventstore.Fact) {
		today, open = s.Reservations[id]
	})
	if err != nil {
		return err
	}
	switch {
	case !known && !open:
		return domain.Refuse(domain.CodeUnknownReservation, "the account has no reservation %q", clip(id)).
			With("field", "reservation_id").With("value", clip(id))
	case !open:
		if today, err = k.closedReservation(begun); err != nil {
			return err
		}
	}
	d := newDocument()
	d.open()
	d.reservation(id, today, open)
	d.freshness(view.Revision, view.Position, 0) // the write side's own
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// closedReservation tells what a closed reservation was for, which only the event that
// began it still has.
func (k *call) closedReservation(begun int64) (r account.Reservation, err error) {
	stream := eventstore.AccountStream(k.account)
	for recorded, err := range k.server.opts.Store.ReadStream(k.ctx, stream, begun, eventstore.Forwards, 1) {
		if err != nil {
			return r, err
		}
		f, err := k.server.opts.Codec.Open(recorded)
		if err != nil {
			return r, err
		}
		if e, is := f.Body.(*account.Reserved); is {
			r.Service, r.Reference, r.ExpiresAt = e.Service, e.Reference, e.ExpiresAt
		}
	}
	return r, nil
}

// reservation executes a command about a reservation and answers with it.
func (k *call) reservation(status int, id string, body any, do account.Action) error {
	var today account.Reservation
	var refunded domain.Amount
	open := false
	result, err := k.execute(order{do: do, body: body, inspect: func(s *account.State, facts []eventstore.Fact) {
		today, open = s.Reservations[id]
		refunded = refundedOf(s, facts)
	}})
	if err != nil {
		return err
	}
	return k.answer(status, result, func(d *document) error {
		d.deduction(result.Facts, refunded) // of a capture
		d.object("reservation")
		d.reservation(id, today, open)
		d.close()
		return nil
	})
}

// reservationName is the name that the event which opens a reservation claims.
func reservationName(id string) ledger.Name {
	return ledger.NameOfClaim(account.ClaimOf(&account.Reserved{Reservation: id}))
}

// reservation writes the members of one. The state has forgotten what a closed one was
// for, so the answer to the command that closes it doesn't say that.
func (d *document) reservation(id string, r account.Reservation, open bool) {
	status := "open"
	if !open {
		status = "closed"
	}
	d.text("id", id)
	d.text("status", status)
	d.money("held", r.Left())
	d.optional("service", string(r.Service))
	d.optional("reference", r.Reference)
	d.moment("expires_at", r.ExpiresAt)
}
