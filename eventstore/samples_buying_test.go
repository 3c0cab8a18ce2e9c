package eventstore_test

import (
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// buyingSamples are those of purchases, credit requests and deployments.
func buyingSamples(at func(string) time.Time, both, back []account.LotUse, part account.Part) map[string]domain.Event {
	const credit, sealed = domain.Credit, domain.Sealed("AUZxV3q5mD0bJ8sKQnqk0cF0m1x8r0a6cV3e9u2T4w")
	year, noon, one := at("2027-03-01T00:00:00Z"), at("2026-03-01T12:00:00Z"), at("2026-03-01T13:00:00Z")
	const vm = domain.ServiceVM
	price, quantity := new(domain.Rate), new(domain.Quantity)
	if price.UnmarshalText([]byte("0.55")) != nil || quantity.UnmarshalText([]byte("1.5")) != nil {
		panic("figures of a sample")
	}
	terms := account.CreditTerms{Amount: 500 * credit, Promotional: true, ExpiresAt: year}
	ended := func(status account.DeploymentStatus, cause account.DeploymentCause) *account.DeploymentEnded {
		return &account.DeploymentEnded{Status: status, Deployment: "dep-12", Cause: cause, Reason: sealed,
			UsedMinutes: 72, Used: 660_000, Refunded: 990_000, UsageDropped: 250_000, EndedAt: one}
	}
	accrued := &domain.Accrual{Charged: 825_000, Carry: 105_000_000_000}
	return map[string]domain.Event{
		"credit-granted":           &account.CreditGranted{Request: "req-5", Terms: terms, ApprovedBy: "bd:lin", Level: 2},
		"credit-request-approved":  &account.CreditRequestApproved{Request: "req-5", Terms: terms, ApprovedBy: "bd:max"},
		"credit-request-cancelled": &account.CreditRequestClosed{Status: account.CreditIsCancelled, Request: "req-6", By: "customer:demo-1", Reason: sealed, Level: 1},
		"credit-request-rejected":  &account.CreditRequestClosed{Status: account.CreditIsRejected, Request: "req-6", By: "bd:lin", Reason: sealed, Level: 2},
		"credit-requested":         &account.CreditRequested{Request: "req-5", Amount: 600 * credit, Name: sealed, Reason: sealed, RequestedBy: "customer:demo-1"},
		"deployment-cancelled":     ended(account.DeploymentIsCancelled, "superseded"),
		"deployment-completed":     ended(account.DeploymentIsCompleted, "superseded"),
		"deployment-failed":        ended(account.DeploymentIsFailed, account.CauseUsageUnpaid),
		"deployment-stopped":       ended(account.DeploymentIsStopped, "superseded"),
		"deployment-extended": &account.DeploymentExtended{Deployment: "dep-12", Amount: 1_100_000, Service: vm, Hours: 5, Added: 2, EndsAt: one,
			Lots: both, Debt: 100_000, Part: part},
		"deployment-paid": &account.DeploymentPaid{Deployment: "dep-12", Amount: 1_650_000, Service: vm, StartedAt: noon, EndsAt: one,
			Lots: both, Debt: 650_000, Part: part},
		"deployment-paused":  &account.DeploymentPaused{Deployment: "dep-12", Open: 250_000, Shortfall: 50_000, PausedAt: noon, GraceEndsAt: one},
		"deployment-pending": &account.DeploymentPending{Deployment: "dep-13", Required: 1_650_000, Spendable: 650_000, Shortfall: 1 * credit, GraceEndsAt: one},
		"deployment-requested": &account.DeploymentRequested{Deployment: "dep-12", Service: vm, HourlyPrice: *price, Hours: 3, MinimumMinutes: 60,
			Required: 1_650_000, RequestedAt: noon},
		"deployment-resumed": &account.DeploymentResumed{Deployment: "dep-12", Charged: 250_000, ResumedAt: noon, EndsAt: one},
		"deployment-usage-opened": &account.DeploymentUsageOpened{Deployment: "dep-12", Quantity: quantity, UnitPrice: price, Amount: 825_000,
			Accrued: accrued, Open: 925_000, Spendable: 900_000, Shortfall: 25_000},
		"deployment-usage-charged": &account.DeploymentUsed{Deployment: "dep-12", Service: vm, Quantity: quantity, UnitPrice: price, Amount: 825_000,
			Accrued: accrued, WasOpen: true, EffectiveAt: noon, Lots: both, Debt: 25_000, Part: part},
		"payment-assigned": &account.PaymentAssigned{Payment: "pay-9", Account: "demo-2", Amount: 25 * credit, Note: sealed},
		"payment-credited": &account.PaymentCredited{Payment: "pay-9", From: "@unmatched", Amount: 25 * credit, Note: sealed, ExpiresAt: year},
		"payment-dropped":  &account.PaymentDropped{Payment: "pay-8", Purchase: "pur-1009", Amount: 10 * credit, Reversal: true},
		"payment-received": &account.PaymentReceived{Payment: "pay-7", Purchase: "pur-1008", Link: "paymentLink_77", Amount: 51 * credit,
			Received: 51 * credit, ToPay: 51 * credit, Fee: 1 * credit},
		"payment-resolved": &account.PaymentResolved{Payment: "pay-9", Outcome: account.PaymentIsCredited, Amount: 25 * credit, Account: "demo-2", Note: sealed},
		"payment-unmatched.queued": &account.PaymentUnmatched{Payment: "pay-9", Purchase: "pur-1009", Amount: 25 * credit,
			Kind: account.KindPayment, Why: account.WhySettledBefore, EffectiveAt: noon},
		"policy-set.buying": &account.PolicySet{Policy: account.Policy{PurchaseFeeBasisPoints: 200, PurchasedLifeMonths: 12,
			MinimumMinutes: account.MinimumMinutes{Ray: 1, CaaS: 2, VM: 60, Kubernetes: 3, Baremetal: 4, Inference: 5}}},
		"purchase-expired":          &account.PurchaseExpired{Purchase: "pur-1008", Received: 10 * credit, EffectiveAt: noon},
		"purchase-failed":           &account.PurchaseFailed{Purchase: "pur-1008", Payment: "pay-7", Why: "card-declined", Received: 10 * credit},
		"purchase-link-failed":      &account.PurchaseLinkFailed{Purchase: "pur-1008", Attempt: 1, Why: "bankAccount/inactive"},
		"purchase-link-made":        &account.PurchaseLinkMade{Purchase: "pur-1008", Attempt: 2, Link: "paymentLink_77", URL: "https://spherepay.co/pay/paymentLink_77"},
		"purchase-link-requested":   &account.PurchaseLinkRequested{Purchase: "pur-1008", Attempt: 2},
		"purchase-reversed.payment": &account.PurchaseReversed{Payment: "pay-9", Kind: account.ReversalRefund, Amount: 25 * credit, Lots: back[:1]},
		"purchase-settled.fee":      &account.PurchaseSettled{Purchase: "pur-1008", Amount: 50 * credit, Received: 51 * credit, Fee: 1 * credit},
		"purchase-started": &account.PurchaseStarted{Purchase: "pur-1008", Amount: 50 * credit, Fee: 1 * credit, ToPay: 51 * credit,
			StartedAt: noon, ExpiresAt: at("2026-03-01T12:20:00Z")},
		"refunded.deployment": &account.Refunded{Revision: 42, Amount: 990_000, Service: vm, Reference: "dep-12", Lots: back[:1], EffectiveAt: noon},
	}
}
