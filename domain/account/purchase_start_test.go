package account_test

import (
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// minute is an instant of a row, in minutes after hour 0.
func minute(n int) time.Time { return hour(0).Add(time.Duration(n) * time.Minute) }

func started(id string, amount domain.Amount) step {
	return do(account.StartPurchase{Purchase: id, Amount: amount})
}

func payment(id, purchase string, amount domain.Amount) account.RecordPayment {
	return account.RecordPayment{Payment: id, Purchase: purchase, Amount: amount}
}

// startedEvent is what started makes without a fee.
func startedEvent(id string, amount domain.Amount) *account.PurchaseStarted {
	return &account.PurchaseStarted{Purchase: id, Amount: amount, ToPay: amount, StartedAt: hour(0), ExpiresAt: minute(20)}
}

func received(id, purchase string, amount, sum, toPay domain.Amount) *account.PaymentReceived {
	return &account.PaymentReceived{Payment: id, Purchase: purchase, Amount: amount, Received: sum, ToPay: toPay}
}

func settled(id string, amount, sum domain.Amount) *account.PurchaseSettled {
	return &account.PurchaseSettled{Purchase: id, Amount: amount, Received: sum}
}

func TestStartPurchase(t *testing.T) {
	var many []step
	for i := range 100 {
		many = append(many, started(string(rune('A'+i/26))+string(rune('a'+i%26)), credit))
	}
	check(t, []row{
		{name: "waits for its payment for 20 minutes", when: started("p", 50*credit), then: events(startedEvent("p", 50*credit)), balance: "nothing"},
		{
			name:  "the fee of the policy is on top",
			given: given(do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(200)})),
			when:  started("p", 25*credit+credit/4),
			then: events(&account.PurchaseStarted{Purchase: "p", Amount: 25*credit + credit/4, Fee: 505_000, ToPay: 25*credit + credit/4 + 505_000,
				StartedAt: hour(0), ExpiresAt: minute(20)}),
		},
		{
			name: "a frozen account may buy", given: given(do(account.Freeze{})),
			when: started("p", credit), then: events(startedEvent("p", credit)),
		},
		{name: "below the minimum", when: started("p", credit-1), refused: "amount-invalid field=amount value=0.999999 minimum=1"},
		{name: "of nothing", when: started("p", 0), refused: "amount-invalid field=amount value=0 minimum=1"},
		{
			name: "of too much", when: started("p", domain.MaxAmount+1),
			refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000",
		},
		{
			name:    "of too much with its fee",
			given:   given(do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(200)})),
			when:    started("p", 990_000_000*credit),
			refused: "amount-too-large field=amount value=990000000 limit=1000000000",
		},
		{
			name: "an id is used once, even of one that ended", given: given(started("p", credit), doAt(minute(20), account.Tick{})),
			when: doAt(hour(1), account.StartPurchase{Purchase: "p", Amount: credit}), refused: "duplicate-id field=purchase_id value=p",
		},
		{
			name: "an id of a purchase that was settled at once", given: given(bought("p", credit)),
			when: started("p", credit), refused: "duplicate-id field=purchase_id value=p",
		},
		{name: "too many open", given: many, when: started("p", credit), refused: "limit-exceeded limit=100"},
	})
}

func TestPurchaseLinks(t *testing.T) {
	request := func(n int) step { return do(account.RequestLink{Purchase: "p", Attempt: n}) }
	made := func(n int, link string) step {
		return do(account.RecordLink{Purchase: "p", Attempt: n, Link: link, URL: "https://pay/" + link})
	}
	check(t, []row{
		{
			name: "an attempt is announced", given: given(started("p", credit)), when: request(1),
			then: events(&account.PurchaseLinkRequested{Purchase: "p", Attempt: 1}),
		},
		{
			name: "the same attempt again belongs to another engine", given: given(started("p", credit), request(1)), when: request(1),
			refused: "conflict attempt=2",
		},
		{
			name: "the next one has the next number", given: given(started("p", credit), request(1)), when: request(2),
			then: events(&account.PurchaseLinkRequested{Purchase: "p", Attempt: 2}),
		},
		{name: "of an unknown purchase", when: request(1), refused: "unknown-purchase field=purchase_id value=p"},
		{
			name: "of one that has just expired", given: given(started("p", credit)),
			when: doAt(minute(20), account.RequestLink{Purchase: "p", Attempt: 1}), refused: "wrong-status field=purchase_id value=p status=expired",
		},
		{
			name: "of one that settled", given: given(started("p", credit), do(payment("x", "p", credit))), when: request(1),
			refused: "wrong-status field=purchase_id value=p",
		},
		{
			name: "a link is made", given: given(started("p", credit), request(1)), when: made(1, "l1"),
			then: events(&account.PurchaseLinkMade{Purchase: "p", Attempt: 1, Link: "l1", URL: "https://pay/l1"}),
		},
		{name: "told twice", given: given(started("p", credit), request(1), made(1, "l1")), when: made(1, "l1")},
		{name: "too late to matter", given: given(started("p", credit), request(1), do(payment("x", "p", credit))), when: made(1, "l1")},
		{
			name: "a failed attempt", given: given(started("p", credit), request(1)),
			when: do(account.RecordLinkFailure{Purchase: "p", Attempt: 1, Why: "bankAccount/inactive"}),
			then: events(&account.PurchaseLinkFailed{Purchase: "p", Attempt: 1, Why: "bankAccount/inactive"}),
		},
	})
}

// TestRecordPaymentAboveThePrice: in one payment or in two, told in whatever order.
func TestRecordPaymentAboveThePrice(t *testing.T) {
	check(t, []row{
		{
			name: "above the price in two payments, the smaller one later", given: given(started("p", credit), do(payment("x", "p", credit))),
			when: do(payment("y", "p", 5)),
			then: events(unmatched("y", "p", 5, account.WhySettledBefore), &account.PaymentCredited{Payment: "y", Amount: 5},
				&account.PaymentResolved{Payment: "y", Outcome: account.PaymentIsCredited, Amount: 5}),
			balance: "balance 1.000005, available 1.000005, purchased 1.000005, withdrawable 1.000005, allowance 10, spendable 11.000005",
		},
		{
			name: "and the larger one later: as much", given: given(started("p", credit), do(payment("y", "p", 5))), when: do(payment("x", "p", credit)),
			then: events(
				&account.PaymentReceived{Payment: "x", Purchase: "p", Amount: credit, Received: credit + 5, ToPay: credit},
				&account.PurchaseSettled{Purchase: "p", Amount: credit + 5, Received: credit + 5},
			),
			balance: "balance 1.000005, available 1.000005, purchased 1.000005, withdrawable 1.000005, allowance 10, spendable 11.000005",
		},
		{
			name: "above the price, told twice", given: given(started("p", credit), do(payment("x", "p", credit)), do(payment("y", "p", 5))),
			when: do(payment("y", "p", 5)),
		},
		{
			name: "above the price, told as taken back: it is never here", given: given(started("p", credit), do(payment("x", "p", credit))),
			when: do(account.RecordPayment{Payment: "y", Purchase: "p", Amount: 5, TakenBack: account.ReversalRefund}), then: events(unmatched("y", "p", 5, account.WhySettledBefore)),
		},
		{
			name: "above the price, past the limit of an account", given: given(started("p", credit), do(payment("x", "p", credit))),
			when: do(payment("y", "p", domain.MaxBalance)), then: events(unmatched("y", "p", domain.MaxBalance, account.WhySettledBefore)),
		},
	})
}

func TestRecordPayment(t *testing.T) {
	check(t, []row{
		{
			name: "all of it settles", given: given(started("p", 50*credit)), when: do(payment("x", "p", 50*credit)),
			then:    events(received("x", "p", 50*credit, 50*credit, 50*credit), settled("p", 50*credit, 50*credit)),
			balance: "balance 50, available 50, purchased 50, withdrawable 50, allowance 10, spendable 60",
		},
		{
			name: "half of it credits nothing", given: given(started("p", 50*credit)), when: do(payment("x", "p", 25*credit)),
			then: events(received("x", "p", 25*credit, 25*credit, 50*credit)), balance: "nothing",
		},
		{
			name: "the other half settles", given: given(started("p", 50*credit), do(payment("x", "p", 25*credit))),
			when:    do(payment("y", "p", 25*credit)),
			then:    events(received("y", "p", 25*credit, 50*credit, 50*credit), settled("p", 50*credit, 50*credit)),
			balance: "balance 50, available 50, purchased 50, withdrawable 50, allowance 10, spendable 60",
		},
		{
			name: "what is above is credited too", given: given(started("p", 50*credit)), when: do(payment("x", "p", 100*credit)),
			then: events(received("x", "p", 100*credit, 100*credit, 50*credit), settled("p", 100*credit, 100*credit)),
		},
		{
			name: "the fee is never credited", given: given(do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(200)}), started("p", 50*credit),
				do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(0)})),
			when: do(payment("x", "p", 53*credit)),
			then: events(
				&account.PaymentReceived{Payment: "x", Purchase: "p", Amount: 53 * credit, Received: 53 * credit, ToPay: 51 * credit, Fee: credit},
				&account.PurchaseSettled{Purchase: "p", Amount: 52 * credit, Received: 53 * credit, Fee: credit}),
		},
		{
			name:  "purchased credits live as long as the policy says",
			given: given(do(account.SetPolicy{PurchasedLifeMonths: ptr(12)}), started("p", credit)), when: do(payment("x", "p", credit)),
			then: events(received("x", "p", credit, credit, credit),
				&account.PurchaseSettled{Purchase: "p", Amount: credit, Received: credit, ExpiresAt: hour(0).AddDate(1, 0, 0)}),
		},
		{name: "twice changes nothing", given: given(started("p", credit), do(payment("x", "p", credit))), when: do(payment("x", "p", credit))},
		{
			name: "of a purchase that was taken back", given: given(bought("p", credit), chargedBack("p")),
			when: do(payment("y", "p", credit)), then: events(unmatched("y", "p", credit, account.WhyReversedBefore)),
		},
		{
			name: "of an unknown purchase", when: do(payment("x", "q", credit)),
			then: events(unmatched("x", "q", credit, account.WhyPurchaseUnknown)),
		},
		{
			name:  "past the limit of an account",
			given: given(started("p", 2*credit), facts(&account.IncentiveGranted{Amount: domain.MaxBalance - credit})),
			when:  do(payment("x", "p", 2*credit)), then: events(unmatched("x", "p", 2*credit, account.WhyBalanceLimit)),
		},
		{name: "of nothing is no payment", given: given(started("p", credit)), when: do(payment("x", "p", 0)), refused: "amount-invalid field=amount value=0"},
		{
			name: "pays debt first", given: given(bought("o", credit), spent(5*credit), started("p", 10*credit)), when: do(payment("x", "p", 10*credit)),
			then: events(received("x", "p", 10*credit, 10*credit, 10*credit), settled("p", 10*credit, 10*credit),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(4, 4*credit))}),
			balance: "balance 6, available 6, purchased 6, withdrawable 6, allowance 10, spendable 16",
		},
	})
}

// TestAPaymentToldAsTakenBack: it went again, so nothing is paid with it on its way.
func TestAPaymentToldAsTakenBack(t *testing.T) {
	gone := func(id string, amount domain.Amount) step {
		return do(account.RecordPayment{Payment: id, Purchase: "p", Amount: amount, TakenBack: account.ReversalRefund})
	}
	waits := given(started("p", 10*credit), do(deploy("d", "10", 1)))
	owes := given(bought("o", credit), spent(5*credit), started("p", 10*credit))
	check(t, []row{
		{
			name: "no deployment that waits", given: waits, when: gone("x", 10*credit),
			then: events(received("x", "p", 10*credit, 10*credit, 10*credit), settled("p", 10*credit, 10*credit), backTaken("p", 10*credit, 4)), balance: "nothing",
		},
		{name: "the reversal that follows is a repeat", given: append(waits[:2:2], gone("x", 10*credit)), when: backOf("x", "p", 10*credit)},
		{
			name: "no debt", given: owes, when: gone("x", 10*credit),
			then:    events(received("x", "p", 10*credit, 10*credit, 10*credit), settled("p", 10*credit, 10*credit), backTaken("p", 10*credit, 4)),
			balance: "balance -4, available -4, debt 4, allowance 10, spendable 6",
		},
		{
			name: "but what else came for its purchase does", given: append(owes, do(payment("y", "p", 6*credit))), when: gone("x", 4*credit),
			then: events(received("x", "p", 4*credit, 10*credit, 10*credit), settled("p", 10*credit, 10*credit), backTaken("p", 4*credit, 5),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(5, 4*credit))}),
			balance: "balance 2, available 2, purchased 2, withdrawable 2, allowance 10, spendable 12",
		},
		{
			name: "a part of the purchase", given: waits, when: gone("x", 4*credit), then: events(received("x", "p", 4*credit, 4*credit, 10*credit)),
		},
	})
}

// TestOddPayments wait for people, whatever they are for.
func TestOddPayments(t *testing.T) {
	check(t, []row{
		{
			name: "of an amount that is none: people look at it, with what is certain", given: given(started("p", 10*credit)),
			when: do(account.RecordPayment{Payment: "x", Purchase: "p", Amount: 10*credit + 1, Odd: account.WhyAmountInvalid, Told: "10.0000011"}),
			then: events(func() *account.PaymentUnmatched {
				e := unmatched("x", "p", 10*credit+1, account.WhyAmountInvalid)
				e.Told = "10.0000011"
				return e
			}()),
		},
		{
			name: "that is odd, of a payment that came before", given: given(started("p", credit), do(payment("x", "p", credit))),
			when: do(account.RecordPayment{Payment: "x", Purchase: "p", Odd: account.WhyAmountInvalid, Told: "null"}),
		},
	})
}

func expired(id string, so domain.Amount) *account.PurchaseExpired {
	return &account.PurchaseExpired{Purchase: id, Received: so, EffectiveAt: minute(20)}
}

func TestPurchaseExpiresAndIsPaidLate(t *testing.T) {
	late := func(id string, amount domain.Amount) step { return doAt(minute(30), payment(id, "p", amount)) }
	underpaid := func(id string, amount domain.Amount, at time.Time) *account.PaymentUnmatched {
		e := unmatched(id, "p", amount, account.WhyUnderpaid)
		e.EffectiveAt = at
		return e
	}
	half := given(started("p", 50*credit), do(payment("x", "p", 20*credit)))
	gone := append(half[:2:2], doAt(minute(20), account.Tick{}))
	check(t, []row{
		{name: "not a moment before", given: given(started("p", credit)), when: doAt(minute(20).Add(-1), account.Tick{})},
		{name: "unpaid", given: given(started("p", credit)), when: doAt(minute(20), account.Tick{}), then: events(expired("p", 0))},
		{
			name: "what came so far waits in the queue", given: half, when: doAt(minute(25), account.Tick{}),
			then: events(expired("p", 20*credit), underpaid("x", 20*credit, minute(20))),
		},
		{
			name: "at the very instant it is paid it has expired, and settles", given: given(started("p", credit)), when: doAt(minute(20), payment("x", "p", credit)),
			then: events(expired("p", 0), received("x", "p", credit, credit, credit), settled("p", credit, credit)),
		},
		{
			name: "paid late, long forgotten", given: given(started("p", credit), doAt(minute(20), account.Tick{})), when: late("x", credit),
			then:    events(received("x", "p", credit, credit, credit), settled("p", credit, credit)),
			balance: "balance 1, available 1, purchased 1, withdrawable 1, allowance 10, spendable 11",
		},
		{
			name: "the rest comes late: it settles, and nothing waits any more", given: gone, when: late("y", 30*credit),
			then: events(received("y", "p", 30*credit, 50*credit, 50*credit), settled("p", 50*credit, 50*credit),
				&account.PaymentResolved{Payment: "x", Outcome: account.PaymentIsMatched, Amount: 20 * credit}),
			balance: "balance 50, available 50, purchased 50, withdrawable 50, allowance 10, spendable 60",
		},
		{
			name: "some more comes late, and waits too", given: gone, when: late("y", 10*credit),
			then: events(received("y", "p", 10*credit, 30*credit, 50*credit), underpaid("y", 10*credit, minute(30))), balance: "nothing",
		},
		{
			name: "part of a forgotten one, late", given: given(started("p", 50*credit), doAt(minute(20), account.Tick{})), when: late("y", 10*credit),
			then: events(received("y", "p", 10*credit, 10*credit, 50*credit), underpaid("y", 10*credit, minute(30))),
		},
		{
			name: "what finance has credited does not count any more", given: append(gone[:3:3], doAt(minute(21), account.ResolvePayment{Payment: "x"})),
			when:    late("y", 30*credit),
			then:    events(received("y", "p", 30*credit, 30*credit, 50*credit), underpaid("y", 30*credit, minute(30))),
			balance: "balance 20, available 20, purchased 20, withdrawable 20, allowance 10, spendable 30",
		},
		{
			name: "nor what finance has returned", given: append(gone[:3:3], doAt(minute(21), account.ResolvePayment{Payment: "x", Returned: true})),
			when:    late("y", 50*credit),
			then:    events(received("y", "p", 50*credit, 50*credit, 50*credit), settled("p", 50*credit, 50*credit)),
			balance: "balance 50, available 50, purchased 50, withdrawable 50, allowance 10, spendable 60",
		},
	})
}

func TestPaymentFails(t *testing.T) {
	failed := do(account.RecordPaymentFailure{Payment: "x", Purchase: "p", Why: "card-declined"})
	check(t, []row{
		{
			name: "fails the purchase", given: given(started("p", credit)), when: failed,
			then: events(&account.PurchaseFailed{Purchase: "p", Payment: "x", Why: "card-declined"}),
		},
		{name: "twice", given: given(started("p", credit), failed), when: failed},
		{name: "of an unknown purchase", when: failed},
		{name: "told after the payment has arrived", given: given(started("p", 2*credit), do(payment("x", "p", credit))), when: failed},
		{
			name: "paid all the same", given: given(started("p", credit), failed), when: do(payment("y", "p", credit)),
			then: events(received("y", "p", credit, credit, credit), settled("p", credit, credit)),
		},
		{name: "it does not expire after that", given: given(started("p", credit), failed), when: doAt(hour(1), account.Tick{})},
	})
}

// TestMonthsOfPurchasedCredits: what was bought on a day that the last month lacks
// expires on that month's last day, and never on a later day than what was bought later.
func TestMonthsOfPurchasedCredits(t *testing.T) {
	expiry := func(at time.Time, months int) time.Time {
		h := newHistory(t)
		for _, action := range []account.Action{account.SetPolicy{PurchasedLifeMonths: &months}, account.RecordPurchase{Purchase: "p", Amount: credit}} {
			if _, err := h.execute(doAt(at, action)); err != nil {
				t.Fatal(err)
			}
		}
		return h.log[len(h.log)-1].(*account.PurchaseSettled).ExpiresAt
	}
	for _, row := range []struct {
		at, want string
		months   int
	}{
		{"2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z", 1},
		{"2028-01-30T12:00:00Z", "2028-02-29T12:00:00Z", 1},
		{"2026-08-31T12:00:00Z", "2027-02-28T12:00:00Z", 6},
		{"2026-10-31T23:59:59Z", "2027-04-30T23:59:59Z", 6},
		{"2028-02-29T12:00:00Z", "2029-02-28T12:00:00Z", 12},
		{"2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z", 48},
		{"2026-12-31T12:00:00Z", "2027-12-31T12:00:00Z", 12},
	} {
		at, err := time.Parse(time.RFC3339, row.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := expiry(at, row.months).Format(time.RFC3339); got != row.want {
			t.Errorf("%s + %d months: %s, want %s", row.at, row.months, got, row.want)
		}
	}
	for _, months := range []int{1, 2, 3, 12, 120} {
		before := time.Time{}
		for day := range 800 { // two leap days
			until := expiry(time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, day), months)
			if until.Before(before) {
				t.Fatalf("%d months: what is bought on day %d expires sooner than what was bought the day before", months, day)
			}
			before = until
		}
	}
}
