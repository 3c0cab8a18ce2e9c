package account_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestAgainstNaiveModel sends random commands at a moving clock to the decider
// and to the naive model: after each they must agree on everything.
func TestAgainstNaiveModel(t *testing.T) {
	met := outcomes{}
	rapid.Check(t, func(t *rapid.T) {
		met["runs"]++
		r := &run{T: t, h: newHistory(t), n: newNaive(), makers: moving(), metered: map[string]domain.Amount{}, outcomes: met}
		r.maybeOpen()
		for range 1 + r.pick(256, "commands") {
			r.now += max(0, r.pick(9, "pause")-5)
			r.send(r.command())
		}
		r.send(ask{action: account.Tick{}})
		r.h.replay()
	})
	met.must(t, 35, `purchase-settled, purchase-reversed, incentive-granted, lot-expired, deducted, usage-metered, refunded, debt-repaid,
		reserved, reservation-captured, reservation-released, adjustment-requested, adjusted, policy-set, account-frozen,
		account-unfrozen, backing-changed, Deduct insufficient-credits, Deduct account-frozen, Reserve insufficient-credits,
		Reserve duplicate-id, Reserve time-invalid, Capture capture-exceeds-reservation, Capture reservation-closed,
		RecordReading insufficient-credits, Refund refund-exceeds-deduction, Refund unknown-transaction,
		ApproveAdjustment self-approval, RequestAdjustment duplicate-id, GrantIncentive amount-invalid`)
}

// run is the decider and the model side by side.
type run struct {
	*rapid.T
	h *history
	n *naive
	// now is in steps of half an hour, so that instants often coincide.
	now int
	// ids are the decider's names of the model's lots, by birth.
	ids []int64
	// makers are the kinds of commands that the run draws from.
	makers []func(*run) account.Action
	// charges are the deductions, with the event that a refund names.
	charges []charge
	metered map[string]domain.Amount
	// outcomes counts what the run has met, over all runs.
	outcomes outcomes
}

type charge struct {
	revision int64
	*naiveCharge
}

func (r *run) at(steps int) time.Time { return hour(0).Add(time.Duration(steps) * 30 * time.Minute) }

// send asks both and compares.
func (r *run) send(a ask) {
	a.at = r.at(r.now)
	before := r.h.state.Figures
	events, err := r.h.execute(step{at: a.at, by: a.by, do: a.action})
	r.n.pass(a.at)
	want := r.n.answer(a)
	r.Logf("%s %T%+v: %s", a.at.Format("02 15:04"), a.action, a.action, refusalText(err))

	got := domain.Code("")
	if refusal, refused := domain.AsError(err); refused {
		got = refusal.Code
	}
	r.outcomes.note(a.action, events, err)
	if got != want {
		r.Fatalf("refused: %q, the model says %q", got, want)
	}
	if err != nil {
		return // the decider applies what was due with the next command it accepts
	}
	r.learn(events)
	r.compare()
	r.invariants(before)
}

// learn notes the names that the decider gave to what the model has made.
func (r *run) learn(events []domain.Event) {
	revision := r.h.state.Revision - int64(len(events))
	for _, e := range events {
		revision++
		if account.EffectOf(e, revision).Made.Amount != 0 {
			r.ids = append(r.ids, revision)
		}
		switch e := e.(type) {
		case *account.UsageMetered:
			r.metered[e.Meter] += e.Amount
			if r.n.meters[e.Meter].charged != r.metered[e.Meter] {
				r.Fatalf("meter %s was charged %s, its exact cost is %s", e.Meter, r.metered[e.Meter], r.n.meters[e.Meter].exact.FloatString(18))
			}
			if e.Final {
				delete(r.metered, e.Meter)
			}
		case *account.Deducted, *account.Captured, *account.DeploymentPaid, *account.DeploymentExtended, *account.DeploymentUsed:
		default:
			continue
		}
		if at := len(r.charges); at < len(r.n.charges) {
			r.charges = append(r.charges, charge{revision, r.n.charges[at]})
		} else {
			r.Fatalf("the model has not charged %s", e.EventName())
		}
	}
	if len(r.charges) != len(r.n.charges) || len(r.ids) != len(r.n.lots) {
		r.Fatalf("the model has made something that no event makes")
	}
}

// compare holds balance, debts, lots and holds to the model's.
func (r *run) compare() {
	same := func(what, got, want string) {
		if got != want {
			r.Fatalf("%s: %s\nmodel: %s", what, got, want)
		}
	}
	same("balance", balanceText(r.h.state.Balance()), balanceText(r.n.balance()))
	same("debts", fmt.Sprint(r.h.state.SpendingDebt, r.h.state.ChargebackDebt), fmt.Sprint(r.n.spendingDebt, r.n.chargebackDebt))

	var lots []slice
	for _, l := range r.n.lots {
		if l.free > 0 {
			lots = append(lots, slice{l, l.free})
		}
	}
	free := freeLots(r.h.state)
	slices.SortFunc(free, func(a, b account.LotUse) int { return cmp.Compare(a.Lot, b.Lot) })
	same("lots", usesText(free), usesText(r.uses(lots)))
	open := 0
	for _, hold := range r.n.holds {
		uses, found := heldLots(r.h.state, hold.id)
		same("hold "+hold.id, fmt.Sprint(found, usesText(uses)), fmt.Sprint(hold.open, usesText(r.uses(hold.slices))))
		if hold.open {
			open++
		}
	}
	same("open holds", fmt.Sprint(len(r.h.state.Reservations)), fmt.Sprint(open))
	r.compareOpen(same)
}

// freeLots and heldLots are all that the model reads of a state's inside.
func freeLots(s *account.State) (uses []account.LotUse) {
	for _, l := range s.Lots {
		uses = append(uses, account.LotUse{Lot: l.ID, Class: l.Class, Amount: l.Free, ExpiresAt: l.ExpiresAt})
	}
	return uses
}

func heldLots(s *account.State, id string) ([]account.LotUse, bool) {
	r, open := s.Reservations[id]
	return r.Lots, open
}

// uses names slices as the decider does.
func (r *run) uses(of []slice) (uses []account.LotUse) {
	for _, s := range of {
		u := account.LotUse{Lot: r.ids[s.lot.born], Class: account.Promotional, Amount: s.amount, ExpiresAt: s.lot.expires}
		if s.lot.purchased {
			u.Class = account.Purchased
		}
		uses = append(uses, u)
	}
	return uses
}

func usesText(uses []account.LotUse) string {
	var b strings.Builder
	for _, u := range uses {
		fmt.Fprintf(&b, "%s %s of lot %d", u.Amount, u.Class, u.Lot)
		if !u.ExpiresAt.IsZero() {
			fmt.Fprintf(&b, " until %s", u.ExpiresAt.Format("02 15:04"))
		}
		b.WriteString("; ")
	}
	return b.String()
}

// invariants are those of design.md rules 5 and 6.
func (r *run) invariants(before account.Figures) {
	f, b := r.h.state.Figures, r.h.state.Balance()
	free := f.FreePromotional + f.FreePurchased
	for _, rule := range []struct {
		holds bool
		rule  string
	}{
		{f.Debt() == 0 || free == 0, "while anything is owed nothing unreserved is left"},
		// Of before, where a deadline came first and the command lowered it.
		{f.SpendingDebt <= before.SpendingDebt || b.Debt <= max(b.Allowance, before.Allowance()), "spending goes no further below zero than the allowance"},
		{min(f.FreePromotional, f.FreePurchased, f.HeldPromotional, f.HeldPurchased, f.SpendingDebt, f.ChargebackDebt) >= 0, "no figure is below zero"},
		{b.Balance == free+b.Reserved+b.Withdrawing-b.Debt, "the balance is all lots minus debt"},
		{b.Balance == r.entries(), "the balance is what came in minus what went out"},
		{b.Withdrawable <= max(0, b.Available) && b.Withdrawable <= f.FreePurchased, "withdrawable are unreserved purchased credits"},
		{b.Withdrawable <= max(0, r.n.paid()), "no more can be withdrawn than was paid and not taken back"},
		// What promotional credits have paid of a chargeback is the one exception:
		// as much may come back to the purchased lots that were spent or held, where
		// it can be spent and not withdrawn.
		{b.Purchased <= r.n.paid()+f.ChargebackDebt+r.n.promoForReversals, "promotional credits never become purchased ones"},
	} {
		if !rule.holds {
			r.Fatalf("%s: %+v", rule.rule, f)
		}
	}
}

// entries adds up the account's whole history, and checks each entry's sign.
func (r *run) entries() (sum domain.Amount) {
	sign := map[account.EntryType]domain.Amount{
		account.EntryPurchase: 1, account.EntryIncentive: 1, account.EntryRefund: 1,
		account.EntryDeduction: -1, account.EntryExpiry: -1, account.EntryChargeback: -1, account.EntryWithdrawal: -1,
	}
	for _, e := range r.h.log {
		entry, _ := account.EntryOf(e)
		moves := entry.Type == account.EntryAdjustment || entry.Amount*sign[entry.Type] > 0
		nothing := entry.Amount == 0
		if !moves && !nothing {
			r.Fatalf("%s shows as %s of %s", e.EventName(), entry.Type, entry.Amount)
		}
		sum += entry.Amount
	}
	return sum
}
