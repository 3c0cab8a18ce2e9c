package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// timedOut is the end of a hold by its deadline.
func timedOut(id string, at int, amount domain.Amount, to ...account.LotUse) *account.Released {
	return &account.Released{Reservation: id, Amount: amount, Service: vm, Cause: account.ReleaseExpired,
		Lots: to, EffectiveAt: hour(at), Closes: true}
}

func lotEnded(at int, lot account.LotUse) *account.LotExpired {
	return &account.LotExpired{Lot: lot, EffectiveAt: hour(at)}
}

func TestLotExpiry(t *testing.T) {
	lot := given(grantedUntil(hour(5), 4*credit))
	check(t, []row{
		{
			name: "the instant before", given: lot,
			when:    doAt(hour(5).Add(-1), account.Tick{}),
			balance: "balance 4, available 4, promotional 4, spendable 4",
		},
		{
			name: "at its instant", given: lot,
			when:    doAt(hour(5), account.Tick{}),
			then:    events(lotEnded(5, until(hour(5), promo(0, 4*credit)))),
			balance: "nothing",
		},
		{
			name: "is effective at its date, however late it is noticed", given: lot,
			when: doAt(hour(99), account.Tick{}),
			then: events(lotEnded(5, until(hour(5), promo(0, 4*credit)))),
		},
		{
			name: "comes before the command that finds it", given: lot,
			when:    doAt(hour(5), account.Deduct{Amount: 1, Service: vm}),
			refused: "insufficient-credits available=0 allowance=0 spendable=0 required=0.000001 shortfall=0.000001",
			balance: "balance 4, available 4, promotional 4, spendable 4",
		},
		{
			name: "is in the append of the command that finds it", given: append(lot, granted(credit)),
			when: doAt(hour(6), account.Deduct{Amount: credit, Service: vm}),
			then: events(lotEnded(5, until(hour(5), promo(0, 4*credit))),
				&account.Deducted{Amount: credit, Service: vm, Lots: lots(promo(1, credit))}),
		},
		{
			name: "what is spent of it does not expire", given: append(lot, spent(3*credit)),
			when: doAt(hour(5), account.Tick{}),
			then: events(lotEnded(5, until(hour(5), promo(0, credit)))),
		},
		{
			name: "what is reserved of it does not expire", given: append(lot, held("r", 3*credit)),
			when:    doAt(hour(5), account.Tick{}),
			then:    events(lotEnded(5, until(hour(5), promo(0, credit)))),
			balance: "balance 3, reserved 3, promotional 3",
		},
		{
			name:  "of both classes in time order",
			given: given(boughtUntil(hour(2), "p", credit), boughtUntil(hour(4), "q", credit), grantedUntil(hour(1), credit), grantedUntil(hour(3), credit)),
			when:  doAt(hour(9), account.Tick{}),
			then: events(
				lotEnded(1, until(hour(1), promo(2, credit))), lotEnded(2, until(hour(2), paid(0, credit))),
				lotEnded(3, until(hour(3), promo(3, credit))), lotEnded(4, until(hour(4), paid(1, credit))),
			),
			balance: "allowance 10, spendable 10",
		},
		{
			name:    "nothing is due",
			given:   given(bought("p", credit), grantedUntil(hour(10), credit)),
			when:    doAt(hour(9), account.Tick{}),
			balance: "balance 2, available 2, promotional 1, purchased 1, withdrawable 1, allowance 10, spendable 12",
		},
		{name: "of an account never seen", when: do(account.Tick{}), balance: "nothing"},
	})
}

func TestReservationExpiry(t *testing.T) {
	check(t, []row{
		{
			name:  "the instant before",
			given: given(granted(credit), heldUntil(hour(2), "r", credit)),
			when:  doAt(hour(2).Add(-1), account.Tick{}),
		},
		{
			name:    "gives back what is left of it",
			given:   given(bought("p", 3*credit), granted(2*credit), heldUntil(hour(2), "r", 4*credit), captured("r", credit)),
			when:    doAt(hour(3), account.Tick{}),
			then:    events(timedOut("r", 2, 3*credit, paid(0, 2*credit), promo(1, credit))),
			balance: "balance 4, available 4, promotional 1, purchased 3, withdrawable 3, allowance 10, spendable 14",
		},
		{
			name:  "a captured one has no deadline any more",
			given: given(granted(credit), heldUntil(hour(2), "r", credit), captured("r", credit)),
			when:  doAt(hour(3), account.Tick{}),
		},
		{
			name:  "nor has a released one",
			given: given(granted(credit), heldUntil(hour(2), "r", credit), released("r")),
			when:  doAt(hour(3), account.Tick{}),
		},
		{
			name:  "makes room for the command in the same instant",
			given: given(granted(credit), heldUntil(hour(2), "r", credit)),
			when:  doAt(hour(2), account.Deduct{Amount: credit, Service: vm}),
			then: events(timedOut("r", 2, credit, promo(0, credit)),
				&account.Deducted{Amount: credit, Service: vm, Lots: lots(promo(0, credit))}),
			balance: "nothing",
		},
		{
			name:  "pays debt",
			given: given(bought("p", 2*credit), heldUntil(hour(2), "r", 2*credit), spent(credit)),
			when:  doAt(hour(2), account.Tick{}),
			then: events(timedOut("r", 2, 2*credit, paid(0, 2*credit)),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(0, credit))}),
		},
		{
			name:  "of a frozen account",
			given: given(granted(credit), heldUntil(hour(2), "r", credit), do(account.Freeze{})),
			when:  doAt(hour(2), account.Tick{}),
			then:  events(timedOut("r", 2, credit, promo(0, credit))),
		},
	})
}

func TestDeadlinesInTimeOrder(t *testing.T) {
	check(t, []row{
		{
			name: "lots and reservations take turns, lots first at one instant",
			given: given(granted(2*credit), heldUntil(hour(4), "late", credit), heldUntil(hour(2), "early", credit),
				grantedUntil(hour(1), credit), grantedUntil(hour(3), credit), grantedUntil(hour(4), credit)),
			when: doAt(hour(9), account.Tick{}),
			then: events(
				lotEnded(1, until(hour(1), promo(3, credit))),
				timedOut("early", 2, credit, promo(0, credit)),
				lotEnded(3, until(hour(3), promo(4, credit))),
				lotEnded(4, until(hour(4), promo(5, credit))),
				timedOut("late", 4, credit, promo(0, credit)),
			),
			balance: "balance 2, available 2, promotional 2, spendable 2",
		},
		{
			name: "only those that are due",
			given: given(granted(2*credit), heldUntil(hour(4), "late", credit), heldUntil(hour(2), "early", credit),
				grantedUntil(hour(1), credit), grantedUntil(hour(3), credit)),
			when: doAt(hour(2), account.Tick{}),
			then: events(lotEnded(1, until(hour(1), promo(3, credit))), timedOut("early", 2, credit, promo(0, credit))),
		},
		{
			name:  "reservations of one instant by name",
			given: given(granted(2*credit), heldUntil(hour(2), "b", credit), heldUntil(hour(2), "a", credit)),
			when:  doAt(hour(2), account.Tick{}),
			then:  events(timedOut("a", 2, credit, promo(0, credit)), timedOut("b", 2, credit, promo(0, credit))),
		},
		{
			name:  "a hold that outlives its lot: what comes back expires when it comes back",
			given: given(grantedUntil(hour(1), credit), heldUntil(hour(2), "r", credit)),
			when:  doAt(hour(9), account.Tick{}),
			then:  events(timedOut("r", 2, credit, until(hour(1), promo(0, credit))), lotEnded(2, until(hour(1), promo(0, credit)))),
		},
		{
			name:  "a hold that ends with its lot",
			given: given(grantedUntil(hour(2), credit), heldUntil(hour(2), "r", credit)),
			when:  doAt(hour(2), account.Tick{}),
			then:  events(timedOut("r", 2, credit, until(hour(2), promo(0, credit))), lotEnded(2, until(hour(2), promo(0, credit)))),
		},
		{
			name:  "a hold that ends before its lot",
			given: given(grantedUntil(hour(3), credit), heldUntil(hour(2), "r", credit)),
			when:  doAt(hour(9), account.Tick{}),
			then:  events(timedOut("r", 2, credit, until(hour(3), promo(0, credit))), lotEnded(3, until(hour(3), promo(0, credit)))),
		},
		{
			name:  "debt is paid at the deadline, so what would expire later is spent",
			given: given(bought("p", credit), grantedUntil(hour(3), 2*credit), heldUntil(hour(2), "r", 2*credit), spent(2*credit)),
			when:  doAt(hour(9), account.Tick{}),
			then: events(
				timedOut("r", 2, 2*credit, until(hour(3), promo(1, 2*credit))),
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(until(hour(3), promo(1, credit)))},
				lotEnded(3, until(hour(3), promo(1, credit))),
			),
			balance: "allowance 10, spendable 10",
		},
		{
			name:    "a refusal applies nothing",
			given:   given(grantedUntil(hour(1), credit), granted(credit), heldUntil(hour(2), "r", credit)),
			when:    doAt(hour(9), account.Release{Reservation: "r"}),
			refused: "reservation-closed field=reservation_id value=r",
			balance: "balance 2, available 1, reserved 1, promotional 2, spendable 1",
		},
	})
}

// TestHoldThatRunsOutInParts: one Tick gives back what it may end, those that are spent first
// before the others, and the hold stays due for the rest, one lot at least.
func TestHoldThatRunsOutInParts(t *testing.T) {
	holds := func(n domain.Amount) []step {
		return given(manyLots(int(n)), do(account.Reserve{Reservation: "r", Amount: n * credit, Service: vm, Reference: "job", ExpiresAt: hour(1)}))
	}
	tick := doAt(hour(1), account.Tick{})
	gives := func(first, last int64, closes bool) *account.Released {
		all := uses(first, last)
		return &account.Released{Reservation: "r", Amount: domain.Amount(len(all)) * credit, Service: vm, Reference: "job", Cause: account.ReleaseExpired,
			Lots: all, EffectiveAt: hour(1), Closes: closes}
	}
	check(t, []row{
		{
			name: "of more lots than that", given: holds(150), when: tick, then: events(gives(0, 99, false)),
			balance: "balance 150, available 100, reserved 50, promotional 150, spendable 100",
		},
		{name: "then the rest", given: append(holds(150), tick), when: tick, then: events(gives(149, 100, true)), balance: "balance 150, available 150, promotional 150, spendable 150"},
		{
			name: "of one lot more than that, with the hold itself", given: holds(100), when: tick, then: events(gives(0, 98, false)),
			balance: "balance 100, available 99, reserved 1, promotional 100, spendable 99",
		},
		{name: "of as many", given: holds(99), when: tick, then: events(gives(98, 0, true)), balance: "balance 99, available 99, promotional 99, spendable 99"},
	})
}
