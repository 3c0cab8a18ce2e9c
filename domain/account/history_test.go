package account_test

import (
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"

	"iocredits/domain"
	"iocredits/domain/account"
)

// failer is a test or a rapid check.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// history is an account driven as the write side drives it: names and originals
// are looked up in its log. Each command is held to the laws of the decider.
type history struct {
	t      failer
	state  *account.State
	log    []domain.Event
	claims map[string]bool
	// opening is the policy that the account begins with; nil: the default.
	opening *account.Policy
}

func newHistory(t failer) *history {
	return &history{t: t, state: account.New(), claims: map[string]bool{}}
}

// execute decides a command and folds its events in.
func (h *history) execute(s step) ([]domain.Event, error) {
	h.t.Helper()
	cmd := h.command(s)
	before := stored(h.t, h.state)
	events, err := account.Decide(h.state, cmd)
	if len(events) > 0 && err != nil {
		h.t.Fatalf("%T: %d events and a refusal: %v", s.do, len(events), err)
	}
	if err != nil {
		if _, ok := domain.AsError(err); !ok {
			h.t.Fatalf("%T: not a refusal: %v", s.do, err)
		}
	}
	h.sameAgain("twice", h.state, cmd, events, err)
	h.sameAgain("from a snapshot", h.reload(before), cmd, events, err)
	h.opensAlike(cmd, events, err)
	if after := stored(h.t, h.state); after != before {
		h.t.Fatalf("%T: Decide changed the state\nfrom %s\nto   %s", s.do, before, after)
	}
	h.branchIsIndependent(before, events)
	h.partsAreWhole(events)
	h.fold(events)
	if said, is := h.state.Unbacked, h.state.UnbackedNow(); err == nil && said != is {
		h.t.Fatalf("%T: %s unbacked, not %s", s.do, is, said)
	}
	return events, err
}

// command fills in what the write side looks up.
func (h *history) command(s step) account.Command {
	cmd := account.Command{At: s.at, By: s.by, Do: s.do, Opening: h.opening}
	if user, ok := s.do.(account.NameUser); ok {
		name := user.NameFor(h.state)
		cmd.NameTaken = name != "" && h.claims[name]
	}
	if user, ok := s.do.(account.OriginalUser); ok {
		cmd.Original = h.original(user.OriginalID(h.state))
	}
	if user, ok := s.do.(account.ClaimUser); ok {
		cmd.Original = h.claimant(user.ClaimFor(h.state))
	}
	return cmd
}

// claimant reads the first event that claimed a name.
func (h *history) claimant(name string) []account.Recorded {
	for i, e := range h.log {
		if name != "" && account.ClaimOf(e) == name {
			return []account.Recorded{{ID: tx(int64(i)), Revision: int64(i), Event: e}}
		}
	}
	return nil
}

// original reads the parts of the movement that the event of this id opens.
func (h *history) original(id domain.TransactionID) []account.Recorded {
	first, ours := domain.RevisionOf(id)
	if !ours || first >= int64(len(h.log)) || id != tx(first) {
		return nil
	}
	var parts []account.Recorded
	for i := range int64(account.PartsOf(h.log[first])) {
		parts = append(parts, account.Recorded{ID: tx(first + i), Revision: first + i, Event: h.log[first+i]})
	}
	return parts
}

// sameAgain decides once more: the same state and command, the same answer.
func (h *history) sameAgain(how string, s *account.State, cmd account.Command, events []domain.Event, err error) {
	h.t.Helper()
	again, errAgain := account.Decide(s, cmd)
	if !reflect.DeepEqual(events, again) || !reflect.DeepEqual(err, errAgain) {
		h.t.Fatalf("%T decided %s:\n%s%v\nnot\n%s%v", cmd.Do, how,
			eventsText(h.t, again), errAgain, eventsText(h.t, events), err)
	}
}

// reload reads a state as the ledger reads a snapshot.
func (h *history) reload(snapshot string) *account.State {
	h.t.Helper()
	s := new(account.State) // not New: what a snapshot leaves out is zero, and no default
	if err := json.Unmarshal([]byte(snapshot), s); err != nil {
		h.t.Fatalf("snapshot: %v\n%s", err, snapshot)
	}
	if again := stored(h.t, s); again != snapshot {
		h.t.Fatalf("snapshot\n%s\nis read as\n%s", snapshot, again)
	}
	return s
}

// branchIsIndependent folds into two branches: neither may show in the original, or in
// the other.
func (h *history) branchIsIndependent(before string, events []domain.Event) {
	h.t.Helper()
	one, two := h.state.Branch(), h.state.Branch()
	for _, e := range events {
		account.Evolve(one, e)
	}
	if after := stored(h.t, h.state); after != before {
		h.t.Fatalf("folding into a branch changed the original\nfrom %s\nto   %s", before, after)
	}
	for _, e := range events {
		account.Evolve(two, e)
	}
	if a, b := stored(h.t, one), stored(h.t, two); a != b {
		h.t.Fatalf("two branches fold to\n%s\n%s", a, b)
	}
}

// partsAreWhole: the parts of a movement stand together, and each moves what it says and names no more
// lots than design.md rule 16 allows.
func (h *history) partsAreWhole(events []domain.Event) {
	h.t.Helper()
	left := 1
	for _, e := range events {
		n := account.PartsOf(e)
		if left > 1 && n != left-1 {
			h.t.Fatalf("%s is %d from the end of its movement, not %d", e.EventName(), n, left-1)
		}
		left = n
		if effect := account.EffectOf(e, 0); len(effect.Taken) > 500 || len(effect.Given) > 500 {
			h.t.Fatalf("%s names %d lots", e.EventName(), max(len(effect.Taken), len(effect.Given)))
		}
		if faults := account.AmountFaults(e); faults != nil {
			h.t.Fatalf("%s: %+v", e.EventName(), faults)
		}
	}
	if left > 1 {
		h.t.Fatalf("%d parts of a movement are missing", left-1)
	}
}

// fold records events, and holds the history's entries and the figures of the
// views to what the state says.
func (h *history) fold(events []domain.Event) {
	h.t.Helper()
	for _, e := range events {
		before := h.state.Balance()
		figures := h.state.Figures
		account.Evolve(h.state, e)
		h.log = append(h.log, e)
		if h.state.Revision != int64(len(h.log))-1 {
			h.t.Fatalf("%s is revision %d in a log of %d", e.EventName(), h.state.Revision, len(h.log))
		}
		if name := account.ClaimOf(e); name != "" {
			h.claims[name] = true
		}
		figures.Apply(e, h.state.Revision)
		if figures != h.state.Figures {
			h.t.Fatalf("%s: the views have %+v, the state %+v", e.EventName(), figures, h.state.Figures)
		}
		after := h.state.Balance()
		entry, _ := account.EntryOf(e)
		holds := after.Reserved + after.Withdrawing - before.Reserved - before.Withdrawing
		if entry.Amount != after.Balance-before.Balance || entry.Held != holds {
			h.t.Fatalf("%s shows {%s, %s} in the history; the balance went from %s to %s, what is held changed by %s",
				e.EventName(), entry.Amount, entry.Held, before.Balance, after.Balance, holds)
		}
	}
}

// replay folds the whole log as it is stored, from nothing.
func (h *history) replay() {
	h.t.Helper()
	types := map[string]domain.EventType{}
	for _, t := range account.EventTypes() {
		types[t.Name] = t
	}
	s := account.New()
	for _, e := range h.log {
		t, known := types[e.EventName()]
		if !known {
			h.t.Fatalf("%T is not in EventTypes", e)
		}
		again := t.New()
		if err := json.Unmarshal([]byte(stored(h.t, e)), again, json.RejectUnknownMembers(true)); err != nil {
			h.t.Fatalf("%s: %v", e.EventName(), err)
		}
		account.Evolve(s, again)
		h.fastCodecIsTheSame(e, t.New())
	}
	if a, b := stored(h.t, s), stored(h.t, h.state); a != b {
		h.t.Fatalf("replay gives\n%s\nnot\n%s", a, b)
	}
}

// canonical is an event that reads and writes its stored form itself.
type canonical interface {
	AppendJSON([]byte) ([]byte, bool)
	ParseJSON([]byte) bool
}

func (h *history) fastCodecIsTheSame(e, empty domain.Event) {
	h.t.Helper()
	fast, ok := e.(canonical)
	if !ok {
		return
	}
	data, done := fast.AppendJSON(nil)
	if !done {
		return
	}
	if general := stored(h.t, e); string(data) != general {
		h.t.Fatalf("%s is written as\n%s\nand in general as\n%s", e.EventName(), data, general)
	}
	if !empty.(canonical).ParseJSON(data) || !reflect.DeepEqual(e, empty) {
		h.t.Fatalf("%s is read as %+v", data, empty)
	}
}

// stranger is an event of another time or package.
type stranger struct{}

func (stranger) EventName() string { return "stranger" }

func TestUnknownEventOnlyCounts(t *testing.T) {
	s := account.New()
	before := s.Figures
	account.Evolve(s, stranger{})
	if s.Revision != 0 || s.Figures != before {
		t.Errorf("revision %d, figures %+v", s.Revision, s.Figures)
	}
	if _, shown := account.EntryOf(stranger{}); shown || account.ClaimOf(stranger{}) != "" || account.PartsOf(stranger{}) != 1 {
		t.Error("it shows, claims a name or has parts")
	}
	if e := account.EffectOf(stranger{}, 0); !reflect.DeepEqual(e, account.Effect{}) {
		t.Errorf("it moves %+v", e)
	}
}
