package account_test

import (
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

func used(id string, amount domain.Amount, from ...account.LotUse) *account.DeploymentUsed {
	return &account.DeploymentUsed{Deployment: id, Service: domain.ServiceCaaS, Amount: amount, Lots: from}
}

func opened(id string, amount, open, spendable domain.Amount) *account.DeploymentUsageOpened {
	return &account.DeploymentUsageOpened{Deployment: id, Amount: amount, Open: open, Spendable: spendable, Shortfall: open - spendable}
}

func usage(at time.Time, amount domain.Amount) step {
	return doAt(at, account.RecordUsage{Deployment: "d", Amount: amount})
}

func stopped(at time.Time) step { return doAt(at, account.StopDeployment{Deployment: "d"}) }

func TestDeploymentUsage(t *testing.T) {
	runs := given(granted(10*credit), do(deploy("d", "2", 2)))
	paused := append(runs[:2:2], usage(minute(10), 7*credit))
	check(t, []row{
		{
			name: "is charged on top", given: runs, when: usage(minute(10), 5*credit), then: events(used("d", 5*credit, promo(0, 5*credit))),
			balance: "balance 1, available 1, promotional 1, spendable 1",
		},
		{
			name: "below zero, as far as the allowance goes", given: given(bought("p", 5*credit), do(deploy("d", "2", 2))), when: usage(minute(10), 11*credit),
			then: events(&account.DeploymentUsed{Deployment: "d", Service: domain.ServiceCaaS, Amount: 11 * credit, Lots: lots(paid(0, credit)), Debt: 10 * credit}),
		},
		{
			name: "that doesn't fit is wholly open and pauses it", given: runs, when: usage(minute(10), 7*credit),
			then: events(opened("d", 7*credit, 7*credit, 6*credit),
				&account.DeploymentPaused{Deployment: "d", Open: 7 * credit, Shortfall: credit, PausedAt: minute(10), GraceEndsAt: minute(15)}),
			balance: "balance 6, available 6, promotional 6, spendable 6",
		},
		{
			name: "while paused adds to what is open; the window is not moved", given: paused, when: usage(minute(12), credit),
			then: events(opened("d", credit, 8*credit, 6*credit)),
		},
		{
			name: "of a frozen account goes on, without its allowance", given: given(bought("p", 5*credit), do(deploy("d", "2", 2)), do(account.Freeze{})), when: usage(minute(10), credit),
			then: events(used("d", credit, paid(0, credit))),
		},
		{
			name: "metered: the charge is what the rounded total grew by", given: append(runs[:2:2], doAt(minute(1), meteredUsage("0.0000004", "2"))),
			when: doAt(minute(2), meteredUsage("0.0000004", "2")),
			then: events(meteredEvent("0.0000004", "2", 1, domain.Accrual{Charged: 2, Carry: -400_000_000_000})),
		},
		{
			name: "of earlier", given: runs,
			when: doAt(minute(10), account.RecordUsage{Deployment: "d", Amount: credit, EffectiveAt: minute(3)}),
			then: func() []domain.Event {
				e := used("d", credit, promo(0, credit))
				e.EffectiveAt = minute(3)
				return events(e)
			}(),
		},
		{
			name: "of later", given: runs, when: doAt(minute(10), account.RecordUsage{Deployment: "d", Amount: credit, EffectiveAt: minute(11)}),
			refused: "time-invalid field=effective_at value=2026-03-01T00:11:00Z",
		},
		{name: "of nothing", given: runs, when: usage(minute(1), 0), refused: "amount-invalid field=amount value=0"},
		{name: "before it was paid", given: given(do(deploy("d", "2", 2))), when: usage(minute(1), credit), refused: "wrong-status field=deployment_id value=d status=pending-payment"},
		{name: "after its end", given: runs, when: usage(hour(2), credit), refused: "wrong-status field=deployment_id value=d status=completed"},
		{
			name: "of more than may be open", given: append(runs[:2:2], facts(&account.DeploymentUsageOpened{Deployment: "d", Open: domain.MaxBalance})),
			when: usage(minute(1), credit), refused: "amount-too-large field=amount value=1 limit=1000000000000",
		},
		{
			name: "of more than may be open, metered", given: append(runs[:2:2], facts(&account.DeploymentUsageOpened{Deployment: "d", Open: domain.MaxBalance})),
			when: doAt(minute(1), meteredUsage("0.5", "2")), refused: "amount-too-large field=quantity value=2 limit=1000000000000",
		},
		{name: "of an unknown one", when: usage(hour(0), credit), refused: "unknown-deployment field=deployment_id value=d"},
	})
}

func meteredUsage(price, quantity string) account.RecordUsage {
	return account.RecordUsage{Deployment: "d", Metered: true, Quantity: units(quantity), UnitPrice: rate(price)}
}

func meteredEvent(price, quantity string, amount domain.Amount, at domain.Accrual) *account.DeploymentUsed {
	return &account.DeploymentUsed{
		Deployment: "d", Service: domain.ServiceCaaS, Quantity: ptr(units(quantity)), UnitPrice: ptr(rate(price)),
		Amount: amount, Accrued: &at, Lots: lots(promo(0, amount)),
	}
}

func TestPausedDeployment(t *testing.T) {
	paused := given(granted(10*credit), do(deploy("d", "2", 2)), usage(minute(10), 7*credit))
	resumed := func(at time.Time) *account.DeploymentResumed {
		return &account.DeploymentResumed{Deployment: "d", Charged: 7 * credit, ResumedAt: at, EndsAt: hour(2).Add(at.Sub(minute(10)))}
	}
	late := used("d", 7*credit, promo(0, 6*credit), promo(5, credit))
	late.WasOpen, late.EffectiveAt = true, minute(10)
	fails := ended(account.DeploymentIsFailed, "d", minute(15), 10, 333_333, 3_666_667)
	fails.Cause, fails.UsageDropped = account.CauseUsageUnpaid, 7*credit
	check(t, []row{
		{
			name: "a top-up charges what was open and resumes it; the pause moved its end", given: paused, when: doAt(minute(13), account.GrantIncentive{Amount: 2 * credit}),
			then: events(&account.IncentiveGranted{Amount: 2 * credit}, late, resumed(minute(13))), balance: "balance 1, available 1, promotional 1, spendable 1",
		},
		{name: "one that isn't enough changes nothing", given: paused, when: doAt(minute(13), account.GrantIncentive{Amount: credit - 1}), then: events(&account.IncentiveGranted{Amount: credit - 1})},
		{
			name: "at its deadline it fails: open usage is dropped, unused time comes back", given: paused, when: doAt(minute(15), account.GrantIncentive{Amount: 2 * credit}),
			then:    events(back("d", 2, promo(0, 3_666_667)), fails, &account.IncentiveGranted{Amount: 2 * credit}),
			balance: "balance 11.666667, available 11.666667, promotional 11.666667, spendable 11.666667",
		},
		{
			name: "at its deadline a VM has used its minimum", given: given(granted(6*credit),
				do(account.StartDeployment{Deployment: "d", Service: vm, HourlyPrice: rate("2"), Hours: 3}), usage(minute(10), credit)),
			when: doAt(minute(15), account.Tick{}),
			then: events(func() *account.Refunded {
				e := back("d", 2, promo(0, 4*credit))
				e.Service = vm
				return e
			}(), func() *account.DeploymentEnded {
				e := ended(account.DeploymentIsFailed, "d", minute(15), 10, 2*credit, 4*credit)
				e.Cause, e.UsageDropped = account.CauseUsageUnpaid, credit
				return e
			}()),
		},
		{
			name: "it ends no sooner for having been paused", given: append(paused[:3:3], doAt(minute(13), account.GrantIncentive{Amount: 2 * credit})), when: doAt(minute(122), account.Tick{}),
		},
		{
			name: "nor later", given: append(paused[:3:3], doAt(minute(13), account.GrantIncentive{Amount: 2 * credit})), when: doAt(hour(9), account.Tick{}),
			then: events(ended(account.DeploymentIsCompleted, "d", minute(123), 120, 4*credit, 0)),
		},
		{
			name: "paused time is not used time", given: append(paused[:3:3], doAt(minute(13), account.GrantIncentive{Amount: 2 * credit})), when: stopped(minute(33)),
			then: events(back("d", 2, promo(0, 3*credit)), ended(account.DeploymentIsStopped, "d", minute(33), 30, credit, 3*credit)),
		},
		{
			name:  "what one gives back at its deadline doesn't pay one that fails in the same instant",
			given: given(granted(14*credit), do(deploy("d", "2", 2)), usage(minute(10), 11*credit), doAt(minute(10), deploy("e", "12", 1))),
			when:  doAt(minute(15), account.Tick{}),
			then: events(back("d", 2, promo(0, 3_666_667)), func() *account.DeploymentEnded {
				e := ended(account.DeploymentIsFailed, "d", minute(15), 10, 333_333, 3_666_667)
				e.Cause, e.UsageDropped = account.CauseUsageUnpaid, 11*credit
				return e
			}(), func() *account.DeploymentEnded {
				e := ended(account.DeploymentIsFailed, "e", minute(15), 0, 0, 0)
				e.Cause = account.CauseUnpaid
				return e
			}()),
		},
	})
}

func TestStopPausedDeployment(t *testing.T) {
	paused := given(granted(10*credit), do(deploy("d", "2", 2)), usage(minute(10), 7*credit))
	check(t, []row{
		{
			name: "stopped: what comes back covers the open usage", given: paused, when: stopped(minute(12)),
			then: events(back("d", 2, promo(0, 3_666_667)), func() *account.DeploymentUsed {
				e := used("d", 7*credit, promo(0, 7*credit))
				e.WasOpen, e.EffectiveAt = true, minute(10)
				return e
			}(), ended(account.DeploymentIsStopped, "d", minute(12), 10, 333_333, 3_666_667)),
			balance: "balance 2.666667, available 2.666667, promotional 2.666667, spendable 2.666667",
		},
		{
			name: "stopped: or it is dropped", given: given(granted(10*credit), do(deploy("d", "2", 2)), usage(minute(10), 70*credit)), when: stopped(minute(12)),
			then: events(back("d", 2, promo(0, 3_666_667)), func() *account.DeploymentEnded {
				e := ended(account.DeploymentIsStopped, "d", minute(12), 10, 333_333, 3_666_667)
				e.UsageDropped = 70 * credit
				return e
			}()),
		},
	})
}

// money.md, Debt: every inflow pays what waits, oldest first, one that doesn't fit
// is passed over. What comes back of a deployment is an inflow, and its own open
// usage is one of what waits.
func TestStopPaysWhatWaitedLonger(t *testing.T) {
	runs := given(granted(10*credit), do(deploy("d", "2", 2)))
	before := func(price string) []step {
		return append(runs[:2:2], doAt(minute(9), deploy("a", price, 1)), usage(minute(10), 7*credit))
	}
	after := append(runs[:2:2], usage(minute(10), 7*credit), doAt(minute(11), deploy("a", "8", 1)))
	gives := back("d", 2, promo(0, 3_666_667))
	own := used("d", 7*credit, promo(0, 7*credit))
	own.WasOpen, own.EffectiveAt = true, minute(10)
	ends := func(dropped domain.Amount) *account.DeploymentEnded {
		e := ended(account.DeploymentIsStopped, "d", minute(12), 10, 333_333, 3_666_667)
		e.UsageDropped = dropped
		return e
	}
	check(t, []row{
		{
			name: "its own usage comes after one that has waited longer", given: before("8"), when: stopped(minute(12)),
			then:    events(gives, ran("a", 1, minute(12), 0, promo(0, 8*credit)), ends(7*credit)),
			balance: "balance 1.666667, available 1.666667, promotional 1.666667, spendable 1.666667",
		},
		{
			name: "one that doesn't fit is passed over", given: before("10"), when: stopped(minute(12)), then: events(gives, own, ends(0)),
			balance: "balance 2.666667, available 2.666667, promotional 2.666667, spendable 2.666667",
		},
		{
			name: "one that has waited less long comes after it", given: after, when: stopped(minute(12)), then: events(gives, own, ends(0)),
			balance: "balance 2.666667, available 2.666667, promotional 2.666667, spendable 2.666667",
		},
		{
			name:  "both, if both fit",
			given: given(granted(20*credit), do(deploy("d", "8", 2)), doAt(minute(9), deploy("a", "5", 1)), usage(minute(10), 7*credit)),
			when:  stopped(minute(12)),
			then: events(back("d", 2, promo(0, 14_666_667)), ran("a", 1, minute(12), 0, promo(0, 5*credit)), own,
				ended(account.DeploymentIsStopped, "d", minute(12), 10, 1_333_333, 14_666_667)),
			balance: "balance 6.666667, available 6.666667, promotional 6.666667, spendable 6.666667",
		},
		{
			name: "while frozen nothing else is paid: usage of what runs goes on", given: append(before("8"), doAt(minute(11), account.Freeze{})),
			when: stopped(minute(12)), then: events(gives, own, ends(0)),
		},
	})
}

func TestStopDeployment(t *testing.T) {
	runs := given(bought("p", 6*credit), granted(4*credit), do(deploy("d", "2", 3)))
	machine := func(at time.Time, do account.Action) row {
		return row{
			given: given(granted(6*credit), doAt(hour(0), account.StartDeployment{Deployment: "d", Service: vm, HourlyPrice: rate("2"), Hours: 3})),
			when:  doAt(at, do),
		}
	}
	named := func(name string, r row, minutes int, charge, refund domain.Amount) row {
		e := ended(account.DeploymentIsStopped, "d", r.when.at, minutes, charge, refund)
		give := back("d", 2, promo(0, refund))
		give.Service = vm
		r.name, r.then = name, events(give, e)
		return r
	}
	check(t, []row{
		{
			name: "started minutes are charged, the rest goes back to its lots, last consumed first", given: runs, when: stopped(minute(60).Add(1)),
			then: events(back("d", 3, paid(0, 2*credit), promo(1, 1_966_667)), ended(account.DeploymentIsStopped, "d", minute(60).Add(1), 61, 2_033_333, 3_966_667)),
		},
		{
			name: "the caller's minutes are a fact", given: runs, when: doAt(minute(60), account.StopDeployment{Deployment: "d", UsedMinutes: ptr(90)}),
			then: events(back("d", 3, paid(0, 2*credit), promo(1, credit)), ended(account.DeploymentIsStopped, "d", minute(60), 90, 3*credit, 3*credit)),
		},
		{
			name: "capped at what was booked", given: runs, when: doAt(minute(60), account.StopDeployment{Deployment: "d", UsedMinutes: ptr(100_000)}),
			then: events(ended(account.DeploymentIsStopped, "d", minute(60), 180, 6*credit, 0)),
		},
		named("a VM pays its first hour", machine(minute(5), account.StopDeployment{Deployment: "d"}), 5, 2*credit, 4*credit),
		named("and after it by the minute: 3 h booked, ended after 1.2 h, 1.8 h come back", machine(minute(72), account.StopDeployment{Deployment: "d"}), 72, 2_400_000, 3_600_000),
		{
			name: "what was spent below zero ends debt", given: given(bought("p", 2*credit), do(deploy("d", "3", 4))), when: stopped(minute(60)),
			then: events(&account.Refunded{Revision: 2, Service: domain.ServiceCaaS, Reference: "d", Amount: 9 * credit, Debt: 9 * credit},
				ended(account.DeploymentIsStopped, "d", minute(60), 60, 3*credit, 9*credit)),
			balance: "balance -1, available -1, debt 1, allowance 10, spendable 9",
		},
		{
			name: "a lot that is past its date expires again", given: given(grantedUntil(hour(1), 6*credit), do(deploy("d", "2", 3))), when: stopped(hour(2)),
			then: events(back("d", 2, until(hour(1), promo(0, 2*credit))), &account.LotExpired{Lot: until(hour(1), promo(0, 2*credit)), EffectiveAt: hour(2)},
				ended(account.DeploymentIsStopped, "d", hour(2), 120, 4*credit, 2*credit)),
			balance: "nothing",
		},
		{
			name: "what support gave back before is not given again", given: append(runs[:3:3], doAt(minute(10), account.Refund{Transaction: tx(3), Amount: 3 * credit})), when: stopped(minute(60)),
			then: events(back("d", 3, promo(1, credit)), ended(account.DeploymentIsStopped, "d", minute(60), 60, 2*credit, credit)),
		},
		{
			name: "nor anything, if that was more than comes back", given: append(runs[:3:3], doAt(minute(10), account.Refund{Transaction: tx(3), Amount: 5 * credit})), when: stopped(minute(60)),
			then:    events(ended(account.DeploymentIsStopped, "d", minute(60), 60, 2*credit, 0)),
			balance: "balance 9, available 9, promotional 3, purchased 6, withdrawable 6, allowance 10, spendable 19",
		},
		{
			name:  "so a VM's first hour stays paid",
			given: append(machine(hour(0), nil).given, doAt(minute(3), account.Refund{Transaction: tx(2), Amount: 4 * credit})), when: stopped(minute(5)),
			then:    events(ended(account.DeploymentIsStopped, "d", minute(5), 5, 2*credit, 0)),
			balance: "balance 4, available 4, promotional 4, spendable 4",
		},
		{
			name:  "and an extension's hour comes back, whatever was given back of the first ones",
			given: append(runs[:3:3], doAt(minute(10), account.ExtendDeployment{Deployment: "d", Hours: 1}), doAt(minute(10), account.Refund{Transaction: tx(3), Amount: 6 * credit})),
			when:  stopped(minute(30)),
			then:  events(back("d", 4, paid(0, credit)), ended(account.DeploymentIsStopped, "d", minute(30), 30, credit, credit)),
		},
		{name: "before it was paid", given: given(do(deploy("d", "2", 2))), when: stopped(minute(1)), refused: "wrong-status field=deployment_id value=d status=pending-payment"},
		{name: "twice", given: append(runs[:3:3], stopped(minute(1))), when: stopped(minute(1)), refused: "wrong-status field=deployment_id value=d"},
		{name: "in the instant of its end", given: runs, when: stopped(hour(3)), refused: "wrong-status field=deployment_id value=d status=completed"},
		{name: "after less than nothing", given: runs, when: doAt(hour(1), account.StopDeployment{Deployment: "d", UsedMinutes: ptr(-1)}), refused: "field-invalid field=used_minutes value=-1"},
		{name: "unknown", when: stopped(hour(0)), refused: "unknown-deployment field=deployment_id value=d"},
	})
}

func TestCancelAndFailDeployment(t *testing.T) {
	cancel := func(at time.Time) step { return doAt(at, account.CancelDeployment{Deployment: "d"}) }
	runs := given(granted(6*credit), do(account.StartDeployment{Deployment: "d", Service: vm, HourlyPrice: rate("2"), Hours: 3}))
	all := back("d", 2, promo(0, 6*credit))
	all.Service = vm
	failed := func(at time.Time, minutes int, charge, refund domain.Amount) *account.DeploymentEnded {
		e := ended(account.DeploymentIsFailed, "d", at, minutes, charge, refund)
		e.Cause, e.Reason = account.CauseProvider, "sealed"
		return e
	}
	some := back("d", 2, promo(0, 5*credit))
	some.Service, some.Reason = vm, "sealed"
	check(t, []row{
		{name: "cancelled before it was paid", given: given(do(deploy("d", "2", 2))), when: cancel(minute(1)), then: events(ended(account.DeploymentIsCancelled, "d", minute(1), 0, 0, 0))},
		{
			name: "cancelled within its first minute: all comes back, no minimum", given: runs, when: cancel(minute(1).Add(-1)),
			then: events(all, ended(account.DeploymentIsCancelled, "d", minute(1).Add(-1), 0, 0, 6*credit)),
		},
		{
			name: "cancelled with usage open: what comes back doesn't pay for it", given: append(runs[:2:2], usage(hour(0), 5*credit)), when: cancel(minute(1).Add(-1)),
			then: events(all, func() *account.DeploymentEnded {
				e := ended(account.DeploymentIsCancelled, "d", minute(1).Add(-1), 0, 0, 6*credit)
				e.UsageDropped = 5 * credit
				return e
			}()),
			balance: "balance 6, available 6, promotional 6, spendable 6",
		},
		{
			name:  "cancelled with usage that was covered: it is no part of what was paid",
			given: given(granted(10*credit), do(deploy("d", "2", 2)), usage(hour(0), 5*credit)), when: cancel(minute(1).Add(-1)),
			then:    events(back("d", 2, promo(0, 4*credit)), ended(account.DeploymentIsCancelled, "d", minute(1).Add(-1), 0, 0, 4*credit)),
			balance: "balance 5, available 5, promotional 5, spendable 5",
		},
		{name: "cancelled too late", given: runs, when: cancel(minute(1)), refused: "wrong-status field=deployment_id value=d status=active"},
		{
			name: "a cancelled one is not paid by what comes later", given: given(do(deploy("d", "2", 2)), cancel(minute(1))), when: doAt(minute(2), account.GrantIncentive{Amount: 9 * credit}),
			then: events(&account.IncentiveGranted{Amount: 9 * credit}),
		},
		{
			name: "failed by the provider: used minutes, no minimum", given: runs, when: doAt(minute(30), account.FailDeployment{Deployment: "d", Reason: "sealed"}),
			then: events(some, failed(minute(30), 30, credit, 5*credit)),
		},
		{
			name: "failed by the provider, who says how long it ran", given: runs, when: doAt(minute(50), account.FailDeployment{Deployment: "d", UsedMinutes: ptr(30), Reason: "sealed"}),
			then: events(some, failed(minute(50), 30, credit, 5*credit)),
		},
		{
			name: "failed before it was paid", given: given(do(deploy("d", "2", 2))), when: doAt(minute(1), account.FailDeployment{Deployment: "d", Reason: "sealed"}),
			then: events(failed(minute(1), 0, 0, 0)),
		},
		{
			name: "failed while paused: open usage is dropped", given: append(runs[:2:2], usage(minute(30), credit)), when: doAt(minute(31), account.FailDeployment{Deployment: "d", Reason: "sealed"}),
			then: events(some, func() *account.DeploymentEnded {
				e := failed(minute(31), 30, credit, 5*credit)
				e.UsageDropped = credit
				return e
			}()),
		},
		{
			name: "completed at the end of its time", given: runs, when: doAt(hour(7), account.Tick{}),
			then: events(ended(account.DeploymentIsCompleted, "d", hour(3), 180, 6*credit, 0)), balance: "nothing",
		},
	})
}

// TestCancelAndFailRefused: a deployment that isn't there, or is over, neither cancels
// nor fails.
func TestCancelAndFailRefused(t *testing.T) {
	cancel := func(at time.Time) step { return doAt(at, account.CancelDeployment{Deployment: "d"}) }
	fail := func(at time.Time, minutes *int) step {
		return doAt(at, account.FailDeployment{Deployment: "d", UsedMinutes: minutes})
	}
	runs := given(granted(6*credit), do(deploy("d", "2", 3)))
	over := append(runs[:2:2], stopped(hour(0)))
	failed := ended(account.DeploymentIsFailed, "d", minute(1), 0, 0, 0)
	failed.Cause = account.CauseProvider
	check(t, []row{
		{name: "cancel an unknown one", when: cancel(hour(0)), refused: "unknown-deployment field=deployment_id value=d"},
		{name: "cancel one that has ended", given: over, when: cancel(hour(0)), refused: "wrong-status field=deployment_id value=d"},
		{name: "fail an unknown one", when: fail(hour(0), nil), refused: "unknown-deployment field=deployment_id value=d"},
		{name: "fail one that has ended", given: over, when: fail(hour(0), nil), refused: "wrong-status field=deployment_id value=d"},
		{name: "after less than nothing, which is looked at first", when: fail(hour(0), ptr(-1)), refused: "field-invalid field=used_minutes value=-1"},
		{
			name: "one that was never paid used nothing, whatever is told", given: given(do(deploy("d", "2", 2))),
			when: fail(minute(1), ptr(30)), then: events(failed),
		},
	})
}
