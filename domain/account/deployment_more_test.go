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
	again := used("d", credit, promo(3, credit)) // d is covered with what came at minute 2
	again.WasOpen, again.EffectiveAt = true, minute(1)
	check(t, []row{{
		name: "behind one that began to wait before its second pause",
		given: given(granted(4*credit), do(deploy("d", "2", 2)), use(1, 2*credit), doAt(minute(2), account.GrantIncentive{Amount: 2 * credit}),
			doAt(minute(3), deploy("e", "3", 1)), use(4, 3*credit)),
		when: doAt(minute(5), account.GrantIncentive{Amount: 3 * credit}),
		then: events(&account.IncentiveGranted{Amount: 3 * credit}, ran("e", 1, minute(5), 0, promo(12, 3*credit))),
	}})
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
	twoHours := do(account.SetPolicy{MinimumMinutes: map[domain.Service]int{domain.ServiceCaaS: 120}})
	check(t, []row{
		{
			name: "one hour, of which two are the least", given: given(granted(2*credit), twoHours, do(deploy("d", "2", 1))), when: stopped(minute(5)),
			then: events(ended(account.DeploymentIsStopped, "d", minute(5), 5, 2*credit, 0)), balance: "nothing",
		},
		{
			name: "that costs too much to say", when: do(deploy("d", "1000000000", 8760)),
			refused: "amount-too-large field=hourly_price limit=1000000000",
		},
	})
}
