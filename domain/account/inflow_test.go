package account_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestEveryInflowPaysWhatWaits: whatever brings credits, or gives them back, pays a
// deployment that waits in the same append (money.md, Debt; design.md rule 7).
func TestEveryInflowPaysWhatWaits(t *testing.T) {
	waits := do(deploy("d", "4", 1))
	has := func(steps ...step) []step { // without an allowance, which would pay
		return append(given(do(account.SetPolicy{Allowance: ptr(domain.Amount(0))})), steps...)
	}
	lost := do(payment("x", "unknown", 5*credit))
	w := has(bought("p", 10*credit), withdrawn("w", 8*credit), waits)
	approved := has(bought("p", 10*credit), withdrawn("w", 8*credit), okayed("w", "fin"), waits)
	for name, c := range map[string]struct {
		given []step
		when  step
	}{
		"purchase":                             {has(waits), bought("p", 5*credit)},
		"payment":                              {has(started("p", 5*credit), waits), do(payment("x", "p", 5*credit))},
		"payment above a price":                {has(started("p", credit), do(payment("x", "p", credit)), waits), do(payment("y", "p", 5*credit))},
		"credited payment":                     {has(lost, waits), do(account.ResolvePayment{Payment: "x"})},
		"assigned payment":                     {has(waits), do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 5 * credit})},
		"incentive":                            {has(waits), granted(5 * credit)},
		"grant":                                {has(askedFor("r", credit), waits), approves("bd", "r", terms(5*credit, true))},
		"adjustment":                           {has(asked(5*credit), waits), approvedBy("bob")},
		"refund":                               {has(granted(5*credit), spent(5*credit), waits), refunded(2, 5*credit)},
		"dispute":                              {has(granted(5*credit), spent(5*credit), disputed("x", 2), waits), resolved("x", account.DisputeUpheld, nil)},
		"release":                              {has(granted(5*credit), held("r", 5*credit), waits), do(account.Release{Reservation: "r"})},
		"rest of a capture":                    {has(granted(5*credit), held("r", 5*credit), waits), do(account.Capture{Reservation: "r", Amount: credit, Final: true})},
		"end of a reservation":                 {has(granted(5*credit), heldUntil(minute(2), "r", 5*credit), waits), doAt(minute(2), account.Tick{})},
		"cancelled withdrawal":                 {w, do(account.CancelWithdrawal{Withdrawal: "w"})},
		"rejected withdrawal":                  {w, turnedDown("w", "fin")},
		"failed withdrawal":                    {approved, fellThrough("w", "fin")},
		"withdrawal that a chargeback rejects": {has(bought("p", 10*credit), bought("q", 8*credit), withdrawn("w", 18*credit), waits), chargedBack("p")},
		"stopped deployment":                   {has(granted(9*credit), do(deploy("run", "3", 3)), waits), do(account.StopDeployment{Deployment: "run"})},
		"unfreezing":                           {has(waits, do(account.Freeze{}), granted(5*credit)), do(account.Unfreeze{})},
		"a larger allowance":                   {has(bought("p", credit), waits), do(account.SetPolicy{Allowance: ptr(5 * credit)})},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t)
			for _, s := range c.given {
				_, err := h.execute(s)
				require.NoError(t, err, "given %T", s.do)
			}
			require.Equal(t, account.DeploymentIsPending, h.state.Deployments["d"].State)
			_, err := h.execute(c.when)
			require.NoError(t, err)
			require.Equal(t, account.DeploymentIsActive, h.state.Deployments["d"].State)
		})
	}
}

// TestEveryInflowPaysDebt: and before that what is owed.
func TestEveryInflowPaysDebt(t *testing.T) {
	owes := func(steps ...step) []step { // 4 below zero, with 8 held where a hold is given
		return append(steps[:len(steps):len(steps)], spent(4*credit))
	}
	for name, c := range map[string]struct {
		given []step
		when  step
	}{
		"cancelled withdrawal": {owes(bought("p", 8*credit), withdrawn("w", 8*credit)), do(account.CancelWithdrawal{Withdrawal: "w"})},
		"rejected withdrawal":  {owes(bought("p", 8*credit), withdrawn("w", 8*credit)), turnedDown("w", "fin")},
		"failed withdrawal":    {owes(bought("p", 8*credit), withdrawn("w", 8*credit), okayed("w", "fin")), fellThrough("w", "fin")},
		"release":              {owes(bought("p", 8*credit), held("r", 8*credit)), do(account.Release{Reservation: "r"})},
		"rest of a capture":    {owes(bought("p", 8*credit), held("r", 8*credit)), do(account.Capture{Reservation: "r", Amount: credit, Final: true})},
		"credited payment":     {owes(bought("p", credit), spent(credit), do(payment("x", "unknown", 5*credit))), do(account.ResolvePayment{Payment: "x"})},
		"assigned payment":     {owes(bought("p", credit), spent(credit)), do(account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 5 * credit})},
		"incentive":            {owes(bought("p", credit), spent(credit)), granted(5 * credit)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t)
			for _, s := range c.given {
				_, err := h.execute(s)
				require.NoError(t, err, "given %T", s.do)
			}
			require.Equal(t, 4*credit, h.state.Debt())
			_, err := h.execute(c.when)
			require.NoError(t, err)
			require.Zero(t, h.state.Debt())
		})
	}
}

// TestAPartOfAHoldPaysDebt: where a hold of many lots runs out in parts, each part pays what
// is owed: while anything is, nothing unreserved is left (design.md rule 6).
func TestAPartOfAHoldPaysDebt(t *testing.T) {
	h := newHistory(t)
	for _, s := range given(manyLots(150), heldUntil(hour(1), "r", 150*credit), bought("p", credit), spent(5*credit)) {
		if s.facts != nil {
			h.fold(s.facts)
			continue
		}
		_, err := h.execute(s)
		require.NoError(t, err)
	}
	require.Equal(t, 4*credit, h.state.Debt())
	_, err := h.execute(doAt(hour(1), account.Tick{}))
	require.NoError(t, err)
	require.NotEmpty(t, h.state.Reservations, "it takes more than one Tick")
	require.Zero(t, h.state.Debt())
	require.Empty(t, h.state.Faults())
}
