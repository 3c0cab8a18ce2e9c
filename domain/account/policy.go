package account

import (
	"strconv"

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

// maxGraceMinutes is 30 days.
const maxGraceMinutes = 30 * 24 * 60

// SetPolicy changes what is given and keeps the rest.
//
// Checks, in order: of each amount in turn amount-invalid, amount-too-large; then
// field-invalid (grace_minutes).
type SetPolicy struct {
	Allowance        *domain.Amount
	GraceMinutes     *int
	LowBalanceAt     *domain.Amount
	TwoApproversFrom *domain.Amount
}

func (c SetPolicy) decide(d *decision) error {
	policy := d.now().Policy
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
	if c.GraceMinutes != nil {
		if *c.GraceMinutes < 0 || *c.GraceMinutes > maxGraceMinutes {
			return domain.Refuse(domain.CodeFieldInvalid, "grace_minutes %d is not between 0 and %d", *c.GraceMinutes, maxGraceMinutes).
				With("field", "grace_minutes").With("value", strconv.Itoa(*c.GraceMinutes))
		}
		policy.GraceMinutes = *c.GraceMinutes
	}
	// Accepted: nothing below refuses.
	d.emit(&PolicySet{Policy: policy})
	return nil
}
