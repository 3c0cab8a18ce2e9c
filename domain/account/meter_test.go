package account_test

import (
	"fmt"
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

func reading(meter, quantity, price string) account.RecordReading {
	return account.RecordReading{Meter: meter, Service: domain.ServiceInference, Quantity: units(quantity), UnitPrice: rate(price)}
}

// metered is the event of a reading.
func metered(meter, quantity, price string, amount, charged domain.Amount, carry int64, from ...account.LotUse) *account.UsageMetered {
	return &account.UsageMetered{
		Meter: meter, Service: domain.ServiceInference, Quantity: units(quantity), UnitPrice: rate(price),
		Amount: amount, Accrued: domain.Accrual{Charged: charged, Carry: carry}, Lots: from,
	}
}

// fraction costs 0.4 of a micro-credit.
func fraction() step { return do(reading("m", "1", "0.0000004")) }

func TestMeter(t *testing.T) {
	check(t, []row{
		{
			name:    "charges the exact cost",
			given:   given(granted(5 * credit)),
			when:    do(reading("m", "1000000", "0.00000013")),
			then:    events(metered("m", "1000000", "0.00000013", 130_000, 130_000, 0, promo(0, 130_000))),
			balance: "balance 4.87, available 4.87, promotional 4.87, spendable 4.87",
		},
		{
			name:    "less than half a micro-credit is an event of nothing",
			given:   given(granted(credit)),
			when:    fraction(),
			then:    events(metered("m", "1", "0.0000004", 0, 0, 400_000_000_000)),
			balance: "balance 1, available 1, promotional 1, spendable 1",
		},
		{
			name:  "what was left out is charged when it has added up",
			given: given(granted(credit), fraction()),
			when:  fraction(),
			then:  events(metered("m", "1", "0.0000004", 1, 1, -200_000_000_000, promo(0, 1))),
		},
		{
			name:  "what was charged too much is made up for",
			given: given(granted(credit), fraction(), fraction()),
			when:  fraction(),
			then:  events(metered("m", "1", "0.0000004", 0, 1, 200_000_000_000)),
		},
		{
			name:  "half rounds to even: down from nothing",
			given: given(granted(credit)),
			when:  do(reading("m", "1", "0.0000005")),
			then:  events(metered("m", "1", "0.0000005", 0, 0, 500_000_000_000)),
		},
		{
			name:  "half rounds to even: up from one",
			given: given(granted(credit), do(reading("m", "1", "0.000001"))),
			when:  do(reading("m", "1", "0.0000005")),
			then:  events(metered("m", "1", "0.0000005", 1, 2, -500_000_000_000, promo(0, 1))),
		},
		{
			name:  "nothing used",
			given: nil,
			when:  do(reading("m", "0", "5")),
			then:  events(metered("m", "0", "5", 0, 0, 0)),
		},
		{
			name:  "meters don't share what they carry",
			given: given(granted(credit), fraction()),
			when:  do(reading("n", "1", "0.0000004")),
			then:  events(metered("n", "1", "0.0000004", 0, 0, 400_000_000_000)),
		},
	})
}

func TestMeterGoesOn(t *testing.T) {
	check(t, []row{
		{
			name:  "below zero",
			given: given(bought("p", credit)),
			when:  do(reading("m", "3", "1")),
			then: events(func() domain.Event {
				e := metered("m", "3", "1", 3*credit, 3*credit, 0, paid(0, credit))
				e.Debt = 2 * credit
				return e
			}()),
			balance: "balance -2, available -2, debt 2, allowance 10, spendable 8",
		},
		{
			name:  "final closes it: the name starts anew",
			given: given(granted(credit), do(finally(reading("m", "1", "0.0000004")))),
			when:  fraction(),
			then:  events(metered("m", "1", "0.0000004", 0, 0, 400_000_000_000)),
		},
		{
			name:  "late, with everything that comes with it",
			given: given(granted(credit)),
			when: do(account.RecordReading{Meter: "m", Service: vm, Quantity: units("2"), UnitPrice: rate("0.25"),
				Reference: "job", EffectiveAt: hour(-1), Final: true}),
			then: events(&account.UsageMetered{Meter: "m", Service: vm, Quantity: units("2"), UnitPrice: rate("0.25"),
				Amount: credit / 2, Accrued: domain.Accrual{Charged: credit / 2}, Reference: "job", EffectiveAt: hour(-1),
				Final: true, Lots: lots(promo(0, credit/2))}),
		},
		{
			name:  "a refused reading accrues nothing",
			given: given(granted(credit), fraction(), refusedStep(do(reading("m", "2", "1")))),
			when:  fraction(),
			then:  events(metered("m", "1", "0.0000004", 1, 1, -200_000_000_000, promo(0, 1))),
		},
		{
			name:  "can be refunded, and keeps its position",
			given: given(granted(credit), do(reading("m", "1", "0.25")), refunded(1, 0)),
			when:  do(reading("m", "1", "0.25")),
			then:  events(metered("m", "1", "0.25", credit/4, credit/2, 0, promo(0, credit/4))),
		},
	})
}

func finally(r account.RecordReading) account.RecordReading {
	r.Final = true
	return r
}

// refusedStep marks a step that the engine refuses: nothing comes of it.
func refusedStep(s step) step {
	s.refused = true
	return s
}

func TestMeterOrderOfChecks(t *testing.T) {
	full := given(manyMeters(10_000), do(account.Freeze{}))
	late := reading("new", "1000000000", "2")
	late.EffectiveAt = hour(1)
	const tooLarge = "amount-too-large field=quantity value=1000000000 limit=1000000000"
	check(t, []row{
		{name: "time", given: full, when: do(late), refused: "time-invalid field=effective_at value=2026-03-01T01:00:00Z"},
		{name: "limit", given: full, when: do(reading("new", "1000000000", "2")), refused: "limit-exceeded limit=10000"},
		{name: "frozen", given: given(do(account.Freeze{})), when: do(reading("new", "1000000000", "2")), refused: "account-frozen"},
		{name: "too large", when: do(reading("new", "1000000000", "1.000001")), refused: tooLarge},
		{
			name: "insufficient", given: given(granted(credit)), when: do(reading("m", "1", "1.5")),
			refused: "insufficient-credits available=1 allowance=0 spendable=1 required=1.5 shortfall=0.5",
		},
		{
			name: "what runs goes on at the limit and while frozen", given: full,
			when: do(reading("0", "1", "0.0000001")),
			then: events(metered("0", "1", "0.0000001", 0, 0, 100_000_000_000)),
		},
		{
			name:    "what runs has no allowance while frozen",
			given:   given(bought("p", credit), do(reading("m", "1", "0.5")), do(account.Freeze{})),
			when:    do(reading("m", "1", "0.500001")),
			refused: "insufficient-credits available=0.5 allowance=0 spendable=0.5 required=0.500001 shortfall=0.000001",
		},
		{
			name:  "one below the limit",
			given: given(manyMeters(9_999)),
			when:  do(reading("new", "1", "0.0000001")),
			then:  events(metered("new", "1", "0.0000001", 0, 0, 100_000_000_000)),
		},
	})
}

func manyMeters(n int) step {
	var all []domain.Event
	for i := range n {
		all = append(all, metered(fmt.Sprint(i), "0", "1", 0, 0, 0))
	}
	return facts(all...)
}

func TestMeterFromManyLots(t *testing.T) {
	first := metered("m", "501.5", "1", 500*credit, 501*credit+credit/2, 0, uses(0, 499)...)
	first.Part = account.Part{Index: 1, Count: 2}
	second := &account.Deducted{Amount: credit + credit/2, Service: domain.ServiceInference,
		Lots: append(uses(500, 500), promo(501, credit/2)), Part: account.Part{Index: 2, Count: 2}}
	check(t, []row{
		{
			name: "the rest is deducted in parts", given: given(manyLots(502)),
			when:    do(reading("m", "501.5", "1")),
			then:    events(first, second),
			balance: "balance 0.5, available 0.5, promotional 0.5, spendable 0.5",
		},
		{
			name: "and refunded by the first", given: given(manyLots(502), do(reading("m", "501.5", "1"))),
			when: refunded(502, credit),
			then: events(&account.Refunded{Deduction: tx(502), Revision: 502, Amount: credit, Service: domain.ServiceInference,
				Lots: lots(promo(501, credit/2), promo(500, credit/2))}),
		},
	})
}
