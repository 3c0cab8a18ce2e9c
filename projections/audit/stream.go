package audit

import (
	"fmt"
	"math"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// stream is one account on its way through the log, or the notices beside it:
// those have the chain and no rules.
type stream struct {
	account string
	beside  bool
	codec   *eventstore.Codec
	report  func(Finding)
	digest  *eventstore.Digester

	revision int64
	position eventstore.Position
	hash     eventstore.Hash
	meta     eventstore.Metadata
	state    *account.State
	books    journal.Totals
	// saved is the revision of the snapshot, of this version's fold; MaxInt64: there is none.
	saved     int64
	snapshots snapshots
	// broken: an event is missing or can't be read, so that what follows can't be
	// held to the rules any more, only to the chain.
	broken bool
}

func newStream(name string, codec *eventstore.Codec, digest *eventstore.Digester, saved snapshots, report func(Finding)) *stream {
	owner, ours := eventstore.AccountOf(name)
	if !ours {
		owner, _ = eventstore.NoticesOf(name)
	}
	s := &stream{account: owner, beside: !ours, codec: codec, digest: digest, report: report, revision: eventstore.NoStream, saved: math.MaxInt64}
	if ours {
		s.state, s.snapshots = account.New(), saved
		s.loadSnapshot(name, &eventstore.Recorded{Revision: eventstore.NoStream})
	}
	return s
}

func (s *stream) find(r *eventstore.Recorded, check Check, what, expected, found string) {
	if s.beside {
		what = "notices"
	}
	s.report(Finding{Check: check, Account: s.account, Revision: r.Revision, Position: r.Position, What: what, Expected: expected, Found: found})
}

// follow checks the next event and gives its chain hash, as the event claims it.
// After a finding it goes on from what is there: one fault, one line or two.
func (s *stream) follow(r *eventstore.Recorded) eventstore.Hash {
	if r.Revision != s.revision+1 {
		s.find(r, CheckRevision, "", fmt.Sprint(s.revision+1), fmt.Sprint(r.Revision))
		s.broken = true
	}
	s.revision, s.position = r.Revision, r.Position
	meta, err := eventstore.DecodeMetadata(r.Metadata)
	if err != nil {
		s.find(r, CheckMetadata, "", "metadata of this version", err.Error())
		s.broken = true
		meta = s.meta
		meta.Previous = s.hash
	}
	if meta.Previous != s.hash {
		s.find(r, CheckChain, "", s.hash.String(), meta.Previous.String())
		s.broken = true
	}
	hash := s.digest.ChainHash(r.Stream, r.Revision, r.Event, meta.Previous)
	if id := s.digest.EventID(r.Stream, r.Revision, r.Type, r.Data, r.Metadata, meta.Previous); id != r.ID {
		s.find(r, CheckID, "", id.String(), r.ID.String())
		s.broken = true
	}
	s.sequence(r, meta)
	body, err := s.codec.Decode(r.Type, r.Data)
	if err != nil {
		s.find(r, CheckDecoding, "", "an event of this version", err.Error())
		s.broken = true
	}
	s.hash, s.meta = hash, meta
	if !s.broken && !s.beside {
		s.fold(r, body)
	}
	if s.revision == s.saved && !s.broken {
		s.compareSnapshot(r)
	}
	return hash
}

// sequence checks what the metadata says of the event's place.
func (s *stream) sequence(r *eventstore.Recorded, meta eventstore.Metadata) {
	if meta.RecordedAt.Before(s.meta.RecordedAt) {
		s.find(r, CheckTime, "", "not before "+s.meta.RecordedAt.String(), meta.RecordedAt.String())
	}
	if s.broken {
		return
	}
	// The events of one command stand together, numbered from 0.
	next := s.meta.Command.Index + 1
	if next >= s.meta.Command.Count {
		next = 0
	}
	if got := meta.Command; got.Index != next || got.Index >= got.Count || next > 0 && got.ID != s.meta.Command.ID {
		s.find(r, CheckCommand, "", fmt.Sprintf("event %d of command %q", next, s.meta.Command.ID),
			fmt.Sprintf("event %d of %d of command %q", got.Index, got.Count, got.ID))
	}
}

// fold adds the event to the state and the books, and holds both to the rules.
// A forged event may be one that no state has ever met: what that breaks in the
// fold is a finding too.
func (s *stream) fold(r *eventstore.Recorded, body domain.Event) {
	defer func() {
		if p := recover(); p != nil {
			s.find(r, CheckRule, "the event fits what came before it", "an event that can be folded", fmt.Sprint(p))
			s.broken = true
		}
	}()
	for _, fault := range account.AmountFaults(body) {
		s.find(r, CheckRule, fault.Rule, fault.Expected, fault.Found)
	}
	owed := s.state.SpendingDebt
	account.Evolve(s.state, body)
	if postings, err := journal.Of(body, r.Revision); err != nil {
		s.find(r, CheckJournal, "", "postings that balance", err.Error())
	} else {
		s.books.Post(postings)
	}
	for _, fault := range s.state.Figures.Faults(owed) {
		s.find(r, CheckRule, fault.Rule, fault.Expected, fault.Found)
	}
	// Within a command a rule may wait for the command's next event.
	if s.meta.Command.Index+1 == s.meta.Command.Count {
		for _, fault := range s.state.Faults() {
			s.find(r, CheckRule, fault.Rule, fault.Expected, fault.Found)
		}
	}
}

// end checks what holds for a whole account, and adds its books to the company's.
func (s *stream) end(company *journal.Totals, balances *journal.Sum) {
	last := &eventstore.Recorded{Revision: s.revision, Position: s.position}
	if s.broken || s.beside {
		return
	}
	for _, fault := range s.state.LotFaults() {
		s.find(last, CheckRule, fault.Rule, fault.Expected, fault.Found)
	}
	own := s.state.Balance().Balance
	if want := (journal.Sum{}).Add(own); s.books.Balance() != want {
		s.find(last, CheckJournal, "the account's books", want.String(), s.books.Balance().String())
	}
	company.Plus(&s.books)
	*balances = balances.Add(own)
}
