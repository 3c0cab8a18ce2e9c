package account_test

import (
	"testing"

	"iocredits/domain/account"
)

// Promotional credits that covered a chargeback come back to the purchased lots
// that it was about, where they can be spent again and never be cashed.
func TestPromotionalCreditsAreNeverCashed(t *testing.T) {
	release := do(account.Release{Reservation: "r"})
	check(t, []row{
		{
			name:    "spent, charged back from an incentive, refunded",
			given:   given(bought("p", 10*credit), spent(10*credit), granted(10*credit), chargedBack("p")),
			when:    refunded(1, 10*credit),
			then:    events(backTo(1, 10*credit, paid(0, 10*credit))),
			balance: "balance 10, available 10, purchased 10, spendable 10",
		},
		{
			name:    "the same, and a real purchase after it: that one can be withdrawn",
			given:   given(bought("p", 10*credit), spent(10*credit), granted(10*credit), chargedBack("p"), refunded(1, 10*credit)),
			when:    bought("q", 7*credit),
			then:    events(&account.PurchaseSettled{Purchase: "q", Amount: 7 * credit}),
			balance: "balance 17, available 17, purchased 17, withdrawable 7, allowance 10, spendable 27",
		},
		{
			name:  "held, charged back from an incentive, released",
			given: given(bought("p", 10*credit), held("r", 10*credit), granted(10*credit), chargedBack("p")),
			when:  release,
			then: events(&account.Released{
				Reservation: "r", Amount: 10 * credit, Service: vm, Cause: account.ReleaseAsked, Lots: lots(paid(0, 10*credit)), Closes: true,
			}),
			balance: "balance 10, available 10, purchased 10, spendable 10",
		},
		{
			name:  "charged back into debt that an incentive repays, refunded",
			given: given(bought("p", 10*credit), spent(10*credit), chargedBack("p"), granted(10*credit)),
			when:  refunded(1, 10*credit),
			then:  events(backTo(1, 10*credit, paid(0, 10*credit))),
			// Frozen by the chargeback's debt: finance unfreezes.
			balance: "balance 10, available 10, purchased 10, spendable 10, frozen",
		},
		{
			name:    "what has expired leaves no room for it",
			given:   given(boughtUntil(hour(1), "old", 10*credit), doAt(hour(1), account.Tick{}), bought("p", 10*credit), spent(10*credit), granted(10*credit), chargedBack("p")),
			when:    doAt(hour(2), refund(3, 10*credit)),
			then:    events(backTo(3, 10*credit, paid(2, 10*credit))),
			balance: "balance 10, available 10, purchased 10, allowance 10, spendable 20",
		},
	})
}
