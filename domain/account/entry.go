package account

import (
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
)

// EntryType is the kind of a history's entry, as api.md names it.
type EntryType string

// The types of the history.
const (
	EntryPurchase           EntryType = "purchase"
	EntryGrant              EntryType = "grant"
	EntryIncentive          EntryType = "incentive"
	EntryDeduction          EntryType = "deduction"
	EntryRefund             EntryType = "refund"
	EntryReservation        EntryType = "reservation"
	EntryRelease            EntryType = "release"
	EntryExpiry             EntryType = "expiry"
	EntryAdjustment         EntryType = "adjustment"
	EntryChargeback         EntryType = "chargeback"
	EntryWithdrawal         EntryType = "withdrawal"
	EntryWithdrawalReturned EntryType = "withdrawal-returned"
)

// Entry is what an event shows in the history of its account: one event makes
// one entry at most, so the event's id is the transaction's.
type Entry struct {
	Type    EntryType
	Service domain.Service
	// Amount is the change of the balance, Held that of what is held.
	Amount domain.Amount
	Held   domain.Amount
	Lots   []LotUse

	Reference   string
	Description domain.Sealed
	// EffectiveAt is when it counts; zero: when it was recorded.
	EffectiveAt time.Time
	// Related is the transaction that this one answers to; Nil: none, or one
	// that is known by its revision alone.
	Related uuid.UUID
	// RelatedRevision is the place of that transaction, where a decision can't
	// know the id: both may be of one append. The reader of the log finds the id.
	RelatedRevision *int64
}

// AboutOf is the earlier event of the account that an event is about, though it
// may show no entry of its own: a refund's deduction, what a dispute or a
// correction names. False if there is none. id is Nil where the event goes by the
// revision alone; else only the event of that id is meant, and there may be none.
func AboutOf(event domain.Event) (revision int64, id uuid.UUID, ok bool) {
	a, ok := event.(interface{ about() (int64, uuid.UUID) })
	if !ok {
		return 0, uuid.Nil, false
	}
	revision, id = a.about()
	return revision, id, revision >= 0
}

// aboutID is about for an event that knows an id alone.
func aboutID(id uuid.UUID) (int64, uuid.UUID) {
	revision, ours := domain.RevisionOf(id)
	if !ours {
		return -1, id
	}
	return revision, id
}

// EntryOf gives the history's entry of an event; false if it shows none.
func EntryOf(event domain.Event) (Entry, bool) {
	f, ours := event.(fact)
	if !ours {
		return Entry{}, false
	}
	effect := f.effect()
	return EntryWith(event, &effect)
}

// ServiceOf is the service that an event's entry is for; empty if it is for none.
func ServiceOf(event domain.Event) domain.Service {
	f, ours := event.(fact)
	if !ours {
		return ""
	}
	return f.entry().Service
}

// EntryWith is EntryOf for who has the event's effect already.
func EntryWith(event domain.Event, effect *Effect) (Entry, bool) {
	f, ours := event.(fact)
	if !ours {
		return Entry{}, false
	}
	entry := f.entry()
	if entry.Type == "" {
		return Entry{}, false
	}
	var change Figures
	change.add(effect)
	entry.Held = change.Held()
	entry.Amount = change.Available() + entry.Held
	return entry, true
}
