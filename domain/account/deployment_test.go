package account_test

import (
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

func rate(text string) domain.Rate {
	r, err := domain.ParseRate("hourly_price", text)
	if err != nil {
		panic(err)
	}
	return r
}

func units(text string) domain.Quantity {
	q, err := domain.ParseQuantity("quantity", text)
	if err != nil {
		panic(err)
	}
	return q
}

// deploy is a deployment of a service without a minimum charge.
func deploy(id, price string, hours int) account.StartDeployment {
	return account.StartDeployment{Deployment: id, Service: domain.ServiceCaaS, HourlyPrice: rate(price), Hours: hours}
}

// requested is the first event of deploy, at an instant.
func requested(id, price string, hours int, required domain.Amount, at time.Time) *account.DeploymentRequested {
	return &account.DeploymentRequested{Deployment: id, Service: domain.ServiceCaaS, HourlyPrice: rate(price), Hours: hours, Required: required, RequestedAt: at}
}

// ran is the payment of deploy at an instant.
func ran(id string, hours int, at time.Time, debt domain.Amount, from ...account.LotUse) *account.DeploymentPaid {
	e := &account.DeploymentPaid{
		Deployment: id, Service: domain.ServiceCaaS, Amount: debt,
		StartedAt: at, EndsAt: at.Add(time.Duration(hours) * time.Hour), Debt: debt, Lots: from,
	}
	for _, u := range from {
		e.Amount += u.Amount
	}
	return e
}

// back is a refund of the payment at a revision, to its lots.
func back(id string, revision int64, to ...account.LotUse) *account.Refunded {
	e := &account.Refunded{Revision: revision, Service: domain.ServiceCaaS, Reference: id, Lots: to}
	for _, u := range to {
		e.Amount += u.Amount
	}
	return e
}

func pending(id string, required, spendable domain.Amount, until time.Time) *account.DeploymentPending {
	return &account.DeploymentPending{Deployment: id, Required: required, Spendable: spendable, Shortfall: required - spendable, GraceEndsAt: until}
}

func ended(status account.DeploymentStatus, id string, at time.Time, minutes int, used, refunded domain.Amount) *account.DeploymentEnded {
	return &account.DeploymentEnded{Status: status, Deployment: id, EndedAt: at, UsedMinutes: minutes, Used: used, Refunded: refunded}
}

func TestStartDeployment(t *testing.T) {
	check(t, []row{
		{
			name: "takes price x hours up front", given: given(granted(5*credit), bought("p", 20*credit)), when: do(deploy("d", "2.5", 4)),
			then:    events(requested("d", "2.5", 4, 10*credit, hour(0)), ran("d", 4, hour(0), 0, promo(0, 5*credit), paid(1, 5*credit))),
			balance: "balance 15, available 15, purchased 15, withdrawable 15, allowance 10, spendable 25",
		},
		{
			name: "rounded half-even", given: given(granted(credit)), when: do(deploy("d", "0.0000005", 3)),
			then: events(requested("d", "0.0000005", 3, 2, hour(0)), ran("d", 3, hour(0), 0, promo(0, 2))),
		},
		{
			name: "the allowance counts for who has paid before", given: given(bought("p", 5*credit)), when: do(deploy("d", "15", 1)),
			then:    events(requested("d", "15", 1, 15*credit, hour(0)), ran("d", 1, hour(0), 10*credit, paid(0, 5*credit))),
			balance: "balance -10, available -10, debt 10, allowance 10",
		},
		{
			name: "short of credits it waits, and nothing moves", given: given(granted(4 * credit)), when: do(deploy("d", "5", 2)),
			then:    events(requested("d", "5", 2, 10*credit, hour(0)), pending("d", 10*credit, 4*credit, minute(5))),
			balance: "balance 4, available 4, promotional 4, spendable 4",
		},
		{
			name: "by a micro-credit", given: given(bought("p", 5*credit)), when: do(deploy("d", "15.000001", 1)),
			then: events(requested("d", "15.000001", 1, 15*credit+1, hour(0)), pending("d", 15*credit+1, 15*credit, minute(5))),
		},
		{
			name: "the grace window is the policy's", given: given(do(account.SetPolicy{GraceMinutes: ptr(30)})), when: do(deploy("d", "1", 1)),
			then: events(requested("d", "1", 1, credit, hour(0)), pending("d", credit, 0, minute(30))),
		},
		{
			name: "a VM has a minimum charge", given: given(granted(3 * credit)),
			when: do(account.StartDeployment{Deployment: "d", Service: vm, HourlyPrice: rate("1"), Hours: 3}),
			then: events(
				&account.DeploymentRequested{Deployment: "d", Service: vm, HourlyPrice: rate("1"), Hours: 3, MinimumMinutes: 60, Required: 3 * credit, RequestedAt: hour(0)},
				&account.DeploymentPaid{Deployment: "d", Service: vm, Amount: 3 * credit, StartedAt: hour(0), EndsAt: hour(3), Lots: lots(promo(0, 3*credit))}),
		},
		{name: "for no hours", when: do(deploy("d", "1", 0)), refused: "field-invalid field=duration_hours value=0"},
		{name: "for more than a year", when: do(deploy("d", "1", 8761)), refused: "field-invalid field=duration_hours value=8761"},
		{name: "for free", when: do(deploy("d", "0", 1)), refused: "amount-invalid field=hourly_price value=0"},
		{name: "for what rounds to nothing", when: do(deploy("d", "0.000000000001", 1)), refused: "amount-invalid field=hourly_price value=0.000000000001"},
		{name: "half a micro-credit rounds to nothing, half-even", when: do(deploy("d", "0.0000005", 1)), refused: "amount-invalid field=hourly_price value=0.0000005"},
		{
			name: "for too much", when: do(deploy("d", "1000000", 8760)),
			refused: "amount-too-large field=hourly_price value=8760000000 limit=1000000000",
		},
		{name: "an id that runs", given: given(granted(credit), do(deploy("d", "1", 1))), when: do(deploy("d", "1", 1)), refused: "duplicate-id field=deployment_id value=d"},
		{
			name: "an id of one that has just failed", given: given(do(deploy("d", "1", 1))), when: doAt(minute(5), deploy("d", "1", 1)),
			refused: "duplicate-id field=deployment_id value=d",
		},
		{
			name: "an id of one that ended long ago", given: given(do(deploy("d", "1", 1)), doAt(minute(5), account.Tick{})), when: doAt(hour(9), deploy("d", "1", 1)),
			refused: "duplicate-id field=deployment_id value=d",
		},
		{name: "while frozen", given: given(granted(credit), do(account.Freeze{})), when: do(deploy("d", "1", 1)), refused: "account-frozen"},
	})
}

func TestTopUpPaysWhatWaits(t *testing.T) {
	waits := given(do(deploy("d", "5", 2)))
	pays := ran("d", 2, minute(2), 0, promo(2, 10*credit))
	failed := ended(account.DeploymentIsFailed, "d", minute(5), 0, 0, 0)
	failed.Cause = account.CauseUnpaid
	check(t, []row{
		{
			name: "in the same append", given: waits, when: doAt(minute(2), account.GrantIncentive{Amount: 12 * credit}),
			then: events(&account.IncentiveGranted{Amount: 12 * credit}, pays), balance: "balance 2, available 2, promotional 2, spendable 2",
		},
		{
			name: "a moment before its deadline", given: waits, when: doAt(minute(5).Add(-1), account.GrantIncentive{Amount: 10 * credit}),
			then: events(&account.IncentiveGranted{Amount: 10 * credit}, ran("d", 2, minute(5).Add(-1), 0, promo(2, 10*credit))),
		},
		{
			name: "at its deadline it has failed", given: waits, when: doAt(minute(5), account.GrantIncentive{Amount: 10 * credit}),
			then:    events(failed, &account.IncentiveGranted{Amount: 10 * credit}),
			balance: "balance 10, available 10, promotional 10, spendable 10",
		},
		{name: "without one it fails, nothing charged", given: waits, when: doAt(hour(3), account.Tick{}), then: events(failed), balance: "nothing"},
		{
			name: "oldest first, and one that doesn't fit is passed over", given: given(do(deploy("a", "8", 1)), do(deploy("b", "3", 1)), do(deploy("c", "2", 1))),
			when: doAt(minute(1), account.GrantIncentive{Amount: 6 * credit}),
			then: events(&account.IncentiveGranted{Amount: 6 * credit},
				ran("b", 1, minute(1), 0, promo(6, 3*credit)), ran("c", 1, minute(1), 0, promo(6, 2*credit))),
			balance: "balance 1, available 1, promotional 1, spendable 1",
		},
		{
			name: "after debt", given: given(bought("p", 1*credit), spent(11*credit), do(deploy("d", "5", 2))),
			when: doAt(minute(1), account.RecordPurchase{Purchase: "q", Amount: 11 * credit}),
			then: events(&account.PurchaseSettled{Purchase: "q", Amount: 11 * credit},
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(paid(4, 10*credit))},
				ran("d", 2, minute(1), 9*credit, paid(4, 1*credit))),
			balance: "balance -9, available -9, debt 9, allowance 10, spendable 1",
		},
		{
			name: "with the allowance of the first payment", given: waits, when: doAt(minute(1), account.RecordPurchase{Purchase: "q", Amount: credit}),
			then: events(&account.PurchaseSettled{Purchase: "q", Amount: credit}, ran("d", 2, minute(1), 9*credit, paid(2, credit))),
		},
		{
			name: "from a release", given: given(granted(10*credit), held("r", 5*credit), do(deploy("d", "4", 2))), when: doAt(minute(1), account.Release{Reservation: "r"}),
			then: events(&account.Released{Reservation: "r", Amount: 5 * credit, Service: vm, Cause: account.ReleaseAsked, Lots: lots(promo(0, 5*credit)), Closes: true},
				ran("d", 2, minute(1), 0, promo(0, 8*credit))),
		},
		{
			name: "a frozen account waits", given: append(waits[:1:1], do(account.Freeze{})), when: doAt(minute(1), account.GrantIncentive{Amount: 10 * credit}),
			then: events(&account.IncentiveGranted{Amount: 10 * credit}),
		},
		{
			name: "until it is unfrozen", given: append(waits[:1:1], do(account.Freeze{}), granted(10*credit)), when: doAt(minute(2), account.Unfreeze{}),
			then: events(&account.Unfrozen{}, ran("d", 2, minute(2), 0, promo(3, 10*credit))),
		},
		{
			name: "a larger allowance pays, too", given: given(bought("p", credit), do(deploy("d", "15", 1))), when: doAt(minute(2), account.SetPolicy{Allowance: ptr(20 * credit)}),
			then: events(&account.PolicySet{Policy: account.Policy{Allowance: 20 * credit, GraceMinutes: 5, TwoApproversFrom: 1000 * credit, MinimumMinutes: account.MinimumMinutes{VM: 60}}},
				ran("d", 1, minute(2), 14*credit, paid(0, credit))),
		},
		{
			name:  "what one gives back pays another that waits, but not one whose deadline is the same instant",
			given: given(granted(10*credit), do(deploy("run", "5", 2)), do(deploy("z", "4", 1)), doAt(minute(3), deploy("y", "4", 1))),
			when:  doAt(minute(5), account.StopDeployment{Deployment: "run"}),
			then: events(func() *account.DeploymentEnded {
				e := ended(account.DeploymentIsFailed, "z", minute(5), 0, 0, 0)
				e.Cause = account.CauseUnpaid
				return e
			}(), back("run", 2, promo(0, 9_583_333)), ended(account.DeploymentIsStopped, "run", minute(5), 5, 416_667, 9_583_333),
				ran("y", 1, minute(5), 0, promo(0, 4*credit))),
		},
	})
}

func TestExtendDeployment(t *testing.T) {
	extend := func(at time.Time, hours int) step {
		return doAt(at, account.ExtendDeployment{Deployment: "d", Hours: hours})
	}
	runs := given(granted(10*credit), do(deploy("d", "2", 2)))
	check(t, []row{
		{
			name: "takes the price of the hours and moves the end", given: runs, when: extend(minute(30), 3),
			then: events(&account.DeploymentExtended{Deployment: "d", Amount: 6 * credit, Service: domain.ServiceCaaS, Hours: 5, Added: 3, EndsAt: hour(5), Lots: lots(promo(0, 6*credit))}),
		},
		{
			name: "short of credits", given: runs, when: extend(minute(30), 4),
			refused: "insufficient-credits available=6 allowance=0 spendable=6 required=8 shortfall=2",
		},
		{name: "while it waits for its payment", given: given(do(deploy("d", "2", 2))), when: extend(minute(1), 1), refused: "wrong-status field=deployment_id value=d status=pending-payment"},
		{
			name:  "while paused",
			given: append(runs[:2:2], do(account.RecordUsage{Deployment: "d", Amount: 7 * credit})), when: extend(minute(1), 1), refused: "wrong-status field=deployment_id value=d status=paused",
		},
		{name: "in the instant of its end", given: runs, when: extend(hour(2), 1), refused: "wrong-status field=deployment_id value=d status=completed"},
		{
			name: "after another failed, too", given: append(runs[:2:2], doAt(minute(119), deploy("e", "7", 1))), when: extend(hour(3), 1),
			refused: "wrong-status field=deployment_id value=d status=completed",
		},
		{name: "while frozen", given: append(runs[:2:2], do(account.Freeze{})), when: extend(minute(1), 1), refused: "account-frozen"},
		{name: "unknown", when: extend(hour(0), 1), refused: "unknown-deployment field=deployment_id value=d"},
		{
			name: "beyond ten years",
			given: given(granted(credit), do(deploy("d", "0.000001", 8760)), extend(hour(0), 8760), extend(hour(0), 8760), extend(hour(0), 8760), extend(hour(0), 8760),
				extend(hour(0), 8760), extend(hour(0), 8760), extend(hour(0), 8760), extend(hour(0), 8760), extend(hour(0), 8760)),
			when: extend(hour(0), 1), refused: "limit-exceeded field=duration_hours value=1 limit=87600",
		},
		{
			name: "for what rounds to nothing: the caller sent hours", given: given(granted(credit), do(deploy("d", "0.0000004", 2))),
			when: extend(hour(0), 1), refused: "amount-invalid field=duration_hours value=1",
		},
		{name: "for no hours", given: runs, when: extend(hour(0), 0), refused: "field-invalid field=duration_hours value=0"},
		{
			name: "and stopped: the last payment comes back first", given: append(runs[:2:2], extend(minute(30), 3)), when: doAt(minute(90), account.StopDeployment{Deployment: "d"}),
			then: events(back("d", 3, promo(0, 6*credit)), back("d", 2, promo(0, 1*credit)), ended(account.DeploymentIsStopped, "d", minute(90), 90, 3*credit, 7*credit)),
		},
	})
}

// TestCostOfNothing: a price that is there is not said to be none.
func TestCostOfNothing(t *testing.T) {
	for price, says := range map[string]string{
		"0":              "hourly_price x duration_hours, 0 x 1, is not above zero",
		"0.000000000001": "hourly_price x duration_hours, 0.000000000001 x 1, rounds to 0, because it is half a micro-credit or less",
	} {
		_, err := newHistory(t).execute(do(deploy("d", price, 1)))
		if refusal, _ := domain.AsError(err); refusal == nil || refusal.Detail != says {
			t.Errorf("%s: %v", price, err)
		}
	}
}
