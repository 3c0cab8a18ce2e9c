package account_test

import (
	"math/big"
	"slices"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// The model's deployments, written from money.md, Deployments and Debt.

type naiveDeployment struct {
	status account.DeploymentStatus
	price  *big.Rat
	hours  int
	least  int
	paid   domain.Amount
	open   domain.Amount
	// bookings are the payments of its hours, in order.
	bookings []*naiveCharge
	// runs is what its minutes are counted from: its start, moved by its pauses.
	runs, paused, started, ends, grace time.Time
}

func (x *naiveDeployment) waits() bool {
	return x.status == account.DeploymentIsPending || x.status == account.DeploymentIsPaused
}

func (x *naiveDeployment) runsOn() bool {
	return x.status == account.DeploymentIsActive || x.status == account.DeploymentIsPaused
}

func (x *naiveDeployment) owes() domain.Amount {
	if x.status == account.DeploymentIsPending {
		return x.cost(x.hours * 60)
	}
	return x.open
}

func (x *naiveDeployment) cost(minutes int) domain.Amount {
	return rounded(new(big.Rat).Mul(x.price, big.NewRat(int64(minutes), 60)))
}

// used is the minutes that it ran, started ones too.
func (x *naiveDeployment) used(now time.Time) int {
	if x.status == account.DeploymentIsPaused {
		now = x.paused
	}
	minutes := 0
	for x.runs.Add(time.Duration(minutes)*time.Minute).Before(now) && minutes < x.hours*60 {
		minutes++
	}
	return minutes
}

// deploy answers what is about deployments.
func (n *naive) deploy(a ask) domain.Code {
	switch c := a.action.(type) {
	case account.StartDeployment:
		return n.start(c, a.at)
	case account.ExtendDeployment:
		return n.extend(c)
	case account.RecordUsage:
		return n.use(c, a.at)
	case account.StopDeployment:
		x, code := n.running(c.Deployment, (*naiveDeployment).runsOn)
		if code == "" {
			n.stop(x, a.at)
		}
		return code
	case account.CancelDeployment:
		x, code := n.running(c.Deployment, func(x *naiveDeployment) bool {
			return x.status == account.DeploymentIsPending || x.runsOn() && a.at.Before(x.started.Add(time.Minute))
		})
		if code == "" {
			n.end(x, account.DeploymentIsCancelled, 0, a.at)
		}
		return code
	case account.FailDeployment:
		x, code := n.running(c.Deployment, func(x *naiveDeployment) bool { return x.waits() || x.runsOn() })
		if code == "" {
			n.end(x, account.DeploymentIsFailed, x.used(a.at), a.at)
		}
		return code
	}
	panic("the model has no such command")
}

func (n *naive) running(id string, may func(*naiveDeployment) bool) (*naiveDeployment, domain.Code) {
	x := n.deployments[id]
	switch {
	case x == nil:
		return nil, domain.CodeUnknownDeployment
	case !may(x):
		return nil, domain.CodeWrongStatus
	}
	return x, ""
}

func (n *naive) start(c account.StartDeployment, now time.Time) domain.Code {
	switch {
	case n.deployments[c.Deployment] != nil:
		return domain.CodeDuplicateID
	case n.frozen:
		return domain.CodeAccountFrozen
	}
	x := &naiveDeployment{status: account.DeploymentIsPending, price: ratio(c.HourlyPrice.String()), hours: c.Hours, grace: now.Add(n.grace)}
	if c.Service == vm {
		x.least = 60
	}
	n.deployments[c.Deployment] = x
	if x.owes() <= n.spendable() {
		n.pay(x, now)
	} else {
		n.waiting = append(n.waiting, x)
	}
	return ""
}

func (n *naive) extend(c account.ExtendDeployment) domain.Code {
	x, code := n.running(c.Deployment, func(x *naiveDeployment) bool { return x.status == account.DeploymentIsActive })
	switch {
	case code != "":
		return code
	case n.frozen:
		return domain.CodeAccountFrozen
	}
	price := x.cost(c.Hours * 60)
	if code := n.spend(price); code != "" {
		return code
	}
	x.booked(n.charges[len(n.charges)-1])
	x.hours += c.Hours
	x.ends = x.ends.Add(time.Duration(c.Hours) * time.Hour)
	return ""
}

func (x *naiveDeployment) booked(charge *naiveCharge) {
	x.bookings = append(x.bookings, charge)
	x.paid += charge.left()
}

// charge takes what is known to fit, frozen or not.
func (n *naive) charge(amount domain.Amount) *naiveCharge {
	if code := n.spend(amount); code != "" {
		panic(code)
	}
	return n.charges[len(n.charges)-1]
}

func (n *naive) pay(x *naiveDeployment, now time.Time) {
	x.booked(n.charge(x.owes()))
	x.status, x.started, x.runs, x.ends = account.DeploymentIsActive, now, now, now.Add(time.Duration(x.hours)*time.Hour)
}

func (n *naive) use(c account.RecordUsage, now time.Time) domain.Code {
	if code := amountCode(c.Amount); code != "" {
		return code
	}
	x, code := n.running(c.Deployment, (*naiveDeployment).runsOn)
	if code != "" {
		return code
	}
	active := x.status == account.DeploymentIsActive
	if active && c.Amount <= n.spendable() {
		n.charge(c.Amount)
		return ""
	}
	x.open += c.Amount
	if active {
		x.status, x.paused, x.grace = account.DeploymentIsPaused, now, now.Add(n.grace)
		n.waiting = append(n.waiting, x)
	}
	return ""
}

// payWaiting pays what waits, oldest first; one that doesn't fit is passed over.
func (n *naive) payWaiting(now time.Time) { n.payUntil(nil, now) }

// payUntil is payWaiting for what began to wait before one of them.
func (n *naive) payUntil(end *naiveDeployment, now time.Time) {
	for _, x := range slices.Clone(n.waiting) {
		if n.frozen || x == end {
			return
		}
		if !now.Before(x.grace) || x.owes() > n.spendable() {
			continue
		}
		n.waits(x)
		if x.status == account.DeploymentIsPending {
			n.pay(x, now)
			continue
		}
		n.charge(x.open)
		x.status, x.open = account.DeploymentIsActive, 0
		x.runs, x.ends = x.runs.Add(now.Sub(x.paused)), x.ends.Add(now.Sub(x.paused))
	}
}

// waits ends that a deployment does.
func (n *naive) waits(x *naiveDeployment) {
	n.waiting = slices.DeleteFunc(n.waiting, func(w *naiveDeployment) bool { return w == x })
}

// stop charges its open usage in its turn among what waits, frozen or not.
func (n *naive) stop(x *naiveDeployment, now time.Time) {
	came := n.unused(x, max(x.least, x.used(now)), now)
	if x.open > 0 {
		n.payUntil(x, now)
		if x.open <= n.spendable() {
			n.charge(x.open)
		}
	}
	n.ended(x, account.DeploymentIsStopped, came, now)
}

// end drops open usage.
func (n *naive) end(x *naiveDeployment, status account.DeploymentStatus, minutes int, now time.Time) {
	n.ended(x, status, n.unused(x, minutes, now), now)
}

func (n *naive) ended(x *naiveDeployment, status account.DeploymentStatus, came bool, now time.Time) {
	n.waits(x)
	x.status, x.open = status, 0
	if came {
		n.payWaiting(now)
	}
}

// unused gives back what support has left of the bookings and is not charged, the last
// booking first.
func (n *naive) unused(x *naiveDeployment, minutes int, now time.Time) (came bool) {
	left := -x.cost(minutes)
	for _, b := range x.bookings {
		left += b.left()
	}
	for _, b := range slices.Backward(x.bookings) {
		if part := min(left, b.left()); part > 0 {
			left -= part
			n.giveBack(b, part)
			came = true
		}
	}
	if came {
		n.settle(now)
	}
	return came
}

func (n *naive) endGrace(x *naiveDeployment, now time.Time) {
	minutes := 0
	if x.status == account.DeploymentIsPaused {
		minutes = max(x.least, x.used(now))
	}
	n.end(x, account.DeploymentIsFailed, minutes, now)
}

func (n *naive) complete(x *naiveDeployment) {
	n.ended(x, account.DeploymentIsCompleted, false, time.Time{})
}
