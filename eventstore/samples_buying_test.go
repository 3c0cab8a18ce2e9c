package eventstore_test

import (
	"iocredits/domain"
	"iocredits/domain/account"
)

// buyingSamples are those of purchases, payments and credit requests.
func (s sampler) buyingSamples() map[string]domain.Event {
	const credit, purchase, payment = domain.Credit, "pur-1001", "pay_9f2c41"
	terms := account.CreditTerms{Amount: 1500 * credit, Promotional: true, ExpiresAt: s.year}
	return map[string]domain.Event{
		"credit-requested":         &account.CreditRequested{Request: "cr-17", Amount: 2000 * credit, Name: s.sealed, Reason: s.sealed, RequestedBy: "customer:acme"},
		"credit-request-approved":  &account.CreditRequestApproved{Request: "cr-17", Terms: terms, ApprovedBy: "bd:ines"},
		"credit-granted":           &account.CreditGranted{Request: "cr-17", Terms: terms, ApprovedBy: "bd:jonas", Level: 2},
		"credit-request-rejected":  &account.CreditRequestClosed{Status: account.CreditIsRejected, Request: "cr-18", By: "bd:ines", Reason: s.sealed, Level: 1},
		"credit-request-cancelled": &account.CreditRequestClosed{Status: account.CreditIsCancelled, Request: "cr-19", By: "customer:acme"},

		"purchase-started": &account.PurchaseStarted{Purchase: purchase, Amount: 50 * credit, Fee: 1 * credit, ToPay: 51 * credit,
			StartedAt: s.at("2026-03-01T09:30:00Z"), ExpiresAt: s.at("2026-03-01T09:50:00Z")},
		"purchase-link-requested": &account.PurchaseLinkRequested{Purchase: purchase, Attempt: 1},
		"purchase-link-made":      &account.PurchaseLinkMade{Purchase: purchase, Attempt: 1, Link: "paymentLink_5d1", URL: "https://pay.example/5d1"},
		"purchase-link-failed":    &account.PurchaseLinkFailed{Purchase: purchase, Attempt: 2, Why: "timeout"},
		"payment-received": &account.PaymentReceived{Payment: payment, Purchase: purchase, Link: "paymentLink_5d1", Amount: 51 * credit,
			Received: 51 * credit, ToPay: 51 * credit, Fee: 1 * credit},
		"payment-dropped": &account.PaymentDropped{Payment: payment, Purchase: purchase, Amount: 51 * credit, Reversal: true},
		"purchase-settled.with-fee": &account.PurchaseSettled{Purchase: purchase, Amount: 50 * credit, Received: 51 * credit, Fee: 1 * credit,
			ExpiresAt: s.year},
		"purchase-expired": &account.PurchaseExpired{Purchase: purchase, Received: 20 * credit, EffectiveAt: s.at("2026-03-01T09:50:00Z")},
		"purchase-failed":  &account.PurchaseFailed{Purchase: purchase, Payment: payment, Why: "failed", Received: 20 * credit},
		"purchase-reversed.unmatched-payment": &account.PurchaseReversed{Payment: payment, Kind: account.ReversalRefund, Amount: 20 * credit,
			Lots: []account.LotUse{{Lot: 31, Class: account.Purchased, Amount: 20 * credit}}},
		"purchase-reversed.with-fee": &account.PurchaseReversed{Purchase: purchase, Payment: payment, Kind: account.ReversalRefund, Amount: 50 * credit,
			Lots: []account.LotUse{{Lot: 31, Class: account.Purchased, Amount: 50 * credit}}, Fee: 1 * credit},
		"purchase-reversed.expired": &account.PurchaseReversed{Purchase: purchase, Payment: payment, Kind: account.ReversalRefund, Amount: 50 * credit,
			Debt: 50 * credit, Expired: 20 * credit},

		"payment-unmatched.late": &account.PaymentUnmatched{Payment: payment, Purchase: purchase, Amount: 20 * credit, Kind: account.KindPayment,
			Why: account.WhyUnderpaid, EffectiveAt: s.at("2026-03-01T09:50:00Z")},
		"payment-unmatched.named": &account.PaymentUnmatched{Payment: payment, Purchase: purchase, Amount: 20 * credit, Kind: account.KindPayment,
			Why: account.WhyPurchaseUnknown, EffectiveAt: s.at("2026-03-01T09:50:00Z"), Named: "acct-acme"},
		"payment-unmatched.odd": &account.PaymentUnmatched{Payment: payment, Purchase: purchase, Amount: 20*credit + 123_456, Kind: account.KindPayment,
			Why: account.WhyAmountInvalid, EffectiveAt: s.at("2026-03-01T09:50:00Z"), Told: "20.1234567"},
		"payment-assigned": &account.PaymentAssigned{Payment: payment, Account: "acct-acme", Amount: 20 * credit, Note: s.sealed},
		"payment-credited": &account.PaymentCredited{Payment: payment, From: "acct-other", Amount: 20 * credit, Note: s.sealed, ExpiresAt: s.year},
		"payment-resolved": &account.PaymentResolved{Payment: payment, Outcome: account.PaymentIsAssigned, Amount: 20 * credit, Account: "acct-acme", Note: s.sealed},
		"payment-resolved.reversal": &account.PaymentResolved{Payment: "reversal:" + payment, Outcome: account.PaymentIsReturned, Amount: 51 * credit,
			Note: s.sealed, Kind: account.KindChargeback},

		"policy-set.purchases": &account.PolicySet{Policy: account.Policy{
			Allowance: 10 * credit, GraceMinutes: 5, TwoApproversFrom: 1000 * credit, PurchaseFeeBasisPoints: 200, PurchasedLifeMonths: 12,
			MinimumMinutes: account.MinimumMinutes{Ray: 1, CaaS: 5, VM: 60, Kubernetes: 10, Baremetal: 120, Inference: 2},
		}},
	}
}

// deploymentSamples are those of deployments.
func (s sampler) deploymentSamples() map[string]domain.Event {
	const credit, id = domain.Credit, "dep-4711"
	ends := s.at("2026-03-01T12:30:00Z")
	return map[string]domain.Event{
		"deployment-requested": &account.DeploymentRequested{Deployment: id, Service: domain.ServiceVM, HourlyPrice: s.hourly, Hours: 3, MinimumMinutes: 60,
			Required: 30*credit + 500_000, RequestedAt: s.at("2026-03-01T09:30:00Z")},
		"deployment-pending": &account.DeploymentPending{Deployment: id, Required: 30*credit + 500_000, Spendable: 12 * credit, Shortfall: 18*credit + 500_000,
			GraceEndsAt: s.at("2026-03-01T09:35:00Z")},
		"deployment-paid": &account.DeploymentPaid{Deployment: id, Amount: 31*credit + 500_000, Service: domain.ServiceVM,
			StartedAt: s.at("2026-03-01T09:30:00Z"), EndsAt: ends, Lots: s.both, Debt: 1 * credit, Part: s.part},
		"deployment-paid.more-waits": &account.DeploymentPaid{Deployment: id, Amount: 30*credit + 500_000, Service: domain.ServiceVM,
			StartedAt: s.at("2026-03-01T09:30:00Z"), EndsAt: ends, Lots: s.both, MoreWaits: true},
		"deployment-extended": &account.DeploymentExtended{Deployment: id, Amount: 31*credit + 500_000, Service: domain.ServiceVM, Hours: 6, Added: 3,
			EndsAt: s.at("2026-03-01T15:30:00Z"), Lots: s.both, Debt: 1 * credit, Part: s.part},
		"deployment-usage-charged": &account.DeploymentUsed{Deployment: id, Service: domain.ServiceVM, Quantity: &s.quantity, UnitPrice: &s.price, Amount: 625,
			Accrued: &domain.Accrual{Charged: 625, Carry: 105_000_000_000}, WasOpen: true, EffectiveAt: s.at("2026-03-01T10:00:00Z"),
			Lots: []account.LotUse{{Lot: 7, Class: account.Purchased, Amount: 600, ExpiresAt: s.year}}, Debt: 25, Part: account.Part{Index: 1, Count: 2}},
		"deployment-usage-opened": &account.DeploymentUsageOpened{Deployment: id, Quantity: &s.quantity, UnitPrice: &s.price, Amount: 625,
			Accrued: &domain.Accrual{Charged: 625, Carry: 105_000_000_000}, Open: 1250, Spendable: 250, Shortfall: 1000},
		"deployment-paused": &account.DeploymentPaused{Deployment: id, Open: 1250, Shortfall: 1000,
			PausedAt: s.at("2026-03-01T10:00:00Z"), GraceEndsAt: s.at("2026-03-01T10:05:00Z")},
		"deployment-resumed": &account.DeploymentResumed{Deployment: id, Charged: 1250, ResumedAt: s.at("2026-03-01T10:03:00Z"), EndsAt: s.at("2026-03-01T12:33:00Z")},
		"deployment-resumed.more-waits": &account.DeploymentResumed{Deployment: id, Charged: 1250, ResumedAt: s.at("2026-03-01T10:03:00Z"),
			EndsAt: s.at("2026-03-01T12:33:00Z"), MoreWaits: true},
		"refunded.deployment": &account.Refunded{Revision: 42, Amount: 30*credit + 500_000, Service: domain.ServiceVM, Reference: id,
			Lots: s.back, EffectiveAt: s.at("2026-03-01T10:42:00Z")},
		"deployment-completed": &account.DeploymentEnded{Status: account.DeploymentIsCompleted, Deployment: id, UsedMinutes: 180, Used: 30*credit + 500_000, EndedAt: ends},
		"deployment-stopped": &account.DeploymentEnded{Status: account.DeploymentIsStopped, Deployment: id, UsedMinutes: 72, Used: 12*credit + 200_000,
			Refunded: 18*credit + 300_000, EndedAt: s.at("2026-03-01T10:42:00Z")},
		"deployment-cancelled": &account.DeploymentEnded{Status: account.DeploymentIsCancelled, Deployment: id, Refunded: 30*credit + 500_000, EndedAt: s.at("2026-03-01T09:30:30Z")},
		"deployment-failed": &account.DeploymentEnded{Status: account.DeploymentIsFailed, Deployment: id, Cause: account.CauseUsageUnpaid, Reason: s.sealed,
			UsedMinutes: 33, Used: 5*credit + 591_667, Refunded: 24*credit + 908_333, UsageDropped: 1250, EndedAt: s.at("2026-03-01T10:05:00Z")},
	}
}
