package account

import (
	"slices"
	"time"

	"iocredits/domain"
)

// DeploymentRequested has the terms of a deployment. The events that follow it
// in its append say whether it runs or waits for credits.
type DeploymentRequested struct {
	plain
	Deployment     string         `json:"deployment"`
	Service        domain.Service `json:"service"`
	HourlyPrice    domain.Rate    `json:"hourly_price"`
	Hours          int            `json:"hours"`
	MinimumMinutes int            `json:"minimum_minutes,omitzero"`
	// Required is hourly price x hours, rounded half-even.
	Required    domain.Amount `json:"required"`
	RequestedAt time.Time     `json:"requested_at"`
}

// EventName is the stored type.
func (*DeploymentRequested) EventName() string { return "deployment-requested" }

func (e *DeploymentRequested) claim() string { return deploymentName(e.Deployment) }

func (e *DeploymentRequested) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentRequested) evolve(s *State) { fold(&s.Deployments, e.Deployment, e) }

// DeploymentPending is a deployment that is short of credits.
type DeploymentPending struct {
	plain
	Deployment  string        `json:"deployment"`
	Required    domain.Amount `json:"required"`
	Spendable   domain.Amount `json:"spendable"`
	Shortfall   domain.Amount `json:"shortfall"`
	GraceEndsAt time.Time     `json:"grace_ends_at"`
}

// EventName is the stored type.
func (*DeploymentPending) EventName() string { return "deployment-pending" }

func (e *DeploymentPending) effect() Effect {
	return Effect{Deadlines: []Deadline{{Kind: DeadlineGrace, ID: e.Deployment, At: e.GraceEndsAt}}}
}

func (e *DeploymentPending) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentPending) evolve(s *State) {
	fold(&s.Deployments, e.Deployment, e)
	s.Waiting = append(s.Waiting, e.Deployment)
}

// DeploymentPaid takes the price of the booking and starts the deployment.
type DeploymentPaid struct {
	plain
	Deployment string         `json:"deployment"`
	Amount     domain.Amount  `json:"amount"`
	Service    domain.Service `json:"service"`
	StartedAt  time.Time      `json:"started_at"`
	EndsAt     time.Time      `json:"ends_at"`
	Lots       []LotUse       `json:"lots,omitempty"`
	Debt       domain.Amount  `json:"debt,omitzero"`
	Part       Part           `json:"part,omitzero"`
	// MoreWaits, in the last part: see State.UnsettledSince.
	MoreWaits bool `json:"more_waits,omitzero"`
}

// EventName is the stored type.
func (*DeploymentPaid) EventName() string { return "deployment-paid" }

func (e *DeploymentPaid) effect() Effect {
	effect := Effect{Taken: e.Lots, SpendingDebt: e.Debt}
	if e.Part.last() {
		effect.Deadlines = append(runsUntil(e.Deployment, e.EndsAt), settleAt(e.StartedAt, e.MoreWaits))
	}
	return effect
}

func (e *DeploymentPaid) entry() Entry { return e.charge().entry(e.StartedAt) }

func (e *DeploymentPaid) parts() Part { return e.Part }

func (e *DeploymentPaid) charge() charge {
	return charge{e.Amount, e.Service, e.Deployment, e.Lots, e.Debt}
}

func (e *DeploymentPaid) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentPaid) evolve(s *State) {
	fold(&s.Deployments, e.Deployment, e)
	s.paid(e.Deployment, e.Amount, e.Lots, e.Debt, e.Part)
	if e.Part.last() {
		s.covered(e.Deployment, e.StartedAt, e.MoreWaits)
	}
}

// DeploymentExtended takes the price of more hours.
type DeploymentExtended struct {
	plain
	Deployment string         `json:"deployment"`
	Amount     domain.Amount  `json:"amount"`
	Service    domain.Service `json:"service"`
	// Hours are all that are booked now, Added those of this extension.
	Hours  int           `json:"hours"`
	Added  int           `json:"added"`
	EndsAt time.Time     `json:"ends_at"`
	Lots   []LotUse      `json:"lots,omitempty"`
	Debt   domain.Amount `json:"debt,omitzero"`
	Part   Part          `json:"part,omitzero"`
}

// EventName is the stored type.
func (*DeploymentExtended) EventName() string { return "deployment-extended" }

func (e *DeploymentExtended) effect() Effect {
	return Effect{
		Taken: e.Lots, SpendingDebt: e.Debt,
		Deadlines: []Deadline{{Kind: DeadlineDeployment, ID: e.Deployment, At: e.EndsAt}},
	}
}

func (e *DeploymentExtended) entry() Entry { return e.charge().entry(time.Time{}) }

func (e *DeploymentExtended) parts() Part { return e.Part }

func (e *DeploymentExtended) charge() charge {
	return charge{e.Amount, e.Service, e.Deployment, e.Lots, e.Debt}
}

func (e *DeploymentExtended) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentExtended) evolve(s *State) {
	fold(&s.Deployments, e.Deployment, e)
	s.paid(e.Deployment, e.Amount, e.Lots, e.Debt, e.Part)
}

// DeploymentCause is why a deployment failed.
type DeploymentCause string

// Why deployments fail.
const (
	// CauseUnpaid: the grace window of its payment ended.
	CauseUnpaid DeploymentCause = "payment-not-covered"
	// CauseUsageUnpaid: the grace window of its usage ended.
	CauseUsageUnpaid DeploymentCause = "usage-not-covered"
	// CauseProvider: the provider's fault.
	CauseProvider DeploymentCause = "provider"
)

// DeploymentEnded is the end of a deployment, whichever: its stored names differ,
// its content doesn't. What came back stands in the refunds before it.
type DeploymentEnded struct {
	plain
	// Status is not stored: the event's name says it.
	Status     DeploymentStatus `json:"-"`
	Deployment string           `json:"deployment"`
	Cause      DeploymentCause  `json:"cause,omitempty"`
	Reason     domain.Sealed    `json:"reason,omitempty"`
	// UsedMinutes ran, Used is what they cost, at least the minimum.
	UsedMinutes int           `json:"used_minutes,omitzero"`
	Used        domain.Amount `json:"used,omitzero"`
	Refunded    domain.Amount `json:"refunded,omitzero"`
	// UsageDropped is metered usage that was never covered and is not charged.
	UsageDropped domain.Amount `json:"usage_dropped,omitzero"`
	EndedAt      time.Time     `json:"ended_at"`
}

// EventName is the stored type.
func (e *DeploymentEnded) EventName() string { return "deployment-" + string(e.Status) }

func (e *DeploymentEnded) effect() Effect {
	return Effect{Deadlines: []Deadline{
		{Kind: DeadlineGrace, ID: e.Deployment}, {Kind: DeadlineDeployment, ID: e.Deployment},
	}}
}

func (e *DeploymentEnded) object() (ObjectKind, string) { return ObjectDeployment, e.Deployment }

func (e *DeploymentEnded) evolve(s *State) {
	fold(&s.Deployments, e.Deployment, e)
	delete(s.Payments, e.Deployment)
	s.waitsNoMore(e.Deployment)
}

// entry is a charge as the history shows it; at: when it counts, if not now.
func (c charge) entry(at time.Time) Entry {
	return Entry{Type: EntryDeduction, Service: c.service, Lots: c.lots, Reference: c.reference, EffectiveAt: at}
}

// runsUntil are the deadlines of a deployment that runs.
func runsUntil(id string, end time.Time) []Deadline {
	return []Deadline{{Kind: DeadlineGrace, ID: id}, {Kind: DeadlineDeployment, ID: id, At: end}}
}

// settleAt is the deadline for what else waits; there is none if nothing is left of that.
func settleAt(at time.Time, more bool) Deadline {
	if !more {
		at = time.Time{}
	}
	return Deadline{Kind: DeadlineSettle, ID: "waiting", At: at}
}

// covered notes that a deployment has what it waited for, and whether the next decision
// covers more.
func (s *State) covered(id string, at time.Time, more bool) {
	s.waitsNoMore(id)
	if s.UnsettledSince = (time.Time{}); more {
		s.UnsettledSince = at
	}
}

func (s *State) waitsNoMore(id string) {
	if i := slices.Index(s.Waiting, id); i >= 0 {
		s.Waiting = slices.Delete(s.Waiting, i, i+1)
	}
}
