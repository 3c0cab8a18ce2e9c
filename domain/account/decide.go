package account

import (
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
)

// Command is an action with what surrounds it. Everything that is not in the
// state arrives here; the write side fills it.
type Command struct {
	// At is when it is decided; never before the stream's last event.
	At time.Time
	// By is the actor: the person or machine that asks.
	By string
	Do Action

	// NameTaken says that an event has claimed the name which Do asked about,
	// though the state no longer knows it.
	NameTaken bool
	// Original is the event that Do refers to, with its other parts; empty: there
	// is no such event.
	Original []Recorded
	// Opening is the policy that an account begins with; nil: DefaultPolicy. Where it is
	// another the first event of the account sets it, before all else that the command
	// does. An account that has events keeps what it has.
	Opening *Policy
}

// Recorded is an event with its place: what a command refers back to.
type Recorded struct {
	ID       uuid.UUID
	Revision int64
	Event    domain.Event
}

// Action is what a command wants done. Implementations document their checks
// in the order in which they are made: the order is part of the contract.
type Action interface {
	decide(*decision) error
}

// NameUser is an action about something with a name that is claimed once, such
// as a reservation. The write side looks the name up where the state can't tell.
type NameUser interface {
	// NameFor is the name to look up given the state; "" if there is no need.
	NameFor(*State) string
}

// OriginalUser is an action that refers to an earlier event by its id, which it
// or the state knows; Nil: to none.
type OriginalUser interface {
	OriginalID(*State) domain.TransactionID
}

// ClaimUser is an action that refers to the event which claimed a name, where
// the state has forgotten what it made. An action is this or an OriginalUser.
type ClaimUser interface {
	// ClaimFor is that name given the state; "" if there is no need.
	ClaimFor(*State) string
}

// ClaimOf is the name that an event claims for ever, or "".
func ClaimOf(event domain.Event) string {
	if c, ok := event.(interface{ claim() string }); ok {
		return c.claim()
	}
	return ""
}

// PartsOf tells how many events of a movement there are from this one on: 1, or
// more where it was split (design.md rule 16).
func PartsOf(event domain.Event) int {
	if p, ok := event.(interface{ parts() Part }); ok {
		at := p.parts()
		return at.Count - at.Index + 1
	}
	return 1
}

// PlaceOf tells which part of its movement an event is, from 1, and of how many.
func PlaceOf(event domain.Event) (index, count int) {
	if p, ok := event.(interface{ parts() Part }); ok {
		return max(1, p.parts().Index), max(1, p.parts().Count)
	}
	return 1, 1
}

// Decide answers a command: first the deadlines that are due, then the
// command's own events; or a refusal and nothing at all. It changes nothing. Where
// State.Overdue, a Tick MUST come before any other command: it alone does a part of what
// is due, and what it did is written before the rest. A command that does nothing opens
// no account.
func Decide(s *State, c Command) ([]domain.Event, error) { return decide(s, c, maxSettled) }

// decide is Decide with another bound than maxSettled.
func decide(s *State, c Command, settled int) ([]domain.Event, error) {
	d := &decision{initial: s, state: s, cmd: c, dueLeft: math.MaxInt, settleLeft: math.MaxInt}
	d.events = d.one[:0]
	if _, tick := c.Do.(Tick); tick {
		d.dueLeft, d.settleLeft = maxDue, settled
	}
	opened := d.open()
	d.settleRest()
	d.applyDue()
	d.clock, d.settleLeft = c.At, settled
	d.settleBacking()
	if err := c.Do.decide(d); err != nil {
		return nil, err
	}
	d.settleBacking()
	if len(d.events) == opened {
		return nil, nil
	}
	return d.events, nil
}

// Tick applies what is due and nothing else, the first maxDue of it. Without anything
// due it has no events. Never refused.
type Tick struct{}

func (Tick) decide(*decision) error { return nil }

// decision collects the events of one command. The caller's state is copied
// before the first event is folded in, and only if a later rule has to see it.
type decision struct {
	// initial is the state as it came in, state with the events so far.
	initial *State
	state   *State
	owned   bool
	cmd     Command
	events  []domain.Event
	// one is room for the event of most commands.
	one    [1]domain.Event
	folded int
	// dueLeft is how many lots and deadlines more may end before the command's own events.
	dueLeft int
	// settleLeft is what of maxSettled is left.
	settleLeft int
	// clock is the instant whose events are being decided: a deadline's while
	// deadlines are applied, the command's after that.
	clock time.Time
}

// emit adds an event.
func (d *decision) emit(event domain.Event) { d.events = append(d.events, event) }

// now is the state with all events so far. MUST NOT be kept over an emit.
func (d *decision) now() *State {
	if d.folded == len(d.events) {
		return d.state
	}
	if !d.owned {
		d.state, d.owned = d.state.branch(), true
	}
	for ; d.folded < len(d.events); d.folded++ {
		Evolve(d.state, d.events[d.folded])
	}
	return d.state
}

// arrived follows every inflow (money.md, Debt): what came back past its date
// expires at once, then debt is paid, then what waits.
func (d *decision) arrived() {
	d.cameIn()
	d.settleWaiting()
}

// cameIn is arrived without what waits, for decisions that have more to say first.
func (d *decision) cameIn() {
	d.expireLots(d.clock)
	d.repayDebt()
}

// applyDue applies all deadlines up to the command's time, in time order; at
// one instant lots come first, then the others by their kind.
func (d *decision) applyDue() {
	for {
		s := d.now()
		if s.Unsettled() { // that comes before what is due later
			return
		}
		if len(s.Due) == 0 || s.Due[0].At.After(d.cmd.At) {
			d.dueLeft = d.expireSome(d.cmd.At, d.dueLeft)
			return
		}
		due := s.Due[0]
		if d.dueLeft = d.expireSome(due.At, d.dueLeft); d.dueLeft == 0 {
			return
		}
		d.clock = later(d.clock, due.At)
		switch of := d.now().dueOf(due); {
		case of <= d.dueLeft:
			d.dueLeft -= of
			d.applyDeadline(due)
		case of <= maxDue || d.applySome(due) || d.dueLeft < maxDue:
			return // the rest is for the next Tick
		default: // what has no parts is all that a Tick does
			d.dueLeft = 0
			d.applyDeadline(due)
		}
	}
}

// expireLots ends what is unreserved in every lot whose date is at or before
// upTo. A lot that was given back after its date expires when it was given.
func (d *decision) expireLots(upTo time.Time) { d.expireSome(upTo, math.MaxInt) }

// expireSome is expireLots for so many lots at the most. It gives how many more it could
// have been.
func (d *decision) expireSome(upTo time.Time, most int) (left int) {
	for left = most; left > 0; left-- {
		lot, ok := d.now().Lots.soonest()
		if !ok || lot.ExpiresAt.After(upTo) {
			break
		}
		d.clock = later(d.clock, lot.ExpiresAt)
		unbacked := min(lot.Free, d.now().unbackedOf(lot.ID))
		d.emit(&LotExpired{Lot: lot.use(lot.Free), EffectiveAt: d.clock, Unbacked: unbacked})
	}
	return left
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// positive is the first check of every action with an amount.
func positive(amount domain.Amount) error { return positiveField("amount", amount) }

func positiveField(field string, amount domain.Amount) error {
	if amount <= 0 {
		return domain.Refuse(domain.CodeAmountInvalid, "%s %s is not above zero", field, amount).
			With("field", field).With("value", amount.String())
	}
	return boundedField(field, amount)
}

func bounded(amount domain.Amount) error { return boundedField("amount", amount) }

func boundedField(field string, amount domain.Amount) error {
	if amount > domain.MaxAmount || amount < -domain.MaxAmount {
		return domain.Refuse(domain.CodeAmountTooLarge, "%s %s is above the limit of %s", field, amount, domain.MaxAmount).
			With("field", field).With("value", amount.String()).With("limit", domain.MaxAmount.String())
	}
	return nil
}

// notFrozen refuses new spending, holds and payouts (money.md, Frozen).
func (d *decision) notFrozen() error {
	if d.now().Frozen {
		return domain.Refuse(domain.CodeAccountFrozen, "the account is frozen: no new spending, holds or withdrawals")
	}
	return nil
}

// room refuses what would take the account's lots past MaxBalance. What open
// deployments were paid counts as if it were there: it comes back when they end,
// which nothing can refuse. So no sum of lots can ever leave an int64.
func (d *decision) room(amount domain.Amount) error {
	s := d.now()
	return within(s.holdings()+s.prepaid(), amount)
}

// roomToBuy is room for what was ever bought, too: those sums don't shrink as
// credits are spent.
func (d *decision) roomToBuy(amount domain.Amount) error {
	if err := d.room(amount); err != nil {
		return err
	}
	s := d.now()
	return within(max(s.Paid, s.Cash), amount)
}

func within(have, amount domain.Amount) error {
	if amount > domain.MaxBalance-have {
		return noRoom(amount)
	}
	return nil
}

func noRoom(amount domain.Amount) error {
	return domain.Refuse(domain.CodeAmountTooLarge, "amount %s would take the account above %s", amount, domain.MaxBalance).
		With("field", "amount").With("value", amount.String()).With("limit", domain.MaxBalance.String())
}

// roomForLot refuses one lot more than an account may have: see maxLots.
func (d *decision) roomForLot() error { return limit("lots", d.now().lotCount(), maxLots) }

// limit refuses to open one thing more where the state would grow without bound.
func limit(what string, have, most int) error {
	if have < most {
		return nil
	}
	return domain.Refuse(domain.CodeLimitExceeded, "the account has %d open %s; no more are allowed", have, what).
		With("limit", strconv.Itoa(most))
}

// cantSpend is the 402 of what may take the allowance too.
func cantSpend(f *Figures, required domain.Amount) error {
	return insufficient(f, required, f.Spendable(), "%s %s required and %s can be spent", credits(required), are(required), f.Spendable())
}

// insufficient is the 402 of api.md, against what counts for the command.
func insufficient(f *Figures, required, against domain.Amount, detail string, args ...any) error {
	return domain.Refuse(domain.CodeInsufficientCredits, detail, args...).
		With("available", f.Available().String()).
		With("allowance", f.Allowance().String()).
		With("spendable", f.Spendable().String()).
		With("required", required.String()).
		With("shortfall", (required - against).String())
}

// notFuture checks an effective time that a client gave.
func (d *decision) notFuture(field string, at time.Time) error {
	if at.After(d.cmd.At) {
		return timeRefusal(field, at, "is in the future")
	}
	return nil
}

// inFuture checks a deadline that a client gave; none is fine.
func (d *decision) inFuture(field string, at time.Time) error {
	if !at.IsZero() && !at.After(d.cmd.At) {
		return timeRefusal(field, at, "is not in the future")
	}
	return nil
}

func timeRefusal(field string, at time.Time, why string) error {
	text := timeText(at)
	return domain.Refuse(domain.CodeTimeInvalid, "%s %s %s", field, text, why).With("field", field).With("value", text)
}

func timeText(at time.Time) string {
	if at.IsZero() {
		return "none"
	}
	return at.UTC().Format(time.RFC3339Nano)
}
