package account

import (
	"slices"
	"time"

	"iocredits/domain"
)

// DeploymentStatus is where a deployment stands, as api.md names it.
type DeploymentStatus string

// What becomes of a deployment. It is requested only within the append that
// says how it goes on.
const (
	DeploymentIsRequested DeploymentStatus = "requested"
	DeploymentIsPending   DeploymentStatus = "pending-payment"
	DeploymentIsActive    DeploymentStatus = "active"
	DeploymentIsPaused    DeploymentStatus = "paused"
	DeploymentIsCompleted DeploymentStatus = "completed"
	DeploymentIsStopped   DeploymentStatus = "stopped"
	DeploymentIsCancelled DeploymentStatus = "cancelled"
	DeploymentIsFailed    DeploymentStatus = "failed"
)

// Deployment is something that runs and is paid with credits: booked hours up
// front, and what it uses on top as it runs. The state keeps the open ones.
type Deployment struct {
	State       DeploymentStatus `json:"status"`
	Service     domain.Service   `json:"service"`
	HourlyPrice domain.Rate      `json:"hourly_price"`
	// Hours are all booked ones, extensions too.
	Hours int `json:"hours"`
	// MinimumMinutes is what it is charged at least, fixed at the start.
	MinimumMinutes int `json:"minimum_minutes,omitzero"`

	// Required is the price of the first booking; Paid what all bookings cost.
	Required domain.Amount `json:"required"`
	Paid     domain.Amount `json:"paid,omitzero"`
	// Used is what it was charged of Paid when it ended, for UsedMinutes, and
	// Refunded what came back.
	Used        domain.Amount `json:"used,omitzero"`
	UsedMinutes int           `json:"used_minutes,omitzero"`
	Refunded    domain.Amount `json:"refunded,omitzero"`

	// Usage is what was charged on top of Paid, UsageOpen what is not covered
	// yet, UsageDropped what never was. Meter is the exact position of readings.
	Usage        domain.Amount  `json:"usage,omitzero"`
	UsageOpen    domain.Amount  `json:"usage_open,omitzero"`
	UsageDropped domain.Amount  `json:"usage_dropped,omitzero"`
	Meter        domain.Accrual `json:"meter,omitzero"`

	// Shortfall is what was missing when it began to wait, until GraceEndsAt.
	Shortfall   domain.Amount `json:"shortfall,omitzero"`
	GraceEndsAt time.Time     `json:"grace_ends_at,omitzero"`

	RequestedAt time.Time `json:"requested_at"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	// CountsFrom is StartedAt moved by all pauses: time used is counted from it.
	CountsFrom time.Time       `json:"counts_from,omitzero"`
	EndsAt     time.Time       `json:"ends_at,omitzero"`
	PausedAt   time.Time       `json:"paused_at,omitzero"`
	EndedAt    time.Time       `json:"ended_at,omitzero"`
	Cause      DeploymentCause `json:"cause,omitempty"`
	Reason     domain.Sealed   `json:"reason,omitempty"`
}

// Apply implements Object.
func (x *Deployment) Apply(event domain.Event) {
	switch e := event.(type) {
	case *DeploymentRequested:
		*x = Deployment{
			State: DeploymentIsRequested, Service: e.Service, HourlyPrice: e.HourlyPrice, Hours: e.Hours,
			MinimumMinutes: e.MinimumMinutes, Required: e.Required, RequestedAt: e.RequestedAt,
		}
	case *DeploymentPending:
		x.State = DeploymentIsPending
		x.Shortfall, x.GraceEndsAt = e.Shortfall, e.GraceEndsAt
	case *DeploymentPaid:
		x.Paid += e.Amount
		if e.Part.last() {
			x.run()
			x.StartedAt, x.CountsFrom, x.EndsAt = e.StartedAt, e.StartedAt, e.EndsAt
		}
	case *DeploymentExtended:
		x.Paid += e.Amount
		x.Hours, x.EndsAt = e.Hours, e.EndsAt
	case *DeploymentUsed:
		x.use(e)
	case *DeploymentUsageOpened:
		x.open(e)
	case *DeploymentPaused:
		x.State, x.PausedAt = DeploymentIsPaused, e.PausedAt
		x.Shortfall, x.GraceEndsAt = e.Shortfall, e.GraceEndsAt
	case *DeploymentResumed:
		x.CountsFrom = x.CountsFrom.Add(e.ResumedAt.Sub(x.PausedAt))
		x.EndsAt = e.EndsAt
		x.run()
	case *DeploymentEnded:
		x.end(e)
	}
}

func (x *Deployment) run() {
	x.State, x.Shortfall = DeploymentIsActive, 0
	x.GraceEndsAt, x.PausedAt = time.Time{}, time.Time{}
}

func (x *Deployment) use(e *DeploymentUsed) {
	x.Usage += e.Amount
	if e.WasOpen {
		x.UsageOpen -= e.Amount
	}
	if e.Accrued != nil {
		x.Meter = *e.Accrued
	}
}

func (x *Deployment) open(e *DeploymentUsageOpened) {
	x.UsageOpen, x.Shortfall = e.Open, e.Shortfall
	if e.Accrued != nil {
		x.Meter = *e.Accrued
	}
}

func (x *Deployment) end(e *DeploymentEnded) {
	x.State, x.EndedAt, x.Cause, x.Reason = e.Status, e.EndedAt, e.Cause, e.Reason
	x.Used, x.UsedMinutes, x.Refunded = e.Used, e.UsedMinutes, e.Refunded
	x.UsageOpen, x.UsageDropped, x.Shortfall = 0, e.UsageDropped, 0
	x.GraceEndsAt = time.Time{}
}

// Status implements Object.
func (x *Deployment) Status() string { return string(x.State) }

// Open implements Object.
func (x *Deployment) Open() bool {
	switch x.State {
	case DeploymentIsRequested, DeploymentIsPending, DeploymentIsActive, DeploymentIsPaused:
		return true
	}
	return false
}

// Owed is what a deployment waits for: all of it has to be there at once.
func (x *Deployment) Owed() domain.Amount {
	if x.State == DeploymentIsPending {
		return x.Required
	}
	return x.UsageOpen
}

// prepaid is what open deployments were paid, and may give back.
func (s *State) prepaid() (amount domain.Amount) {
	for _, x := range s.Deployments {
		amount += x.Paid
	}
	return amount
}

// minutesUsed is the engine's count at an instant: started minutes, without
// pauses, and never more than were booked.
func (x *Deployment) minutesUsed(at time.Time) int {
	if x.State == DeploymentIsPaused {
		at = x.PausedAt
	}
	ran := at.Sub(x.CountsFrom)
	minutes := int((ran + time.Minute - 1) / time.Minute)
	return min(max(0, minutes), x.Hours*60)
}

// costOf is the price of minutes, never above what was paid.
func (x *Deployment) costOf(minutes int) domain.Amount {
	cost, err := x.HourlyPrice.Cost(int64(minutes), 60)
	if err != nil {
		return x.Paid
	}
	return min(cost, x.Paid)
}

func deploymentName(id string) string { return "deployment/" + id }

// DeploymentPayment is one booking's payment of an open deployment.
type DeploymentPayment struct {
	// Revision is the transaction's place: its first part's.
	Revision int64
	Amount   domain.Amount
	// Lots are those that it was paid from, without what Returned to them.
	Lots     []LotUse
	Debt     domain.Amount
	Returned domain.Amount `json:",omitzero"`
}

// paid adds a part of a payment to an open deployment's. Evolve never refuses, so
// a later part without its first, which no decision makes, stands for itself.
func (s *State) paid(id string, amount domain.Amount, lots []LotUse, debt domain.Amount, part Part) {
	payments := s.Payments[id]
	if part.first() || len(payments) == 0 {
		put(&s.Payments, id, with(payments, DeploymentPayment{Revision: s.Revision, Amount: amount, Lots: lots, Debt: debt}))
		return
	}
	last := payments[len(payments)-1]
	last.Amount += amount
	last.Debt += debt
	last.Lots = append(last.Lots[:len(last.Lots):len(last.Lots)], lots...)
	s.Payments[id] = with(payments[:len(payments)-1], last)
}

// returned folds in what came back of a payment before its deployment has ended.
func (s *State) returned(e *Refunded) {
	payments := slices.Clone(s.Payments[e.Reference])
	for i := range payments {
		if p := &payments[i]; p.Revision == e.Revision {
			p.Lots = without(p.Lots, e.Lots)
			p.Returned += sum(e.Lots)
			s.Payments[e.Reference] = payments
		}
	}
}
