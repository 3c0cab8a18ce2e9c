package account

import "iocredits/domain"

// EventTypes lists every event of an account that was ever written, for the
// codec. A name stays here for ever; a sample of each is in testdata/events.
func EventTypes() []domain.EventType {
	return []domain.EventType{
		current[AdjustmentApproved](),
		current[AdjustmentRejected](),
		current[AdjustmentRequested](),
		current[Adjusted](),
		current[BackingChanged](),
		current[Captured](),
		current[CreditGranted](),
		current[CreditRequestApproved](),
		named(func() domain.Event { return &CreditRequestClosed{Status: CreditIsCancelled} }),
		named(func() domain.Event { return &CreditRequestClosed{Status: CreditIsRejected} }),
		current[CreditRequested](),
		current[DebtRepaid](),
		current[Deducted](),
		named(func() domain.Event { return &DeploymentEnded{Status: DeploymentIsCancelled} }),
		named(func() domain.Event { return &DeploymentEnded{Status: DeploymentIsCompleted} }),
		named(func() domain.Event { return &DeploymentEnded{Status: DeploymentIsFailed} }),
		named(func() domain.Event { return &DeploymentEnded{Status: DeploymentIsStopped} }),
		current[DeploymentExtended](),
		current[DeploymentPaid](),
		current[DeploymentPaused](),
		current[DeploymentPending](),
		current[DeploymentRequested](),
		current[DeploymentResumed](),
		current[DeploymentUsageOpened](),
		current[DeploymentUsed](),
		current[DisputeOpened](),
		current[DisputeResolved](),
		current[ExpiryAnnounced](),
		current[Forgotten](),
		current[Frozen](),
		current[IncentiveGranted](),
		current[LotExpired](),
		current[NoticeSeen](),
		current[PaymentAssigned](),
		current[PaymentCredited](),
		current[PaymentDropped](),
		current[PaymentReceived](),
		current[PaymentResolved](),
		current[PaymentUnmatched](),
		current[PolicySet](),
		current[PurchaseExpired](),
		current[PurchaseFailed](),
		current[PurchaseLinkFailed](),
		current[PurchaseLinkMade](),
		current[PurchaseLinkRequested](),
		current[PurchaseReversed](),
		current[PurchaseSettled](),
		current[PurchaseStarted](),
		current[Refunded](),
		current[Released](),
		current[Reserved](),
		current[Unfrozen](),
		current[UsageMetered](),
		current[WithdrawalApproved](),
		current[WithdrawalPaid](),
		current[WithdrawalRequested](),
		current[WithdrawalReturned](),
	}
}

// named describes one of several event types that share a Go type: the fresh
// value knows its name.
func named(fresh func() domain.Event) domain.EventType {
	return domain.EventType{Name: fresh().EventName(), New: fresh}
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
