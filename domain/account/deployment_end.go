package account

import (
	"slices"
	"time"

	"iocredits/domain"
)

// cancelWithin is how long after its start a deployment may be cancelled.
const cancelWithin = time.Minute

// StopDeployment ends a deployment early: the minutes used are charged, at least
// the minimum of its service, and the rest comes back. That is an inflow, so what
// has waited longer is paid first (money.md, Debt); then its own usage that is open
// is charged if it fits, frozen or not, and dropped if it doesn't: nothing is left
// that could wait for more.
//
// Checks, in order: field-invalid (used_minutes); unknown-deployment, or
// wrong-status if it has ended or was never paid.
type StopDeployment struct {
	Deployment string
	// UsedMinutes is the caller's fact; nil: the engine counts.
	UsedMinutes *int
}

// NameFor asks about the id unless the deployment is open.
func (c StopDeployment) NameFor(s *State) string {
	return nameIfNotIn(s.Deployments, c.Deployment, deploymentName)
}

func (c StopDeployment) decide(d *decision) error {
	if err := checkMinutes(c.UsedMinutes); err != nil {
		return err
	}
	x, err := d.runningDeployment(c.Deployment, DeploymentIsActive, DeploymentIsPaused)
	if err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	used := d.usedMinutes(x, c.UsedMinutes)
	d.endDeployment(x, x.costOf(max(used, x.MinimumMinutes)), true, DeploymentEnded{
		Status: DeploymentIsStopped, Deployment: c.Deployment, UsedMinutes: used,
	})
	return nil
}

// CancelDeployment ends a deployment before it was paid or within its first
// minute: all that was paid for its time comes back, and is not used for usage
// that is open, which is dropped. Usage that was covered is a deduction of its
// own on top (money.md's "paid" is price x hours) and stays; support may refund it.
//
// Checks: unknown-deployment, or wrong-status if it is too late.
type CancelDeployment struct{ Deployment string }

// NameFor asks about the id unless the deployment is open.
func (c CancelDeployment) NameFor(s *State) string {
	return nameIfNotIn(s.Deployments, c.Deployment, deploymentName)
}

func (c CancelDeployment) decide(d *decision) error {
	x, err := d.openDeployment(c.Deployment)
	if err != nil {
		return err
	}
	if x.State != DeploymentIsPending && !d.clock.Before(x.StartedAt.Add(cancelWithin)) {
		return wrongStatus(ObjectDeployment, c.Deployment, x.Status(), " and started a minute ago or more: stop it")
	}
	// Accepted: nothing below refuses.
	d.endDeployment(x, 0, false, DeploymentEnded{Status: DeploymentIsCancelled, Deployment: c.Deployment})
	return nil
}

// FailDeployment ends a deployment by the provider's fault: only what was used
// is charged, no minimum, and open usage is dropped.
//
// Checks: as StopDeployment, but one that was never paid fails too.
type FailDeployment struct {
	Deployment  string
	UsedMinutes *int
	Reason      domain.Sealed
}

// NameFor asks about the id unless the deployment is open.
func (c FailDeployment) NameFor(s *State) string {
	return nameIfNotIn(s.Deployments, c.Deployment, deploymentName)
}

func (c FailDeployment) decide(d *decision) error {
	if err := checkMinutes(c.UsedMinutes); err != nil {
		return err
	}
	x, err := d.openDeployment(c.Deployment)
	if err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	event := DeploymentEnded{
		Status: DeploymentIsFailed, Deployment: c.Deployment, Cause: CauseProvider, Reason: c.Reason,
	}
	if x.State != DeploymentIsPending {
		event.UsedMinutes = d.usedMinutes(x, c.UsedMinutes)
	}
	d.endDeployment(x, x.costOf(event.UsedMinutes), false, event)
	return nil
}

// endGrace fails a deployment that was not covered in time. Of one that ran, the
// minutes used are charged as by StopDeployment; open usage is dropped.
func (d *decision) endGrace(id string) {
	x := d.now().Deployments[id]
	event := DeploymentEnded{Status: DeploymentIsFailed, Deployment: id, Cause: CauseUnpaid}
	if x.State == DeploymentIsPaused {
		event.Cause, event.UsedMinutes = CauseUsageUnpaid, x.minutesUsed(d.clock)
	}
	d.endDeployment(x, x.costUnpaid(), false, event)
}

// costUnpaid is what a deployment is charged at the end of its grace window: nothing if it
// was never paid.
func (x *Deployment) costUnpaid() domain.Amount {
	return x.costOf(max(x.minutesUsed(x.PausedAt), x.MinimumMinutes))
}

// comesBackUnpaid is what comes back at that end.
func (s *State) comesBackUnpaid(id string) []cameBack {
	x := s.Deployments[id]
	return s.comesBack(id, x.costUnpaid())
}

// refundSome gives back to so many lots at the most what comes back at the end of a grace
// window. It takes those that are past their date, and so expire again at once: debt, and
// what waits, is paid from the others, which come together. Lots that may lack money come
// with those, because LotExpired says how much of such a lot, as a whole, lacks it.
func (d *decision) refundSome(id string, most int) (some bool) {
	service := d.now().Deployments[id].Service
	for _, back := range d.now().comesBackUnpaid(id) {
		uses := slices.DeleteFunc(back.lots(), func(u LotUse) bool {
			_, mayLack := d.now().Backing[u.Lot]
			return mayLack || u.ExpiresAt.IsZero() || u.ExpiresAt.After(d.clock)
		})
		if uses = uses[:min(most, len(uses))]; len(uses) == 0 {
			continue
		}
		most -= len(uses)
		event := d.refundOf(back.of, id, service)
		event.Amount, event.Lots = sum(uses), uses
		d.emit(&event)
		some = true
	}
	d.expireLots(d.clock)
	return some
}

// completeDeployment ends a deployment at the end of its time.
func (d *decision) completeDeployment(id string) {
	x := d.now().Deployments[id]
	d.endDeployment(x, x.Paid, false, DeploymentEnded{
		Status: DeploymentIsCompleted, Deployment: id, UsedMinutes: x.Hours * 60,
	})
}

// endDeployment gives back what of its payments is not charged, charges open
// usage if that is asked for and fits once its turn has come among what waits, and
// then ends it. What has waited less long is paid last.
func (d *decision) endDeployment(x Deployment, charge domain.Amount, chargeOpen bool, event DeploymentEnded) {
	event.Used, event.EndedAt, event.UsageDropped = charge, d.clock, x.UsageOpen
	event.Refunded = d.refundDeployment(event.Deployment, x, charge, event.Reason)
	if event.Refunded > 0 {
		d.cameIn()
	}
	if chargeOpen && x.UsageOpen > 0 {
		d.settleOlder(event.Deployment)
		if x.UsageOpen <= d.now().Spendable() {
			d.chargeOpen(event.Deployment, x)
			event.UsageDropped = 0
		}
	}
	d.emit(&event)
	if event.Refunded > 0 {
		d.settleWaiting()
	}
}

// cameBack is what comes back of a payment, after what support gave back of it.
type cameBack struct {
	of           DeploymentPayment
	done, amount domain.Amount
}

func (b cameBack) charge() charge {
	return charge{amount: b.of.Amount, lots: b.of.Lots, debt: b.of.Debt}
}

func (b cameBack) lots() []LotUse { return b.charge().lotsBack(b.done, b.amount) }

// comesBack is what a deployment's payments have above its charge, the last one first. What
// support gave back of them is the first of that: the charge stays paid, unless they gave
// more.
func (s *State) comesBack(id string, charged domain.Amount) (all []cameBack) {
	payments, left := s.Payments[id], s.Deployments[id].Paid-charged
	for _, p := range payments {
		left -= s.refunded(p.Revision)
	}
	for i := len(payments) - 1; i >= 0 && left > 0; i-- {
		p := payments[i]
		done := s.refunded(p.Revision)
		if amount := min(left, p.Amount-done); amount > 0 {
			all = append(all, cameBack{p, done - p.Returned, amount})
			left -= amount
		}
	}
	return all
}

// refundDeployment gives back what comes back of a deployment's payments, and tells what
// that is with what was Returned before.
func (d *decision) refundDeployment(id string, x Deployment, charged domain.Amount, reason domain.Sealed) (gave domain.Amount) {
	s := d.now()
	for _, p := range s.Payments[id] {
		gave += p.Returned
	}
	for _, back := range s.comesBack(id, charged) {
		event := d.refundOf(back.of, id, x.Service)
		event.Reason = reason
		d.giveBack(back.charge(), back.done, back.amount, event)
		gave += back.amount
	}
	return gave
}

// refundOf is the refund of a deployment's payment without what it gives.
func (d *decision) refundOf(p DeploymentPayment, id string, service domain.Service) Refunded {
	event := Refunded{Revision: p.Revision, Service: service, Reference: id}
	if d.clock.Before(d.cmd.At) {
		event.EffectiveAt = d.clock
	}
	return event
}

// usedMinutes is the caller's figure, capped at what was booked, or the engine's.
func (d *decision) usedMinutes(x Deployment, given *int) int {
	if given == nil {
		return x.minutesUsed(d.clock)
	}
	return min(*given, x.Hours*60)
}

func checkMinutes(given *int) error {
	if given == nil {
		return nil
	}
	return between("used_minutes", *given, 0, maxMinutesGiven)
}

// maxMinutesGiven is what no deployment reaches: a thousand years.
const maxMinutesGiven = 1000 * 366 * 24 * 60
