package account_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestOpenThingsAgainstNaiveModel is TestAgainstNaiveModel with what stays open for
// long and meets everything else: deployments that wait, run and pause, payouts
// that are decided late, holds and lots whose dates come in between, while
// purchases are taken back, deductions refunded and the policy changes.
func TestOpenThingsAgainstNaiveModel(t *testing.T) {
	met := outcomes{}
	rapid.Check(t, func(t *rapid.T) {
		met["runs"]++
		r := &run{T: t, h: newHistory(t), n: newNaive(), makers: open(), metered: map[string]domain.Amount{}, outcomes: met}
		r.maybeOpen()
		for range 1 + r.pick(200, "commands") {
			r.now += max(0, r.pick(12, "pause")-9)
			r.send(r.command())
		}
		r.now += 1000
		r.send(ask{action: account.Tick{}})
		r.h.replay()
	})
	met.must(t, 30, `purchase-settled, purchase-reversed, incentive-granted, lot-expired, deducted, usage-metered, refunded, debt-repaid,
		reserved, reservation-released, account-frozen, account-unfrozen, policy-set, deployment-requested, deployment-pending,
		deployment-paid, deployment-extended, deployment-usage-charged, deployment-usage-opened, deployment-paused,
		deployment-completed, deployment-stopped, deployment-cancelled, deployment-failed, withdrawal-requested,
		withdrawal-approved, withdrawal-returned, withdrawal-paid, backing-changed, StartDeployment account-frozen,
		StartDeployment duplicate-id, CancelDeployment wrong-status, ExtendDeployment wrong-status, RecordUsage wrong-status,
		ApproveWithdrawal self-approval, ApproveWithdrawal wrong-status, RecordPayout wrong-status,
		RequestWithdrawal not-withdrawable, Refund refund-exceeds-deduction, Deduct insufficient-credits`)
}

func open() []func(*run) account.Action {
	return []func(*run) account.Action{
		(*run).freeze, (*run).unfreeze, (*run).unfreeze, (*run).policy, (*run).adjust, (*run).reverse, (*run).reverse,
		(*run).approve, (*run).grant, (*run).grant, (*run).purchase, (*run).purchase, (*run).purchase,
		(*run).reserve, (*run).reserve, (*run).capture, (*run).release, (*run).deduct, (*run).deduct, (*run).reading,
		(*run).deploy, (*run).deploy, (*run).deploy, (*run).deploy, (*run).extend, (*run).usage, (*run).usage, (*run).usage,
		(*run).stop, (*run).stop, (*run).cancel, (*run).fail,
		(*run).withdraw, (*run).withdraw, (*run).withdraw, (*run).approvePayout, (*run).approvePayout, (*run).payOut, (*run).endPayout,
	}
}

func (r *run) deploy() account.Action {
	c := deploy(r.name("d", 30), []string{"0.6", "3", "1.2", "6"}[r.pick(4, "price")], 1+r.pick(3, "hours"))
	if r.pick(2, "service") == 0 {
		c.Service = vm
	}
	return c
}

// deployment is mostly one that is open.
func (r *run) deployment() string {
	var ids []string
	for i := range 30 {
		id := fmt.Sprint("d", i)
		if x := r.n.deployments[id]; x != nil && (x.waits() || x.runsOn()) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || r.pick(10, "any") == 0 {
		return r.name("d", 30)
	}
	return ids[r.pick(len(ids), "deployment")]
}

func (r *run) extend() account.Action {
	return account.ExtendDeployment{Deployment: r.deployment(), Hours: 1 + r.pick(2, "hours")}
}

func (r *run) usage() account.Action {
	return account.RecordUsage{Deployment: r.deployment(), Amount: r.some()}
}

func (r *run) stop() account.Action   { return account.StopDeployment{Deployment: r.deployment()} }
func (r *run) cancel() account.Action { return account.CancelDeployment{Deployment: r.deployment()} }
func (r *run) fail() account.Action   { return account.FailDeployment{Deployment: r.deployment()} }

func (r *run) withdraw() account.Action { return withdraw(r.name("w", 20), r.some()) }

// payoutName is mostly one that waits.
func (r *run) payoutName() string {
	var ids []string
	for i := range 20 {
		id := fmt.Sprint("w", i)
		if w := r.n.payouts[id]; w != nil && len(w.slices) > 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || r.pick(10, "any") == 0 {
		return r.name("w", 20)
	}
	return ids[r.pick(len(ids), "payout")]
}

func (r *run) approvePayout() account.Action {
	return account.ApproveWithdrawal{Withdrawal: r.payoutName()}
}

func (r *run) payOut() account.Action {
	return account.RecordPayout{Withdrawal: r.payoutName(), TxURL: "sealed", Network: account.NetworkSolana}
}

func (r *run) endPayout() account.Action {
	switch r.pick(3, "end") {
	case 0:
		return account.CancelWithdrawal{Withdrawal: r.payoutName()}
	case 1:
		return account.RejectWithdrawal{Withdrawal: r.payoutName()}
	}
	return account.FailWithdrawal{Withdrawal: r.payoutName()}
}

// compareOpen holds deployments and payouts to the model's.
func (r *run) compareOpen(same func(what, got, want string)) {
	waiting := ""
	for _, w := range r.n.waiting {
		for id, x := range r.n.deployments {
			if x == w {
				waiting += id + " "
			}
		}
	}
	have := ""
	for _, id := range r.h.state.Waiting {
		have += id + " "
	}
	same("waiting", have, waiting)
	running := 0
	for id, x := range r.n.deployments {
		d, found := r.h.state.Deployments[id]
		if x.waits() || x.runsOn() {
			running++
			same("deployment "+id, fmt.Sprint(d.State, d.Paid, d.UsageOpen), fmt.Sprint(x.status, x.paid, x.open))
		} else if found {
			r.Fatalf("deployment %s is %s, the model says %s", id, d.State, x.status)
		}
	}
	same("deployments", fmt.Sprint(len(r.h.state.Deployments)), fmt.Sprint(running))
	waits := 0
	for id, w := range r.n.payouts {
		if d := r.h.state.Withdrawals[id]; len(w.slices) > 0 {
			waits++
			same("payout "+id, fmt.Sprint(d.State, usesText(d.Lots)), fmt.Sprint(w.status, usesText(r.uses(w.slices))))
		}
	}
	same("payouts", fmt.Sprint(len(r.h.state.Withdrawals)), fmt.Sprint(waits))
}
