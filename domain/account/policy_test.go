package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

func TestSetPolicy(t *testing.T) {
	changed := func(change func(*account.Policy)) []domain.Event {
		p := account.Policy{Allowance: 10 * credit, GraceMinutes: 5, TwoApproversFrom: 1000 * credit, MinimumMinutes: account.MinimumMinutes{VM: 60}}
		change(&p)
		return events(&account.PolicySet{Policy: p})
	}
	check(t, []row{
		{name: "nothing is no change", when: do(account.SetPolicy{}), refused: "field-invalid field=allowance"},
		{
			name: "what is not set keeps the defaults of the business", when: do(account.SetPolicy{Allowance: ptr(10 * credit)}),
			then: changed(func(*account.Policy) {}),
		},
		{
			name:  "one thing keeps the rest",
			given: given(do(account.SetPolicy{LowBalanceAt: ptr(7 * credit)})),
			when:  do(account.SetPolicy{GraceMinutes: ptr(9)}),
			then:  changed(func(p *account.Policy) { p.LowBalanceAt, p.GraceMinutes = 7*credit, 9 }),
		},
		{
			name: "everything",
			when: do(account.SetPolicy{Allowance: ptr(1 * credit), GraceMinutes: ptr(2), LowBalanceAt: ptr(3 * credit), TwoApproversFrom: ptr(4 * credit)}),
			then: events(&account.PolicySet{Policy: account.Policy{Allowance: 1 * credit, GraceMinutes: 2, LowBalanceAt: 3 * credit, TwoApproversFrom: 4 * credit, MinimumMinutes: account.MinimumMinutes{VM: 60}}}),
		},
		{
			name:    "who approves doesn't say from when it takes two",
			when:    do(account.SetPolicy{GraceMinutes: ptr(2), TwoApproversFrom: ptr(1000*credit + 1), Approver: "finance"}),
			refused: "role-not-allowed field=two_approvers_from value=1000.000001 role=finance",
		},
		{
			name:  "who approves may say what holds already",
			given: given(do(account.SetPolicy{TwoApproversFrom: ptr(7 * credit)})),
			when:  do(account.SetPolicy{GraceMinutes: ptr(2), TwoApproversFrom: ptr(7 * credit), Approver: "finance"}),
			then:  changed(func(p *account.Policy) { p.GraceMinutes, p.TwoApproversFrom = 2, 7*credit }),
		},
		{
			name: "to zero, and to the most",
			when: do(account.SetPolicy{Allowance: ptr(0 * credit), GraceMinutes: ptr(43_200), LowBalanceAt: ptr(domain.MaxAmount), TwoApproversFrom: ptr(0 * credit)}),
			then: events(&account.PolicySet{Policy: account.Policy{GraceMinutes: 43_200, LowBalanceAt: domain.MaxAmount, MinimumMinutes: account.MinimumMinutes{VM: 60}}}),
		},
		{
			name:    "a larger allowance may be spent at once",
			given:   given(bought("p", 5*credit), spent(12*credit)),
			when:    do(account.SetPolicy{Allowance: ptr(20 * credit)}),
			then:    changed(func(p *account.Policy) { p.Allowance = 20 * credit }),
			balance: "balance -7, available -7, debt 7, allowance 20, spendable 13",
		},
		{
			name:    "a smaller one changes no debt that exists",
			given:   given(bought("p", 5*credit), spent(12*credit)),
			when:    do(account.SetPolicy{Allowance: ptr(2 * credit)}),
			then:    changed(func(p *account.Policy) { p.Allowance = 2 * credit }),
			balance: "balance -7, available -7, debt 7, allowance 2",
		},
		{
			name:    "is no allowance for who has never paid",
			when:    do(account.SetPolicy{Allowance: ptr(20 * credit)}),
			then:    changed(func(p *account.Policy) { p.Allowance = 20 * credit }),
			balance: "nothing",
		},
	})
}

func TestSetPolicyOrderOfChecks(t *testing.T) {
	const minus = -1 * domain.Micro
	grace := func(p account.SetPolicy, minutes int) step { p.GraceMinutes = &minutes; return do(p) }
	check(t, []row{
		{name: "allowance below zero", when: grace(account.SetPolicy{Allowance: ptr(minus)}, -1), refused: "amount-invalid field=allowance value=-0.000001"},
		{name: "low_balance_at below zero", when: grace(account.SetPolicy{LowBalanceAt: ptr(minus)}, -1), refused: "amount-invalid field=low_balance_at value=-0.000001"},
		{name: "two_approvers_from below zero", when: grace(account.SetPolicy{TwoApproversFrom: ptr(minus)}, -1), refused: "amount-invalid field=two_approvers_from value=-0.000001"},
		{
			name: "too large names its field", when: grace(account.SetPolicy{LowBalanceAt: ptr(domain.MaxAmount + 1)}, -1),
			refused: "amount-too-large field=low_balance_at value=1000000000.000001 limit=1000000000",
		},
		{
			name: "each amount in turn", when: grace(account.SetPolicy{Allowance: ptr(domain.MaxAmount + 1), LowBalanceAt: ptr(minus)}, -1),
			refused: "amount-too-large field=allowance value=1000000000.000001 limit=1000000000",
		},
		{
			name: "the role before the whole numbers", when: grace(account.SetPolicy{TwoApproversFrom: ptr(credit), Approver: "finance"}, -1),
			refused: "role-not-allowed field=two_approvers_from value=1 role=finance",
		},
		{name: "grace below zero", when: grace(account.SetPolicy{}, -1), refused: "field-invalid field=grace_minutes value=-1"},
		{name: "grace above 30 days", when: grace(account.SetPolicy{}, 43_201), refused: "field-invalid field=grace_minutes value=43201"},
	})
}
