package account

import (
	"fmt"
	"time"

	"iocredits/domain"
)

// Topic is what a notice is about.
type Topic string

// The topics of notices.
const (
	TopicCreditsArrived Topic = "credits-arrived"
	TopicCreditRequest  Topic = "credit-request"
	TopicPurchase       Topic = "purchase"
	TopicDeployment     Topic = "deployment"
	TopicRefund         Topic = "refund"
	TopicLowBalance     Topic = "low-balance"
	TopicExpiry         Topic = "expiry"
	TopicWithdrawal     Topic = "withdrawal"
	TopicDispute        Topic = "dispute"
	TopicAccount        Topic = "account"
)

// Priority is how a notice is shown (io-credits.md).
type Priority string

// The priorities of the vendor's notifications.
const (
	PriorityInfo     Priority = "info"
	PriorityError    Priority = "error"
	PrioritySuccess  Priority = "success"
	PriorityCritical Priority = "critical"
	PriorityPromo    Priority = "promo"
)

// Notice is what an event tells the customer, in words of theirs, with the
// figures. It never holds free text that anybody wrote.
type Notice struct {
	Topic    Topic
	Priority Priority
	Message  string
}

// Around is what an event's notice has to know beside the event.
type Around struct {
	// LowBalanceAt is the line of the policy, 0: none; BalanceBefore and BalanceAfter
	// are the account's balance around the event.
	LowBalanceAt, BalanceBefore, BalanceAfter domain.Amount
	// Asked is what the customer had asked for, of credits that are granted; 0: unknown.
	Asked domain.Amount
	// Why a payment had waited that is resolved.
	Why UnmatchedWhy
	// Purchase is where the purchase stands for which a payment came, or of which one
	// was dropped.
	Purchase PurchaseStatus
	// Network is where a withdrawal's money was asked for.
	Network Network
	// Usage is what a deployment that ends was charged on top of what was booked.
	Usage domain.Amount
	// Before is what the parts of its movement before the event came to (ToldInSum).
	Before domain.Amount
}

// ToldInSum tells what an event adds to the sum of its movement, where the customer is told
// that sum: once, at the last part, because no part has it. False for other events, and for
// a movement in one piece.
func ToldInSum(event domain.Event) (amount domain.Amount, told bool) {
	switch e := event.(type) {
	case *Refunded:
		return e.Amount, e.Part.Count > 1
	case *PurchaseReversed:
		return e.Amount, e.Part.Count > 1
	case *WithdrawalPaid:
		return e.Amount, e.Part.Count > 1
	case *WithdrawalReturned:
		return e.Amount, e.Part.Count > 1
	case *Adjusted:
		return e.Amount, e.Part.Count > 1
	}
	return 0, false
}

// NoticesOf gives what an event tells the customer: one notice, or none, and one
// more if the balance crossed the line of the policy downward: not for every
// charge below it. Of a movement that was split the last part tells.
func NoticesOf(event domain.Event, a Around) []Notice {
	var notices []Notice
	if n := noticeOf(event, a); n.Message != "" {
		notices = append(notices, n)
	}
	if line := a.LowBalanceAt; line > 0 && a.BalanceBefore >= line && a.BalanceAfter < line {
		notices = append(notices, Notice{TopicLowBalance, PriorityCritical,
			fmt.Sprintf("Your balance is %s, below the %s at which you are told.", credits(a.BalanceAfter), credits(line))})
	}
	return notices
}

func noticeOf(event domain.Event, a Around) Notice {
	if _, inSum := ToldInSum(event); inSum && PartsOf(event) > 1 {
		return Notice{}
	}
	switch e := event.(type) {
	case *PurchaseSettled:
		return arrival(e.Amount, "from your purchase", e.ExpiresAt, PrioritySuccess)
	case *PaymentCredited:
		return arrival(e.Amount, "from your payment", e.ExpiresAt, PrioritySuccess)
	case *CreditGranted:
		if a.Asked != 0 && a.Asked != e.Terms.Amount {
			return Notice{TopicCreditsArrived, PrioritySuccess,
				fmt.Sprintf("%s %s approved; you had asked for %s.%s", credits(e.Terms.Amount), were(e.Terms.Amount), a.Asked, usable(e.Terms.Amount, e.Terms.ExpiresAt))}
		}
		return arrival(e.Terms.Amount, "as you requested", e.Terms.ExpiresAt, PrioritySuccess)
	case *IncentiveGranted:
		return arrival(e.Amount, "as a gift", e.ExpiresAt, PriorityPromo)
	case *PurchaseFailed:
		return failedPurchase(e)
	case *PurchaseExpired:
		return expiredPurchase(e)
	case *PaymentReceived:
		return latePart(e, a.Purchase)
	case *PaymentDropped:
		return droppedPart(e, a.Purchase)
	case *PaymentResolved:
		return paymentNotice(e, a.Why)
	case *PurchaseReversed:
		if sum := a.Before + e.Amount; sum > 0 {
			return Notice{TopicPurchase, PriorityCritical, fmt.Sprintf("A payment of yours was taken back: %s left your account.", credits(sum))}
		}
	case *CreditRequestClosed:
		if e.Status == CreditIsRejected {
			return Notice{TopicCreditRequest, PriorityInfo, "Your request for credits was not approved."}
		}
	case *Refunded:
		return Notice{TopicRefund, PrioritySuccess, fmt.Sprintf("%s came back to your account%s.", credits(a.Before+e.Amount), of(e.Reference))}
	case *LotExpired:
		return Notice{TopicExpiry, PriorityInfo, fmt.Sprintf("%s expired.", credits(e.Lot.Amount))}
	case *ExpiryAnnounced:
		return Notice{TopicExpiry, PriorityInfo, fmt.Sprintf("%s can be used only until %s.", credits(e.Amount), moment(e.ExpiresAt))}
	case *Frozen:
		return Notice{TopicAccount, PriorityCritical, "Your account is frozen: it can't start anything new. Please contact support."}
	case *Unfrozen:
		return Notice{TopicAccount, PriorityInfo, "Your account is open again."}
	}
	if n := deskNotice(event, a); n.Message != "" {
		return n
	}
	return deploymentNotice(event, a)
}

func deploymentNotice(event domain.Event, a Around) Notice {
	tell := func(p Priority, format string, args ...any) Notice {
		return Notice{TopicDeployment, p, fmt.Sprintf(format, args...)}
	}
	switch e := event.(type) {
	case *DeploymentPending:
		return tell(PriorityCritical, "Deployment %s waits for credits: it needs %s more. It starts once they are there and what waits longer is paid, if that is before %s.",
			e.Deployment, credits(e.Shortfall), moment(e.GraceEndsAt))
	case *DeploymentPaid:
		if e.Part.last() {
			return tell(PrioritySuccess, "Deployment %s is paid and runs until %s.", e.Deployment, moment(e.EndsAt))
		}
	case *DeploymentExtended:
		if e.Part.last() {
			more := fmt.Sprintf("%d more hours", e.Added)
			if e.Added == 1 {
				more = "1 more hour"
			}
			return tell(PrioritySuccess, "Deployment %s has %s and runs until %s.", e.Deployment, more, moment(e.EndsAt))
		}
	case *DeploymentPaused:
		return tell(PriorityCritical, "Deployment %s is paused: its usage needs %s more. It goes on once they are there and what waits longer is paid, and fails at %s.",
			e.Deployment, credits(e.Shortfall), moment(e.GraceEndsAt))
	case *DeploymentResumed:
		return tell(PrioritySuccess, "Deployment %s goes on, until %s. %s of usage %s charged.", e.Deployment, moment(e.EndsAt), credits(e.Charged), were(e.Charged))
	case *DeploymentEnded:
		return deploymentEnd(e, a.Usage)
	}
	return Notice{}
}

func deploymentEnd(e *DeploymentEnded, usage domain.Amount) Notice {
	cost := "It cost " + credits(e.Used)
	if usage > 0 { // else a customer would take the figure for all that it cost
		cost += fmt.Sprintf(", and %s for usage on top", credits(usage))
	}
	back := ""
	if e.Refunded > 0 {
		back = fmt.Sprintf(" What was not used came back: %s.", credits(e.Refunded))
	}
	switch {
	case e.Status != DeploymentIsFailed:
		return Notice{TopicDeployment, PriorityInfo, fmt.Sprintf("Deployment %s is %s. %s.%s", e.Deployment, e.Status, cost, back)}
	case e.Cause == CauseUnpaid:
		return Notice{TopicDeployment, PriorityError, fmt.Sprintf("Deployment %s was not started: the credits did not arrive in time. Nothing was charged.", e.Deployment)}
	case e.Cause == CauseUsageUnpaid:
		return Notice{TopicDeployment, PriorityError, fmt.Sprintf("Deployment %s ended: the credits for its usage did not arrive in time.%s", e.Deployment, back)}
	}
	return Notice{TopicDeployment, PriorityError, fmt.Sprintf("Deployment %s failed, and not by your fault. %s.%s", e.Deployment, cost, back)}
}

func arrival(amount domain.Amount, how string, expires time.Time, p Priority) Notice {
	return Notice{TopicCreditsArrived, p, fmt.Sprintf("%s arrived %s.%s", credits(amount), how, usable(amount, expires))}
}

// usable says until when credits can be used, if that ends.
func usable(a domain.Amount, expires time.Time) string {
	if expires.IsZero() {
		return ""
	}
	they := "They"
	if a == domain.Credit {
		they = "It"
	}
	return " " + they + " can be used until " + moment(expires) + "."
}

// credits is an amount as a customer reads it.
func credits(a domain.Amount) string {
	if a == domain.Credit {
		return "1 credit"
	}
	return a.String() + " credits"
}

// are is the verb of credits, in the present.
func are(a domain.Amount) string {
	if a == domain.Credit {
		return "is"
	}
	return "are"
}

// were is the verb of credits, in the past.
func were(a domain.Amount) string {
	if a == domain.Credit {
		return "was"
	}
	return "were"
}

func of(reference string) string {
	if reference == "" {
		return ""
	}
	return " from " + reference
}

// moment is an instant as a customer reads it.
func moment(at time.Time) string { return at.UTC().Format("2 January 2006, 15:04 UTC") }
