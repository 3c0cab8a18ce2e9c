package account

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"iocredits/domain"
)

// maxHours is the most that can be booked at once (io-credits.md), and
// maxDeployments bounds what is open in an account.
const (
	maxHours = 8760
	// maxTotalHours bounds a deployment with all its extensions: ten years.
	maxTotalHours  = 10 * maxHours
	maxDeployments = 10_000
)

// StartDeployment books hours and pays for them up front, allowance included.
// Short of credits it waits, for the grace window of the policy.
//
// Checks, in order: field-invalid (duration_hours); amount-invalid, amount-too-large
// (what it costs); duplicate-id; limit-exceeded; account-frozen. Being short of
// credits is no refusal.
type StartDeployment struct {
	Deployment  string
	Service     domain.Service
	HourlyPrice domain.Rate
	Hours       int
}

// NameFor asks about the id unless it is open.
func (c StartDeployment) NameFor(s *State) string {
	return nameIfNotIn(s.Deployments, c.Deployment, deploymentName)
}

func (c StartDeployment) decide(d *decision) error {
	required, err := priceOf("hourly_price", c.HourlyPrice, c.Hours)
	if err != nil {
		return err
	}
	s := d.now()
	if _, open := d.initial.Deployments[c.Deployment]; open || d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "deployment %q exists already", c.Deployment).
			With("field", "deployment_id").With("value", c.Deployment)
	}
	if err := limit("deployments", len(s.Deployments), maxDeployments); err != nil {
		return err
	}
	if err := d.notFrozen(); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	policy := s.Policy
	d.emit(&DeploymentRequested{
		Deployment: c.Deployment, Service: c.Service, HourlyPrice: c.HourlyPrice, Hours: c.Hours,
		MinimumMinutes: policy.MinimumMinutes.Of(c.Service), Required: required, RequestedAt: d.clock,
	})
	if spendable := d.now().Spendable(); required > spendable {
		d.emit(&DeploymentPending{
			Deployment: c.Deployment, Required: required, Spendable: spendable, Shortfall: required - spendable,
			GraceEndsAt: d.clock.Add(time.Duration(policy.GraceMinutes) * time.Minute),
		})
		return nil
	}
	d.payDeployment(c.Deployment, false)
	return nil
}

// priceOf is what hours cost: hourly price x hours, rounded half-even. field is
// the caller's part in a cost that can't be.
func priceOf(field string, price domain.Rate, hours int) (domain.Amount, error) {
	if err := between("duration_hours", hours, 1, maxHours); err != nil {
		return 0, err
	}
	cost, err := price.Cost(int64(hours), 1)
	switch {
	case domain.IsCode(err, domain.CodeAmountTooLarge), err == nil && cost > domain.MaxAmount:
		refusal := domain.Refuse(domain.CodeAmountTooLarge, "hourly_price x duration_hours, %s x %d, is above the limit of %s", price, hours, domain.MaxAmount).
			With("field", field)
		if err == nil {
			refusal = refusal.With("value", cost.String())
		}
		return 0, refusal.With("limit", domain.MaxAmount.String())
	case err == nil && cost <= 0:
		why := "is not above zero"
		if price.String() != "0" {
			why = "rounds to 0, because it is half a micro-credit or less"
		}
		sent := price.String()
		if field == "duration_hours" {
			sent = strconv.Itoa(hours)
		}
		return 0, domain.Refuse(domain.CodeAmountInvalid, "hourly_price x duration_hours, %s x %d, %s", price, hours, why).
			With("field", field).With("value", sent)
	}
	return cost, err
}

// payDeployment takes the price of a deployment, which is known to fit, and
// starts it.
func (d *decision) payDeployment(id string, moreWaits bool) {
	s := d.now()
	x := s.Deployments[id]
	ends := d.clock.Add(time.Duration(x.Hours) * time.Hour)
	spent := s.Lots.spend(x.Required)
	for i, lots := range spent.lots {
		d.emit(&DeploymentPaid{
			Deployment: id, Amount: spent.amount(i), Service: x.Service, StartedAt: d.clock, EndsAt: ends,
			Lots: lots, Debt: spent.debtOf(i), Part: part(i, len(spent.lots)),
			MoreWaits: moreWaits && i == len(spent.lots)-1,
		})
	}
}

// maxSettled bounds what one decision pays of what waits: events, and the lots that they
// name. All events of a decision are one append, of which a cluster takes no more than so
// many bytes; ten thousand deployments may wait, and nothing can refuse the payment that
// covers them. See State.UnsettledSince. What waits longer than a deployment that stops is
// paid all of it (settleOlder): that is a command, and may be refused.
const maxSettled = 400

// settleWaiting pays what waits, longest waiting first; one that doesn't fit is
// passed over (money.md, Debt). Frozen accounts wait. What has come to its
// deadline is the deadline's, even if that is this instant.
func (d *decision) settleWaiting() {
	if s := d.now(); !s.Unsettled() {
		d.settle(s.Waiting)
	}
}

// settleRest is settleWaiting for what an earlier decision left, as if it hadn't.
func (d *decision) settleRest() {
	if s := d.now(); s.Unsettled() {
		d.clock = s.UnsettledSince
		d.settle(s.Waiting)
	}
}

// settleOlder is settleWaiting for what has waited longer than a deployment, all of it:
// what the deployment gets depends on that.
func (d *decision) settleOlder(id string) {
	left, waiting := d.settleLeft, d.now().Waiting
	d.settleLeft = math.MaxInt
	d.settle(waiting[:max(0, slices.Index(waiting, id))])
	d.settleLeft = left
}

// settle pays one at least, if it can, and then until settleLeft is used up.
func (d *decision) settle(waiting []string) {
	waiting = slices.Clone(waiting)
	for more := true; more; {
		s := d.now()
		next := s.payable(waiting, d.clock, s.Spendable())
		if next < 0 {
			return
		}
		id, x := waiting[next], s.Deployments[waiting[next]]
		waiting = waiting[next+1:]
		uses, _ := s.Lots.pick(x.Owed())
		d.settleLeft -= 2 + len(uses)
		cut := d.settleLeft <= 0 && s.payable(waiting, d.clock, s.Spendable()-x.Owed()) >= 0
		if more = !cut; x.State == DeploymentIsPending {
			d.payDeployment(id, cut)
		} else {
			d.resume(id, x, cut)
		}
	}
}

// Unsettled says that the last decision left some of what waits that can be paid. Whoever
// wrote it MUST send a Tick.
func (s *State) Unsettled() bool {
	return !s.UnsettledSince.IsZero() && s.payable(s.Waiting, s.UnsettledSince, s.Spendable()) >= 0
}

// payable is the first of some that wait which so much pays at an instant; below 0: none.
func (s *State) payable(waiting []string, at time.Time, spendable domain.Amount) int {
	return slices.IndexFunc(waiting, func(id string) bool {
		x := s.Deployments[id]
		return !s.Frozen && x.GraceEndsAt.After(at) && x.Owed() <= spendable
	})
}

// ExtendDeployment books more hours at the same price.
//
// Checks, in order: field-invalid (duration_hours); unknown-deployment, or
// wrong-status unless it is active; limit-exceeded (all hours of a deployment);
// amount-invalid, amount-too-large; account-frozen; insufficient-credits,
// against spendable.
type ExtendDeployment struct {
	Deployment string
	Hours      int
}

// NameFor asks about the id unless the deployment is open.
func (c ExtendDeployment) NameFor(s *State) string {
	return nameIfNotIn(s.Deployments, c.Deployment, deploymentName)
}

func (c ExtendDeployment) decide(d *decision) error {
	if err := between("duration_hours", c.Hours, 1, maxHours); err != nil {
		return err
	}
	x, err := d.runningDeployment(c.Deployment, DeploymentIsActive)
	if err != nil {
		return err
	}
	if x.Hours+c.Hours > maxTotalHours {
		return domain.Refuse(domain.CodeLimitExceeded, "deployment %q has %d hours; %d are the most", c.Deployment, x.Hours, maxTotalHours).
			With("field", "duration_hours").With("value", strconv.Itoa(c.Hours)).With("limit", strconv.Itoa(maxTotalHours))
	}
	price, err := priceOf("duration_hours", x.HourlyPrice, c.Hours)
	if err != nil {
		return err
	}
	if err := d.notFrozen(); err != nil {
		return err
	}
	spent, err := d.spend(price)
	if err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	for i, lots := range spent.lots {
		d.emit(&DeploymentExtended{
			Deployment: c.Deployment, Amount: spent.amount(i), Service: x.Service, Hours: x.Hours + c.Hours, Added: c.Hours,
			EndsAt: x.EndsAt.Add(time.Duration(c.Hours) * time.Hour),
			Lots:   lots, Debt: spent.debtOf(i), Part: part(i, len(spent.lots)),
		})
	}
	return nil
}

// openDeployment finds a deployment that has not ended, not even just now.
func (d *decision) openDeployment(id string) (Deployment, error) {
	x, open := d.now().Deployments[id]
	if open {
		return x, nil
	}
	if ended, was := d.initial.Deployments[id]; was {
		return x, d.over(ObjectDeployment, id, &ended, ": it has ended")
	}
	if d.cmd.NameTaken {
		return x, d.over(ObjectDeployment, id, nil, ": it has ended")
	}
	return x, domain.Refuse(domain.CodeUnknownDeployment, "the account has no deployment %q", id).
		With("field", "deployment_id").With("value", id)
}

func orOf(statuses []DeploymentStatus) string {
	texts := make([]string, len(statuses))
	for i, status := range statuses {
		texts[i] = string(status)
	}
	return strings.Join(texts, " or ")
}

// runningDeployment finds one in one of the given statuses.
func (d *decision) runningDeployment(id string, in ...DeploymentStatus) (Deployment, error) {
	x, err := d.openDeployment(id)
	if err == nil && !slices.Contains(in, x.State) {
		err = wrongStatus(ObjectDeployment, id, x.Status(), ", not "+orOf(in))
	}
	return x, err
}
