package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestMeteredUsageThatOpens: what is open has accrued, so the next charge goes on from it
// (design.md rule 4), and a reading that costs too much accrues nothing.
func TestMeteredUsageThatOpens(t *testing.T) {
	runs := given(granted(4*credit+1), do(deploy("d", "2", 2)))
	paused := append(runs[:2:2], doAt(minute(1), meteredUsage("0.0000026", "1")))
	after := meteredEvent("0.0000004", "1", 0, domain.Accrual{Charged: 3})
	after.Lots = nil
	opens := opened("d", 3, 3, 1)
	opens.Quantity, opens.UnitPrice = ptr(units("1")), ptr(rate("0.0000026"))
	opens.Accrued = &domain.Accrual{Charged: 3, Carry: -400_000_000_000}
	check(t, []row{
		{
			name: "at once", given: runs, when: doAt(minute(1), meteredUsage("0.0000026", "1")),
			then: events(opens, &account.DeploymentPaused{Deployment: "d", Open: 3, Shortfall: 2, PausedAt: minute(1), GraceEndsAt: minute(6)}),
		},
		{
			name:  "and goes on once it is covered",
			given: append(paused[:3:3], doAt(minute(2), account.GrantIncentive{Amount: credit})),
			when:  doAt(minute(3), meteredUsage("0.0000004", "1")), then: events(after),
		},
		{
			name: "beyond what a reading may cost", given: runs, when: doAt(minute(1), meteredUsage("1000000000", "2")),
			refused: "amount-too-large field=quantity value=2 limit=1000000000",
		},
		{
			name: "from more lots than an event names: the first part has the reading", given: given(manyLots(501), facts(runsFacts("d")...)),
			when: doAt(minute(1), meteredUsage("501", "1")),
			then: events(
				&account.DeploymentUsed{Deployment: "d", Service: domain.ServiceCaaS, Quantity: ptr(units("1")), UnitPrice: ptr(rate("501")), Amount: 500 * credit,
					Accrued: &domain.Accrual{Charged: 501 * credit}, Lots: uses(0, 499), Part: account.Part{Index: 1, Count: 2}},
				&account.DeploymentUsed{Deployment: "d", Service: domain.ServiceCaaS, Amount: credit, Lots: uses(500, 500), Part: account.Part{Index: 2, Count: 2}},
			),
		},
	})
}

// runsFacts is a deployment that runs and cost nothing.
func runsFacts(id string) []domain.Event {
	return events(requested(id, "1", 2, 0, hour(0)), &account.DeploymentPaid{Deployment: id, StartedAt: hour(0), EndsAt: hour(2)})
}

// TestWaitsAnew: who waits a second time waits from then on, behind who waited in between
// (money.md, Debt: oldest first).
func TestWaitsAnew(t *testing.T) {
	use := func(n int, amount domain.Amount) step {
		return doAt(minute(n), account.RecordUsage{Deployment: "d", Amount: amount})
	}
	check(t, []row{
		{
			name: "behind one that began to wait before its second pause",
			given: given(granted(4*credit), do(deploy("d", "2", 2)), use(1, 2*credit), doAt(minute(2), account.GrantIncentive{Amount: 2 * credit}), // which covers d
				doAt(minute(3), deploy("e", "3", 1)), use(4, 3*credit)),
			when: doAt(minute(5), account.GrantIncentive{Amount: 3 * credit}),
			then: events(&account.IncentiveGranted{Amount: 3 * credit}, ran("e", 1, minute(5), 0, promo(12, 3*credit))),
		},
		{
			name: "and before its first one, if it had waited to be paid",
			given: given(do(deploy("d", "2", 2)), doAt(minute(2), account.GrantIncentive{Amount: 4 * credit}),
				doAt(minute(3), deploy("e", "3", 1)), use(4, 3*credit)),
			when: doAt(minute(5), account.GrantIncentive{Amount: 3 * credit}),
			then: events(&account.IncentiveGranted{Amount: 3 * credit}, ran("e", 1, minute(5), 0, promo(8, 3*credit))),
		},
	})
}

// TestComesBackAtADeadline: what a deadline gives back counts from it, however late it is
// applied (money.md, Time).
func TestComesBackAtADeadline(t *testing.T) {
	gives := back("d", 2, promo(0, 3_666_667))
	gives.EffectiveAt = minute(15)
	fails := ended(account.DeploymentIsFailed, "d", minute(15), 10, 333_333, 3_666_667)
	fails.Cause, fails.UsageDropped = account.CauseUsageUnpaid, 7*credit
	check(t, []row{{
		name:  "an hour late",
		given: given(granted(10*credit), do(deploy("d", "2", 2)), usage(minute(10), 7*credit)),
		when:  doAt(minute(75), account.Tick{}), then: events(gives, fails),
	}})
}

// TestExtensionThatSupportGaveBack: each booking gives back at most what it has left.
func TestExtensionThatSupportGaveBack(t *testing.T) {
	extended := given(bought("p", 9*credit), do(deploy("d", "2", 3)), do(account.ExtendDeployment{Deployment: "d", Hours: 1}))
	check(t, []row{
		{
			name: "the extension first", given: extended, when: stopped(minute(60)),
			then: events(back("d", 3, paid(0, 2*credit)), back("d", 2, paid(0, 4*credit)), ended(account.DeploymentIsStopped, "d", minute(60), 60, 2*credit, 6*credit)),
		},
		{
			name: "nothing more of one that support gave back", given: append(extended[:3:3], refunded(3, 2*credit)), when: stopped(minute(60)),
			then: events(back("d", 2, paid(0, 4*credit)), ended(account.DeploymentIsStopped, "d", minute(60), 60, 2*credit, 4*credit)),
		},
		{
			name: "the rest of one of which support gave some back", given: append(extended[:3:3], refunded(3, credit)), when: stopped(minute(60)),
			then: events(back("d", 3, paid(0, credit)), back("d", 2, paid(0, 4*credit)), ended(account.DeploymentIsStopped, "d", minute(60), 60, 2*credit, 5*credit)),
		},
	})
}

// TestMinimumAbovePaid: a charge is never above what was paid (money.md, Deployments).
func TestMinimumAbovePaid(t *testing.T) {
	least := func(minutes int) step {
		return do(account.SetPolicy{MinimumMinutes: map[domain.Service]int{domain.ServiceCaaS: minutes}})
	}
	twoHours, aYear := least(120), least(8760*60)
	check(t, []row{
		{
			name: "one hour, of which two are the least", given: given(granted(2*credit), twoHours, do(deploy("d", "2", 1))), when: stopped(minute(5)),
			then: events(ended(account.DeploymentIsStopped, "d", minute(5), 5, 2*credit, 0)), balance: "nothing",
		},
		{
			name:  "one hour, of which the least costs too much to say",
			given: given(granted(domain.MaxAmount), aYear, do(deploy("d", "1000000000", 1))), when: stopped(minute(5)),
			then: events(ended(account.DeploymentIsStopped, "d", minute(5), 5, domain.MaxAmount, 0)), balance: "nothing",
		},
		{
			name: "that costs too much to say", when: do(deploy("d", "1000000000", 8760)),
			refused: "amount-too-large field=hourly_price limit=1000000000",
		},
	})
}

// TestDeploymentFromManyLots: a charge of more lots than an event names stands in parts,
// and comes back of all of them (design.md rule 16).
func TestDeploymentFromManyLots(t *testing.T) {
	some := given(manyLots(501), facts(&account.PurchaseSettled{Purchase: "p", Amount: credit}))
	runs := given(manyLots(501), facts(&account.PurchaseSettled{Purchase: "p", Amount: credit}), facts(runsFacts("d")...))
	one, two := account.Part{Index: 1, Count: 2}, account.Part{Index: 2, Count: 2}
	paidIn := func(part account.Part, debt domain.Amount, from []account.LotUse) *account.DeploymentPaid {
		e := ran("d", 1, hour(0), debt, from...)
		e.Part = part
		return e
	}
	extended := func(part account.Part, amount, debt domain.Amount, from []account.LotUse) *account.DeploymentExtended {
		return &account.DeploymentExtended{Deployment: "d", Amount: amount, Service: domain.ServiceCaaS, Hours: 506, Added: 504,
			EndsAt: hour(506), Lots: from, Debt: debt, Part: part}
	}
	gives := func(revision int64, part account.Part, amount, debt domain.Amount, to []account.LotUse) *account.Refunded {
		return &account.Refunded{Deduction: tx(revision), Revision: revision, Amount: amount, Service: domain.ServiceCaaS, Reference: "d", Lots: to, Debt: debt, Part: part}
	}
	comes := func(part account.Part, amount, debt domain.Amount, to []account.LotUse) *account.Refunded {
		e := gives(503, part, amount, debt, to)
		e.Deduction = domain.TransactionID{}
		return e
	}
	cancels := do(account.CancelDeployment{Deployment: "d"})
	last, most := append(uses(500, 500), paid(501, credit)), append(lots(paid(501, credit)), uses(500, 2)...)
	check(t, []row{
		{
			name: "its price", given: some, when: do(deploy("d", "504", 1)),
			then:    events(requested("d", "504", 1, 504*credit, hour(0)), paidIn(one, 0, uses(0, 499)), paidIn(two, 2*credit, last)),
			balance: "balance -2, available -2, debt 2, allowance 10, spendable 8",
		},
		{
			name: "an extension", given: runs, when: do(account.ExtendDeployment{Deployment: "d", Hours: 504}),
			then:    events(extended(one, 500*credit, 0, uses(0, 499)), extended(two, 4*credit, 2*credit, last)),
			balance: "balance -2, available -2, debt 2, allowance 10, spendable 8",
		},
		{
			name: "its price, of which half comes back: what nobody had first, then of both parts", given: append(some[:2:2], do(deploy("d", "504", 1))), when: stopped(minute(30)),
			then: events(&account.Refunded{Revision: 503, Amount: 252 * credit, Service: domain.ServiceCaaS, Reference: "d", Debt: 2 * credit,
				Lots: append(lots(paid(501, credit)), uses(500, 252)...)}, ended(account.DeploymentIsStopped, "d", minute(30), 30, 252*credit, 252*credit)),
			balance: "balance 250, available 250, promotional 249, purchased 1, withdrawable 1, allowance 10, spendable 260",
		},
		{
			name: "its price, all of which comes back", given: append(some[:2:2], do(deploy("d", "504", 1))), when: cancels,
			then: events(comes(one, 502*credit, 2*credit, most), comes(two, 2*credit, 0, uses(1, 0)),
				ended(account.DeploymentIsCancelled, "d", hour(0), 0, 0, 504*credit)),
		},
		{
			name: "its price, of which support gave some back", given: append(some[:2:2], do(deploy("d", "504", 1)), refunded(503, 4*credit)), when: cancels,
			then: events(comes(account.Part{}, 500*credit, 0, uses(499, 0)), ended(account.DeploymentIsCancelled, "d", hour(0), 0, 0, 500*credit)),
		},
		{
			name: "its price, that support gives back", given: append(some[:2:2], do(deploy("d", "504", 1))), when: refunded(503, 0),
			then: events(gives(503, one, 502*credit, 2*credit, most), gives(503, two, 2*credit, 0, uses(1, 0))),
		},
		{
			name: "an extension, that support gives back", given: append(runs[:3:3], do(account.ExtendDeployment{Deployment: "d", Hours: 504})), when: refunded(504, 0),
			then: events(gives(504, one, 502*credit, 2*credit, most), gives(504, two, 2*credit, 0, uses(1, 0))),
		},
		{
			name: "its usage, that support gives back", given: append(runs[:3:3], usage(hour(0), 504*credit)), when: refunded(504, 0),
			then: events(gives(504, one, 502*credit, 2*credit, most), gives(504, two, 2*credit, 0, uses(1, 0))),
		},
	})
}

// TestPauseBeforeTheEnd: paused time doesn't count and moves the end, though that would come
// before the grace window has passed (money.md, Deployments).
func TestPauseBeforeTheEnd(t *testing.T) {
	paused := given(granted(4*credit), do(deploy("d", "2", 2)), usage(minute(118), credit))
	charged := used("d", credit, promo(5, credit))
	charged.WasOpen, charged.EffectiveAt = true, minute(118)
	covered := append(paused[:3:3], doAt(minute(122), account.GrantIncentive{Amount: credit}))
	fails := ended(account.DeploymentIsFailed, "d", minute(123), 118, 3_933_333, 66_667)
	fails.Cause, fails.UsageDropped = account.CauseUsageUnpaid, credit
	check(t, []row{
		{name: "when it would have ended it is still paused", given: paused, when: doAt(minute(121), account.Tick{})},
		{
			name: "a top-up after that resumes it", given: paused, when: covered[3],
			then: events(&account.IncentiveGranted{Amount: credit}, charged, &account.DeploymentResumed{Deployment: "d", Charged: credit, ResumedAt: minute(122), EndsAt: minute(124)}),
		},
		{name: "for the two minutes that were left", given: covered, when: doAt(minute(124), account.Tick{}), then: events(ended(account.DeploymentIsCompleted, "d", minute(124), 120, 4*credit, 0))},
		{name: "without one they come back", given: paused, when: doAt(minute(123), account.Tick{}), then: events(back("d", 2, promo(0, 66_667)), fails)},
	})
}

// TestDeploymentsAtTheirBounds: what just fits, and what is just not there.
func TestDeploymentsAtTheirBounds(t *testing.T) {
	const left = 6*credit + 3_666_667 // once the deployment is stopped after ten minutes
	runs := given(granted(10*credit), do(deploy("d", "2", 2)))
	own := used("d", left, promo(0, left))
	own.WasOpen, own.EffectiveAt = true, minute(10)
	more := opened("d", credit, 8*credit, 11*credit)
	more.Shortfall = 0
	longer := doAt(minute(30), account.ExtendDeployment{Deployment: "d", Hours: 1})
	failed := ended(account.DeploymentIsFailed, "d", minute(50), 0, 0, 4*credit)
	failed.Cause = account.CauseProvider
	check(t, []row{
		{
			name: "open usage that takes all that is there", given: append(runs[:2:2], usage(minute(10), left)), when: stopped(minute(12)),
			then: events(back("d", 2, promo(0, 3_666_667)), own, ended(account.DeploymentIsStopped, "d", minute(12), 10, 333_333, 3_666_667)), balance: "nothing",
		},
		{
			name: "open usage that credits of a frozen account would cover lacks nothing", when: usage(minute(12), credit),
			given: append(runs[:2:2], usage(minute(10), 7*credit), doAt(minute(11), account.Freeze{}), doAt(minute(11), account.GrantIncentive{Amount: 5 * credit})),
			then:  events(more),
		},
		{
			name: "an extension below zero, as far as the allowance goes", given: given(bought("p", 5*credit), do(deploy("d", "2", 2))),
			when: doAt(minute(1), account.ExtendDeployment{Deployment: "d", Hours: 5}),
			then: events(&account.DeploymentExtended{Deployment: "d", Amount: 10 * credit, Service: domain.ServiceCaaS, Hours: 7, Added: 5, EndsAt: hour(7),
				Lots: lots(paid(0, credit)), Debt: 9 * credit}),
			balance: "balance -9, available -9, debt 9, allowance 10, spendable 1",
		},
		{
			name: "stopped in its last minute: all of it is used", given: runs, when: stopped(minute(119).Add(1)),
			then: events(ended(account.DeploymentIsStopped, "d", minute(119).Add(1), 120, 4*credit, 0)),
		},
		{name: "usage of one that has ended", given: append(runs[:2:2], stopped(minute(1))), when: usage(minute(2), credit), refused: "wrong-status field=deployment_id value=d"},
		{
			name: "an extension of one that has ended", given: append(runs[:2:2], stopped(minute(1))), when: doAt(minute(2), account.ExtendDeployment{Deployment: "d", Hours: 1}),
			refused: "wrong-status field=deployment_id value=d",
		},
		{name: "an extended one goes on at the end of its first booking", given: append(runs[:2:2], longer), when: doAt(hour(2), account.Tick{})},
		{
			name: "until that of its last one", given: append(runs[:2:2], longer), when: doAt(hour(9), account.Tick{}),
			then: events(ended(account.DeploymentIsCompleted, "d", hour(3), 180, 6*credit, 0)),
		},
		{
			name: "no minute used, the provider says: all comes back", given: runs, when: doAt(minute(50), account.FailDeployment{Deployment: "d", UsedMinutes: ptr(0)}),
			then: events(back("d", 2, promo(0, 4*credit)), failed), balance: "balance 10, available 10, promotional 10, spendable 10",
		},
	})
}

// TestExpiryOfWhatLacksMoney: what comes back past its date, of a lot that has money for some
// of its credits, expires with that money and no more, though it takes more than one Tick
// (backing.go).
func TestExpiryOfWhatLacksMoney(t *testing.T) {
	at := hour(1)
	var dated []domain.Event
	for range 101 {
		dated = append(dated, &account.IncentiveGranted{Amount: credit, ExpiresAt: at})
	}
	tick := doAt(hour(3), account.Tick{})
	before := given(do(account.SetPolicy{GraceMinutes: ptr(120)}), boughtUntil(at, "q", 10*credit), do(deploy("d", "4", 1)), facts(dated...),
		do(account.ExtendDeployment{Deployment: "d", Hours: 26}), spent(3*credit), usage(minute(10), 500*credit),
		bought("s", 5*credit), granted(5*credit), do(account.ReversePurchase{Purchase: "q", Kind: account.ReversalChargeback}), tick)
	late := func(revision int64, to ...account.LotUse) *account.Refunded {
		for i := range to {
			to[i].ExpiresAt = at
		}
		e := back("d", revision, to...)
		e.EffectiveAt = minute(130)
		return e
	}
	expires := func(lot account.LotUse, unbacked domain.Amount) *account.LotExpired {
		return &account.LotExpired{Lot: until(at, lot), EffectiveAt: minute(130), Unbacked: unbacked}
	}
	fails := ended(account.DeploymentIsFailed, "d", minute(130), 10, 666_667, 107_333_333)
	fails.Cause, fails.UsageDropped = account.CauseUsageUnpaid, 500*credit
	check(t, []row{
		{
			name: "q was taken back, and s stood in for half of it", given: before, when: tick,
			then: events(late(105, paid(1, 3*credit), promo(4, credit)), late(3, paid(1, 3_333_333)),
				expires(promo(4, credit), 0), expires(paid(1, 6_333_333), 1_333_333), fails),
			balance: "allowance 10, spendable 10",
		},
		{
			name: "so what is bought then can be withdrawn", given: append(before, tick), when: doAt(hour(3), account.RecordPurchase{Purchase: "r", Amount: 10 * credit}),
			then:    events(&account.PurchaseSettled{Purchase: "r", Amount: 10 * credit}),
			balance: "balance 10, available 10, purchased 10, withdrawable 10, allowance 10, spendable 20",
		},
	})
}
