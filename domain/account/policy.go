package account

import (
	"cmp"
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
	// MinimumMinutes is what a deployment is charged at least, for services that
	// differ from the default. Sorted by service.
	MinimumMinutes []ServiceMinutes `json:"minimum_minutes,omitempty"`
}

// ServiceMinutes is a figure of one service.
type ServiceMinutes struct {
	Service domain.Service `json:"service"`
	Minutes int            `json:"minutes"`
}

// defaultVMMinutes: the first hour of a VM is never given back (io-credits.md).
const defaultVMMinutes = 60

// minimumMinutes is the least that a deployment of a service is charged.
func (p *Policy) minimumMinutes(service domain.Service) int {
	for _, m := range p.MinimumMinutes {
		if m.Service == service {
			return m.Minutes
		}
	}
	if service == domain.ServiceVM {
		return defaultVMMinutes
	}
	return 0
}

// purchasedExpiry is when credits bought at an instant expire; zero: never.
func (p *Policy) purchasedExpiry(at time.Time) time.Time {
	if p.PurchasedLifeMonths == 0 {
		return time.Time{}
	}
	return at.AddDate(0, p.PurchasedLifeMonths, 0)
}

// DefaultPolicy holds until an operator sets another (io-credits.md, row 7).
func DefaultPolicy() Policy {
	return Policy{
		Allowance: 10 * domain.Credit, GraceMinutes: 5, LowBalanceAt: 0,
		TwoApproversFrom: 1000 * domain.Credit,
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
// Checks, in order: amount-invalid, amount-too-large; field-invalid (the whole
// numbers, then minimum_minutes).
type SetPolicy struct {
	Allowance              *domain.Amount
	GraceMinutes           *int
	LowBalanceAt           *domain.Amount
	TwoApproversFrom       *domain.Amount
	PurchaseFeeBasisPoints *int
	PurchasedLifeMonths    *int
	// MinimumMinutes replaces the figures of the services that it names.
	MinimumMinutes []ServiceMinutes
}

func (c SetPolicy) decide(d *decision) error {
	policy := d.now().Policy
	if err := c.setAmounts(&policy); err != nil {
		return err
	}
	for _, set := range []struct {
		field string
		to    *int
		of    *int
		most  int
	}{
		{"grace_minutes", c.GraceMinutes, &policy.GraceMinutes, maxGraceMinutes},
		{"purchase_fee_basis_points", c.PurchaseFeeBasisPoints, &policy.PurchaseFeeBasisPoints, maxBasisPoints},
		{"purchased_life_months", c.PurchasedLifeMonths, &policy.PurchasedLifeMonths, maxLifeMonths},
	} {
		if set.to == nil {
			continue
		}
		if err := between(set.field, *set.to, 0, set.most); err != nil {
			return err
		}
		*set.of = *set.to
	}
	for _, m := range c.MinimumMinutes {
		if err := between("minimum_minutes", m.Minutes, 0, maxMinimumMinutes); err != nil {
			return err
		}
		policy.setMinimum(m)
	}
	// Accepted: nothing below refuses.
	d.emit(&PolicySet{Policy: policy})
	d.settleWaiting()
	return nil
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
		if err := bounded(*set.to); err != nil {
			return err
		}
		*set.of = *set.to
	}
	return nil
}

// setMinimum never changes in place what other copies of the policy refer to.
func (p *Policy) setMinimum(m ServiceMinutes) {
	all := slices.Clone(p.MinimumMinutes)
	i, found := slices.BinarySearchFunc(all, m, func(a, b ServiceMinutes) int { return cmp.Compare(a.Service, b.Service) })
	if found {
		all[i] = m
	} else {
		all = slices.Insert(all, i, m)
	}
	p.MinimumMinutes = all
}

// between checks a whole number that a person or a program chose.
func between(field string, value, least, most int) error {
	if value >= least && value <= most {
		return nil
	}
	return domain.Refuse(domain.CodeFieldInvalid, "%s %d is not between %d and %d", field, value, least, most).
		With("field", field).With("value", strconv.Itoa(value))
}
