package account_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// auditor follows the lots of a log with arithmetic of its own. It knows nothing
// of the state: only who made which lot, and what goes in and out of it.
type auditor struct {
	t     failer
	class map[int64]account.Class
	// made is what a lot was born with, free and held what is in it now.
	made, free, held map[int64]domain.Amount

	paidIn, takenBack, paidOut domain.Amount
	// debtByPurchased is spending debt that purchased lots paid, less what came
	// back for it as purchased lots.
	debtByPurchased domain.Amount
	// kept is what approved withdrawals held of purchases when they were taken
	// back: the rules leave it to them.
	kept domain.Amount
}

func newAuditor(t failer) *auditor {
	return &auditor{
		t: t, class: map[int64]account.Class{},
		made: map[int64]domain.Amount{}, free: map[int64]domain.Amount{}, held: map[int64]domain.Amount{},
	}
}

// follow takes one event in, and holds it to the laws of classes.
func (a *auditor) follow(e domain.Event, revision int64) {
	effect := account.EffectOf(e, revision)
	if made := effect.Made; made.Amount > 0 {
		a.class[made.Lot], a.made[made.Lot] = made.Class, made.Amount
		a.free[made.Lot] += made.Amount
	}
	for _, u := range effect.Given {
		a.move(e, u, a.free, +u.Amount)
	}
	for _, u := range effect.Taken {
		a.move(e, u, a.free, -u.Amount)
	}
	for _, u := range effect.Hold.In {
		a.move(e, u, a.held, +u.Amount)
		if effect.Hold.Kind == account.HoldWithdrawal && u.Class != account.Purchased {
			a.t.Fatalf("%s: a withdrawal holds promotional credits", e.EventName())
		}
	}
	for _, u := range effect.Hold.Out {
		a.move(e, u, a.held, -u.Amount)
	}
	switch e := e.(type) {
	case *account.PurchaseSettled:
		a.paidIn += e.Amount
	case *account.CreditGranted:
		if !e.Terms.Promotional {
			a.paidIn += e.Terms.Amount // two people said so
		}
	case *account.PurchaseReversed:
		a.takenBack += e.Amount
	case *account.WithdrawalPaid:
		a.paidOut += e.Amount
	case *account.DebtRepaid:
		if e.Debt == account.DebtSpending {
			a.debtByPurchased += of(account.Purchased, e.Lots)
		}
	case *account.Refunded:
		if e.Class == account.Purchased {
			a.debtByPurchased -= e.Made
		}
	}
	a.madeRightly(e, effect.Made)
}

// madeRightly: credits are born purchased from a payment, from a request that two
// people granted as such, or from debt that purchased credits paid. Nothing else
// makes any.
func (a *auditor) madeRightly(e domain.Event, made account.LotUse) {
	if made.Amount == 0 || made.Class != account.Purchased {
		return
	}
	switch e.(type) {
	case *account.PurchaseSettled, *account.CreditGranted:
	case *account.Refunded:
		if a.debtByPurchased < 0 {
			a.t.Fatalf("a refund made %s purchased beyond what purchased credits paid of debt", made.Amount)
		}
	default:
		a.t.Fatalf("%s makes purchased credits", e.EventName())
	}
}

// move changes one side of a lot, which keeps the class that it was born with
// and never has more than it was born with.
func (a *auditor) move(e domain.Event, u account.LotUse, side map[int64]domain.Amount, by domain.Amount) {
	side[u.Lot] += by
	switch {
	case a.class[u.Lot] != u.Class:
		a.t.Fatalf("%s: lot %d was born %q, and %q moves", e.EventName(), u.Lot, a.class[u.Lot], u.Class)
	case a.free[u.Lot] < 0 || a.held[u.Lot] < 0:
		a.t.Fatalf("%s: lot %d has %s free, %s held", e.EventName(), u.Lot, a.free[u.Lot], a.held[u.Lot])
	case by > 0 && u.Amount > a.made[u.Lot]:
		a.t.Fatalf("%s: %s come to lot %d of %s", e.EventName(), u.Amount, u.Lot, a.made[u.Lot])
	}
}

// settle compares with what the engine says at the end of a command.
func (a *auditor) settle(s *account.State) {
	b := s.Balance()
	var purchased, promotional, freePurchased domain.Amount
	for lot, class := range a.class {
		all := a.free[lot] + a.held[lot]
		if all > a.made[lot] {
			a.t.Fatalf("lot %d of %s has %s", lot, a.made[lot], all)
		}
		if class == account.Purchased {
			purchased, freePurchased = purchased+all, freePurchased+a.free[lot]
		} else {
			promotional += all
		}
	}
	if purchased != b.Purchased || promotional != b.Promotional {
		a.t.Fatalf("the lots have %s purchased, %s promotional; the balance says %s, %s", purchased, promotional, b.Purchased, b.Promotional)
	}
	if b.Withdrawable > freePurchased || b.Withdrawable > max(0, b.Available) || b.Withdrawable < 0 {
		a.t.Fatalf("%s are withdrawable: %s purchased are free, %s available", b.Withdrawable, freePurchased, b.Available)
	}
	// What is only requested may still be refused. What was paid out before it was taken
	// back is gone: then nothing more can be.
	out, left := b.Withdrawable+approved(s), max(0, a.paidIn-a.takenBack-a.paidOut)
	if out > left+a.kept {
		a.t.Fatalf("%s can be paid out: %s were paid in, %s taken back, %s paid out, %s left to approved withdrawals",
			out, a.paidIn, a.takenBack, a.paidOut, a.kept)
	}
}

// approved adds up the withdrawals that nothing may take back any more.
func approved(s *account.State) (total domain.Amount) {
	for _, w := range s.Withdrawals {
		if w.State == account.WithdrawalIsApproved {
			total += w.Amount
		}
	}
	return total
}

func of(class account.Class, uses []account.LotUse) (total domain.Amount) {
	for _, u := range uses {
		if u.Class == class {
			total += u.Amount
		}
	}
	return total
}

// TestPromotionalNeverWithdrawable: no sequence of anything that an account can
// do turns promotional credits into withdrawable ones.
func TestPromotionalNeverWithdrawable(t *testing.T) {
	met := outcomes{}
	rapid.Check(t, func(rt *rapid.T) {
		met["runs"]++
		h, a, money, run := newHistory(rt), newAuditor(rt), newBank(), &desk{}
		for range 20 + uniform(rt, 80, "commands") {
			s := run.draw(rt, h)
			if _, reversal := s.do.(account.ReversePurchase); reversal {
				a.kept += approved(h.state)
			}
			decides := opensAndDecides(h, s)
			events, err := h.execute(s)
			met.note(s.do, events, err)
			if err != nil {
				continue
			}
			if decides {
				rt.Fatalf("%s opened the dispute that %T%+v decides", s.by, s.do, s.do)
			}
			for i, e := range events {
				revision := h.state.Revision - int64(len(events)-1-i)
				a.follow(e, revision)
				money.follow(e, revision, h.lotOf(e))
			}
			a.settle(h.state)
			_, payout := s.do.(account.RecordPayout)
			if broken := money.holds(h.state, payout); broken != "" {
				rt.Fatalf("%s", broken)
			}
		}
		h.replay()
	})
	met.must(t, 25, `purchase-settled, incentive-granted, deducted, refunded, lot-expired, debt-repaid, purchase-reversed,
		account-frozen, account-unfrozen, reserved, reservation-released, reservation-captured, adjustment-requested, adjusted,
		credit-requested, credit-granted, dispute-opened, dispute-resolved, deployment-requested, deployment-paid,
		deployment-completed, deployment-failed, withdrawal-requested, withdrawal-approved, withdrawal-returned, withdrawal-paid,
		backing-changed, RequestWithdrawal not-withdrawable, ApproveAdjustment self-approval,
		ResolveDispute self-approval, Refund self-approval, Refund refund-exceeds-deduction, Deduct account-frozen`)
}

// opensAndDecides tells, from the log alone, that a step would give back what its
// actor has in dispute.
func opensAndDecides(h *history, s step) bool {
	open := map[string]*account.DisputeOpened{}
	for _, e := range h.log {
		switch e := e.(type) {
		case *account.DisputeOpened:
			open[e.Dispute] = e
		case *account.DisputeResolved:
			delete(open, e.Dispute)
		}
	}
	for id, e := range open {
		switch do := s.do.(type) {
		case account.Refund:
			if do.Transaction == e.Deduction && s.by == e.OpenedBy {
				return true
			}
		case account.ResolveDispute:
			if do.Dispute == id && s.by == e.OpenedBy {
				return true
			}
		}
	}
	return false
}

// desk draws commands: mostly ones that the account's state makes sensible.
type desk struct{ hour, ids int }

func (d *desk) draw(t *rapid.T, h *history) step {
	d.hour += rapid.IntRange(0, 2).Draw(t, "hours")
	d.ids++
	id := fmt.Sprint(d.ids)
	by := []string{"ann", "fin", "fin2", "sue"}[uniform(t, 4, "by")]
	amount := domain.Amount(rapid.IntRange(1, 60).Draw(t, "amount")) * credit / 2
	until := hour(0)
	if until = until.AddDate(1, 0, 0); rapid.Bool().Draw(t, "expires") {
		until = hour(d.hour + rapid.IntRange(1, 12).Draw(t, "lives"))
	}
	some := func(ids []string) string {
		if len(ids) == 0 {
			ids = []string{"none"}
		}
		return rapid.SampledFrom(ids).Draw(t, "id")
	}
	pick := func() account.Action {
		switch uniform(t, 38, "command") {
		case 0, 1:
			return account.RecordPurchase{Purchase: id, Amount: amount, ExpiresAt: until}
		case 2, 3:
			return account.GrantIncentive{Amount: amount, ExpiresAt: until}
		case 4, 5:
			return account.Deduct{Amount: amount, Service: vm}
		case 6, 7, 32:
			return account.Refund{Transaction: d.deduction(t, h), Amount: amount * domain.Amount(rapid.IntRange(0, 1).Draw(t, "part"))}
		case 8, 33:
			return account.Reserve{Reservation: id, Amount: amount, Service: vm, ExpiresAt: until}
		case 9, 34:
			return account.Capture{Reservation: some(sortedKeys(h.state.Reservations)), Amount: amount, Final: amount%credit == 0}
		case 10:
			return account.Release{Reservation: some(sortedKeys(h.state.Reservations))}
		case 11:
			return account.RequestAdjustment{Adjustment: id, Amount: amount - 15*credit}
		case 12:
			return account.ApproveAdjustment{Adjustment: some(sortedKeys(h.state.Adjustments))}
		case 13, 35, 36:
			return account.OpenDispute{Dispute: id, Transaction: d.deduction(t, h)}
		case 14, 37:
			return account.ResolveDispute{Dispute: some(sortedKeys(h.state.Disputes)), Outcome: account.DisputeUpheld}
		case 15, 26, 27:
			return account.RequestWithdrawal{Withdrawal: id, Amount: min(amount, max(1, h.state.Balance().Withdrawable)), Network: account.NetworkStripe}
		case 16, 28, 29:
			return account.ApproveWithdrawal{Withdrawal: some(sortedKeys(h.state.Withdrawals))}
		case 17, 30, 31:
			return d.decided(t, some(sortedKeys(h.state.Withdrawals)))
		case 18, 19:
			return account.ReversePurchase{Purchase: some(purchaseIDs(h.state)), Kind: account.ReversalChargeback}
		case 20:
			return account.Unfreeze{}
		}
		return d.other(t, h, id, amount)
	}
	return step{at: hour(d.hour), by: by, do: pick()}
}

// other draws from requests for credits and deployments.
func (d *desk) other(t *rapid.T, h *history, id string, amount domain.Amount) account.Action {
	one := func(ids []string) string {
		if len(ids) == 0 {
			return "none"
		}
		return rapid.SampledFrom(ids).Draw(t, "id")
	}
	request, deployment := one(sortedKeys(h.state.CreditRequests)), one(sortedKeys(h.state.Deployments))
	actions := []account.Action{
		account.RequestCredit{Request: id, Amount: amount},
		account.ApproveCreditRequest{Request: request, Terms: account.CreditTerms{Amount: amount, Promotional: amount%credit == 0}},
		account.StartDeployment{Deployment: id, Service: vm, HourlyPrice: rate("1.5"), Hours: 4},
		account.RecordUsage{Deployment: deployment, Amount: amount},
		account.StopDeployment{Deployment: deployment},
		account.FailDeployment{Deployment: deployment},
	}
	return actions[uniform(t, len(actions), "other")]
}

// decided ends a withdrawal in some way.
func (d *desk) decided(t *rapid.T, id string) account.Action {
	paid := account.RecordPayout{Withdrawal: id, Network: account.NetworkStripe}
	decisions := []account.Action{
		paid, paid, paid, paid, paid, account.FailWithdrawal{Withdrawal: id},
		account.RejectWithdrawal{Withdrawal: id}, account.CancelWithdrawal{Withdrawal: id},
	}
	return decisions[uniform(t, len(decisions), "decision")]
}

// deduction names one of the log's deductions, if there is one; often one in dispute.
func (d *desk) deduction(t *rapid.T, h *history) domain.TransactionID {
	ids := []domain.TransactionID{tx(0)}
	for i, e := range h.log {
		switch e.(type) {
		case *account.Deducted, *account.Captured, *account.DeploymentPaid:
			ids = append(ids, tx(int64(i)))
		}
	}
	for _, id := range sortedKeys(h.state.Disputes) {
		ids = append(ids, h.state.Disputes[id].Deduction, h.state.Disputes[id].Deduction)
	}
	return rapid.SampledFrom(ids).Draw(t, "deduction")
}

func sortedKeys[T any](of map[string]T) []string { return slices.Sorted(maps.Keys(of)) }

// TestMoneyBehindAWithdrawal: promotional credits that covered a chargeback came
// back as purchased ones, a real purchase made them withdrawable, and then its
// money left too. The payout stands in an old log: today it would hold q's credits.
func TestMoneyBehindAWithdrawal(t *testing.T) {
	before := given(bought("p", 30*credit), spent(30*credit), granted(60*credit), chargedBack("p"), refunded(1, 30*credit),
		bought("q", 30*credit), facts(asksFor("w", 30*credit, paid(0, 30*credit))))
	two := given(bought("p", 10*credit), withdrawn("w", 10*credit), okayed("w", "fin"), bought("q", 10*credit), withdrawn("v", 10*credit),
		okayed("v", "fin"), granted(10*credit), chargedBack("p"))
	check(t, []row{
		{
			name: "is there", given: before, when: okayed("w", "fin"),
			then: events(&account.WithdrawalApproved{Withdrawal: "w", ApprovedBy: "fin", Final: true}),
		},
		{
			name: "has left", given: append(before, chargedBack("q")), when: okayed("w", "fin"),
			refused: "not-withdrawable withdrawable=0 required=30",
		},
		{
			name: "has left after it was approved", given: append(before, okayed("w", "fin"), chargedBack("q")), when: paidOut("w", "fin"),
			refused: "not-withdrawable withdrawable=0 required=30",
		},
		{
			name: "has left, and an incentive paid the debt",
			given: given(bought("p", 30*credit), withdrawn("w", 30*credit), okayed("w", "fin"), chargedBack("p"), granted(30*credit),
				do(account.Unfreeze{})),
			when: paidOut("w", "fin"), refused: "not-withdrawable withdrawable=0 required=30",
		},
		{name: "has left for another one: that counts against each", given: two, when: paidOut("v", "fin"), refused: "not-withdrawable withdrawable=0 required=10"},
		{
			name: "is there once that has ended", given: append(two, doBy("fin", account.FailWithdrawal{Withdrawal: "w"})), when: paidOut("v", "fin"),
			then: events(&account.WithdrawalPaid{Withdrawal: "v", Amount: 10 * credit, TxURL: "sealed-url",
				Network: account.NetworkSolana, Lots: lots(paid(3, 10*credit))}),
		},
		{
			name: "is paid out once", given: append(before, okayed("w", "fin")), when: paidOut("w", "fin"),
			then: events(&account.WithdrawalPaid{Withdrawal: "w", Amount: 30 * credit, TxURL: "sealed-url",
				Network: account.NetworkSolana, Lots: lots(paid(0, 30*credit))}),
			balance: "balance 60, available 60, promotional 30, purchased 30, allowance 10, spendable 70",
		},
	})
}

// TestBackingExample is the one of backing.go: A is lot 0, B lot 2 and C lot 3.
func TestBackingExample(t *testing.T) {
	before := given(bought("A", 30*credit), spent(30*credit), bought("B", 20*credit), granted(30*credit))
	check(t, []row{
		{
			name: "others stand in", given: before, when: chargedBack("A"),
			then: events(
				&account.PurchaseReversed{Purchase: "A", Kind: account.ReversalChargeback, Amount: 30 * credit, Lots: lots(paid(2, 20*credit), promo(3, 10*credit))},
			),
			balance: "balance 20, available 20, promotional 20, allowance 10, spendable 30",
		},
		{
			name: "and what comes back has but B's money behind it", given: append(before, chargedBack("A")), when: refunded(1, 0),
			then:    events(backTo(1, 30*credit, paid(0, 30*credit)), &account.BackingChanged{Unbacked: 10 * credit}),
			balance: "balance 50, available 50, promotional 20, purchased 30, withdrawable 20, allowance 10, spendable 60",
		},
	})
}

func purchaseIDs(s *account.State) (ids []string) {
	for _, p := range s.Purchases {
		ids = append(ids, p.ID)
	}
	return ids
}
