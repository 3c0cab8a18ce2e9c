package account

import (
	"cmp"
	"slices"
	"time"
)

// DeadlineKind says what ends at a deadline.
type DeadlineKind string

// The kinds of deadlines, beside the dates of lots.
const (
	DeadlineGrace       DeadlineKind = "grace"
	DeadlineReservation DeadlineKind = "reservation"
	DeadlinePurchase    DeadlineKind = "purchase"
	DeadlineDeployment  DeadlineKind = "deployment"
	// DeadlineSettle is when the rest of what waits is to be paid, at once: the read models
	// have it, so that a Tick comes though the writer of the first part is no more. A State
	// has UnsettledSince instead.
	DeadlineSettle DeadlineKind = "settle"
)

// deadlineRank orders what is due at one instant, after lots, which come first
// of all (money.md, Time).
var deadlineRank = map[DeadlineKind]int{
	DeadlineGrace:       1,
	DeadlineReservation: 2,
	DeadlinePurchase:    3,
	DeadlineDeployment:  4,
}

// Deadline is an instant at which something of the account ends by itself. One
// thing has one deadline: a later one replaces it, a zero At takes it away.
type Deadline struct {
	Kind DeadlineKind
	ID   string
	At   time.Time
}

func (d Deadline) name() string { return string(d.Kind) + "/" + d.ID }

// maxDue bounds the lots and deadlines that a Tick ends; what gives credits back counts for
// itself and for each lot that it gives back to. All events of a decision are one append,
// and a cluster takes no append above a size: without a bound, what came due together while
// no engine ran would be too much for it, for ever, and with it every command after that.
const maxDue = 100

// Overdue says that more is due than a Tick may end, or that more that waits can be paid:
// see Decide for what that asks of the caller. now is asked only if anything can be due.
func (s *State) Overdue(now func() time.Time) bool {
	if s.Unsettled() {
		return true
	}
	if len(s.Due) == 0 && len(s.Lots) <= maxDue { // of nearly every account
		return false
	}
	at, due := now(), 0
	for i := 0; i < len(s.Due) && due <= maxDue && !s.Due[i].At.After(at); i++ {
		due += s.dueOf(s.Due[i])
	}
	if due > 0 && len(s.Waiting) > 0 { // what comes back may pay all that waits, of all lots
		due += len(s.Waiting) + len(s.Lots)
	}
	for _, class := range []Class{Promotional, Purchased} {
		of := s.Lots.of(class)
		for i := 0; i < len(of) && due <= maxDue && !of[i].ExpiresAt.IsZero() && !of[i].ExpiresAt.After(at); i++ {
			due++
		}
	}
	return due > maxDue
}

// dueOf is how much ends with a deadline: each lot to which it gives back may expire again.
func (s *State) dueOf(deadline Deadline) int {
	of := 1
	switch deadline.Kind {
	case DeadlineReservation:
		of += len(s.Reservations[deadline.ID].Lots)
	case DeadlineGrace:
		for _, back := range s.comesBackUnpaid(deadline.ID) {
			of += len(back.lots())
		}
	}
	return of
}

// applySome does a part of what is too much for a Tick, and leaves it due; false: it has
// no parts.
func (d *decision) applySome(due Deadline) bool {
	switch due.Kind {
	case DeadlineReservation:
		d.releaseSome(due.ID, d.dueLeft)
		return true
	case DeadlineGrace:
		return d.refundSome(due.ID, d.dueLeft)
	}
	return false
}

// applyDeadline does what the rules say for a deadline that has come. What it
// emits MUST end the deadline, or applyDue would never end.
func (d *decision) applyDeadline(due Deadline) {
	switch due.Kind {
	case DeadlineReservation:
		d.releaseAll(due.ID, ReleaseExpired, "")
	case DeadlineGrace:
		d.endGrace(due.ID)
	case DeadlinePurchase:
		received := d.now().OpenPurchases[due.ID].Received
		d.endPurchase(due.ID, &PurchaseExpired{Purchase: due.ID, Received: received, EffectiveAt: d.clock})
	case DeadlineDeployment:
		d.completeDeployment(due.ID)
	}
}

func deadlineOrder(a, b Deadline) int {
	if c := a.At.Compare(b.At); c != 0 {
		return c
	}
	if c := cmp.Compare(deadlineRank[a.Kind], deadlineRank[b.Kind]); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// schedule folds a change of a deadline in.
func (s *State) schedule(to Deadline) {
	if to.Kind == DeadlineSettle {
		return
	}
	name := to.name()
	if at, known := s.DueAt[name]; known {
		old := Deadline{Kind: to.Kind, ID: to.ID, At: at}
		if i, found := slices.BinarySearchFunc(s.Due, old, deadlineOrder); found {
			s.Due = slices.Delete(s.Due, i, i+1)
		}
		delete(s.DueAt, name)
	}
	if to.At.IsZero() {
		return
	}
	i, _ := slices.BinarySearchFunc(s.Due, to, deadlineOrder)
	s.Due = slices.Insert(s.Due, i, to)
	put(&s.DueAt, name, to.At)
}
