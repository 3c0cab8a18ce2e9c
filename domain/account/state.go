package account

import (
	"time"

	"iocredits/domain"
)

// FoldVersion names the fold that made a snapshot. MUST change whenever a
// State folded from the same events would differ (design.md rule 16).
const FoldVersion = "13"

// State is all that a decision needs, folded from the account's events. It forgets
// what no rule asks for: spent lots, closed holds and objects, deductions of which
// nothing came back. So an account with ten million deductions is as large as one
// with ten. What is open is bounded by limits (maxLots, maxOpenPurchases, …), but for
// payments that people have to look at, and purchases that were paid in part: those are
// facts. What stays for ever grows with the account's life, a record each, and has no limit:
//
//	Purchases        each settled purchase and credited payment: it may be taken back
//	Refunded         each deduction of which anything was ever refunded
//	Left, Expired    each purchased lot of which money was paid out or stood in, or
//	                 that expired: no more of them than purchased lots were ever made
//	Lent             each time that one stood in
//
// Exported fields are the snapshot's content; other packages MUST NOT change them.
type State struct {
	// Revision of the last event folded in. A lot's id is the revision of the event
	// that made it.
	Revision int64
	Figures
	Lots lots

	Reservations map[string]Reservation
	// Due has all deadlines to come but those of lots, which are in Lots: the
	// next one first. DueAt finds one by its name.
	Due   []Deadline
	DueAt map[string]time.Time

	// Purchases has all credits that were paid for; OpenPurchases what is yet to be paid.
	Purchases     purchases
	OpenPurchases map[string]Purchase
	// Unmatched payments, by id.
	Unmatched map[string]Payment
	// Refunded is what came back of each deduction ever refunded, by revision.
	Refunded map[int64]domain.Amount
	// DebtPaidByPurchased is the counter of money.md, Refund: what purchased
	// lots have paid of spending debt and have not got back.
	DebtPaidByPurchased domain.Amount
	// Backing has the purchased lots that may have less money than credits, Left the
	// money that left purchased lots, Lent what of that stood in for others, Expired what
	// expired of them. See backing.go.
	Backing map[int64]Backing
	Left    map[int64]domain.Amount
	Lent    map[int64][]Loan
	Expired map[int64]domain.Amount
	// Made are the purchased lots that refunds of debt made, until SpentTakenBack:
	// something that had been spent was taken back.
	Made           []int64
	SpentTakenBack bool

	Meters         map[string]domain.Accrual
	Adjustments    map[string]Adjustment
	CreditRequests map[string]CreditRequest
	Withdrawals    map[string]Withdrawal
	Disputes       map[string]Dispute

	Deployments map[string]Deployment
	// Payments of open deployments, oldest first: what a refund gives back to.
	Payments map[string][]DeploymentPayment
	// Waiting are deployments that are short of credits, longest waiting first.
	Waiting []string
	// UnsettledSince is when credits came of which more that waits can be paid than one
	// decision pays (maxSettled); zero: all was paid. The next decision begins with the
	// rest, as of then.
	UnsettledSince time.Time `json:",omitzero"`

	// Forgotten is the revision of the newest event that says so; 0: there is none.
	Forgotten int64

	// under is the state that this one branched off; nil: it is none of a decision's.
	under *State
}

// New is an account that nothing has happened to. Its maps are nil until put
// makes them: most accounts have but one or two that aren't empty, and an engine
// keeps a hundred thousand states in memory.
func New() *State {
	return &State{Revision: -1, Figures: Figures{Policy: DefaultPolicy()}}
}

// put stores a value in one of the state's maps.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V, 1)
	}
	(*m)[key] = value
}

// Evolve folds the next event of the stream into the state. It never refuses:
// what is recorded has happened.
func Evolve(s *State, event domain.Event) {
	s.Revision++
	f, ours := event.(fact)
	if !ours {
		return
	}
	effect := EffectOf(event, s.Revision)
	s.Figures.add(&effect)
	f.figures(&s.Figures)
	s.Lots = s.Lots.give(effect.Made)
	for _, u := range effect.Given {
		s.Lots = s.Lots.give(u)
	}
	for _, u := range effect.Taken {
		s.Lots = s.Lots.take(u)
	}
	if effect.Hold.Kind == HoldReservation {
		s.holdReservation(effect.Hold)
	}
	for _, due := range effect.Deadlines {
		s.schedule(due)
	}
	f.evolve(s)
}
