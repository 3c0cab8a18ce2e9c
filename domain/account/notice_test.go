package account_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestNotices: what each event tells the customer, word for word.
func TestNotices(t *testing.T) {
	part := account.Part{Index: 1, Count: 2}
	for _, c := range []struct {
		event domain.Event
		want  string
		asked domain.Amount
		usage domain.Amount
	}{
		{event: &account.PurchaseSettled{Amount: 12_500_000}, want: "success credits-arrived: 12.5 credits arrived from your purchase."},
		{event: &account.PurchaseSettled{Amount: credit, ExpiresAt: hour(3)}, want: "success credits-arrived: 1 credit arrived from your purchase. It can be used until 1 March 2026, 03:00 UTC."},
		{event: &account.PaymentCredited{Amount: 2 * credit}, want: "success credits-arrived: 2 credits arrived from your payment."},
		{event: &account.CreditGranted{Terms: account.CreditTerms{Amount: 5 * credit}}, want: "success credits-arrived: 5 credits arrived as you requested."},
		{event: &account.CreditGranted{Terms: account.CreditTerms{Amount: 5 * credit}}, want: "success credits-arrived: 5 credits arrived as you requested.", asked: 5 * credit},
		{event: &account.CreditGranted{Terms: account.CreditTerms{Amount: 5000 * credit, ExpiresAt: hour(3)}}, want: "success credits-arrived: 5000 credits were approved; you had asked for 5. They can be used until 1 March 2026, 03:00 UTC.", asked: 5 * credit},
		{event: &account.IncentiveGranted{Amount: 3 * credit}, want: "promo credits-arrived: 3 credits arrived as a gift."},
		{event: &account.PurchaseFailed{}, want: "error purchase: Your payment failed and nothing was charged. You can try again."},
		{event: &account.PurchaseFailed{Received: credit}, want: "error purchase: Your payment failed, and only a part of your purchase, 1 credit, has come. We are looking into it."},
		{event: &account.PurchaseExpired{}, want: "info purchase: Your purchase ran out of time. Nothing has arrived for it yet; if you have paid, it is credited when the payment arrives."},
		{event: &account.PurchaseExpired{Received: 500_000}, want: "error purchase: Your purchase ran out of time, and only a part of it, 0.5 credits, has come. We are looking into it."},
		{event: &account.PurchaseReversed{Amount: 4 * credit}, want: "critical purchase: A payment of yours was taken back: 4 credits left your account."},
		{event: &account.PurchaseReversed{Fee: credit}, want: ""},
		{event: &account.CreditRequestClosed{Status: account.CreditIsRejected}, want: "info credit-request: Your request for credits was not approved."},
		{event: &account.CreditRequestClosed{Status: account.CreditIsCancelled}, want: ""},
		{event: &account.Refunded{Amount: 2 * credit, Reference: "vm-1"}, want: "success refund: 2 credits came back to your account from vm-1."},
		{event: &account.LotExpired{Lot: promo(1, 2*credit)}, want: "info expiry: 2 credits expired."},
		{event: &account.ExpiryAnnounced{Amount: 2 * credit, ExpiresAt: hour(30)}, want: "info expiry: 2 credits can be used only until 2 March 2026, 06:00 UTC."},
		{event: &account.Frozen{}, want: "critical account: Your account is frozen: it can't start anything new. Please contact support."},
		{event: &account.Unfrozen{}, want: "info account: Your account is open again."},
		{event: &account.DeploymentPending{Deployment: "d", Shortfall: 7 * credit, GraceEndsAt: hour(1)}, want: "critical deployment: Deployment d waits for credits: it needs 7 credits more. It starts once they are there and what waits longer is paid, if that is before 1 March 2026, 01:00 UTC."},
		{event: &account.DeploymentPaid{Deployment: "d", EndsAt: hour(2)}, want: "success deployment: Deployment d is paid and runs until 1 March 2026, 02:00 UTC."},
		{event: &account.DeploymentPaid{Deployment: "d", Part: part}, want: ""},
		{event: &account.DeploymentExtended{Deployment: "d", Added: 3, EndsAt: hour(5)}, want: "success deployment: Deployment d has 3 more hours and runs until 1 March 2026, 05:00 UTC."},
		{event: &account.DeploymentExtended{Deployment: "d", Added: 1, EndsAt: hour(5)}, want: "success deployment: Deployment d has 1 more hour and runs until 1 March 2026, 05:00 UTC."},
		{event: &account.DeploymentResumed{Deployment: "d", Charged: credit, EndsAt: hour(4)}, want: "success deployment: Deployment d goes on, until 1 March 2026, 04:00 UTC. 1 credit of usage was charged."},
		{event: &account.CreditGranted{Terms: account.CreditTerms{Amount: credit}}, want: "success credits-arrived: 1 credit was approved; you had asked for 5.", asked: 5 * credit},
		{event: &account.WithdrawalPaid{Amount: credit}, want: "success withdrawal: 1 credit was paid out to your wallet."},
		{event: &account.DeploymentPaused{Deployment: "d", Shortfall: credit, GraceEndsAt: hour(1)}, want: "critical deployment: Deployment d is paused: its usage needs 1 credit more. It goes on once they are there and what waits longer is paid, and fails at 1 March 2026, 01:00 UTC."},
		{event: &account.DeploymentResumed{Deployment: "d", Charged: 2 * credit, EndsAt: hour(4)}, want: "success deployment: Deployment d goes on, until 1 March 2026, 04:00 UTC. 2 credits of usage were charged."},
		{event: &account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsStopped, Used: 3 * credit, Refunded: 2 * credit}, want: "info deployment: Deployment d is stopped. It cost 3 credits. What was not used came back: 2 credits."},
		{event: &account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsCompleted, Used: 3 * credit}, usage: 9 * credit, want: "info deployment: Deployment d is completed. It cost 3 credits, and 9 credits for usage on top."},
		{event: &account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsFailed, Cause: account.CauseProvider, Used: 3 * credit}, usage: credit, want: "error deployment: Deployment d failed, and not by your fault. It cost 3 credits, and 1 credit for usage on top."},
		{event: &account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsFailed, Cause: account.CauseUnpaid}, want: "error deployment: Deployment d was not started: the credits did not arrive in time. Nothing was charged."},
		{event: &account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsFailed, Cause: account.CauseUsageUnpaid, Refunded: credit}, want: "error deployment: Deployment d ended: the credits for its usage did not arrive in time. What was not used came back: 1 credit."},
		{event: &account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsFailed, Cause: account.CauseProvider, Used: 0}, want: "error deployment: Deployment d failed, and not by your fault. It cost 0 credits."},
		{event: &account.Deducted{Amount: credit}, want: ""},
	} {
		got := ""
		for _, n := range account.NoticesOf(c.event, account.Around{Asked: c.asked, Usage: c.usage}) {
			got += string(n.Priority) + " " + string(n.Topic) + ": " + n.Message
		}
		require.Equal(t, c.want, got, "%T", c.event)
	}
}

// TestSplitNotices: of a movement in parts the last one tells, with the sum of all.
func TestSplitNotices(t *testing.T) {
	const most, all = 500 * credit, "501 credits"
	for _, c := range []struct {
		part func(domain.Amount, account.Part) domain.Event
		sign domain.Amount
		want string
	}{
		{func(a domain.Amount, p account.Part) domain.Event { return &account.Refunded{Amount: a, Part: p} }, 1, all + " came back"},
		{func(a domain.Amount, p account.Part) domain.Event {
			return &account.PurchaseReversed{Amount: a, Part: p}
		}, 1, "taken back: " + all},
		{func(a domain.Amount, p account.Part) domain.Event { return &account.WithdrawalPaid{Amount: a, Part: p} }, 1, all + " were paid out"},
		{func(a domain.Amount, p account.Part) domain.Event {
			return &account.WithdrawalReturned{Amount: a, Cause: account.ReturnFailed, Part: p}
		}, 1, "Back in your account: " + all},
		{func(a domain.Amount, p account.Part) domain.Event { return &account.Adjusted{Amount: a, Part: p} }, -1, "took " + all},
	} {
		first, last := c.part(c.sign*most, account.Part{Index: 1, Count: 2}), c.part(c.sign*credit, account.Part{Index: 2, Count: 2})
		require.Empty(t, account.NoticesOf(first, account.Around{}), "%T", first)
		before, told := account.ToldInSum(first)
		require.True(t, told, "%T", first)
		notices := account.NoticesOf(last, account.Around{Before: before})
		require.Len(t, notices, 1, "%T", last)
		require.Contains(t, notices[0].Message, c.want)
		_, told = account.ToldInSum(c.part(credit, account.Part{}))
		require.False(t, told, "%T in one piece", last)
	}
}

// TestPaymentNotices: what a customer is told in the end of money that did not become
// credits of theirs; never whose they are.
func TestPaymentNotices(t *testing.T) {
	const part, payment = "info purchase: A part of your purchase that had come, 5 credits, was ", "info purchase: A payment that had come for your account, 5 credits, was "
	const elsewhere = "found to belong to another account, and credited there."
	of := func(outcome account.PaymentStatus, to string) account.PaymentResolved {
		return account.PaymentResolved{Payment: "p", Outcome: outcome, Amount: 5 * credit, Account: to, Note: "sealed"}
	}
	unknown, reversal := of(account.PaymentIsReturned, ""), of(account.PaymentIsReturned, "")
	unknown.Amount, reversal.Kind = 0, account.KindChargeback
	for _, c := range []struct {
		why   account.UnmatchedWhy
		event account.PaymentResolved
		want  string
	}{
		{account.WhyUnderpaid, of(account.PaymentIsReturned, ""), part + "sent back to you."},
		{account.WhyUnderpaid, of(account.PaymentIsCredited, "whose"), part + elsewhere},
		{account.WhyUnderpaid, of(account.PaymentIsTakenBack, ""), part + "taken back by the payment provider."},
		{account.WhyUnderpaid, of(account.PaymentIsCredited, ""), ""}, // PaymentCredited has said so
		{account.WhyUnderpaid, of(account.PaymentIsMatched, ""), ""},  // PurchaseSettled has
		{account.WhySettledBefore, of(account.PaymentIsReturned, ""), payment + "sent back to you."},
		{account.WhyPurchaseUnknown, of(account.PaymentIsCredited, "whose"), payment + elsewhere},
		{account.WhyBalanceLimit, of(account.PaymentIsReturned, ""), payment + "sent back to you."},
		{account.WhyReversedBefore, of(account.PaymentIsReturned, ""), payment + "sent back to you."},
		// Closed because it was none, or nobody knows.
		{account.WhyPaymentUnnamed, of(account.PaymentIsReturned, ""), ""},
		{account.WhyAmountInvalid, of(account.PaymentIsReturned, ""), ""},
		{"", of(account.PaymentIsReturned, ""), ""},
		{account.WhyPurchaseUnknown, unknown, ""},
		{account.WhyPurchaseUnknown, reversal, ""},
	} {
		got := ""
		for _, n := range account.NoticesOf(&c.event, account.Around{Why: c.why}) {
			got += string(n.Priority) + " " + string(n.Topic) + ": " + n.Message
		}
		require.Equal(t, c.want, got, "%s %+v", c.why, c.event)
	}
}

// TestPartNotices: a part that comes for a purchase which is over is told at once, and
// so is one that goes back while it can still be paid. Of what another event tells
// nothing is told here: one that waits is resolved, and what is paid in full settles.
func TestPartNotices(t *testing.T) {
	const late = "error purchase: A payment of 4 credits came when your purchase was over, and does not pay all of it. We are looking into it."
	const back = "info purchase: A part of your purchase that had come, 4 credits, was taken back by the payment provider."
	came := func(received domain.Amount) domain.Event {
		return &account.PaymentReceived{Payment: "x", Purchase: "p", Amount: 4 * credit, Received: received, ToPay: 10 * credit}
	}
	dropped := func(reversal bool) domain.Event {
		return &account.PaymentDropped{Payment: "x", Purchase: "p", Amount: 4 * credit, Reversal: reversal}
	}
	for _, c := range []struct {
		purchase account.PurchaseStatus
		event    domain.Event
		want     string
	}{
		{account.PurchaseIsExpired, came(4 * credit), late},
		{account.PurchaseIsFailed, came(9 * credit), late},
		{account.PurchaseIsExpired, came(10 * credit), ""},
		{account.PurchaseIsAwaiting, came(4 * credit), ""},
		{account.PurchaseIsAwaiting, dropped(true), back},
		{account.PurchaseIsAwaiting, dropped(false), ""},
		{account.PurchaseIsExpired, dropped(true), ""},
		{account.PurchaseIsFailed, dropped(true), ""},
		{"", came(4 * credit), ""},
	} {
		got := ""
		for _, n := range account.NoticesOf(c.event, account.Around{Purchase: c.purchase}) {
			got += string(n.Priority) + " " + string(n.Topic) + ": " + n.Message
		}
		require.Equal(t, c.want, got, "%s %+v", c.purchase, c.event)
	}
}

// TestLowBalance: once when the line is crossed downward, and again only after
// the balance was at or above it.
func TestLowBalance(t *testing.T) {
	const line = 10 * credit
	for _, c := range []struct {
		line, before, after domain.Amount
		told                bool
	}{
		{line, 12 * credit, 9 * credit, true},
		{line, 10 * credit, 10*credit - 1, true},
		{line, 12 * credit, 10 * credit, false},
		{line, 9 * credit, 8 * credit, false},
		{line, 9 * credit, 12 * credit, false},
		{0, credit, -credit, false},
	} {
		notices := account.NoticesOf(&account.Deducted{Amount: credit}, account.Around{LowBalanceAt: c.line, BalanceBefore: c.before, BalanceAfter: c.after})
		require.Equal(t, c.told, len(notices) == 1, "%+v", c)
		if c.told {
			require.Equal(t, account.TopicLowBalance, notices[0].Topic)
			require.Contains(t, notices[0].Message, c.after.String())
		}
	}
}
