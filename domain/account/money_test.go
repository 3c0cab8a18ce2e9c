package account_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestCashAndPaid: the money that can be behind purchased credits, and what gives an
// allowance, event by event. A grant that is not promotional has money behind it and does
// not count as having paid; what expired without money takes none away (money.md, Classes).
func TestCashAndPaid(t *testing.T) {
	for _, c := range []struct {
		event      domain.Event
		cash, paid domain.Amount
	}{
		{&account.PurchaseSettled{Amount: 9, Received: 10, Fee: 1}, 9, 9},
		{&account.PaymentCredited{Amount: 9}, 9, 9},
		{&account.CreditGranted{Terms: account.CreditTerms{Amount: 9}}, 9, 0},
		{&account.CreditGranted{Terms: account.CreditTerms{Amount: 9, Promotional: true}}, 0, 0},
		{&account.IncentiveGranted{Amount: 9}, 0, 0},
		{&account.Adjusted{Amount: 9}, 0, 0},
		{&account.WithdrawalRequested{Amount: 9}, 0, 0},
		{&account.WithdrawalReturned{Amount: 9}, 0, 0},
		{&account.WithdrawalPaid{Amount: 9}, -9, 0},
		{&account.PurchaseReversed{Amount: 9, Fee: 1}, -9, -9},
		{&account.PurchaseReversed{Amount: 9, Expired: 2}, -7, -9},
		{&account.LotExpired{Lot: paid(0, 9)}, -9, 0},
		{&account.LotExpired{Lot: paid(0, 9), Unbacked: 2}, -7, 0},
		{&account.LotExpired{Lot: promo(0, 9)}, 0, 0},
		{&account.Deducted{Amount: 9, Lots: lots(paid(0, 9))}, 0, 0},
	} {
		var f account.Figures
		f.Apply(c.event, 0)
		require.Equal(t, c.cash, f.Cash, "cash after %T%+v", c.event, c.event)
		require.Equal(t, c.paid, f.Paid, "paid after %T%+v", c.event, c.event)
	}
}

// TestWithdrawable is README's definition of it: the least of what is free and has money
// behind it, what is available, and what came in and has not left.
func TestWithdrawable(t *testing.T) {
	all := account.Figures{FreePurchased: 50, FreePromotional: 9, Cash: 60, Withdrawing: 10}
	for _, c := range []struct {
		name   string
		change func(*account.Figures)
		want   domain.Amount
	}{
		{"all that is free", func(*account.Figures) {}, 50},
		{"not what has no money", func(f *account.Figures) { f.Unbacked = 20 }, 30},
		{"not what is owed", func(f *account.Figures) { f.SpendingDebt = 39 }, 20},
		{"never below zero", func(f *account.Figures) { f.ChargebackDebt = 60 }, 0},
		{"not more than came in and is not held for others", func(f *account.Figures) { f.Cash = 35 }, 25},
		{"nothing once more has left", func(f *account.Figures) { f.Cash = 9 }, 0},
	} {
		f := all
		c.change(&f)
		require.Equal(t, c.want, f.Balance().Withdrawable, c.name)
	}
}

// TestMoneyBehindOneOfTwo: neither is approved nor paid what has no money left behind it,
// though others have some.
func TestMoneyBehindOneOfTwo(t *testing.T) {
	two := given(bought("p", 10*credit), withdrawn("w", 4*credit), withdrawn("v", 3*credit))
	left := facts(&account.WithdrawalPaid{Withdrawal: "z", Amount: 5 * credit}) // 5 of the 10 are gone
	lacks := facts(&account.BackingChanged{Unbacked: 5 * credit})
	approved := append(two[:3:3], okayed("w", "fin"))
	const short = "not-withdrawable withdrawable=2 required=4"
	check(t, []row{
		{name: "approved, with money", given: two, when: okayed("w", "fin"), then: events(&account.WithdrawalApproved{Withdrawal: "w", ApprovedBy: "fin", Final: true})},
		{name: "approved, where money has left", given: append(two[:3:3], left), when: okayed("w", "fin"), refused: short},
		{name: "approved, where lots have none", given: append(two[:3:3], lacks), when: okayed("w", "fin"), refused: short},
		{name: "paid, where money has left", given: append(approved[:4:4], left), when: paidOut("w", "fin"), refused: short},
		{name: "paid, where lots have none", given: append(approved[:4:4], lacks), when: paidOut("w", "fin"), refused: short},
	})
}

// TestChargebackThatNeedsNoRequest: a request is rejected only if what is free is short.
func TestChargebackThatNeedsNoRequest(t *testing.T) {
	held := func(amount domain.Amount) []step {
		return given(started("p", 50*credit), do(payment("p1", "p", 20*credit)), do(payment("p2", "p", 30*credit)), withdrawn("w", amount))
	}
	takes := do(account.ReversePurchase{Purchase: "p", Payment: "p1", Kind: account.ReversalChargeback})
	reversed := &account.PurchaseReversed{Purchase: "p", Payment: "p1", Kind: account.ReversalChargeback, Amount: 20 * credit, Lots: lots(paid(3, 20*credit))}
	check(t, []row{
		{name: "exactly enough is free", given: held(30 * credit), when: takes, then: events(reversed)},
		{
			name: "a micro-credit is missing", given: held(30*credit + 1), when: takes,
			then: events(refusedFor("w", "p", 30*credit+1, paid(3, 30*credit+1)), reversed),
		},
	})
}

// TestReversalsOfAnExpiredPurchase: what expired has left the money once, however many
// payments are taken back.
func TestReversalsOfAnExpiredPurchase(t *testing.T) {
	month := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	takes := func(id string) step {
		return doAt(month, account.ReversePurchase{Purchase: "p", Payment: id, Kind: account.ReversalRefund})
	}
	reversed := func(id string, amount, expired domain.Amount) *account.PurchaseReversed {
		return &account.PurchaseReversed{Purchase: "p", Payment: id, Kind: account.ReversalRefund, Amount: amount, Debt: amount, Expired: expired}
	}
	late := given(do(account.SetPolicy{PurchasedLifeMonths: ptr(1)}), started("p", 50*credit), do(payment("p1", "p", 20*credit)),
		do(payment("p2", "p", 30*credit)), spent(30*credit), doAt(month, account.Tick{}))
	check(t, []row{
		{
			name: "the first takes what expired", given: late, when: takes("p1"),
			then: events(reversed("p1", 20*credit, 20*credit), &account.Frozen{Cause: account.FreezeChargeback}),
		},
		{name: "the second what was spent", given: append(late[:6:6], takes("p1")), when: takes("p2"), then: events(reversed("p2", 30*credit, 0))},
	})
}

// TestReversalInParts: its parts tell of the expired credits and of the fee once, and the
// first of them claims that the payment was taken back.
func TestReversalInParts(t *testing.T) {
	month := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	takes := doAt(month, account.ReversePurchase{Purchase: "p", Payment: "x", Kind: account.ReversalRefund})
	late := given(do(account.SetPolicy{PurchasedLifeMonths: ptr(1), PurchaseFeeBasisPoints: ptr(1000)}), started("p", 500*credit),
		do(payment("x", "p", 552*credit)), spent(credit), doAt(month, account.Tick{}), manyLots(501))
	reversed := account.PurchaseReversed{Purchase: "p", Payment: "x", Kind: account.ReversalRefund}
	first, last := reversed, reversed
	first.Amount, first.Lots, first.Expired, first.Part = 500*credit, uses(6, 505), 500*credit, account.Part{Index: 1, Count: 2}
	last.Amount, last.Lots, last.Debt, last.Expired, last.Part = 2*credit, uses(506, 506), credit, credit, account.Part{Index: 2, Count: 2}
	last.Fee = 50 * credit
	check(t, []row{
		{
			name: "of 502 credits, of which 501 have expired", given: late, when: takes,
			then:    events(&first, &last, &account.Frozen{Cause: account.FreezeChargeback}),
			balance: "balance -1, available -1, debt 1, frozen",
		},
		{name: "told again", given: append(late[:6:6], takes), when: takes},
	})
}

// TestRefundOfDebtInPieces: debt that is open ends first, then purchased credits come back
// for what purchased ones paid, and no more of them than the refund has left (money.md,
// Refund).
func TestRefundOfDebtInPieces(t *testing.T) {
	owes := given(bought("p", 5*credit), spent(15*credit), bought("q", 4*credit)) // 10 below zero, 4 paid
	gives := func(amount, debt, made domain.Amount) *account.Refunded {
		e := &account.Refunded{Deduction: tx(1), Revision: 1, Amount: amount, Service: vm, Debt: debt, Made: made}
		if made > 0 {
			e.Class = account.Purchased
		}
		return e
	}
	inParts := given(manyLots(501), facts(&account.PurchaseSettled{Purchase: "p", Amount: credit}), spent(504*credit))
	check(t, []row{
		{name: "the open debt", given: owes, when: refunded(1, 6*credit), then: events(gives(6*credit, 6*credit, 0))},
		{name: "and some that was paid", given: owes, when: refunded(1, 9*credit), then: events(gives(9*credit, 6*credit, 3*credit))},
		{
			name: "of a deduction in parts, the last of which has the debt", given: inParts, when: refunded(502, 2*credit),
			then: events(&account.Refunded{Deduction: tx(502), Revision: 502, Amount: 2 * credit, Service: vm, Debt: 2 * credit}),
		},
	})
}

// TestHeldCreditsKeepTheirRoom: what holds have comes back, so nothing may take its place.
func TestHeldCreditsKeepTheirRoom(t *testing.T) {
	costs := func(id string) []domain.Event {
		return events(requested(id, "1", 1, 0, hour(0)), &account.DeploymentPaid{Deployment: id, Amount: domain.MaxBalance / 2, StartedAt: hour(0), EndsAt: hour(1)})
	}
	const full = "amount-too-large field=amount value=0.000001 limit=1000000000000"
	check(t, []row{
		{
			name: "in an account that is full", given: given(facts(&account.IncentiveGranted{Amount: domain.MaxBalance}), held("r", domain.MaxAmount)),
			when: granted(1), refused: full,
		},
		{name: "of two deployments, what they were paid", given: given(facts(costs("d")...), facts(costs("e")...)), when: granted(1), refused: full},
	})
}

// TestDeadlinesOfOneInstant: lots first, then grace windows, reservations, purchases and
// ends of deployments, whatever their ids (Decide).
func TestDeadlinesOfOneInstant(t *testing.T) {
	const end = 60
	failed := ended(account.DeploymentIsFailed, "z", minute(end), 0, 0, 0)
	failed.Cause = account.CauseUnpaid
	check(t, []row{{
		name: "one of each",
		given: given(do(account.SetPolicy{GraceMinutes: ptr(end)}), grantedUntil(minute(end), credit), granted(4*credit),
			do(deploy("w", "1", 1)), heldUntil(hour(1), "y", credit), do(deploy("z", "9", 1)),
			doAt(minute(40), account.StartPurchase{Purchase: "x", Amount: credit})),
		when: doAt(minute(end), account.Tick{}),
		then: events(failed, timedOut("y", 1, credit, promo(2, credit)),
			&account.PurchaseExpired{Purchase: "x", EffectiveAt: minute(end)}, ended(account.DeploymentIsCompleted, "w", minute(end), 60, credit, 0)),
	}})
}

// TestChargebackAtTheDateOfALot: what a rejected withdrawal gives back to a lot at its date
// expires, and pays for no other purchase (money.md, Time: the deadline's outcome).
func TestChargebackAtTheDateOfALot(t *testing.T) {
	until1 := func(u account.LotUse) account.LotUse { return until(hour(1), u) }
	before := given(bought("p", 15*credit), spent(5*credit), boughtUntil(hour(1), "q", 10*credit), withdrawn("w", 20*credit))
	takes := func(at time.Time) step {
		return doAt(at, account.ReversePurchase{Purchase: "p", Kind: account.ReversalChargeback})
	}
	rejected := refusedFor("w", "p", 20*credit, paid(0, 10*credit), until1(paid(2, 10*credit)))
	owes := takenBack("p", 15*credit, paid(0, 10*credit))
	owes.Debt = 5 * credit
	check(t, []row{
		{
			name: "at its date", given: before, when: takes(hour(1)),
			then: events(rejected, owes, &account.Frozen{Cause: account.FreezeChargeback}, &account.LotExpired{Lot: until1(paid(2, 10*credit)), EffectiveAt: hour(1)}),
		},
		{
			name: "a moment before", given: before, when: takes(hour(1).Add(-1)),
			then: events(rejected, takenBack("p", 15*credit, paid(0, 10*credit), until1(paid(2, 5*credit)))),
		},
	})
}

// TestPayoutsOfALotAddUp: what left a lot with several payouts is missing behind it, all of
// it, once its purchase is taken back (backing.go).
func TestPayoutsOfALotAddUp(t *testing.T) {
	before := given(bought("p", 50*credit), spent(20*credit),
		withdrawn("w", 10*credit), okayed("w", "fin"), paidOut("w", "fin"), withdrawn("v", 5*credit), okayed("v", "fin"), paidOut("v", "fin"),
		chargedBack("p"), granted(10*credit), bought("q", 25*credit)) // the debt of 35 is paid, 25 of it with money
	check(t, []row{{
		name: "20 come back, with money for 10", given: before, when: refunded(1, 20*credit),
		then:    events(backTo(1, 20*credit, paid(0, 20*credit)), &account.BackingChanged{Unbacked: 10 * credit}),
		balance: "balance 20, available 20, purchased 20, withdrawable 10, spendable 20, frozen",
	}})
}

// TestGrantsOfBothClasses: a grant expires at its date, and what was ever bought bounds
// purchased ones alone.
func TestGrantsOfBothClasses(t *testing.T) {
	timed := terms(5*credit, true)
	timed.ExpiresAt = hour(2)
	everBought := given(facts(&account.PurchaseSettled{Purchase: "p", Amount: domain.MaxBalance},
		&account.Deducted{Amount: domain.MaxBalance, Service: vm, Lots: lots(paid(0, domain.MaxBalance))}), askedFor("r", credit))
	check(t, []row{
		{
			name: "at its date", given: given(askedFor("r", credit), approves("bd", "r", timed)), when: doAt(hour(3), account.Tick{}),
			then: events(lotEnded(2, until(hour(2), promo(1, 5*credit)))), balance: "nothing",
		},
		{
			name: "promotional, however much was ever bought", given: everBought, when: approves("bd", "r", terms(credit, true)),
			then: events(&account.CreditGranted{Request: "r", Terms: terms(credit, true), ApprovedBy: "bd", Level: 1}),
		},
	})
}

// TestChargebackLeavesOtherRequests: a request that holds nothing of the purchase stays,
// though there is less of the purchase than is taken back.
func TestChargebackLeavesOtherRequests(t *testing.T) {
	owes := takenBack("q", 40*credit, paid(2, 30*credit))
	owes.Debt = 10 * credit
	check(t, []row{{
		name: "the rest is debt", given: given(bought("p", 50*credit), withdrawn("w", 50*credit), bought("q", 40*credit), spent(10*credit)),
		when: chargedBack("q"), then: events(owes, &account.Frozen{Cause: account.FreezeChargeback}),
	}})
}

// TestReversalOfLessThanExpired: no more than is taken back was of what expired.
func TestReversalOfLessThanExpired(t *testing.T) {
	month := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	takes := func(id string) step {
		return doAt(month, account.ReversePurchase{Purchase: "p", Payment: id, Kind: account.ReversalRefund})
	}
	late := given(do(account.SetPolicy{PurchasedLifeMonths: ptr(1)}), started("p", 50*credit), do(payment("p1", "p", 10*credit)),
		do(payment("p2", "p", 40*credit)), spent(30*credit), doAt(month, account.Tick{}))
	reversed := func(id string, amount, expired domain.Amount) *account.PurchaseReversed {
		return &account.PurchaseReversed{Purchase: "p", Payment: id, Kind: account.ReversalRefund, Amount: amount, Debt: amount, Expired: expired}
	}
	check(t, []row{
		{name: "ten of twenty", given: late, when: takes("p1"), then: events(reversed("p1", 10*credit, 10*credit), &account.Frozen{Cause: account.FreezeChargeback})},
		{name: "and the other ten", given: append(late[:6:6], takes("p1")), when: takes("p2"), then: events(reversed("p2", 40*credit, 10*credit))},
		{
			// An incentive made up for p1's 10, so of the 45 that expire 35 have money: 5 were paid out.
			name: "and not what expired without money",
			given: append(late[:4:4], spent(50*credit), granted(10*credit), do(account.ReversePurchase{Purchase: "p", Payment: "p1", Kind: account.ReversalRefund}),
				refunded(5, 0), withdrawn("w", 5*credit), okayed("w", "fin"), paidOut("w", "fin"), doAt(month, account.Tick{})),
			when: takes("p2"), then: events(reversed("p2", 40*credit, 35*credit), &account.Frozen{Cause: account.FreezeChargeback}, &account.BackingChanged{Unbacked: 5 * credit}),
		},
	})
}
