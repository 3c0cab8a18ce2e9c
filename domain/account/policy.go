package account

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"iocredits/domain"
)

// Policy is what an operator sets for an account.
type Policy struct {
	// Allowance is how far below zero spending may go.
	Allowance domain.Amount `json:"allowance"`
	// GraceMinutes is how long a deployment that is short of credits waits.
	GraceMinutes int `json:"grace_minutes"`
	// LowBalanceAt is the line below which the customer is warned; 0: never.
	LowBalanceAt domain.Amount `json:"low_balance_at"`
	// TwoApproversFrom is the amount from which two people have to approve.
	TwoApproversFrom domain.Amount `json:"two_approvers_from"`
	// PurchaseFeeBasisPoints comes on top of a purchase: 200 is 2 %.
	PurchaseFeeBasisPoints int `json:"purchase_fee_basis_points,omitzero"`
	// PurchasedLifeMonths is how long purchased credits live; 0: for ever.
	PurchasedLifeMonths int `json:"purchased_life_months,omitzero"`
	// MinimumMinutes is what a deployment is charged at least.
	MinimumMinutes MinimumMinutes `json:"minimum_minutes,omitzero"`
}

// MinimumMinutes has a figure for each service that can be deployed. It is no
// map, so that policies and figures can be compared.
type MinimumMinutes struct {
	Ray        int `json:"ray,omitzero"`
	CaaS       int `json:"caas,omitzero"`
	VM         int `json:"vm,omitzero"`
	Kubernetes int `json:"kubernetes,omitzero"`
	Baremetal  int `json:"baremetal,omitzero"`
	Inference  int `json:"inference,omitzero"`
}

// Of is the figure of a service.
func (m MinimumMinutes) Of(service domain.Service) int { return *m.of(service) }

// of is where the figure of a service stands; a service that can't be charged for has none.
func (m *MinimumMinutes) of(service domain.Service) *int {
	switch service {
	case domain.ServiceRay:
		return &m.Ray
	case domain.ServiceCaaS:
		return &m.CaaS
	case domain.ServiceVM:
		return &m.VM
	case domain.ServiceKubernetes:
		return &m.Kubernetes
	case domain.ServiceBaremetal:
		return &m.Baremetal
	case domain.ServiceInference:
		return &m.Inference
	}
	return new(int)
}

// purchasedExpiry is when credits bought at an instant expire; zero: never.
func (p *Policy) purchasedExpiry(at time.Time) time.Time {
	if p.PurchasedLifeMonths == 0 {
		return time.Time{}
	}
	return monthsAfter(at, p.PurchasedLifeMonths)
}

// monthsAfter is the same day and time some months later, or the month's last day
// where it has no such day: what is bought on a later day never expires on an earlier one.
func monthsAfter(at time.Time, months int) time.Time {
	later := at.AddDate(0, months, 0)
	if later.Day() == at.Day() {
		return later
	}
	return later.AddDate(0, 0, -later.Day()) // it ran over into the next month by that many days
}

// DefaultPolicy is an account's for as long as no event sets another (io-credits.md,
// row 7). MUST NOT change: it is what logs without such an event mean. What an operator
// wants of new accounts is Command.Opening.
func DefaultPolicy() Policy {
	return Policy{
		Allowance: 10 * domain.Credit, GraceMinutes: 5, LowBalanceAt: 0,
		TwoApproversFrom: 1000 * domain.Credit,
		// The first hour of a VM is never given back (io-credits.md).
		MinimumMinutes: MinimumMinutes{VM: 60},
	}
}

// PolicySet is the whole policy from now on. It changes what may be spent next,
// never a debt that exists.
type PolicySet struct {
	plain
	Policy Policy `json:"policy"`
}

// EventName is the stored type.
func (*PolicySet) EventName() string { return "policy-set" }

func (e *PolicySet) figures(f *Figures) { f.Policy = e.Policy }

// open gives a new account the policy that it begins with, and tells how many events
// that took. The event is what makes it the account's own for ever: whatever engine reads
// the log later, with whatever setting, folds the same.
func (d *decision) open() int {
	if d.initial.Revision >= 0 || d.cmd.Opening == nil || *d.cmd.Opening == DefaultPolicy() {
		return 0
	}
	d.emit(&PolicySet{Policy: *d.cmd.Opening})
	return 1
}

// The bounds of a policy's figures: 30 days, 100 %, 10 years, one year.
const (
	maxGraceMinutes   = 30 * 24 * 60
	maxBasisPoints    = 10_000
	maxLifeMonths     = 120
	maxMinimumMinutes = maxHours * 60
)

// SetPolicy changes what is given and keeps the rest. More allowance may pay
// what waits, so that is tried in the same append.
//
// Checks, in order: field-invalid (nothing is set); of each amount in turn
// amount-invalid, amount-too-large; role-not-allowed (TwoApproversFrom); then
// field-invalid (the whole numbers, then minimum_minutes).
type SetPolicy struct {
	Allowance              *domain.Amount
	GraceMinutes           *int
	LowBalanceAt           *domain.Amount
	TwoApproversFrom       *domain.Amount
	PurchaseFeeBasisPoints *int
	PurchasedLifeMonths    *int
	// MinimumMinutes replaces the figures of the services that it names.
	MinimumMinutes map[domain.Service]int
	// Approver, if set, is the role of somebody who approves, and so may not change
	// TwoApproversFrom: that would make two approvers one.
	Approver string
}

func (c SetPolicy) decide(d *decision) error {
	if c.setsNothing() {
		return domain.Refuse(domain.CodeFieldInvalid, "nothing is set: give allowance, grace_minutes, low_balance_at, two_approvers_from, "+
			"purchase_fee_basis_points, purchased_life_months or minimum_minutes").With("field", "allowance")
	}
	policy, err := d.now().Policy.With(c)
	if err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.emit(&PolicySet{Policy: policy})
	d.settleWaiting()
	return nil
}

func (c SetPolicy) setsNothing() bool {
	return c.Allowance == nil && c.GraceMinutes == nil && c.LowBalanceAt == nil && c.TwoApproversFrom == nil &&
		c.PurchaseFeeBasisPoints == nil && c.PurchasedLifeMonths == nil && len(c.MinimumMinutes) == 0
}

// With is the policy as a command changes it. Refusals: those of SetPolicy.
func (p Policy) With(c SetPolicy) (Policy, error) {
	twoBefore := p.TwoApproversFrom
	if err := c.setAmounts(&p); err != nil {
		return Policy{}, err
	}
	if c.Approver != "" && p.TwoApproversFrom != twoBefore {
		return Policy{}, domain.Refuse(domain.CodeRoleNotAllowed, "role %s may not change two_approvers_from", c.Approver).
			With("field", "two_approvers_from").With("value", p.TwoApproversFrom.String()).With("role", c.Approver)
	}
	for _, set := range []struct {
		field string
		to    *int
		of    *int
		most  int
	}{
		{"grace_minutes", c.GraceMinutes, &p.GraceMinutes, maxGraceMinutes},
		{"purchase_fee_basis_points", c.PurchaseFeeBasisPoints, &p.PurchaseFeeBasisPoints, maxBasisPoints},
		{"purchased_life_months", c.PurchasedLifeMonths, &p.PurchasedLifeMonths, maxLifeMonths},
	} {
		if set.to == nil {
			continue
		}
		if err := between(set.field, *set.to, 0, set.most); err != nil {
			return Policy{}, err
		}
		*set.of = *set.to
	}
	// In the order of their names: a map's own order must not choose the refusal.
	for _, service := range slices.Sorted(maps.Keys(c.MinimumMinutes)) {
		minutes := c.MinimumMinutes[service]
		if err := between("minimum_minutes", minutes, 0, maxMinimumMinutes); err != nil {
			return Policy{}, err
		}
		*p.MinimumMinutes.of(service) = minutes
	}
	return p, nil
}

func (c SetPolicy) setAmounts(policy *Policy) error {
	for _, set := range []struct {
		field string
		to    *domain.Amount
		of    *domain.Amount
	}{
		{"allowance", c.Allowance, &policy.Allowance},
		{"low_balance_at", c.LowBalanceAt, &policy.LowBalanceAt},
		{"two_approvers_from", c.TwoApproversFrom, &policy.TwoApproversFrom},
	} {
		if set.to == nil {
			continue
		}
		if *set.to < 0 {
			return domain.Refuse(domain.CodeAmountInvalid, "%s %s is below zero", set.field, *set.to).
				With("field", set.field).With("value", set.to.String())
		}
		if err := boundedField(set.field, *set.to); err != nil {
			return err
		}
		*set.of = *set.to
	}
	return nil
}

// between checks a whole number that a person or a program chose.
func between(field string, value, least, most int) error {
	if value >= least && value <= most {
		return nil
	}
	return domain.Refuse(domain.CodeFieldInvalid, "%s %d is not between %d and %d", field, value, least, most).
		With("field", field).With("value", strconv.Itoa(value))
}
