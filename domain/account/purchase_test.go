package account_test

import (
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

func boughtUntil(at time.Time, id string, amount domain.Amount) step {
	return do(account.RecordPurchase{Purchase: id, Amount: amount, ExpiresAt: at})
}

func chargedBack(id string) step {
	return do(account.ReversePurchase{Purchase: id, Kind: account.ReversalChargeback})
}

// takenBack is a chargeback of lots only.
func takenBack(id string, amount domain.Amount, from ...account.LotUse) *account.PurchaseReversed {
	return &account.PurchaseReversed{Purchase: id, Kind: account.ReversalChargeback, Amount: amount, Lots: from}
}

// unmatched is a payment that fits nowhere, at hour 0.
func unmatched(payment, purchase string, amount domain.Amount, why account.UnmatchedWhy) *account.PaymentUnmatched {
	return &account.PaymentUnmatched{
		Payment: payment, Purchase: purchase, Amount: amount, Kind: account.KindPayment, Why: why, EffectiveAt: hour(0),
	}
}

func TestRecordPurchase(t *testing.T) {
	check(t, []row{
		{
			name:    "credits a lot",
			when:    boughtUntil(hour(9), "p", 50*credit),
			then:    events(&account.PurchaseSettled{Purchase: "p", Amount: 50 * credit, ExpiresAt: hour(9)}),
			balance: "balance 50, available 50, purchased 50, withdrawable 50, allowance 10, spendable 60",
		},
		{
			name:  "that has expired when it arrives expires at once",
			given: given(),
			when:  boughtUntil(hour(-1), "p", credit),
			then: events(&account.PurchaseSettled{Purchase: "p", Amount: credit, ExpiresAt: hour(-1)},
				&account.LotExpired{Lot: until(hour(-1), paid(0, credit)), EffectiveAt: hour(0)}),
			balance: "allowance 10, spendable 10",
		},
		{
			name:    "twice is unmatched",
			given:   given(bought("p", 5*credit)),
			when:    bought("p", 6*credit),
			then:    events(unmatched("p", "p", 6*credit, account.WhySettledBefore)),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name:  "twice is unmatched after it was taken back, too",
			given: given(bought("p", 5*credit), chargedBack("p")),
			when:  bought("p", 5*credit),
			then:  events(unmatched("p", "p", 5*credit, account.WhySettledBefore)),
		},
		{
			name:  "to the limit of an account",
			given: given(facts(&account.IncentiveGranted{Amount: domain.MaxBalance - credit})),
			when:  bought("p", credit),
			then:  events(&account.PurchaseSettled{Purchase: "p", Amount: credit}),
		},
		{
			name:  "past the limit of an account is unmatched",
			given: given(facts(&account.IncentiveGranted{Amount: domain.MaxBalance - credit})),
			when:  bought("p", credit+1),
			then:  events(unmatched("p", "p", credit+1, account.WhyBalanceLimit)),
		},
		{
			name:  "what is reserved counts for the limit",
			given: given(facts(&account.IncentiveGranted{Amount: domain.MaxBalance}), held("r", credit)),
			when:  bought("p", 1),
			then:  events(unmatched("p", "p", 1, account.WhyBalanceLimit)),
		},
		{
			name:  "beyond the number of lots: a fact isn't refused",
			given: given(manyLots(10_000)),
			when:  bought("p", credit),
			then:  events(&account.PurchaseSettled{Purchase: "p", Amount: credit}),
		},
		{name: "of nothing", when: bought("p", 0), refused: "amount-invalid field=amount value=0"},
		{name: "of less", when: bought("p", -1), refused: "amount-invalid field=amount value=-0.000001"},
		{
			name: "of too much", when: bought("p", domain.MaxAmount+1),
			refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000",
		},
	})
}

func TestReversePurchase(t *testing.T) {
	check(t, []row{
		{
			name:    "unspent",
			given:   given(bought("p", 5*credit), bought("q", 7*credit)),
			when:    do(account.ReversePurchase{Purchase: "q", Kind: account.ReversalRefund, Reason: "sealed"}),
			then:    events(&account.PurchaseReversed{Purchase: "q", Kind: account.ReversalRefund, Amount: 7 * credit, Lots: lots(paid(1, 7*credit)), Reason: "sealed"}),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name: "partly spent: its own rest, other purchased lots, then promotional ones",
			given: given(bought("p", 10*credit), spent(6*credit), bought("q", 3*credit),
				boughtUntil(hour(9), "s", 1*credit), granted(20*credit)),
			when: chargedBack("p"),
			then: events(takenBack("p", 10*credit, paid(0, 4*credit),
				until(hour(9), paid(3, 1*credit)), paid(2, 3*credit), promo(4, 2*credit))),
			balance: "balance 18, available 18, promotional 18, allowance 10, spendable 28",
		},
		{
			name:  "spent: the rest is debt and freezes",
			given: given(bought("p", 10*credit), spent(10*credit), granted(4*credit)),
			when:  chargedBack("p"),
			then: events(
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 10 * credit, Lots: lots(promo(2, 4*credit)), Debt: 6 * credit},
				&account.Frozen{Cause: account.FreezeChargeback},
			),
			balance: "balance -6, available -6, debt 6, frozen",
		},
		{
			name:    "spent, of a frozen account",
			given:   given(bought("p", credit), spent(credit), do(account.Freeze{})),
			when:    chargedBack("p"),
			then:    events(&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: credit, Debt: credit}),
			balance: "balance -1, available -1, debt 1, frozen",
		},
		{
			name:  "while in spending debt adds to it",
			given: given(bought("p", 5*credit), spent(12*credit)),
			when:  chargedBack("p"),
			then: events(
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 5 * credit, Debt: 5 * credit},
				&account.Frozen{Cause: account.FreezeChargeback},
			),
			balance: "balance -12, available -12, debt 12, frozen",
		},
	})
}

func TestReversePurchaseThatIsHeldOrGone(t *testing.T) {
	check(t, []row{
		{
			name:  "reserved: the hold is untouched, even of its own lot",
			given: given(bought("p", 10*credit), held("r", 8*credit)),
			when:  chargedBack("p"),
			then: events(
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 10 * credit, Lots: lots(paid(0, 2*credit)), Debt: 8 * credit},
				&account.Frozen{Cause: account.FreezeChargeback},
			),
			balance: "available -8, reserved 8, purchased 8, debt 8, frozen",
		},
		{
			name:  "that expired",
			given: given(boughtUntil(hour(1), "p", 2*credit), doAt(hour(1), account.Tick{})),
			when:  doAt(hour(2), account.ReversePurchase{Purchase: "p", Kind: account.ReversalChargeback}),
			then: events(&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 2 * credit, Debt: 2 * credit, Expired: 2 * credit},
				&account.Frozen{Cause: account.FreezeChargeback}),
		},
		{
			name:  "in the instant that it expires",
			given: given(boughtUntil(hour(1), "p", 2*credit), granted(2*credit)),
			when:  doAt(hour(1), account.ReversePurchase{Purchase: "p", Kind: account.ReversalChargeback}),
			then: events(&account.LotExpired{Lot: until(hour(1), paid(0, 2*credit)), EffectiveAt: hour(1)},
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 2 * credit, Lots: lots(promo(1, 2*credit)), Expired: 2 * credit}),
			balance: "nothing",
		},
	})
}

func TestReversePurchaseUnmatchedOrInParts(t *testing.T) {
	check(t, []row{
		{
			name: "of an unknown purchase",
			when: chargedBack("p"),
			then: events(&account.PaymentUnmatched{Payment: "reversal:p", Purchase: "p", Kind: "chargeback", Why: "purchase-unknown", EffectiveAt: hour(0)}),
		},
		{
			name:  "twice",
			given: given(bought("p", 5*credit), chargedBack("p")),
			when:  do(account.ReversePurchase{Purchase: "p", Kind: account.ReversalRefund}),
			then:  events(&account.PaymentUnmatched{Payment: "reversal:p", Purchase: "p", Amount: 5 * credit, Kind: "refund", Why: "purchase-reversed-before", EffectiveAt: hour(0)}),
		},
		{
			name:  "from more than 500 lots",
			given: given(bought("p", 500*credit+credit/2), spent(500*credit+credit/2), manyLots(500)),
			when:  do(account.ReversePurchase{Purchase: "p", Kind: account.ReversalChargeback, Reason: "sealed"}),
			then: events(
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 500*credit + credit/2,
					Lots: uses(2, 501), Debt: credit / 2, Reason: "sealed"},
				&account.Frozen{Cause: account.FreezeChargeback},
			),
		},
		{
			name:  "from more than 500 lots, in parts",
			given: given(bought("p", 502*credit), spent(502*credit), manyLots(501)),
			when:  chargedBack("p"),
			then: events(
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 500 * credit,
					Lots: uses(2, 501), Part: account.Part{Index: 1, Count: 2}},
				&account.PurchaseReversed{Purchase: "p", Kind: account.ReversalChargeback, Amount: 2 * credit,
					Lots: uses(502, 502), Debt: credit, Part: account.Part{Index: 2, Count: 2}},
				&account.Frozen{Cause: account.FreezeChargeback},
			),
			balance: "balance -1, available -1, debt 1, frozen",
		},
	})
}
