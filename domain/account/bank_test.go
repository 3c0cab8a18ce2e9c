package account_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// bank follows the money of an account from its events alone. It knows nothing of what is
// behind which lot, but of those from which nothing was taken back: that is all theirs, and
// what was spent of them keeps its own. The others together have what is left.
type bank struct {
	in, back, out domain.Amount
	lots          map[int64]*bankLot
}

// bankLot is a purchased lot.
type bankLot struct {
	// money came in for it; of a lot for debt that had been paid, none.
	money domain.Amount
	// here can be paid out, or is held for it.
	here domain.Amount
	// paid was paid out, lent stood in for another lot; debt it paid for good.
	paid, lent, debt domain.Amount
	reversed         bool
}

func newBank() *bank { return &bank{lots: map[int64]*bankLot{}} }

// follow takes one event in; reversed is the lot of a purchase that was taken back.
func (b *bank) follow(e domain.Event, revision, reversed int64) {
	effect := account.EffectOf(e, revision)
	if made := effect.Made; made.Class == account.Purchased && made.Amount > 0 {
		b.lots[revision] = &bankLot{here: made.Amount}
		if _, debt := e.(*account.Refunded); !debt {
			b.lots[revision].money = made.Amount
			b.in += made.Amount
		}
	}
	b.move(effect.Given, func(l *bankLot, amount domain.Amount) { l.here += amount })
	b.move(effect.Taken, func(l *bankLot, amount domain.Amount) { l.here -= amount })
	if effect.Hold.Kind == account.HoldWithdrawal {
		b.move(effect.Hold.In, func(l *bankLot, amount domain.Amount) { l.here += amount })
		b.move(effect.Hold.Out, func(l *bankLot, amount domain.Amount) { l.here -= amount })
	}
	lend := func(l *bankLot, amount domain.Amount) { l.lent += amount }
	switch e := e.(type) {
	case *account.PurchaseReversed:
		b.back += e.Amount
		b.lots[reversed].reversed = true
		b.move(e.Lots, lend)
	case *account.DebtRepaid:
		if e.Debt == account.DebtSpending {
			lend = func(l *bankLot, amount domain.Amount) { l.debt += amount }
		}
		b.move(e.Lots, lend)
	case *account.WithdrawalPaid:
		b.out += e.Amount
		b.move(e.Lots, func(l *bankLot, amount domain.Amount) { l.paid += amount })
	}
}

func (b *bank) move(uses []account.LotUse, how func(*bankLot, domain.Amount)) {
	for _, u := range uses {
		if u.Class == account.Purchased {
			how(b.lots[u.Lot], u.Amount)
		}
	}
}

// most is what may be paid out, with what is held for it. Of lots for debt it can't be told
// which paid it, so they may have as much as any sound ones did.
func (b *bank) most() domain.Amount {
	var sound, others, refunded, debt domain.Amount
	money := b.in - b.back - b.out
	for _, l := range b.lots {
		switch {
		case l.money > 0 && !l.reversed:
			sound += l.here
			money -= l.money - l.paid - l.lent
			debt += l.debt
		case l.money == 0:
			refunded += l.here + l.paid
			fallthrough
		default:
			others += l.here
		}
	}
	return sound + min(others, money+min(debt, refunded))
}

// holds tells how the law is broken, or "": no more can be paid out, nor is, than what
// came in, wasn't taken back and wasn't spent for good (design.md rule 5). It looks at what
// has money behind it lot by lot: Figures.Cash would hide much of what goes wrong there.
func (b *bank) holds(s *account.State, paid bool) string {
	backed := s.FreePurchased - s.Unbacked
	if backed <= 0 && !paid || s.Withdrawing+backed <= b.most() {
		return ""
	}
	return fmt.Sprintf("%s paid out, %s being withdrawn, %s could be; %s came in, %s went back: %s may be paid out",
		b.out, s.Withdrawing, backed, b.in, b.back, b.most())
}

// gambler plays for cash: an account with few amounts, so that purchases, debt, refunds,
// incentives, chargebacks and payouts meet in every order.
type gambler struct {
	*history
	bank   *bank
	random *rand.Rand
	// weights say how often each kind of command comes for a while: most don't.
	weights [9]int
	ids     int
	told    []string
}

// TestNoMoreIsPaidOutThanCameIn holds the law of bank in many short lives: some of chance
// alone, and most of hard cases with something left out, put in or in another order.
func TestNoMoreIsPaidOutThanCameIn(t *testing.T) {
	const seed, runs = 20261130, 6_000
	t.Logf("seed %d", seed)
	met := map[string]int{}
	for n := range runs {
		g := &gambler{history: newHistory(t), bank: newBank(), random: rand.New(rand.NewPCG(seed, uint64(n)))}
		g.change()
		life := g.hardCase(n % 4)
		for len(life) > 0 {
			switch g.random.IntN(12) {
			case 0:
				life = life[1:]
			case 1, 2:
				g.play(n, g.action())
			case 3:
				g.change()
				at := g.random.IntN(len(life))
				life[0], life[at] = life[at], life[0]
			default:
				g.play(n, life[0]())
				life = life[1:]
			}
		}
		for _, e := range g.log {
			met[e.EventName()]++
		}
	}
	t.Logf("%v", met)
	for _, must := range []string{"withdrawal-paid", "withdrawal-returned", "backing-changed", "debt-repaid", "refunded", "purchase-reversed", "account-frozen"} {
		if met[must] < runs/12 {
			t.Errorf("%d runs have met %s %d times", runs, must, met[must])
		}
	}
}

// TestAChargeCostsNoMoreOnceSomethingWasTakenBack: it doesn't copy what the account has open.
func TestAChargeCostsNoMoreOnceSomethingWasTakenBack(t *testing.T) {
	h := newHistory(t)
	h.fold(events(&account.PurchaseSettled{Purchase: "q", Amount: credit}, &account.PurchaseSettled{Purchase: "p", Amount: 1000 * credit}))
	decide := func(action account.Action) []domain.Event {
		events, err := account.Decide(h.state, account.Command{At: hour(0), By: "ann", Do: action})
		require.NoError(t, err)
		return events
	}
	charge := func() { decide(account.Deduct{Amount: credit, Service: vm}) }
	before := testing.AllocsPerRun(100, charge)
	h.fold(decide(account.ReversePurchase{Purchase: "q", Kind: account.ReversalRefund}))
	require.NotEmpty(t, h.state.Backing)
	few := testing.AllocsPerRun(100, charge)
	for i := range 5_000 {
		h.fold(decide(reading(fmt.Sprint("m", i), "1", "0.000001")))
	}
	require.LessOrEqual(t, few, before+5)
	require.Equal(t, few, testing.AllocsPerRun(100, charge))
}

// hardCase is a life whose end once was wrong, or chance.
func (g *gambler) hardCase(which int) []func() account.Action {
	buy := func(id string, n domain.Amount) func() account.Action {
		return func() account.Action { return account.RecordPurchase{Purchase: id, Amount: n * credit} }
	}
	spend := func(n domain.Amount) func() account.Action {
		return func() account.Action { return account.Deduct{Amount: n * credit, Service: vm} }
	}
	back := func(id string) func() account.Action {
		return func() account.Action {
			return account.ReversePurchase{Purchase: id, Kind: account.ReversalChargeback}
		}
	}
	refund := func(n domain.Amount) func() account.Action { // of the newest deduction
		return func() account.Action {
			ids := g.deductions()
			return account.Refund{Transaction: ids[len(ids)-1], Amount: n * credit}
		}
	}
	give := func() account.Action { return account.GrantIncentive{Amount: 5 * credit} }
	ask := func() account.Action {
		return account.RequestWithdrawal{Withdrawal: "w", Amount: 5 * credit, Network: account.NetworkStripe}
	}
	approve := func() account.Action { return account.ApproveWithdrawal{Withdrawal: "w"} }
	pay := func() account.Action {
		return account.RecordPayout{Withdrawal: "w", Network: account.NetworkStripe}
	}
	type life = []func() account.Action
	made := life{buy("y", 5), spend(5), buy("p", 10), spend(15), buy("z", 5), refund(5)}
	switch which {
	case 0: // a lot for debt stands in, then its payer's money is taken back
		return append(made, give, back("p"), give, back("z"), refund(10))
	case 1: // it is paid out, then its payer's money is taken back
		return append(made, ask, approve, pay, give, back("z"), refund(10))
	case 2: // one that stood in is taken back
		return life{buy("p", 10), spend(10), buy("q", 10), back("p"), give, give, back("q"), refund(0), buy("s", 10), spend(10), refund(5), ask, approve, pay}
	}
	chance := make(life, 40)
	for at := range chance {
		chance[at] = g.action
	}
	return chance
}

// play decides one command, without the other laws of history, which take long.
func (g *gambler) play(run int, action account.Action) {
	g.ids++
	by := "fin"
	if _, asks := action.(account.RequestWithdrawal); asks {
		by = "ann"
	}
	events, err := account.Decide(g.state, g.command(step{at: hour(0), by: by, do: action}))
	if err != nil {
		return
	}
	g.told = append(g.told, fmt.Sprintf("%T%+v", action, action), eventsText(g.t, events))
	paid := false
	for _, e := range events {
		account.Evolve(g.state, e)
		g.log = append(g.log, e)
		if faults := account.AmountFaults(e); faults != nil {
			g.t.Fatalf("run %d: %+v\n%s", run, faults, strings.Join(g.told, "\n"))
		}
		g.claims[account.ClaimOf(e)] = true
		g.bank.follow(e, g.state.Revision, g.lotOf(e))
		_, payout := e.(*account.WithdrawalPaid)
		paid = paid || payout
	}
	if said, is := g.state.Unbacked, g.state.UnbackedNow(); said != is {
		g.t.Fatalf("run %d: %s unbacked, not %s\n%s", run, is, said, strings.Join(g.told, "\n"))
	}
	if broken := g.bank.holds(g.state, paid); broken != "" {
		g.t.Fatalf("run %d: %s\n%s", run, broken, strings.Join(g.told, "\n"))
	}
}

// lotOf is the lot of a purchase that an event takes back; 0 if it takes none.
func (h *history) lotOf(e domain.Event) int64 {
	reversed, _ := e.(*account.PurchaseReversed)
	for at, made := range h.log {
		if settled, ok := made.(*account.PurchaseSettled); ok && reversed != nil && settled.Purchase == reversed.Purchase {
			return int64(at)
		}
	}
	return 0
}

func (g *gambler) amount() domain.Amount { return domain.Amount(1+g.random.IntN(2)) * 5 * credit }

func (g *gambler) one(of []string) string {
	if len(of) == 0 {
		return "none"
	}
	return oneOf(g.random, of)
}

func oneOf[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }

// change draws other weights.
func (g *gambler) change() {
	for kind := range g.weights {
		g.weights[kind] = max(0, g.random.IntN(6)-2)
	}
	g.weights[g.random.IntN(len(g.weights))]++
}

// action draws one of the plays, by the weights of now.
func (g *gambler) action() account.Action {
	if g.state.Frozen && g.random.IntN(2) == 0 {
		return account.Unfreeze{}
	}
	all := 0
	for _, weight := range g.weights {
		all += weight
	}
	draw, kind := g.random.IntN(all), 0
	for ; draw >= g.weights[kind]; kind++ {
		draw -= g.weights[kind]
	}
	id := fmt.Sprint(g.ids)
	switch kind {
	case 0:
		return account.RecordPurchase{Purchase: id, Amount: g.amount()}
	case 1:
		return account.Deduct{Amount: g.amount(), Service: vm}
	case 2: // all that there is, or into debt
		return account.Deduct{Amount: max(5*credit, g.state.Spendable()-5*credit*domain.Amount(g.random.IntN(3))), Service: vm}
	case 3:
		return account.Refund{Transaction: oneOf(g.random, g.deductions()), Amount: g.amount() * domain.Amount(g.random.IntN(3))}
	case 4:
		return account.GrantIncentive{Amount: g.amount()}
	case 5:
		return account.ReversePurchase{Purchase: g.one(purchaseIDs(g.state)), Kind: account.ReversalChargeback}
	case 6:
		return account.RequestWithdrawal{Withdrawal: id, Amount: max(1, min(g.amount(), g.state.Balance().Withdrawable)), Network: account.NetworkStripe}
	case 7:
		return g.payout()
	}
	if open := sortedKeys(g.state.Reservations); len(open) > 0 && g.random.IntN(2) == 0 {
		return account.Release{Reservation: g.one(open)}
	}
	return account.Reserve{Reservation: id, Amount: g.amount(), Service: vm}
}

// payout is the next step of a withdrawal.
func (g *gambler) payout() account.Action {
	id := g.one(sortedKeys(g.state.Withdrawals))
	switch w := g.state.Withdrawals[id]; {
	case w.State == account.WithdrawalIsApproved && g.random.IntN(4) > 0:
		return account.RecordPayout{Withdrawal: id, Network: account.NetworkStripe}
	case w.State == account.WithdrawalIsApproved:
		return account.FailWithdrawal{Withdrawal: id}
	case g.random.IntN(4) > 0:
		return account.ApproveWithdrawal{Withdrawal: id}
	}
	return account.RejectWithdrawal{Withdrawal: id}
}

// deductions are the log's, the newest last; or one that there isn't.
func (g *gambler) deductions() []domain.TransactionID {
	ids := []domain.TransactionID{tx(1 << 40)}
	for at, e := range g.log {
		if _, ok := e.(*account.Deducted); ok {
			ids = append(ids, tx(int64(at)))
		}
	}
	return ids[min(1, len(ids)-1):]
}
