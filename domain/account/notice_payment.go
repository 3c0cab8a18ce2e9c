package account

import "fmt"

// paymentNotice is what becomes of money that came and was not credited. why is why
// it waited. That it was credited to this account after all is told where it was.
// Nothing is told of an entry that may be no payment of its own, of which an amount
// isn't known, or of a reversal; and nothing of whom another account is.
func paymentNotice(e *PaymentResolved, why UnmatchedWhy) Notice {
	if e.Reversal() || e.Amount == 0 {
		return Notice{}
	}
	var what string
	switch why {
	case WhyUnderpaid:
		what = "A part of your purchase that had come, "
	case WhyPurchaseUnknown, WhySettledBefore, WhyReversedBefore, WhyBalanceLimit:
		what = "A payment that had come for your account, "
	default:
		return Notice{}
	}
	what += credits(e.Amount) + ", was "
	switch {
	case e.Outcome == PaymentIsReturned:
		return Notice{TopicPurchase, PriorityInfo, what + "sent back to you."}
	case e.Outcome == PaymentIsTakenBack:
		return Notice{TopicPurchase, PriorityInfo, what + "taken back by the payment provider."}
	case e.Outcome == PaymentIsCredited && e.Account != "":
		return Notice{TopicPurchase, PriorityInfo, what + "found to belong to another account, and credited there."}
	}
	return Notice{}
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
	return Notice{TopicPurchase, PriorityInfo, "Your purchase ran out of time. Nothing was charged."}
}
