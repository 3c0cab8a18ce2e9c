package account

import (
	"slices"
	"time"

	"iocredits/domain"
)

// ObjectKind names the things of an account that have an id and a life of their
// own: people and programs ask how one of them stands.
type ObjectKind string

// The kinds of objects.
const (
	ObjectAdjustment    ObjectKind = "adjustment"
	ObjectPurchase      ObjectKind = "purchase"
	ObjectPayment       ObjectKind = "payment"
	ObjectCreditRequest ObjectKind = "credit_request"
	ObjectDeployment    ObjectKind = "deployment"
	ObjectDispute       ObjectKind = "dispute"
	ObjectWithdrawal    ObjectKind = "withdrawal"
)

// Object is such a thing, folded from its own events alone. The state keeps the
// open ones, because rules ask for them; the views keep all of them for ever.
// Both fold with Apply, so they can't differ.
type Object interface {
	// Apply folds the object's next event in. It never refuses, and never
	// changes in place what a slice or map of the object refers to.
	Apply(event domain.Event)
	// Status is its public status.
	Status() string
	// Open tells whether anything may still happen to it that a rule depends on.
	Open() bool
}

// Dated is an object that its queue orders by a time of its own, such as a due
// date; others are ordered by when they began.
type Dated interface{ QueueTime() time.Time }

// NewObject is an object that nothing has happened to; nil for an unknown kind.
func NewObject(kind ObjectKind) Object {
	switch kind {
	case ObjectAdjustment:
		return new(Adjustment)
	case ObjectPurchase:
		return new(Purchase)
	case ObjectPayment:
		return new(Payment)
	case ObjectCreditRequest:
		return new(CreditRequest)
	case ObjectDeployment:
		return new(Deployment)
	case ObjectDispute:
		return new(Dispute)
	case ObjectWithdrawal:
		return new(Withdrawal)
	}
	return nil
}

// ObjectOf names the object that an event belongs to; false if it is none's.
func ObjectOf(event domain.Event) (kind ObjectKind, id string, ok bool) {
	o, ok := event.(interface{ object() (ObjectKind, string) })
	if !ok {
		return "", "", false
	}
	kind, id = o.object()
	return kind, id, id != ""
}

// StepOf tells whether an event is a step of its object's life though its status may
// stay: what a person decided, such as the first of two approvals; more hours of a
// deployment; and money that came for it or went elsewhere, with the amount.
func StepOf(event domain.Event) (is bool, amount domain.Amount) {
	switch e := event.(type) {
	case *AdjustmentApproved, *CreditRequestApproved, *WithdrawalApproved:
		return true, 0
	case *DeploymentExtended:
		return e.Part.last(), 0
	case *PaymentReceived:
		return true, e.Amount
	case *PaymentDropped:
		return true, e.Amount
	case *PurchaseReversed:
		return true, e.Amount
	}
	return false, 0
}

// fold applies an event to one of the state's open objects, and drops it once
// it is closed: the state is as large as what is open.
func fold[T any, P interface {
	*T
	Object
}](open *map[string]T, id string, event domain.Event) {
	object := (*open)[id]
	P(&object).Apply(event)
	if P(&object).Open() {
		put(open, id, object)
	} else {
		delete(*open, id)
	}
}

// with appends without touching what other copies of list refer to.
func with[T any](list []T, items ...T) []T { return append(slices.Clip(list), items...) }

// nameIfNotIn is the name to look up of something that the state has forgotten
// or never known; "" while it is open.
func nameIfNotIn[T any](open map[string]T, id string, name func(string) string) string {
	if _, is := open[id]; is {
		return ""
	}
	return name(id)
}
