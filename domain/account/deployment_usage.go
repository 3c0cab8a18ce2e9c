package account

import (
	"time"

	"iocredits/domain"
)

// DeploymentUsed charges usage on top of what was booked.
type DeploymentUsed struct {
	plain
	Deployment string           `json:"deployment"`
	Service    domain.Service   `json:"service"`
	Quantity   *domain.Quantity `json:"quantity,omitempty"`
	UnitPrice  *domain.Rate     `json:"unit_price,omitempty"`
	Amount     domain.Amount    `json:"amount"`
	// Accrued is the exact position of the readings, if this was one.
	Accrued *domain.Accrual `json:"accrued,omitempty"`
	// WasOpen: it charges what waited to be covered.
	WasOpen     bool          `json:"was_open,omitzero"`
	EffectiveAt time.Time     `json:"effective_at,omitzero"`
	Lots        []LotUse      `json:"lots,omitempty"`
	Debt        domain.Amount `json:"debt,omitzero"`
	Part        Part          `json:"part,omitzero"`
}

// EventName is the stored type.
func (*DeploymentUsed) EventName() string { return "deployment-usage-charged" }

func (e *DeploymentUsed) effect() Effect { return Effect{Taken: e.Lots, SpendingDebt: e.Debt} }

func (e *DeploymentUsed) entry() Entry { return e.charge().entry(e.EffectiveAt) }

func (e *DeploymentUsed) parts() Part { return e.Part }

func (e *DeploymentUsed) charge() charge {
	return charge{e.Amount, e.Service, e.Deployment, e.Lots, e.Debt}
}

func (e *DeploymentUsed) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentUsed) evolve(s *State) { fold(&s.Deployments, e.Deployment, e) }

// DeploymentUsageOpened is usage that the account can't cover: wholly open
// (money.md, Deployments).
type DeploymentUsageOpened struct {
	plain
	Deployment string           `json:"deployment"`
	Quantity   *domain.Quantity `json:"quantity,omitempty"`
	UnitPrice  *domain.Rate     `json:"unit_price,omitempty"`
	Amount     domain.Amount    `json:"amount"`
	Accrued    *domain.Accrual  `json:"accrued,omitempty"`
	// Open is all that is open now.
	Open      domain.Amount `json:"open"`
	Spendable domain.Amount `json:"spendable"`
	Shortfall domain.Amount `json:"shortfall"`
}

// EventName is the stored type.
func (*DeploymentUsageOpened) EventName() string { return "deployment-usage-opened" }

func (e *DeploymentUsageOpened) object() (ObjectKind, string) {
	return ObjectDeployment, e.Deployment
}

func (e *DeploymentUsageOpened) evolve(s *State) { fold(&s.Deployments, e.Deployment, e) }

// DeploymentPaused stops a deployment whose usage is open.
type DeploymentPaused struct {
	plain
	Deployment  string        `json:"deployment"`
	Open        domain.Amount `json:"open"`
	Shortfall   domain.Amount `json:"shortfall"`
	PausedAt    time.Time     `json:"paused_at"`
	GraceEndsAt time.Time     `json:"grace_ends_at"`
}

// EventName is the stored type.
func (*DeploymentPaused) EventName() string { return "deployment-paused" }

func (e *DeploymentPaused) effect() Effect {
	return Effect{Deadlines: []Deadline{
		{Kind: DeadlineDeployment, ID: e.Deployment},
		{Kind: DeadlineGrace, ID: e.Deployment, At: e.GraceEndsAt},
	}}
}

func (e *DeploymentPaused) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentPaused) evolve(s *State) {
	fold(&s.Deployments, e.Deployment, e)
	s.Waiting = append(s.Waiting, e.Deployment)
}

// DeploymentResumed goes on after a pause, which moved the end.
type DeploymentResumed struct {
	plain
	Deployment string `json:"deployment"`
	// Charged is the usage that was open.
	Charged   domain.Amount `json:"charged"`
	ResumedAt time.Time     `json:"resumed_at"`
	EndsAt    time.Time     `json:"ends_at"`
	// MoreWaits: see State.UnsettledSince.
	MoreWaits bool `json:"more_waits,omitzero"`
}

// EventName is the stored type.
func (*DeploymentResumed) EventName() string { return "deployment-resumed" }

func (e *DeploymentResumed) effect() Effect {
	return Effect{Deadlines: append(runsUntil(e.Deployment, e.EndsAt), settleAt(e.ResumedAt, e.MoreWaits))}
}

func (e *DeploymentResumed) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentResumed) evolve(s *State) {
	fold(&s.Deployments, e.Deployment, e)
	s.covered(e.Deployment, e.ResumedAt, e.MoreWaits)
}

// RecordUsage charges usage on top of what was booked: an amount, or a quantity
// at a unit price, of which the rounded total grows without drift. What doesn't
// fit is wholly open and pauses the deployment. Frozen accounts are charged too:
// what runs goes on.
//
// Checks, in order: amount-invalid, amount-too-large (an amount); time-invalid
// (EffectiveAt in the future); unknown-deployment, or wrong-status if it has ended or
// was never paid; amount-too-large (a reading, or what is open).
type RecordUsage struct {
	Deployment string
	// Amount, unless Metered.
	Amount domain.Amount
	// Metered: Quantity at UnitPrice.
	Metered   bool
	Quantity  domain.Quantity
	UnitPrice domain.Rate
	// EffectiveAt is when the usage was, if not now. Of what doesn't fit, the pause counts.
	EffectiveAt time.Time
}

// NameFor asks about the id unless the deployment is open.
func (c RecordUsage) NameFor(s *State) string {
	return nameIfNotIn(s.Deployments, c.Deployment, deploymentName)
}

func (c RecordUsage) decide(d *decision) error {
	if !c.Metered {
		if err := positive(c.Amount); err != nil {
			return err
		}
	}
	if err := d.notFuture("effective_at", c.EffectiveAt); err != nil {
		return err
	}
	x, err := d.runningDeployment(c.Deployment, DeploymentIsActive, DeploymentIsPaused)
	if err != nil {
		return err
	}
	event := DeploymentUsed{Deployment: c.Deployment, Service: x.Service, Amount: c.Amount, EffectiveAt: c.EffectiveAt}
	if c.Metered {
		accrued, amount, err := x.Meter.Add(c.UnitPrice, c.Quantity)
		if err != nil {
			return err
		}
		event.Amount, event.Accrued, event.Quantity, event.UnitPrice = amount, &accrued, &c.Quantity, &c.UnitPrice
	}
	if x.UsageOpen+event.Amount > domain.MaxBalance {
		field, sent := "amount", c.Amount.String()
		if c.Metered {
			field, sent = "quantity", c.Quantity.String()
		}
		return domain.Refuse(domain.CodeAmountTooLarge, "more than %s of usage would be open", domain.MaxBalance).
			With("field", field).With("value", sent).With("limit", domain.MaxBalance.String())
	}
	// Accepted: nothing below refuses.
	if x.State == DeploymentIsActive && event.Amount <= d.now().Spendable() {
		d.chargeUsage(event)
		return nil
	}
	d.openUsage(x, event)
	return nil
}

// chargeUsage takes usage that is known to fit.
func (d *decision) chargeUsage(event DeploymentUsed) {
	spent := d.now().Lots.spend(event.Amount)
	for i, lots := range spent.lots {
		e := event
		e.Amount, e.Lots, e.Debt, e.Part = spent.amount(i), lots, spent.debtOf(i), part(i, len(spent.lots))
		if i > 0 {
			e.Quantity, e.UnitPrice, e.Accrued = nil, nil, nil
		}
		d.emit(&e)
	}
}

// openUsage notes usage that doesn't fit. A grace window that runs is not moved.
func (d *decision) openUsage(x Deployment, event DeploymentUsed) {
	s := d.now()
	open, spendable := x.UsageOpen+event.Amount, s.Spendable()
	shortfall := max(0, open-spendable) // none where a frozen account has enough
	grace := d.clock.Add(time.Duration(s.Policy.GraceMinutes) * time.Minute)
	d.emit(&DeploymentUsageOpened{
		Deployment: event.Deployment, Quantity: event.Quantity, UnitPrice: event.UnitPrice,
		Amount: event.Amount, Accrued: event.Accrued, Open: open, Spendable: spendable, Shortfall: shortfall,
	})
	if x.State == DeploymentIsActive {
		d.emit(&DeploymentPaused{
			Deployment: event.Deployment, Open: open, Shortfall: shortfall,
			PausedAt: d.clock, GraceEndsAt: grace,
		})
	}
}

// chargeOpen takes what a paused deployment owes, which is known to fit.
func (d *decision) chargeOpen(id string, x Deployment) {
	d.chargeUsage(DeploymentUsed{
		Deployment: id, Service: x.Service, Amount: x.UsageOpen, WasOpen: true, EffectiveAt: x.PausedAt,
	})
}

func (d *decision) resume(id string, x Deployment, moreWaits bool) {
	d.chargeOpen(id, x)
	d.emit(&DeploymentResumed{
		Deployment: id, Charged: x.UsageOpen, ResumedAt: d.clock, EndsAt: x.EndsAt.Add(d.clock.Sub(x.PausedAt)),
		MoreWaits: moreWaits,
	})
}
