package account

import "fmt"

// The words that two notices have in common.
const (
	somePart  = "A part of your purchase that had come, "
	takenBack = ", was taken back by the payment provider."
)

// paymentNotice is what becomes of money that came and was not credited. why is why
// it waited. That it was credited to this account after all is told where it was.
// Nothing is told of a reversal, of an amount that isn't known, or of an entry that may be
// no payment of its own; and never whose another account is.
func paymentNotice(e *PaymentResolved, why UnmatchedWhy) Notice {
	if e.Reversal() || e.Amount == 0 {
		return Notice{}
	}
	var what string
	switch why {
	case WhyUnderpaid:
		what = somePart
	case WhyPurchaseUnknown, WhySettledBefore, WhyReversedBefore, WhyBalanceLimit:
		what = "A payment that had come for your account, "
	default:
		return Notice{}
	}
	what += credits(e.Amount)
	switch {
	case e.Outcome == PaymentIsReturned:
		return Notice{TopicPurchase, PriorityInfo, what + ", was sent back to you."}
	case e.Outcome == PaymentIsTakenBack:
		return Notice{TopicPurchase, PriorityInfo, what + takenBack}
	case e.Outcome == PaymentIsCredited && e.Account != "":
		return Notice{TopicPurchase, PriorityInfo, what + ", was found to belong to another account, and credited there."}
	}
	return Notice{}
}

// latePart is money for a purchase that is over, and not enough: people have to look.
// What came before the end is in the notice of the end.
func latePart(e *PaymentReceived, purchase PurchaseStatus) Notice {
	over := purchase == PurchaseIsExpired || purchase == PurchaseIsFailed
	if !over || e.Received >= e.ToPay {
		return Notice{}
	}
	return Notice{TopicPurchase, PriorityError,
		fmt.Sprintf("A payment of %s came when your purchase was over, and does not pay all of it. We are looking into it.", credits(e.Amount))}
}

// droppedPart is a part that the provider took back while its purchase was to be paid.
// Once that is over the part waits, and PaymentResolved tells of it.
func droppedPart(e *PaymentDropped, purchase PurchaseStatus) Notice {
	if !e.Reversal || purchase != PurchaseIsAwaiting {
		return Notice{}
	}
	return Notice{TopicPurchase, PriorityInfo, somePart + credits(e.Amount) + takenBack}
}

func failedPurchase(e *PurchaseFailed) Notice {
	if e.Received > 0 {
		return Notice{TopicPurchase, PriorityError,
			fmt.Sprintf("Your payment failed, and only a part of your purchase, %s, has come. We are looking into it.", credits(e.Received))}
	}
	return Notice{TopicPurchase, PriorityError, "Your payment failed and nothing was charged. You can try again."}
}

func expiredPurchase(e *PurchaseExpired) Notice {
	if e.Received > 0 {
		return Notice{TopicPurchase, PriorityError,
			fmt.Sprintf("Your purchase ran out of time, and only a part of it, %s, has come. We are looking into it.", credits(e.Received))}
	}
	return Notice{TopicPurchase, PriorityInfo, "Your purchase ran out of time. Nothing has arrived for it yet; if you have paid, it is credited when the payment arrives."}
}
