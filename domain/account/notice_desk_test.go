package account_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestDeskNotices: what is decided at desks, as the customer reads it.
func TestDeskNotices(t *testing.T) {
	back := func(cause account.ReturnCause) *account.WithdrawalReturned {
		return &account.WithdrawalReturned{Withdrawal: "w", Amount: 60 * credit, Cause: cause, Reason: "sealed"}
	}
	for _, c := range []struct {
		event domain.Event
		want  string
	}{
		{&account.WithdrawalRequested{Withdrawal: "w", Amount: credit}, ""},
		{&account.WithdrawalApproved{Withdrawal: "w"}, ""},
		{&account.WithdrawalApproved{Withdrawal: "w", Final: true}, "info withdrawal: Your withdrawal is approved. It will be paid to your wallet."},
		{&account.WithdrawalPaid{Withdrawal: "w", Amount: 60 * credit}, "success withdrawal: 60 credits were paid out to your wallet."},
		{back(account.ReturnCancelled), ""},
		{back(account.ReturnRejected), "error withdrawal: Your withdrawal was not approved. Back in your account: 60 credits."},
		{back(account.ReturnFailed), "error withdrawal: Your withdrawal could not be paid. Back in your account: 60 credits."},
		{back(account.ReturnChargeback), "error withdrawal: Your withdrawal was stopped, because a payment of yours was taken back."},
		{&account.DisputeOpened{Dispute: "d"}, ""},
		{&account.DisputeResolved{Outcome: account.DisputeUpheld, Refund: 7 * credit, Note: "sealed"}, "success dispute: Your dispute was upheld: 7 credits came back."},
		{&account.DisputeResolved{Outcome: account.DisputeUpheld}, "success dispute: Your dispute was upheld. All of the charge had come back before."},
		{&account.DisputeResolved{Outcome: account.DisputeRejected}, "info dispute: Your dispute was reviewed, and the charge stands."},
		{&account.DisputeResolved{Outcome: account.DisputeRejected, Note: "sealed"}, "info dispute: Your dispute was reviewed, and the charge stands. The dispute has a note that says why."},
		{&account.AdjustmentRequested{Amount: credit}, ""},
		{&account.Adjusted{Amount: credit}, "success credits-arrived: 1 credit arrived as a correction."},
		{&account.Adjusted{Amount: -2 * credit}, "info account: A correction took 2 credits."},
	} {
		got := ""
		for _, n := range account.NoticesOf(c.event, account.Around{}) {
			got += string(n.Priority) + " " + string(n.Topic) + ": " + n.Message
		}
		require.Equal(t, c.want, got, "%T", c.event)
	}
}
