package account

import (
	"fmt"

	"iocredits/domain"
)

// deskNotice is what people at desks decided about the customer's money. What the
// customer did is not told.
func deskNotice(event domain.Event) Notice {
	switch e := event.(type) {
	case *WithdrawalApproved:
		if e.Final {
			return Notice{TopicWithdrawal, PriorityInfo, "Your withdrawal is approved. It will be paid to your wallet."}
		}
	case *WithdrawalPaid:
		return Notice{TopicWithdrawal, PrioritySuccess, fmt.Sprintf("%s %s paid out to your wallet.", credits(e.Amount), were(e.Amount))}
	case *WithdrawalReturned:
		return returnNotice(e)
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
		if e.Amount < 0 {
			return Notice{TopicAccount, PriorityInfo, fmt.Sprintf("A correction took %s.", credits(-e.Amount))}
		}
		return Notice{TopicCreditsArrived, PrioritySuccess, fmt.Sprintf("%s arrived as a correction.", credits(e.Amount))}
	}
	return Notice{}
}

func returnNotice(e *WithdrawalReturned) Notice {
	if e.Cause == ReturnChargeback { // what comes back is taken in the same breath
		return Notice{TopicWithdrawal, PriorityError, "Your withdrawal was stopped, because a payment of yours was taken back."}
	}
	tell := func(why string) Notice {
		return Notice{TopicWithdrawal, PriorityError, fmt.Sprintf("Your withdrawal %s. Back in your account: %s.", why, credits(e.Amount))}
	}
	switch e.Cause {
	case ReturnRejected:
		return tell("was not approved")
	case ReturnFailed:
		return tell("could not be paid")
	}
	return Notice{}
}
