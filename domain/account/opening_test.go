package account_test

import (
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// opening is a policy that differs from the default in every figure.
var opening = account.Policy{
	Allowance: 3 * credit, GraceMinutes: 30, LowBalanceAt: 2 * credit, TwoApproversFrom: 40 * credit,
	PurchaseFeeBasisPoints: 200, PurchasedLifeMonths: 12,
	MinimumMinutes: account.MinimumMinutes{Ray: 5, VM: 120, Baremetal: 1},
}

// maybeOpen lets half of the runs begin with a policy, as far as the model knows one.
func (r *run) maybeOpen() {
	if r.pick(2, "opening") == 0 {
		return
	}
	p := opening
	p.PurchasedLifeMonths, p.MinimumMinutes = 0, account.DefaultPolicy().MinimumMinutes
	r.h.opening = &p
	r.n.allowance, r.n.twoApproversAt, r.n.grace = p.Allowance, p.TwoApproversFrom, time.Duration(p.GraceMinutes)*time.Minute
}

// opensAlike: a new account with a policy of its own is decided as one that got it by an
// event before, and that event comes first; one with a past isn't touched by it.
func (h *history) opensAlike(cmd account.Command, events []domain.Event, err error) {
	h.t.Helper()
	if cmd.Opening != nil {
		return // decided so already
	}
	cmd.Opening = &opening
	if h.state.Revision >= 0 {
		h.sameAgain("with a policy of new accounts", h.state, cmd, events, err)
		return
	}
	opened, set := account.New(), &account.PolicySet{Policy: opening}
	account.Evolve(opened, set)
	after := cmd
	after.Opening = nil
	want, err := account.Decide(opened, after)
	if len(want) > 0 {
		want = append([]domain.Event{set}, want...)
	}
	h.sameAgain("as the first of an account with a policy", h.state, cmd, want, err)
}

func TestOpening(t *testing.T) {
	first := &account.PolicySet{Policy: opening}
	plain := account.DefaultPolicy()
	for _, c := range []struct {
		name    string
		opening *account.Policy
		do      account.Action
		want    []domain.Event
		refused string
	}{
		{name: "comes before what the command does", opening: &opening, do: account.GrantIncentive{Amount: credit},
			want: events(first, &account.IncentiveGranted{Amount: credit})},
		{name: "isn't written where it is the default", opening: &plain, do: account.Freeze{}, want: events(&account.Frozen{Cause: account.FreezeDesk})},
		{name: "isn't written where there is none", do: account.Freeze{}, want: events(&account.Frozen{Cause: account.FreezeDesk})},
		{name: "isn't written of a refusal", opening: &opening, do: account.Deduct{Amount: credit, Service: vm},
			refused: "insufficient-credits available=0 allowance=0 spendable=0 required=1 shortfall=1"},
		{name: "isn't written of a Tick", opening: &opening, do: account.Tick{}},
		{name: "isn't written of a question", opening: &opening, do: account.RequireNewPayment{Payment: "x"}},
		{name: "may be zero in all", opening: &account.Policy{}, do: account.Freeze{},
			want: events(&account.PolicySet{}, &account.Frozen{Cause: account.FreezeDesk})},
		{name: "is what the first change changes", opening: &opening, do: account.SetPolicy{GraceMinutes: ptr(7)},
			want: events(first, &account.PolicySet{Policy: func() account.Policy { p := opening; p.GraceMinutes = 7; return p }()})},
		{name: "may be confirmed by who approves", opening: &opening, do: account.SetPolicy{TwoApproversFrom: ptr(40 * credit), Approver: "finance"},
			want: events(first, first)},
		{name: "is the line that who approves may not move", opening: &opening, do: account.SetPolicy{TwoApproversFrom: ptr(1000 * credit), Approver: "finance"},
			refused: "role-not-allowed field=two_approvers_from value=1000 role=finance"},
		{name: "makes the fee of the first purchase", opening: &opening, do: account.StartPurchase{Purchase: "p", Amount: 50 * credit},
			want: events(first, &account.PurchaseStarted{Purchase: "p", Amount: 50 * credit, Fee: credit, ToPay: 51 * credit, StartedAt: hour(0), ExpiresAt: minute(20)})},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(t)
			h.opening = c.opening
			got, err := h.execute(do(c.do))
			if text := refusalText(err); text != c.refused {
				t.Fatalf("refused: %s\n   want: %s", text, c.refused)
			}
			if want, have := eventsText(t, c.want), eventsText(t, got); have != want {
				t.Errorf("events:\n%s\nwant:\n%s", have, want)
			}
			if before := h.state.Revision; before >= 0 {
				if _, err := h.execute(do(account.Unfreeze{})); err == nil && h.state.Revision != before+1 {
					t.Errorf("the second command wrote revisions %d to %d", before+1, h.state.Revision)
				}
			}
			h.replay()
		})
	}
}

// TestOpeningTellsNobody: a line under which the balance begins isn't crossed.
func TestOpeningTellsNobody(t *testing.T) {
	if told := account.NoticesOf(&account.PolicySet{Policy: opening}, account.Around{LowBalanceAt: opening.LowBalanceAt}); told != nil {
		t.Errorf("told %v", told)
	}
}
