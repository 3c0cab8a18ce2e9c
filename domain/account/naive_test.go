package account_test

import (
	"cmp"
	"math/big"
	"slices"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// naive is the independent model of an account, written from money.md and
// design.md rules 5 and 6. It forgets nothing, keeps no sums and no order, and
// works everything out anew for each answer.
type naive struct {
	lots        []*naiveLot
	holds       []*naiveHold
	charges     []*naiveCharge
	purchases   map[string]*naivePurchase
	meters      map[string]*naiveMeter
	adjustments map[string]*naiveAdjustment
	payouts     map[string]*naivePayout
	deployments map[string]*naiveDeployment
	// waiting are the deployments that wait, in the order in which they began to.
	waiting []*naiveDeployment

	spendingDebt, chargebackDebt domain.Amount
	// paidDebt is what purchased lots have paid of spending debt and have not
	// got back; promoForReversals what promotional lots have paid of reversals.
	paidDebt, promoForReversals domain.Amount
	// expired is what purchased lots had when their date came.
	expired domain.Amount
	// paidOut is what has left by payouts.
	paidOut domain.Amount

	frozen bool
	// spentTakenBack: something that had been spent was.
	spentTakenBack bool
	allowance      domain.Amount
	twoApproversAt domain.Amount
	grace          time.Duration
}

// naiveLot is credits that arrived together.
type naiveLot struct {
	born      int
	purchased bool
	expires   time.Time
	free      domain.Amount
	// out is what payouts that wait hold of it.
	out domain.Amount
	// money came in for it and was not taken back; reversed: some was; expired: with
	// the lot's date; owed is what of the reversal is debt; made: by a refund of debt.
	money, owed, expired domain.Amount
	reversed, made       bool
	// lent is its money that stood in for other lots, in turn.
	lent []slice
}

// hollow is what the lot has without money behind it.
func (l *naiveLot) hollow() domain.Amount {
	if !l.reversed {
		return 0
	}
	return max(0, l.free+l.out-l.money)
}

// standFor takes the money with credits that were just taken from the lot to cover a
// reversal of another: those without any go first.
func (l *naiveLot) standFor(other *naiveLot, taken domain.Amount) {
	l.free += taken
	money := taken - min(taken, l.hollow())
	l.free -= taken
	l.money -= money
	other.money += money
	l.lent = append(l.lent, slice{other, money})
}

// recall gets what the lot lacks from those that it stood in for: what they got of it
// was taken back as well. What is owed for it will come.
func (l *naiveLot) recall() {
	for i := range l.lent {
		loan := &l.lent[i]
		if some := min(-l.money-l.owed, loan.amount, loan.lot.money); some > 0 {
			loan.lot.money -= some
			loan.amount -= some
			l.money += some
		}
	}
}

// slice is credits of one lot, somewhere else than in its free part.
type slice struct {
	lot    *naiveLot
	amount domain.Amount
}

type naiveHold struct {
	id      string
	expires time.Time
	slices  []slice
	open    bool
}

// naiveCharge is something spent, in the order of consumption.
type naiveCharge struct {
	slices []slice
	debt   domain.Amount
}

func (c *naiveCharge) left() domain.Amount { return total(c.slices) + c.debt }

type naivePurchase struct {
	lot      *naiveLot
	amount   domain.Amount
	reversed bool
}

type naiveMeter struct {
	exact   *big.Rat
	charged domain.Amount
	open    bool
}

type naiveAdjustment struct {
	amount       domain.Amount
	asked, first string
	done         bool
}

func newNaive() *naive {
	return &naive{
		purchases: map[string]*naivePurchase{}, meters: map[string]*naiveMeter{}, adjustments: map[string]*naiveAdjustment{},
		payouts: map[string]*naivePayout{}, deployments: map[string]*naiveDeployment{},
		allowance: 10 * credit, twoApproversAt: 1000 * credit, grace: 5 * time.Minute,
	}
}

func total(slices []slice) (sum domain.Amount) {
	for _, s := range slices {
		sum += s.amount
	}
	return sum
}

// inOrder lists the lots with something free as they are spent: promotional
// before purchased, soonest expiry first, oldest first.
func (n *naive) inOrder() []*naiveLot {
	var all []*naiveLot
	for _, l := range n.lots {
		if l.free > 0 {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *naiveLot) int {
		if a.purchased != b.purchased {
			return map[bool]int{false: -1, true: 1}[a.purchased]
		}
		return cmp.Or(never(a.expires).Compare(never(b.expires)), a.born-b.born)
	})
	return all
}

// never puts no expiry after every expiry.
func never(t time.Time) time.Time {
	if t.IsZero() {
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}

func (n *naive) free() (sum domain.Amount) {
	for _, l := range n.lots {
		sum += l.free
	}
	return sum
}

func (n *naive) debt() domain.Amount      { return n.spendingDebt + n.chargebackDebt }
func (n *naive) available() domain.Amount { return n.free() - n.debt() }

// paid is settled purchases minus reversed ones.
func (n *naive) paid() (sum domain.Amount) {
	for _, p := range n.purchases {
		if !p.reversed {
			sum += p.amount
		}
	}
	return sum
}

func (n *naive) spendable() domain.Amount {
	if n.frozen || n.paid() <= 0 {
		return max(0, n.available())
	}
	return max(0, n.available()+n.allowance)
}

// cash is the money that may be behind purchased credits still.
func (n *naive) cash() domain.Amount { return n.paid() - n.expired - n.paidOut }

// balance works out the figures of api.md.
func (n *naive) balance() account.Balance {
	b := account.Balance{Debt: n.debt(), Available: n.available(), Spendable: n.spendable(), Frozen: n.frozen}
	freePurchased := domain.Amount(0)
	byClass := func(l *naiveLot, amount domain.Amount) {
		if l.purchased {
			b.Purchased += amount
		} else {
			b.Promotional += amount
		}
	}
	for _, l := range n.lots {
		byClass(l, l.free)
		if l.purchased {
			freePurchased += l.free
		}
	}
	for _, h := range n.holds {
		for _, s := range h.slices {
			byClass(s.lot, s.amount)
			b.Reserved += s.amount
		}
	}
	for _, l := range n.lots {
		byClass(l, l.out)
		b.Withdrawing += l.out
	}
	b.Balance = b.Promotional + b.Purchased - b.Debt
	b.Withdrawable = max(0, min(freePurchased, b.Available, n.cash()-b.Withdrawing))
	for _, l := range n.lots {
		freePurchased -= l.hollow()
	}
	b.Withdrawable = max(0, min(b.Withdrawable, freePurchased))
	if !n.frozen && n.paid() > 0 {
		b.Allowance = n.allowance
	}
	return b
}

// arrive makes a lot and does what follows an inflow.
func (n *naive) arrive(purchased bool, amount domain.Amount, expires, now time.Time) *naiveLot {
	l := &naiveLot{born: len(n.lots), purchased: purchased, expires: expires, free: amount, money: amount}
	n.lots = append(n.lots, l)
	n.cameIn(now)
	return l
}

// cameIn follows every inflow: debt is paid, then what waits.
func (n *naive) cameIn(now time.Time) {
	n.settle(now)
	n.payWaiting(now)
}

// settle ends what came back past its date, then pays debt.
func (n *naive) settle(now time.Time) {
	for _, l := range n.lots {
		if !l.expires.IsZero() && !l.expires.After(now) {
			if l.purchased {
				money := l.free - min(l.free, l.hollow())
				l.expired += money
				n.expired += money
			}
			l.free = 0
		}
	}
	for _, l := range n.inOrder() {
		part := min(l.free, n.chargebackDebt)
		l.free, n.chargebackDebt = l.free-part, n.chargebackDebt-part
		n.coverOwed(l, part)
		if !l.purchased {
			n.promoForReversals += part
		}
		part = min(l.free, n.spendingDebt)
		l.free, n.spendingDebt = l.free-part, n.spendingDebt-part
		if l.purchased {
			n.paidDebt += part
		}
	}
}

// coverOwed puts the money of credits that paid chargeback debt behind the lots that
// the provider took it of.
func (n *naive) coverOwed(from *naiveLot, paid domain.Amount) {
	for _, l := range n.lots {
		part := min(paid, l.owed)
		l.owed -= part
		paid -= part
		if from.purchased && from != l {
			from.standFor(l, part)
		}
		if part > 0 {
			l.recall()
		}
	}
}

// pass applies every deadline up to now, the earliest first.
func (n *naive) pass(now time.Time) {
	for {
		var next *naiveDue
		for _, due := range n.due() {
			if !due.at.After(now) && (next == nil || due.before(next)) {
				next = &due
			}
		}
		if next == nil {
			n.settle(now)
			return
		}
		n.settle(next.at)
		next.pass(next.at)
	}
}

// naiveDue is something that ends at an instant; at one instant by rank, then id.
type naiveDue struct {
	at   time.Time
	rank int
	id   string
	pass func(time.Time)
}

func (a *naiveDue) before(b *naiveDue) bool {
	return cmp.Or(a.at.Compare(b.at), a.rank-b.rank, cmp.Compare(a.id, b.id)) < 0
}

func (n *naive) due() (all []naiveDue) {
	for _, h := range n.holds {
		if h.open && !h.expires.IsZero() {
			all = append(all, naiveDue{h.expires, 2, h.id, func(at time.Time) { n.release(h, at) }})
		}
	}
	for id, x := range n.deployments {
		switch x.status {
		case account.DeploymentIsPending, account.DeploymentIsPaused:
			all = append(all, naiveDue{x.grace, 1, id, func(at time.Time) { n.endGrace(x, at) }})
		case account.DeploymentIsActive:
			all = append(all, naiveDue{x.ends, 4, id, func(at time.Time) { n.complete(x) }})
		}
	}
	return all
}

func (n *naive) release(h *naiveHold, now time.Time) {
	for _, s := range h.slices {
		s.lot.free += s.amount
	}
	h.slices, h.open = nil, false
	n.cameIn(now)
}

// take empties lots in order; what they don't cover is the rest.
func take(from []*naiveLot, amount domain.Amount) (taken []slice, rest domain.Amount) {
	for _, l := range from {
		if part := min(l.free, amount); part > 0 {
			l.free, amount = l.free-part, amount-part
			taken = append(taken, slice{l, part})
		}
	}
	return taken, amount
}

// spend charges lots and then debt, if it may.
func (n *naive) spend(amount domain.Amount) domain.Code {
	if amount > n.spendable() {
		return domain.CodeInsufficientCredits
	}
	taken, rest := take(n.inOrder(), amount)
	n.spendingDebt += rest
	n.charges = append(n.charges, &naiveCharge{taken, rest})
	return ""
}

func (n *naive) hold(id string) *naiveHold {
	for _, h := range n.holds {
		if h.id == id {
			return h
		}
	}
	return nil
}

// takeBack removes amount from the end of slices.
func takeBack(from []slice, amount domain.Amount) (rest, taken []slice) {
	rest = slices.Clone(from)
	for amount > 0 && len(rest) > 0 {
		last := &rest[len(rest)-1]
		part := min(last.amount, amount)
		taken = append(taken, slice{last.lot, part})
		last.amount, amount = last.amount-part, amount-part
		if last.amount == 0 {
			rest = rest[:len(rest)-1]
		}
	}
	return rest, taken
}

// rounded is half-even to a micro-credit.
func rounded(exact *big.Rat) domain.Amount {
	micro := new(big.Rat).Mul(exact, big.NewRat(1_000_000, 1))
	whole, rest := new(big.Int).QuoRem(micro.Num(), micro.Denom(), new(big.Int))
	switch c := rest.Lsh(rest, 1).Cmp(micro.Denom()); {
	case c > 0, c == 0 && whole.Bit(0) == 1:
		whole.Add(whole, big.NewInt(1))
	}
	return domain.Amount(whole.Int64())
}
