package journal

import (
	"errors"
	"fmt"

	"iocredits/domain"
	"iocredits/domain/account"
)

// rule posts the other side of an event.
type rule func(*entry, domain.Event) error

// rules has every event type that was ever written; the table in doc.go says the
// same for people, and a test holds the three together.
var rules = map[string]rule{
	"account-forgotten":        nothing,
	"account-frozen":           nothing,
	"account-unfrozen":         nothing,
	"adjusted":                 closing(Corrections),
	"adjustment-approved":      nothing,
	"adjustment-rejected":      nothing,
	"adjustment-requested":     nothing,
	"backing-changed":          nothing,
	"credit-granted":           closing(PromotionalExpense),
	"credit-request-approved":  nothing,
	"credit-request-cancelled": nothing,
	"credit-request-rejected":  nothing,
	"credit-requested":         nothing,
	"debt-repaid":              internal,
	"deducted":                 revenue,
	"deployment-cancelled":     nothing,
	"deployment-completed":     nothing,
	"deployment-extended":      revenue,
	"deployment-failed":        nothing,
	"deployment-paid":          revenue,
	"deployment-paused":        nothing,
	"deployment-pending":       nothing,
	"deployment-requested":     nothing,
	"deployment-resumed":       nothing,
	"deployment-stopped":       nothing,
	"deployment-usage-opened":  nothing,
	"deployment-usage-charged": revenue,
	"dispute-opened":           nothing,
	"dispute-resolved":         nothing,
	"expiry-announced":         nothing,
	"incentive-granted":        closing(PromotionalExpense),
	"lot-expired":              breakage,
	"notice-seen":              nothing,
	"payment-assigned":         nothing,
	"payment-credited":         closing(Unmatched),
	"payment-dropped":          nothing,
	"payment-received":         nothing,
	"payment-resolved":         resolved,
	"payment-unmatched":        unmatched,
	"policy-set":               nothing,
	"purchase-expired":         nothing,
	"purchase-failed":          nothing,
	"purchase-link-failed":     nothing,
	"purchase-link-made":       nothing,
	"purchase-link-requested":  nothing,
	"purchase-reversed":        reversed,
	"purchase-settled":         settled,
	"purchase-started":         nothing,
	"refunded":                 revenue,
	"reservation-captured":     revenue,
	"reservation-released":     internal,
	"reserved":                 internal,
	"usage-metered":            revenue,
	"withdrawal-approved":      nothing,
	"withdrawal-paid":          closing(PayoutClearing),
	"withdrawal-requested":     internal,
	"withdrawal-returned":      internal,
}

// nothing is for events that must not move money.
func nothing(e *entry, _ domain.Event) error {
	if *e != (entry{}) {
		return errors.New("the event moves money")
	}
	return nil
}

// internal is for events that move credits within one account.
func internal(*entry, domain.Event) error { return nil }

// closing is for events whose other side is always the same account.
func closing(to Account) rule {
	return func(e *entry, _ domain.Event) error {
		e.close(to)
		return nil
	}
}

// revenue is for what is earned by a service, and for what is given back of it.
func revenue(e *entry, event domain.Event) error {
	service := account.ServiceOf(event)
	to, earns := revenueOf(service)
	if !earns {
		return fmt.Errorf("service %q earns nothing", service)
	}
	e.close(to)
	return nil
}

func breakage(e *entry, event domain.Event) error {
	expired, ok := event.(*account.LotExpired)
	if !ok {
		return wrongType(event)
	}
	e.close(byClass(expired.Lot.Class, PurchasedBreakage, PromotionalBreakage))
	return nil
}

// unmatched keeps money that came, or went, without a purchase to book it on.
func unmatched(e *entry, event domain.Event) error {
	payment, ok := event.(*account.PaymentUnmatched)
	if !ok {
		return wrongType(event)
	}
	if payment.Kind == account.KindPayment {
		e.move(ProviderClearing, Unmatched, payment.Amount)
	} else {
		e.move(Unmatched, ProviderClearing, payment.Amount)
	}
	return nil
}

// settled books what the provider took: what was credited, and the fee on top.
func settled(e *entry, event domain.Event) error {
	purchase, ok := event.(*account.PurchaseSettled)
	if !ok {
		return wrongType(event)
	}
	e[Fees] -= purchase.Fee
	e.close(ProviderClearing)
	return nil
}

// reversed books what the provider took back: the credits, and the fee with them.
func reversed(e *entry, event domain.Event) error {
	purchase, ok := event.(*account.PurchaseReversed)
	if !ok {
		return wrongType(event)
	}
	e[Fees] += purchase.Fee
	e.close(ProviderClearing)
	return nil
}

// resolved ends what payment-unmatched has begun, unless the credits that it
// became have done so.
func resolved(e *entry, event domain.Event) error {
	payment, ok := event.(*account.PaymentResolved)
	if !ok {
		return wrongType(event)
	}
	switch {
	case payment.Outcome == account.PaymentIsCredited:
	case payment.Reversal():
		e.move(ProviderClearing, Unmatched, payment.Amount)
	default:
		e.move(Unmatched, ProviderClearing, payment.Amount)
	}
	return nil
}

func wrongType(event domain.Event) error { return fmt.Errorf("%T has another rule", event) }
