package account_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

func heldUntil(at time.Time, id string, amount domain.Amount) step {
	return do(account.Reserve{Reservation: id, Amount: amount, Service: vm, ExpiresAt: at})
}

func captured(id string, amount domain.Amount) step {
	return do(account.Capture{Reservation: id, Amount: amount})
}

func released(id string) step { return do(account.Release{Reservation: id}) }

func TestReserve(t *testing.T) {
	check(t, []row{
		{
			name:  "takes lots in spending order",
			given: given(bought("p", 50*credit), granted(20*credit)),
			when:  do(account.Reserve{Reservation: "r", Amount: 30 * credit, Service: vm, Reference: "job", ExpiresAt: hour(2)}),
			then: events(&account.Reserved{Reservation: "r", Amount: 30 * credit, Service: vm, Reference: "job", ExpiresAt: hour(2),
				Lots: lots(promo(1, 20*credit), paid(0, 10*credit))}),
			balance: "balance 70, available 40, reserved 30, promotional 20, purchased 50, withdrawable 40, allowance 10, spendable 50",
		},
		{
			name:    "never the allowance",
			given:   given(bought("p", 5*credit)),
			when:    held("r", 6*credit),
			refused: "insufficient-credits available=5 allowance=10 spendable=15 required=6 shortfall=1",
		},
		{
			name: "not by a micro-credit", given: given(granted(5 * credit)), when: held("r", 5*credit+1),
			refused: "insufficient-credits available=5 allowance=0 spendable=5 required=5.000001 shortfall=0.000001",
		},
		{
			name:    "in debt there is nothing to hold: the debt comes first",
			given:   given(bought("p", 5*credit), spent(8*credit)),
			when:    held("r", 1*credit),
			refused: "insufficient-credits available=-3 allowance=10 spendable=7 required=1 shortfall=4",
		},
		{
			name:    "of the same id while open",
			given:   given(granted(5*credit), held("r", credit)),
			when:    held("r", credit),
			refused: "duplicate-id field=reservation_id value=r",
		},
		{
			name:    "of the same id after it was captured",
			given:   given(granted(5*credit), held("r", credit), captured("r", credit)),
			when:    held("r", credit),
			refused: "duplicate-id field=reservation_id value=r",
		},
		{
			name:    "of the same id in the instant that ends it",
			given:   given(granted(5*credit), heldUntil(hour(1), "r", credit)),
			when:    doAt(hour(1), account.Reserve{Reservation: "r", Amount: credit}),
			refused: "duplicate-id field=reservation_id value=r",
		},
		{
			name:    "until now",
			given:   given(granted(5 * credit)),
			when:    heldUntil(hour(0), "r", credit),
			refused: "time-invalid field=expires_at value=2026-03-01T00:00:00Z",
		},
		{
			name:  "from more than 500 lots",
			given: given(manyLots(501)),
			when:  heldUntil(hour(1), "r", 501*credit),
			then: events(
				&account.Reserved{Reservation: "r", Amount: 500 * credit, Service: vm, ExpiresAt: hour(1), Lots: uses(0, 499), Part: account.Part{Index: 1, Count: 2}},
				&account.Reserved{Reservation: "r", Amount: credit, Service: vm, ExpiresAt: hour(1), Lots: uses(500, 500), Part: account.Part{Index: 2, Count: 2}},
			),
			balance: "balance 501, reserved 501, promotional 501",
		},
	})
}

// TestReserveSaysWhatIsThere: who owes something has nothing to hold, and not less than that.
func TestReserveSaysWhatIsThere(t *testing.T) {
	for says, before := range map[string][]step{
		"6 credits are required and 5 are available: a hold takes no allowance": given(bought("p", 5*credit)),
		"6 credits are required and 0 are available: a hold takes no allowance": given(bought("p", 5*credit), spent(8*credit)),
	} {
		h := newHistory(t)
		for _, s := range before {
			_, err := h.execute(s)
			require.NoError(t, err)
		}
		_, err := h.execute(held("r", 6*credit))
		refusal, _ := domain.AsError(err)
		require.Equal(t, says, refusal.Detail)
	}
}

// TestReserveOrderOfChecks: each row breaks a check and every later one.
func TestReserveOrderOfChecks(t *testing.T) {
	full := given(manyReservations(10_000), do(account.Freeze{}))
	some := given(manyReservations(1), do(account.Freeze{}))
	check(t, []row{
		{name: "amount zero", given: some, when: heldUntil(hour(-1), "0", 0), refused: "amount-invalid field=amount value=0"},
		{name: "amount too large", given: some, when: heldUntil(hour(-1), "0", domain.MaxAmount+1), refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000"},
		{name: "time", given: some, when: heldUntil(hour(-1), "0", credit), refused: "time-invalid field=expires_at value=2026-02-28T23:00:00Z"},
		{name: "duplicate", given: full, when: held("0", credit), refused: "duplicate-id field=reservation_id value=0"},
		{name: "limit", given: full, when: held("new", credit), refused: "limit-exceeded limit=10000"},
		{name: "frozen", given: given(do(account.Freeze{})), when: held("new", credit), refused: "account-frozen"},
		{
			name:  "one below the limit",
			given: given(manyReservations(9_999), granted(credit)),
			when:  held("new", credit),
			then:  events(&account.Reserved{Reservation: "new", Amount: credit, Service: vm, Lots: lots(promo(10_000, credit))}),
		},
	})
}

// manyReservations opens n holds named by number.
func manyReservations(n int) step {
	all := []domain.Event{&account.IncentiveGranted{Amount: domain.Amount(n) * credit}}
	for i := range n {
		all = append(all, &account.Reserved{Reservation: fmt.Sprint(i), Amount: credit, Service: vm, Lots: lots(promo(0, credit))})
	}
	return facts(all...)
}

func TestCapture(t *testing.T) {
	mixed := given(bought("p", 50*credit), granted(20*credit), held("r", 30*credit))
	rest := &account.Released{Reservation: "r", Amount: 18 * credit, Service: vm, Cause: account.ReleaseCaptured,
		Lots: lots(paid(0, 10*credit), promo(1, 8*credit)), Closes: true}
	check(t, []row{
		{
			name: "some of it", given: mixed,
			when:    captured("r", 12*credit),
			then:    events(&account.Captured{Reservation: "r", Amount: 12 * credit, Service: vm, Lots: lots(promo(1, 12*credit))}),
			balance: "balance 58, available 40, reserved 18, promotional 8, purchased 50, withdrawable 40, allowance 10, spendable 50",
		},
		{
			name: "some of it, finally", given: mixed,
			when:    do(account.Capture{Reservation: "r", Amount: 12 * credit, Final: true}),
			then:    events(&account.Captured{Reservation: "r", Amount: 12 * credit, Service: vm, Lots: lots(promo(1, 12*credit))}, rest),
			balance: "balance 58, available 58, promotional 8, purchased 50, withdrawable 50, allowance 10, spendable 68",
		},
		{
			name: "all of it closes it", given: mixed,
			when: captured("r", 30*credit),
			then: events(&account.Captured{Reservation: "r", Amount: 30 * credit, Service: vm,
				Lots: lots(promo(1, 20*credit), paid(0, 10*credit)), Closes: true}),
			balance: "balance 40, available 40, purchased 40, withdrawable 40, allowance 10, spendable 50",
		},
		{
			name: "all of it, finally", given: mixed,
			when: do(account.Capture{Reservation: "r", Amount: 30 * credit, Final: true}),
			then: events(&account.Captured{Reservation: "r", Amount: 30 * credit, Service: vm,
				Lots: lots(promo(1, 20*credit), paid(0, 10*credit)), Closes: true}),
		},
		{
			name: "again, what is left", given: append(mixed, captured("r", 12*credit)),
			when: captured("r", 18*credit),
			then: events(&account.Captured{Reservation: "r", Amount: 18 * credit, Service: vm,
				Lots: lots(promo(1, 8*credit), paid(0, 10*credit)), Closes: true}),
		},
		{
			name: "beyond the hold", given: append(mixed, captured("r", 12*credit)),
			when:    do(account.Capture{Reservation: "r", Amount: 18*credit + 1, Final: true}),
			refused: "capture-exceeds-reservation reserved=18 required=18.000001",
		},
		{
			name:  "keeps service and reference of the hold",
			given: given(granted(credit), do(account.Reserve{Reservation: "r", Amount: credit, Service: domain.ServiceRay, Reference: "job"})),
			when:  captured("r", credit),
			then:  events(&account.Captured{Reservation: "r", Amount: credit, Service: domain.ServiceRay, Reference: "job", Lots: lots(promo(0, credit)), Closes: true}),
		},
	})
}

func TestCaptureLate(t *testing.T) {
	mixed := given(bought("p", 50*credit), granted(20*credit), held("r", 30*credit))
	check(t, []row{
		{
			name:  "after the lot's date",
			given: given(grantedUntil(hour(1), 5*credit), held("r", 4*credit), doAt(hour(2), account.Tick{})),
			when:  doAt(hour(2), account.Capture{Reservation: "r", Amount: 3 * credit}),
			then:  events(&account.Captured{Reservation: "r", Amount: 3 * credit, Service: vm, Lots: lots(until(hour(1), promo(0, 3*credit)))}),
		},
		{
			name:  "after the lot's date, the rest expires at once",
			given: given(grantedUntil(hour(1), 4*credit), held("r", 4*credit)),
			when:  doAt(hour(2), account.Capture{Reservation: "r", Amount: 3 * credit, Final: true}),
			then: events(
				&account.Captured{Reservation: "r", Amount: 3 * credit, Service: vm, Lots: lots(until(hour(1), promo(0, 3*credit)))},
				&account.Released{Reservation: "r", Amount: credit, Service: vm, Cause: account.ReleaseCaptured, Lots: lots(until(hour(1), promo(0, credit))), Closes: true},
				&account.LotExpired{Lot: until(hour(1), promo(0, credit)), EffectiveAt: hour(2)},
			),
			balance: "nothing",
		},
		{
			name:  "while frozen",
			given: append(mixed, do(account.Freeze{})),
			when:  captured("r", credit),
			then:  events(&account.Captured{Reservation: "r", Amount: credit, Service: vm, Lots: lots(promo(1, credit))}),
		},
		{
			name:  "the instant before the hold ends",
			given: given(granted(credit), heldUntil(hour(1), "r", credit)),
			when:  doAt(hour(1).Add(-1), account.Capture{Reservation: "r", Amount: credit}),
			then:  events(&account.Captured{Reservation: "r", Amount: credit, Service: vm, Lots: lots(promo(0, credit)), Closes: true}),
		},
		{
			name:    "the instant that the hold ends",
			given:   given(granted(credit), heldUntil(hour(1), "r", credit)),
			when:    doAt(hour(1), account.Capture{Reservation: "r", Amount: credit}),
			refused: "reservation-closed field=reservation_id value=r",
			balance: "balance 1, reserved 1, promotional 1",
		},
	})
}

func TestCaptureOrderOfChecks(t *testing.T) {
	open := given(granted(5*credit), held("r", credit))
	check(t, []row{
		{name: "amount zero", when: captured("none", 0), refused: "amount-invalid field=amount value=0"},
		{name: "amount negative", given: open, when: captured("r", -1), refused: "amount-invalid field=amount value=-0.000001"},
		{name: "amount too large", when: captured("none", domain.MaxAmount+1), refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000"},
		{name: "never heard of", when: captured("none", credit), refused: "unknown-reservation field=reservation_id value=none"},
		{name: "released", given: append(open, released("r")), when: captured("r", 9*credit), refused: "reservation-closed field=reservation_id value=r"},
		{name: "captured", given: append(open, captured("r", credit)), when: captured("r", 9*credit), refused: "reservation-closed field=reservation_id value=r"},
		{
			name:    "expired, by a tick",
			given:   given(granted(5*credit), heldUntil(hour(1), "r", credit), doAt(hour(1), account.Tick{})),
			when:    doAt(hour(2), account.Capture{Reservation: "r", Amount: 9 * credit}),
			refused: "reservation-closed field=reservation_id value=r",
		},
		{name: "beyond", given: open, when: captured("r", 9*credit), refused: "capture-exceeds-reservation reserved=1 required=9"},
	})
}

func TestRelease(t *testing.T) {
	check(t, []row{
		{
			name:  "gives back, last consumed first",
			given: given(bought("p", 50*credit), granted(20*credit), held("r", 30*credit), captured("r", 5*credit)),
			when:  do(account.Release{Reservation: "r", Reason: "sealed"}),
			then: events(&account.Released{Reservation: "r", Amount: 25 * credit, Service: vm, Cause: account.ReleaseAsked, Reason: "sealed",
				Lots: lots(paid(0, 10*credit), promo(1, 15*credit)), Closes: true}),
			balance: "balance 65, available 65, promotional 15, purchased 50, withdrawable 50, allowance 10, spendable 75",
		},
		{
			name:  "to a lot of which nothing else is left",
			given: given(granted(5*credit), held("r", 2*credit), spent(3*credit)),
			when:  released("r"),
			then: events(&account.Released{Reservation: "r", Amount: 2 * credit, Service: vm, Cause: account.ReleaseAsked,
				Lots: lots(promo(0, 2*credit)), Closes: true}),
			balance: "balance 2, available 2, promotional 2, spendable 2",
		},
		{
			name:  "past the lot's date expires at once",
			given: given(grantedUntil(hour(1), 5*credit), granted(credit), held("r", 6*credit)),
			when:  doAt(hour(3), account.Release{Reservation: "r"}),
			then: events(
				&account.Released{Reservation: "r", Amount: 6 * credit, Service: vm, Cause: account.ReleaseAsked,
					Lots: lots(promo(1, credit), until(hour(1), promo(0, 5*credit))), Closes: true},
				&account.LotExpired{Lot: until(hour(1), promo(0, 5*credit)), EffectiveAt: hour(3)},
			),
			balance: "balance 1, available 1, promotional 1, spendable 1",
		},
		{
			name:  "pays debt",
			given: given(bought("p", 5*credit), held("r", 5*credit), spent(3*credit)),
			when:  released("r"),
			then: events(
				&account.Released{Reservation: "r", Amount: 5 * credit, Service: vm, Cause: account.ReleaseAsked, Lots: lots(paid(0, 5*credit)), Closes: true},
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(0, 3*credit))},
			),
			balance: "balance 2, available 2, purchased 2, withdrawable 2, allowance 10, spendable 12",
		},
		{
			name:  "past the date pays no debt",
			given: given(bought("p", credit), grantedUntil(hour(1), 5*credit), held("r", 5*credit), spent(3*credit)),
			when:  doAt(hour(1), account.Release{Reservation: "r"}),
			then: events(
				&account.Released{Reservation: "r", Amount: 5 * credit, Service: vm, Cause: account.ReleaseAsked, Lots: lots(until(hour(1), promo(1, 5*credit))), Closes: true},
				&account.LotExpired{Lot: until(hour(1), promo(1, 5*credit)), EffectiveAt: hour(1)},
			),
			balance: "balance -2, available -2, debt 2, allowance 10, spendable 8",
		},
		{
			name:  "while frozen",
			given: given(granted(credit), held("r", credit), do(account.Freeze{})),
			when:  released("r"),
			then:  events(&account.Released{Reservation: "r", Amount: credit, Service: vm, Cause: account.ReleaseAsked, Lots: lots(promo(0, credit)), Closes: true}),
		},
	})
}

func TestReleaseOfManyLotsAndOfNone(t *testing.T) {
	check(t, []row{
		{
			name:  "of more than 500 lots",
			given: given(manyLots(501), held("r", 501*credit)),
			when:  do(account.Release{Reservation: "r", Reason: "sealed"}),
			then: events(
				&account.Released{Reservation: "r", Amount: 500 * credit, Service: vm, Cause: account.ReleaseAsked, Reason: "sealed",
					Lots: uses(500, 1), Part: account.Part{Index: 1, Count: 2}},
				&account.Released{Reservation: "r", Amount: credit, Service: vm, Cause: account.ReleaseAsked, Reason: "sealed",
					Lots: uses(0, 0), Closes: true, Part: account.Part{Index: 2, Count: 2}},
			),
			balance: "balance 501, available 501, promotional 501, spendable 501",
		},
		{name: "never heard of", when: released("r"), refused: "unknown-reservation field=reservation_id value=r"},
		{
			name:    "twice",
			given:   given(granted(credit), held("r", credit), released("r")),
			when:    released("r"),
			refused: "reservation-closed field=reservation_id value=r",
		},
		{
			name:    "in the instant that it ends",
			given:   given(granted(credit), heldUntil(hour(1), "r", credit)),
			when:    doAt(hour(1), account.Release{Reservation: "r"}),
			refused: "reservation-closed field=reservation_id value=r",
		},
	})
}

// TestCaptureFromManyLots: a capture of 501 lots, and the refund of it, are in parts.
func TestCaptureFromManyLots(t *testing.T) {
	of := account.Captured{Reservation: "r", Service: vm}
	first, second := of, of
	first.Amount, first.Lots, first.Part = 500*credit, uses(0, 499), account.Part{Index: 1, Count: 2}
	second.Amount, second.Lots, second.Part, second.Closes = 1*credit, uses(500, 500), account.Part{Index: 2, Count: 2}, true
	many := given(manyLots(501), held("r", 501*credit))
	gives := func(part int, to []account.LotUse) *account.Refunded {
		e := backTo(503, domain.Amount(len(to))*credit, to...)
		e.Part = account.Part{Index: part, Count: 2}
		return e
	}
	check(t, []row{
		{name: "all of them", given: many, when: captured("r", 501*credit), then: events(&first, &second), balance: "nothing"},
		{
			name: "and refunded", given: append(many[:2:2], captured("r", 501*credit)), when: refunded(503, 0),
			then:    events(gives(1, uses(500, 1)), gives(2, uses(0, 0))),
			balance: "balance 501, available 501, promotional 501, spendable 501",
		},
	})
}

// TestNamesForTheWriteSide: it looks names up only where the state can't tell.
func TestNamesForTheWriteSide(t *testing.T) {
	h := newHistory(t)
	for _, s := range given(granted(5*credit), held("r", credit), do(account.RequestAdjustment{Adjustment: "a", Amount: credit})) {
		if _, err := h.execute(s); err != nil {
			t.Fatal(err)
		}
	}
	names := func(id string) string {
		var all []string
		for _, user := range []account.NameUser{
			account.Reserve{Reservation: id}, account.Capture{Reservation: id}, account.Release{Reservation: id},
			account.RequestAdjustment{Adjustment: id}, account.ApproveAdjustment{Adjustment: id},
		} {
			all = append(all, user.NameFor(h.state))
		}
		return strings.Join(all, " ")
	}
	if got, want := names("r"), "   adjustment/r adjustment/r"; got != want {
		t.Errorf("open reservation: %q, want %q", got, want)
	}
	if got, want := names("a"), "reservation/a reservation/a reservation/a  "; got != want {
		t.Errorf("waiting adjustment: %q, want %q", got, want)
	}
	second := &account.Reserved{Reservation: "s", Part: account.Part{Index: 2, Count: 2}}
	if got := account.ClaimOf(second); got != "" {
		t.Errorf("a second part claims %q", got)
	}
	if got := account.PartsOf(second); got != 1 {
		t.Errorf("from the last part on there are %d", got)
	}
}
