package account_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// command draws what to ask for next; small numbers of names and amounts, so
// that commands often meet.
func (r *run) command() ask {
	a := ask{by: "abc"[r.pick(3, "by"):][:1]}
	if which := r.pick(len(r.makers)+4, "command"); which < len(r.makers) {
		a.action = r.makers[which](r)
	} else {
		a.action, a.charge = r.refund()
	}
	return a
}

// moving are the commands of an account that buys, holds and spends.
func moving() []func(*run) account.Action {
	return []func(*run) account.Action{
		(*run).tick, (*run).freeze, (*run).unfreeze, (*run).unfreeze, (*run).policy, (*run).adjust, (*run).reverse,
		(*run).approve, (*run).approve, (*run).grant, (*run).grant, (*run).grant, (*run).purchase, (*run).purchase,
		(*run).reserve, (*run).reserve, (*run).reserve, (*run).reserve, (*run).capture, (*run).capture, (*run).capture,
		(*run).release, (*run).deduct, (*run).deduct, (*run).deduct, (*run).deduct, (*run).deduct, (*run).reading, (*run).reading,
	}
}

func (r *run) pick(n int, what string) int { return uniform(r.T, n, what) }

// uniform draws 0 to n-1, each as often as any other: rapid's own ranges prefer
// small numbers, and so would hardly leave the first few commands.
func uniform(t *rapid.T, n int, what string) int {
	return rapid.Custom(func(t *rapid.T) int {
		bits := 0
		for range 10 {
			bits <<= 1
			if rapid.Bool().Draw(t, "bit") {
				bits++
			}
		}
		return bits * n >> 10
	}).Draw(t, what)
}

// name is one of n names of a kind.
func (r *run) name(kind string, n int) string { return fmt.Sprint(kind, r.pick(n, kind)) }

// some is mostly what an account may have, and sometimes what no account may.
func (r *run) some() domain.Amount {
	switch r.pick(16, "amount") {
	case 0:
		return []domain.Amount{0, -1, domain.MaxAmount + 1, 1}[r.pick(4, "odd")]
	case 1, 2, 3, 4:
		return domain.Amount(rapid.IntRange(1, 20_000_000).Draw(r.T, "micro"))
	}
	return r.few(9)
}

// few is 1 to n credits.
func (r *run) few(n int) domain.Amount { return domain.Amount(1+r.pick(n, "credits")) * credit }

// deadline is none, or some steps from now; not always ahead.
func (r *run) deadline() time.Time {
	if r.pick(3, "never") == 0 {
		return time.Time{}
	}
	return r.at(r.now - 1 + r.pick(16, "deadline"))
}

func (r *run) tick() account.Action { return account.Tick{} }

// freeze is rare: most of the other commands of a frozen account are refused.
func (r *run) freeze() account.Action {
	if r.pick(4, "freeze") > 0 {
		return account.Unfreeze{}
	}
	return account.Freeze{}
}

func (r *run) unfreeze() account.Action { return account.Unfreeze{} }

func (r *run) policy() account.Action {
	return account.SetPolicy{
		Allowance:        ptr(r.few(13) - credit),
		TwoApproversFrom: ptr(r.few(10) - credit),
		GraceMinutes:     ptr([]int{5, 30, 60, 100}[r.pick(4, "grace")]),
	}
}

func (r *run) adjust() account.Action {
	return account.RequestAdjustment{Adjustment: r.name("a", 9), Amount: r.few(19) - 10*credit}
}

func (r *run) approve() account.Action { return account.ApproveAdjustment{Adjustment: r.name("a", 9)} }

func (r *run) grant() account.Action {
	return account.GrantIncentive{Amount: r.some(), ExpiresAt: r.deadline()}
}

func (r *run) purchase() account.Action {
	p := account.RecordPurchase{Purchase: r.name("p", 20), Amount: r.few(20)}
	if r.pick(3, "expires") == 0 {
		p.ExpiresAt = r.deadline()
	}
	return p
}

func (r *run) reverse() account.Action {
	return account.ReversePurchase{Purchase: r.name("p", 20), Kind: account.ReversalChargeback}
}

func (r *run) reserve() account.Action {
	return account.Reserve{Reservation: r.name("r", 40), Amount: r.some(), Service: vm, ExpiresAt: r.deadline()}
}

// holdName is mostly that of one of the newest holds, open or not.
func (r *run) holdName() string {
	newest := min(4, len(r.n.holds))
	if newest == 0 || r.pick(8, "unknown") == 0 {
		return r.name("r", 40)
	}
	return r.n.holds[len(r.n.holds)-1-r.pick(newest, "hold")].id
}

func (r *run) capture() account.Action {
	return account.Capture{Reservation: r.holdName(), Amount: r.some(), Final: r.pick(2, "final") == 1}
}

func (r *run) release() account.Action { return account.Release{Reservation: r.holdName()} }
func (r *run) deduct() account.Action  { return account.Deduct{Amount: r.some(), Service: vm} }

func (r *run) reading() account.Action {
	quantities := []string{"0", "1", "3", "7.5", "0.000001", "1000000"}
	prices := []string{"0.00000013", "0.0000005", "0.25", "1", "0.000000000001"}
	of := reading(r.name("m", 4), quantities[r.pick(len(quantities), "quantity")], prices[r.pick(len(prices), "price")])
	of.Final = r.pick(6, "final") == 0
	return of
}

// refund is of one of the newest deductions, or of none that there is.
func (r *run) refund() (account.Action, *naiveCharge) {
	amount := domain.Amount(0)
	if r.pick(3, "part") > 0 {
		amount = r.some()
	}
	if len(r.charges) == 0 {
		return account.Refund{Transaction: tx(1 << 40), Amount: amount}, nil
	}
	newest := min(6, len(r.charges))
	of := r.charges[len(r.charges)-1-r.pick(newest, "of")]
	return account.Refund{Transaction: tx(of.revision), Amount: amount}, of.naiveCharge
}
