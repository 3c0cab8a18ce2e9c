package account

import (
	"fmt"

	"iocredits/domain"
)

// deskNotice is what people at desks decided about the customer's money. What the
// customer did is not told.
func deskNotice(event domain.Event, a Around) Notice {
	switch e := event.(type) {
	case *WithdrawalApproved:
		if e.Final {
			return Notice{TopicWithdrawal, PriorityInfo, "Your withdrawal is approved. It will be paid to " + payee(a.Network) + "."}
		}
	case *WithdrawalPaid:
		sum := a.Before + e.Amount
		return Notice{TopicWithdrawal, PrioritySuccess, fmt.Sprintf("%s %s paid out to %s.", credits(sum), were(sum), payee(e.Network))}
	case *WithdrawalReturned:
		return returnNotice(e.Cause, a.Before+e.Amount)
	case *DisputeResolved:
		switch {
		case e.Outcome == DisputeRejected:
			why := ""
			if e.Note != "" {
				why = " The dispute has a note that says why."
			}
			return Notice{TopicDispute, PriorityInfo, "Your dispute was reviewed, and the charge stands." + why}
		case e.Refund == 0:
			return Notice{TopicDispute, PrioritySuccess, "Your dispute was upheld. All of the charge had come back before."}
		}
		return Notice{TopicDispute, PrioritySuccess, fmt.Sprintf("Your dispute was upheld: %s came back.", credits(e.Refund))}
	case *Adjusted:
		sum := a.Before + e.Amount
		if sum < 0 {
			return Notice{TopicAccount, PriorityInfo, fmt.Sprintf("A correction took %s.", credits(-sum))}
		}
		return Notice{TopicCreditsArrived, PrioritySuccess, fmt.Sprintf("%s arrived as a correction.", credits(sum))}
	}
	return Notice{}
}

// payee is what a network has of a customer.
func payee(n Network) string {
	if n == NetworkStripe {
		return "your Stripe account"
	}
	return "your wallet"
}

func returnNotice(cause ReturnCause, amount domain.Amount) Notice {
	if cause == ReturnChargeback { // what comes back is taken in the same breath
		return Notice{TopicWithdrawal, PriorityError, "Your withdrawal was stopped, because a payment of yours was taken back."}
	}
	tell := func(why string) Notice {
		return Notice{TopicWithdrawal, PriorityError, fmt.Sprintf("Your withdrawal %s. Back in your account: %s.", why, credits(amount))}
	}
	switch cause {
	case ReturnRejected:
		return tell("was not approved")
	case ReturnFailed:
		return tell("could not be paid")
	}
	return Notice{}
}
