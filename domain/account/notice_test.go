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
	}{
		{&account.PurchaseSettled{Amount: 12_500_000}, "success credits-arrived: 12.5 credits arrived from your purchase."},
		{&account.PurchaseSettled{Amount: credit, ExpiresAt: hour(3)}, "success credits-arrived: 1 credit arrived from your purchase. They can be used until 1 March 2026, 03:00 UTC."},
		{&account.PaymentCredited{Amount: 2 * credit}, "success credits-arrived: 2 credits arrived from your payment."},
		{&account.CreditGranted{Terms: account.CreditTerms{Amount: 5 * credit}}, "success credits-arrived: 5 credits arrived as you requested."},
		{&account.IncentiveGranted{Amount: 3 * credit}, "promo credits-arrived: 3 credits arrived as a gift."},
		{&account.PurchaseFailed{}, "error purchase: Your payment failed and nothing was charged. You can try again."},
		{&account.PurchaseExpired{}, "info purchase: Your purchase ran out of time. Nothing was charged."},
		{&account.PurchaseExpired{Received: 500_000}, "error purchase: Your purchase ran out of time, and only a part of it, 0.5 credits, has come. We are looking into it."},
		{&account.PurchaseReversed{Amount: 4 * credit}, "critical purchase: A payment of yours was taken back: 4 credits left your account."},
		{&account.CreditRequestClosed{Status: account.CreditIsRejected}, "info credit-request: Your request for credits was not approved."},
		{&account.CreditRequestClosed{Status: account.CreditIsCancelled}, ""},
		{&account.Refunded{Amount: 2 * credit, Reference: "vm-1"}, "success refund: 2 credits came back to your account from vm-1."},
		{&account.LotExpired{Lot: promo(1, 2*credit)}, "info expiry: 2 credits expired."},
		{&account.ExpiryAnnounced{Amount: 2 * credit, ExpiresAt: hour(30)}, "info expiry: 2 credits can be used only until 2 March 2026, 06:00 UTC."},
		{&account.Frozen{}, "critical account: Your account is frozen: it can't start anything new. Please contact support."},
		{&account.Unfrozen{}, "info account: Your account is open again."},
		{&account.DeploymentPending{Deployment: "d", Shortfall: 7 * credit, GraceEndsAt: hour(1)}, "critical deployment: Deployment d waits for credits: it needs 7 credits more. It starts as soon as they arrive, until 1 March 2026, 01:00 UTC."},
		{&account.DeploymentPaid{Deployment: "d", EndsAt: hour(2)}, "success deployment: Deployment d is paid and runs until 1 March 2026, 02:00 UTC."},
		{&account.DeploymentPaid{Deployment: "d", Part: part}, ""},
		{&account.DeploymentExtended{Deployment: "d", Added: 3, EndsAt: hour(5)}, "success deployment: Deployment d has 3 more hours and runs until 1 March 2026, 05:00 UTC."},
		{&account.DeploymentPaused{Deployment: "d", Shortfall: credit, GraceEndsAt: hour(1)}, "critical deployment: Deployment d is paused: its usage needs 1 credit more. It goes on as soon as they arrive, and fails at 1 March 2026, 01:00 UTC."},
		{&account.DeploymentResumed{Deployment: "d", Charged: 2 * credit, EndsAt: hour(4)}, "success deployment: Deployment d goes on, until 1 March 2026, 04:00 UTC. 2 credits of usage were charged."},
		{&account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsStopped, Used: 3 * credit, Refunded: 2 * credit}, "info deployment: Deployment d is stopped. It cost 3 credits. What was not used came back: 2 credits."},
		{&account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsFailed, Cause: account.CauseUnpaid}, "error deployment: Deployment d was not started: the credits did not arrive in time. Nothing was charged."},
		{&account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsFailed, Cause: account.CauseUsageUnpaid, Refunded: credit}, "error deployment: Deployment d ended: the credits for its usage did not arrive in time. What was not used came back: 1 credit."},
		{&account.DeploymentEnded{Deployment: "d", Status: account.DeploymentIsFailed, Cause: account.CauseProvider, Used: 0}, "error deployment: Deployment d failed, and not by your fault. It cost 0 credits."},
		{&account.Deducted{Amount: credit}, ""},
	} {
		got := ""
		for _, n := range account.NoticesOf(c.event, 0, 0, 0) {
			got += string(n.Priority) + " " + string(n.Topic) + ": " + n.Message
		}
		require.Equal(t, c.want, got, "%T", c.event)
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
		notices := account.NoticesOf(&account.Deducted{Amount: credit}, c.line, c.before, c.after)
		require.Equal(t, c.told, len(notices) == 1, "%+v", c)
		if c.told {
			require.Equal(t, account.TopicLowBalance, notices[0].Topic)
			require.Contains(t, notices[0].Message, c.after.String())
		}
	}
}
