package journal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// TestPostingsOfWithdrawals: credits become payable, and then are paid or come back.
func TestPostingsOfWithdrawals(t *testing.T) {
	held := []account.LotUse{paid(0, credit)}
	for _, row := range []struct {
		event domain.Event
		want  string
	}{
		{&account.WithdrawalRequested{Withdrawal: "w", Lots: held}, "liabilities:credits:purchased 1; liabilities:withdrawals -1"},
		{&account.WithdrawalApproved{Withdrawal: "w"}, ""},
		{&account.WithdrawalReturned{Withdrawal: "w", Lots: held}, "liabilities:credits:purchased -1; liabilities:withdrawals 1"},
		{&account.WithdrawalPaid{Withdrawal: "w", Lots: held}, "assets:clearing:payouts -1; liabilities:withdrawals 1"},
	} {
		got, err := journal.Of(row.event, 9)
		require.NoError(t, err)
		require.Equal(t, row.want, text(got), "%s", row.event.EventName())
	}
}
