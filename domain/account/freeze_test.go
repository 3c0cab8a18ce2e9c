package account_test

import (
	"testing"

	"iocredits/domain/account"
)

func TestFreeze(t *testing.T) {
	frozen := given(bought("p", 5*credit), do(account.Freeze{}))
	check(t, []row{
		{
			name:    "ends the allowance",
			given:   given(bought("p", 5*credit)),
			when:    do(account.Freeze{Reason: "sealed"}),
			then:    events(&account.Frozen{Cause: account.FreezeDesk, Reason: "sealed"}),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, spendable 5, frozen",
		},
		{name: "of a frozen account", given: frozen, when: do(account.Freeze{}), refused: "wrong-status status=frozen"},
		{
			name: "of one that a chargeback froze", given: given(bought("p", credit), spent(credit), chargedBack("p")),
			when: do(account.Freeze{}), refused: "wrong-status status=frozen",
		},
		{
			name: "ended", given: frozen,
			when:    do(account.Unfreeze{Reason: "sealed"}),
			then:    events(&account.Unfrozen{Reason: "sealed"}),
			balance: "balance 5, available 5, purchased 5, withdrawable 5, allowance 10, spendable 15",
		},
		{
			name:    "ended while a chargeback is owed",
			given:   given(bought("p", credit), spent(credit), chargedBack("p")),
			when:    do(account.Unfreeze{}),
			then:    events(&account.Unfrozen{}),
			balance: "balance -1, available -1, debt 1",
		},
		{name: "that isn't", when: do(account.Unfreeze{}), refused: "wrong-status status=active"},
		{name: "ended twice", given: append(frozen, do(account.Unfreeze{})), when: do(account.Unfreeze{}), refused: "wrong-status status=active"},
	})
}

// TestFrozen: money.md, Frozen. What goes on has its row with its feature, too.
func TestFrozen(t *testing.T) {
	frozen := given(bought("p", 9*credit), held("r", 2*credit), spent(1*credit), do(reading("m", "1", "1")), do(account.Freeze{}))
	for name, c := range map[string]struct {
		action  account.Action
		refused string
	}{
		"spending":              {account.Deduct{Amount: 1, Service: vm}, "account-frozen"},
		"holds":                 {account.Reserve{Reservation: "s", Amount: 1}, "account-frozen"},
		"a new meter":           {reading("n", "1", "1"), "account-frozen"},
		"usage of what runs":    {reading("m", "1", "1"), ""},
		"captures":              {account.Capture{Reservation: "r", Amount: 1}, ""},
		"releases":              {account.Release{Reservation: "r"}, ""},
		"refunds":               {refund(2, 1), ""},
		"payments":              {account.RecordPurchase{Purchase: "q", Amount: 1}, ""},
		"chargebacks":           {account.ReversePurchase{Purchase: "p", Kind: account.ReversalChargeback}, ""},
		"incentives":            {account.GrantIncentive{Amount: 1}, ""},
		"a change of policy":    {account.SetPolicy{Allowance: ptr(credit)}, ""},
		"asking to be adjusted": {account.RequestAdjustment{Adjustment: "a", Amount: 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t)
			for _, s := range frozen {
				if _, err := h.execute(s); err != nil {
					t.Fatal(err)
				}
			}
			got, err := h.execute(do(c.action))
			if text := refusalText(err); text != c.refused {
				t.Errorf("refused: %s, want %s", text, c.refused)
			}
			if c.refused == "" && len(got) == 0 {
				t.Error("accepted, but nothing happened")
			}
		})
	}
}
