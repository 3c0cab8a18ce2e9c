package account_test

import (
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

func TestGrantIncentive(t *testing.T) {
	check(t, []row{
		{
			name:    "is promotional: never withdrawable, no allowance",
			when:    do(account.GrantIncentive{Amount: 5 * credit, Campaign: "spring", ExpiresAt: hour(9)}),
			then:    events(&account.IncentiveGranted{Amount: 5 * credit, Campaign: "spring", ExpiresAt: hour(9)}),
			balance: "balance 5, available 5, promotional 5, spendable 5",
		},
		{
			name:  "pays debt first",
			given: given(bought("p", credit), spent(4*credit)),
			when:  granted(5 * credit),
			then: events(&account.IncentiveGranted{Amount: 5 * credit},
				&account.DebtRepaid{Debt: account.DebtSpending, Lots: lots(promo(2, 3*credit))}),
			balance: "balance 2, available 2, promotional 2, allowance 10, spendable 12",
		},
		{
			name:    "is not withdrawable instead of what is held",
			given:   given(bought("p", 5*credit), held("r", 5*credit)),
			when:    granted(5 * credit),
			then:    events(&account.IncentiveGranted{Amount: 5 * credit}),
			balance: "balance 10, available 5, reserved 5, promotional 5, purchased 5, allowance 10, spendable 15",
		},
		{
			name:    "to a frozen account",
			given:   given(do(account.Freeze{})),
			when:    granted(credit),
			then:    events(&account.IncentiveGranted{Amount: credit}),
			balance: "balance 1, available 1, promotional 1, spendable 1, frozen",
		},
		{
			name:  "to the limit of an account",
			given: given(facts(&account.IncentiveGranted{Amount: domain.MaxBalance - credit})),
			when:  granted(credit),
			then:  events(&account.IncentiveGranted{Amount: credit}),
		},
		{
			name:  "the last lot there is room for",
			given: given(manyLots(9_999)),
			when:  granted(credit),
			then:  events(&account.IncentiveGranted{Amount: credit}),
		},
	})
}

// TestGrantOrderOfChecks: each row breaks a check and every later one.
func TestGrantOrderOfChecks(t *testing.T) {
	full := given(manyLots(10_000), facts(&account.IncentiveGranted{Amount: domain.MaxBalance - 10_000*credit}))
	check(t, []row{
		{name: "zero", given: full, when: grantedUntil(hour(0), 0), refused: "amount-invalid field=amount value=0"},
		{
			name: "too large", given: full, when: grantedUntil(hour(0), domain.MaxAmount+1),
			refused: "amount-too-large field=amount value=1000000000.000001 limit=1000000000",
		},
		{
			name: "too large for the account", given: full, when: grantedUntil(hour(0), 1),
			refused: "amount-too-large field=amount value=0.000001 limit=1000000000000",
		},
		{
			name: "time", given: given(manyLots(10_000)), when: grantedUntil(hour(0), 1),
			refused: "time-invalid field=expires_at value=2026-03-01T00:00:00Z",
		},
		{name: "lots", given: given(manyLots(10_000)), when: granted(1), refused: "limit-exceeded limit=10000"},
	})
}
