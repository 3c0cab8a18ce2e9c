package account

import (
	"time"

	"iocredits/domain"
)

// Reserved sets credits aside: they can't be spent otherwise and don't expire.
type Reserved struct {
	plain
	Reservation string         `json:"reservation"`
	Amount      domain.Amount  `json:"amount"`
	Service     domain.Service `json:"service"`
	Reference   string         `json:"reference,omitempty"`
	ExpiresAt   time.Time      `json:"expires_at,omitzero"`
	Lots        []LotUse       `json:"lots"`
	Part        Part           `json:"part,omitzero"`
}

// EventName is the stored type.
func (*Reserved) EventName() string { return "reserved" }

func (e *Reserved) effect() Effect {
	effect := Effect{Taken: e.Lots, Hold: HoldChange{Kind: HoldReservation, ID: e.Reservation, In: e.Lots}}
	if !e.ExpiresAt.IsZero() {
		effect.Deadlines = []Deadline{{Kind: DeadlineReservation, ID: e.Reservation, At: e.ExpiresAt}}
	}
	return effect
}

func (e *Reserved) entry() Entry {
	return Entry{Type: EntryReservation, Service: e.Service, Lots: e.Lots, Reference: e.Reference}
}

func (e *Reserved) parts() Part { return e.Part }

func (e *Reserved) claim() string {
	if !e.Part.first() {
		return ""
	}
	return reservationName(e.Reservation)
}

func (e *Reserved) evolve(s *State) {
	r := s.Reservations[e.Reservation]
	r.Service, r.Reference, r.ExpiresAt = e.Service, e.Reference, e.ExpiresAt
	put(&s.Reservations, e.Reservation, r)
}

// Captured spends held credits.
type Captured struct {
	plain
	Reservation string         `json:"reservation"`
	Amount      domain.Amount  `json:"amount"`
	Service     domain.Service `json:"service"`
	Reference   string         `json:"reference,omitempty"`
	Lots        []LotUse       `json:"lots"`
	// Closes: nothing is held any more.
	Closes bool `json:"closes,omitzero"`
	Part   Part `json:"part,omitzero"`
}

// EventName is the stored type.
func (*Captured) EventName() string { return "reservation-captured" }

func (e *Captured) effect() Effect {
	return Effect{
		Hold:      HoldChange{Kind: HoldReservation, ID: e.Reservation, Out: e.Lots, Closes: e.Closes},
		Deadlines: endOfReservation(e.Reservation, e.Closes),
	}
}

func (e *Captured) entry() Entry {
	return Entry{Type: EntryDeduction, Service: e.Service, Lots: e.Lots, Reference: e.Reference}
}

func (e *Captured) parts() Part { return e.Part }

func (e *Captured) charge() charge {
	return charge{e.Amount, e.Service, e.Reference, e.Lots, 0}
}

// ReleaseCause says why a hold ended.
type ReleaseCause string

// Why holds end.
const (
	ReleaseAsked    ReleaseCause = "released"
	ReleaseExpired  ReleaseCause = "expired"
	ReleaseCaptured ReleaseCause = "captured"
)

// Released returns held credits to the lots they came from.
type Released struct {
	plain
	Reservation string         `json:"reservation"`
	Amount      domain.Amount  `json:"amount"`
	Service     domain.Service `json:"service"`
	Reference   string         `json:"reference,omitempty"`
	Cause       ReleaseCause   `json:"cause"`
	Reason      domain.Sealed  `json:"reason,omitempty"`
	Lots        []LotUse       `json:"lots"`
	EffectiveAt time.Time      `json:"effective_at,omitzero"`
	Closes      bool           `json:"closes,omitzero"`
	Part        Part           `json:"part,omitzero"`
}

// EventName is the stored type.
func (*Released) EventName() string { return "reservation-released" }

func (e *Released) effect() Effect {
	return Effect{
		Given:     e.Lots,
		Hold:      HoldChange{Kind: HoldReservation, ID: e.Reservation, Out: e.Lots, Closes: e.Closes},
		Deadlines: endOfReservation(e.Reservation, e.Closes),
	}
}

func (e *Released) entry() Entry {
	return Entry{
		Type: EntryRelease, Service: e.Service, Lots: e.Lots,
		Reference: e.Reference, Description: e.Reason, EffectiveAt: e.EffectiveAt,
	}
}

func (e *Released) parts() Part { return e.Part }

// Reservation is an open hold.
type Reservation struct {
	// Lots is what is still held, in spending order.
	Lots      []LotUse
	ExpiresAt time.Time
	Service   domain.Service
	Reference string
}

// Left is what can still be captured.
func (r Reservation) Left() domain.Amount { return sum(r.Lots) }

func reservationName(id string) string { return "reservation/" + id }

// endOfReservation ends the deadline of a hold that closes.
func endOfReservation(id string, closes bool) []Deadline {
	if !closes {
		return nil
	}
	return []Deadline{{Kind: DeadlineReservation, ID: id}}
}

// holdReservation folds a change of a hold in.
func (s *State) holdReservation(change HoldChange) {
	if change.Closes {
		delete(s.Reservations, change.ID)
		return
	}
	r := s.Reservations[change.ID]
	r.Lots = change.apply(r.Lots)
	put(&s.Reservations, change.ID, r)
}

// maxReservations bounds the open holds of an account, and so its state.
const maxReservations = 10_000

// Reserve sets credits aside. Holds take lots only, never the allowance.
//
// Checks, in order: amount-invalid, amount-too-large; time-invalid (expires_at);
// duplicate-id; limit-exceeded; account-frozen; insufficient-credits, against
// available.
type Reserve struct {
	Reservation string
	Amount      domain.Amount
	Service     domain.Service
	Reference   string
	ExpiresAt   time.Time
}

// NameFor asks about the id unless it is open: the state forgets closed holds.
func (c Reserve) NameFor(s *State) string {
	return nameIfNotIn(s.Reservations, c.Reservation, reservationName)
}

func (c Reserve) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	if err := d.inFuture("expires_at", c.ExpiresAt); err != nil {
		return err
	}
	s := d.now()
	// The state as it came in, too: a deadline may have ended the hold just now.
	if _, open := d.initial.Reservations[c.Reservation]; open || d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "reservation %q exists already", c.Reservation).
			With("field", "reservation_id").With("value", c.Reservation)
	}
	if err := limit("reservations", len(s.Reservations), maxReservations); err != nil {
		return err
	}
	if err := d.notFrozen(); err != nil {
		return err
	}
	uses, short := s.Lots.pick(c.Amount)
	if short > 0 {
		available := s.Available() // below zero the debt is missing too
		some := max(0, available)
		return insufficient(&s.Figures, c.Amount, available,
			"%s %s required and %s %s available: a hold takes no allowance", credits(c.Amount), are(c.Amount), some, are(some))
	}
	// Accepted: nothing below refuses.
	parts := split(uses)
	for i, lots := range parts {
		d.emit(&Reserved{
			Reservation: c.Reservation, Amount: sum(lots), Service: c.Service, Reference: c.Reference,
			ExpiresAt: c.ExpiresAt, Lots: lots, Part: part(i, len(parts)),
		})
	}
	return nil
}

// Capture spends some of a hold; the last of it closes the hold. Frozen accounts
// capture too: the promise was made before.
//
// Checks, in order: amount-invalid, amount-too-large; unknown-reservation or
// reservation-closed; capture-exceeds-reservation.
type Capture struct {
	Reservation string
	Amount      domain.Amount
	// Final releases the rest.
	Final bool
}

// NameFor asks about the id if the hold isn't open.
func (c Capture) NameFor(s *State) string {
	return nameIfNotIn(s.Reservations, c.Reservation, reservationName)
}

func (c Capture) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	r, err := d.openReservation(c.Reservation)
	if err != nil {
		return err
	}
	left := r.Left()
	if c.Amount > left {
		return domain.Refuse(domain.CodeCaptureExceeds, "reservation %q holds %s, not %s", c.Reservation, left, c.Amount).
			With("reserved", left.String()).With("required", c.Amount.String())
	}
	// Accepted: nothing below refuses.
	uses, _ := heldLots(r).pick(c.Amount)
	parts := split(uses)
	for i, lots := range parts {
		d.emit(&Captured{
			Reservation: c.Reservation, Amount: sum(lots), Service: r.Service, Reference: r.Reference,
			Lots: lots, Closes: c.Amount == left && i == len(parts)-1, Part: part(i, len(parts)),
		})
	}
	if c.Final && c.Amount < left {
		d.releaseAll(c.Reservation, ReleaseCaptured, "")
	}
	return nil
}

// heldLots lets a hold be spent from as an account is.
func heldLots(r Reservation) lots {
	held := make(lots, len(r.Lots))
	for i, u := range r.Lots {
		held[i] = Lot{ID: u.Lot, Class: u.Class, Free: u.Amount, ExpiresAt: u.ExpiresAt}
	}
	return held
}

// Release ends a hold and gives its credits back.
//
// Checks: unknown-reservation or reservation-closed.
type Release struct {
	Reservation string
	Reason      domain.Sealed
}

// NameFor asks about the id if the hold isn't open.
func (c Release) NameFor(s *State) string {
	return nameIfNotIn(s.Reservations, c.Reservation, reservationName)
}

func (c Release) decide(d *decision) error {
	if _, err := d.openReservation(c.Reservation); err != nil {
		return err
	}
	d.releaseAll(c.Reservation, ReleaseAsked, c.Reason)
	return nil
}

// openReservation finds a hold that deadlines have not just ended.
func (d *decision) openReservation(id string) (Reservation, error) {
	r, open := d.now().Reservations[id]
	if open {
		return r, nil
	}
	_, wasOpen := d.initial.Reservations[id]
	if d.cmd.NameTaken || wasOpen {
		return r, domain.Refuse(domain.CodeReservationClosed, "reservation %q is closed", id).
			With("field", "reservation_id").With("value", id)
	}
	return r, domain.Refuse(domain.CodeUnknownReservation, "the account has no reservation %q", id).
		With("field", "reservation_id").With("value", id)
}

// releaseSome gives back so many lots at the most of a hold that has run out, and never the
// last: it stays due for what is left. Those that would be spent first come first, because
// debt is paid of each part: of all of them at once it would be paid in spending order.
func (d *decision) releaseSome(id string, most int) {
	r := d.now().Reservations[id]
	some := r.Lots[:min(most, len(r.Lots)-1)]
	d.emit(&Released{
		Reservation: id, Amount: sum(some), Service: r.Service, Reference: r.Reference,
		Cause: ReleaseExpired, Lots: some, EffectiveAt: d.clock,
	})
	d.cameIn() // what waits is paid of the whole hold: the oldest may need all of it
}

// releaseAll gives back what a hold still has. An empty hold is closed already.
func (d *decision) releaseAll(id string, cause ReleaseCause, reason domain.Sealed) {
	r := d.now().Reservations[id]
	uses := fromEnd(r.Lots, 0, r.Left())
	parts := split(uses)
	for i, lots := range parts {
		e := &Released{
			Reservation: id, Amount: sum(lots), Service: r.Service, Reference: r.Reference,
			Cause: cause, Reason: reason, Lots: lots, Closes: i == len(parts)-1, Part: part(i, len(parts)),
		}
		if cause == ReleaseExpired {
			e.EffectiveAt = d.clock
		}
		d.emit(e)
	}
	d.arrived()
}
