package account

import "iocredits/domain"

// EventTypes lists every event of an account that was ever written, for the
// codec. A name stays here for ever; a sample of each is in testdata/events.
func EventTypes() []domain.EventType {
	return []domain.EventType{
		current[AdjustmentApproved](),
		current[AdjustmentRequested](),
		current[Adjusted](),
		current[Captured](),
		current[DebtRepaid](),
		current[Deducted](),
		current[Forgotten](),
		current[Frozen](),
		current[IncentiveGranted](),
		current[LotExpired](),
		current[PaymentUnmatched](),
		current[PolicySet](),
		current[PurchaseReversed](),
		current[PurchaseSettled](),
		current[Refunded](),
		current[Released](),
		current[Reserved](),
		current[Unfrozen](),
		current[UsageMetered](),
	}
}

// current describes an event type as it is written today.
func current[T any, P interface {
	*T
	domain.Event
}]() domain.EventType {
	return domain.EventType{
		Name: P(new(T)).EventName(),
		New:  func() domain.Event { return P(new(T)) },
	}
}
