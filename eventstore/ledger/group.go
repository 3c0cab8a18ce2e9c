package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// group is what one append makes durable: the events of the commands that were
// accepted, and all the answers that rest on them.
type group struct {
	expected int64
	events   []eventstore.Event
	facts    []eventstore.Fact
	balances []domain.Amount
	bytes    int
	began    time.Time
	answers  []answer
	// stale: the book turned out to be behind the stream.
	stale *eventstore.ConflictError
	// rest did not fit and is the next group.
	rest []*task
}

// answer is a decided task; it is filled from the group once that is durable.
type answer struct {
	task *task
	// from and to bound the command's facts in the group; a replay of an older
	// command has its facts in stored instead.
	from, to int
	stored   []eventstore.Fact
	replayed bool
	balance  account.Balance
	revision int64
	at       time.Time
	policy   account.Policy
	err      error
}

// newGroup makes a group with room for so many tasks of one event each.
func newGroup(tasks int) *group {
	if tasks == 1 {
		// The most common one by far is one piece of memory.
		var one struct {
			group
			answer  [1]answer
			fact    [1]eventstore.Fact
			event   [1]eventstore.Event
			balance [1]domain.Amount
		}
		one.answers, one.facts, one.events = one.answer[:0], one.fact[:0], one.event[:0]
		one.balances = one.balance[:0]
		return &one.group
	}
	return &group{
		answers: make([]answer, 0, tasks), facts: make([]eventstore.Fact, 0, tasks), events: make([]eventstore.Event, 0, tasks),
		balances: make([]domain.Amount, 0, tasks),
	}
}

func (g *group) taken() []*task {
	tasks := make([]*task, len(g.answers))
	for i, a := range g.answers {
		tasks[i] = a.task
	}
	return tasks
}

// fill writes the answer into its task. The group is durable: positions are known.
func (a *answer) fill(g *group, b *book) {
	t := a.task
	if t.err = a.err; t.err != nil {
		return
	}
	head := Mark{Revision: a.revision, Position: b.position, RecordedAt: a.at}
	if at := a.revision - g.expected - 1; at >= 0 && at < int64(len(g.facts)) {
		head.Position = g.facts[at].Position
	}
	if t.req.Do == nil {
		t.view = &View{Balance: a.balance, Policy: a.policy, Mark: head}
		return
	}
	t.result = Result{Balance: a.balance, Head: head, Revision: head.Revision, Position: head.Position}
	t.result.Replayed = a.replayed
	t.result.Facts = a.stored
	if a.stored == nil {
		t.result.Facts = g.facts[a.from:a.to:a.to]
	}
	if !a.replayed {
		t.result.Balances = g.balances[a.from:a.to:a.to]
	}
	if n := len(t.result.Facts); n > 0 {
		last := t.result.Facts[n-1]
		t.result.Revision, t.result.Position = last.Revision, last.Position
	}
}

// decide takes tasks one after the other until the group is full. The book is
// evolved as it goes, ahead of what is durable.
func (w *worker) decide(ctx context.Context, tasks []*task) *group {
	g := newGroup(len(tasks))
	g.expected, g.began = w.book.state.Revision, time.Now()
	for i, t := range tasks {
		if len(g.events) >= w.ledger.opts.MaxGroupEvents || g.bytes >= w.ledger.opts.MaxGroupBytes {
			g.rest = tasks[i:]
			break
		}
		// The last moment at which a caller that has gone stops its command.
		if err := t.ctx.Err(); err != nil {
			g.answers = append(g.answers, answer{task: t, err: err})
			continue
		}
		a := w.decideOne(ctx, g, t)
		g.answers = append(g.answers, a)
		if errors.As(a.err, &g.stale) {
			g.rest = tasks[i+1:]
			break
		}
	}
	return g
}

func (w *worker) decideOne(ctx context.Context, g *group, t *task) answer {
	a := answer{task: t}
	if t.req.Do != nil {
		a.err = w.findReplay(ctx, g, &a)
		if a.err == nil && !a.replayed {
			a.err = w.checkRevision(t.req.OnlyAt)
		}
		if a.err == nil && !a.replayed {
			a.from = len(g.facts)
			a.err = w.accept(ctx, g, t.req)
			a.to = len(g.facts)
		}
	}
	s := w.book.state
	a.balance, a.policy, a.revision, a.at = s.Balance(), s.Policy, s.Revision, w.book.recordedAt
	if a.err == nil && t.req.Inspect != nil {
		facts := a.stored
		if facts == nil {
			facts = g.facts[a.from:a.to:a.to]
		}
		a.err = w.inspect(t.req, facts)
	}
	return a
}

// inspect shows the state to the caller. If that panics the caller gets a fault,
// though the command stands: the events are in the group, and nothing was changed.
func (w *worker) inspect(req Request, facts []eventstore.Fact) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = w.panicked("inspection", req.Do, p)
		}
	}()
	req.Inspect(w.book.state, facts)
	return nil
}

// checkRevision is for callers that decided on what they read.
func (w *worker) checkRevision(onlyAt *int64) error {
	if at := w.book.state.Revision; onlyAt != nil && *onlyAt != at {
		return domain.Refuse(domain.CodePreconditionFailed, "the account is at revision %d, not at %d", at, *onlyAt).
			With("revision", strconv.FormatInt(at, 10))
	}
	return nil
}

// findReplay looks for the command among those that were accepted before, for
// ever: in the window of names, then in the read model that has all older ones.
func (w *worker) findReplay(ctx context.Context, g *group, a *answer) error {
	req := a.task.req
	if req.CommandID == "" {
		return nil
	}
	revision, found, err := w.find(ctx, NameOfCommand(req.CommandID))
	if err != nil || !found {
		return err
	}
	facts, err := w.factsAt(ctx, g, revision, 1)
	if err != nil {
		return err
	}
	if len(facts) == 0 {
		return fmt.Errorf("account %s has no revision %d, where command %q should be", w.account, revision, req.CommandID)
	}
	first := facts[0].Meta.Command
	if revision > g.expected && first.ID != req.CommandID {
		// The event that the read model has there is another engine's, not this group's.
		return &eventstore.ConflictError{Stream: w.stream, Expected: g.expected, Actual: revision}
	}
	if first.Fingerprint != req.Fingerprint {
		return domain.Refuse(domain.CodeIdempotencyKeyReused, "the Idempotency-Key was used before for another request").
			With("revision", strconv.FormatInt(revision, 10))
	}
	a.replayed = true
	if at := int(revision - g.expected - 1); at >= 0 {
		a.from, a.to = at, at+first.Count
		return nil
	}
	a.stored, err = w.factsAt(ctx, g, revision, first.Count)
	return err
}

// accept decides a command and puts its events into the group; or refuses it
// and leaves book and group as they were.
func (w *worker) accept(ctx context.Context, g *group, req Request) error {
	at := later(w.ledger.opts.Clock().UTC().Truncate(time.Microsecond), w.book.recordedAt)
	events, err := w.safeDecide(ctx, g, account.Command{At: at, By: req.Actor, Do: req.Do})
	if err != nil {
		return err
	}
	return w.record(g, req, at, events)
}

// safeDecide turns a panic in a rule, or in what an action says of itself, into
// a fault of this command alone. Nothing is changed here, so the book is as it was.
func (w *worker) safeDecide(ctx context.Context, g *group, cmd account.Command) (events []domain.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			events, err = nil, w.panicked("decision", cmd.Do, p)
		}
	}()
	if user, ok := cmd.Do.(account.NameUser); ok {
		if name := user.NameFor(w.book.state); name != "" {
			if _, cmd.NameTaken, err = w.find(ctx, name); err != nil {
				return nil, err
			}
		}
	}
	if cmd.Original, err = w.referred(ctx, g, cmd.Do); err != nil {
		return nil, err
	}
	return account.Decide(w.book.state, cmd)
}

func (w *worker) panicked(doing string, do account.Action, p any) error {
	w.ledger.opts.Logger.Error(doing+" panicked", "account", w.account, "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("%s of %T: panic: %v", doing, do, p)
}

// record encodes and chains the events, then evolves the book by them.
func (w *worker) record(g *group, req Request, at time.Time, events []domain.Event) error {
	meta := eventstore.Metadata{
		RecordedAt: at, Actor: req.Actor, Role: req.Role, Key: req.Key, RequestID: req.RequestID,
		Command: eventstore.Command{ID: req.CommandID, Fingerprint: req.Fingerprint, Count: len(events)},
	}
	hash, revision := w.book.hash, w.book.state.Revision
	start := len(g.facts)
	for i, body := range events {
		meta.Command.Index, meta.Previous = i, hash
		revision++
		fact, err := w.encode(revision, meta, body)
		if err != nil {
			g.facts = g.facts[:start]
			return err
		}
		hash = eventstore.ChainHash(w.stream, revision, fact.Event, hash)
		g.facts = append(g.facts, fact)
	}
	// Accepted: nothing below fails.
	var names [MaxNames]string
	for i := start; i < len(g.facts); i++ {
		f := &g.facts[i]
		account.Evolve(w.book.state, f.Body)
		g.events = append(g.events, f.Event)
		g.balances = append(g.balances, w.book.state.Balance().Balance)
		g.bytes += len(f.Data) + len(f.Metadata)
		for _, name := range AppendNames(names[:0], f) {
			w.book.recent.claim(name, f.Revision)
		}
	}
	if len(events) > 0 {
		w.book.hash, w.book.recordedAt = hash, at
	}
	return nil
}

func (w *worker) encode(revision int64, meta eventstore.Metadata, body domain.Event) (eventstore.Fact, error) {
	data, err := w.ledger.opts.Codec.Encode(body)
	if err != nil {
		return eventstore.Fact{}, err
	}
	metadata, err := eventstore.EncodeMetadata(meta)
	if err != nil {
		return eventstore.Fact{}, err
	}
	if size := len(data) + len(metadata); size > eventstore.MaxEventBytes {
		return eventstore.Fact{}, fmt.Errorf("event %s has %d bytes, more than %d", body.EventName(), size, eventstore.MaxEventBytes)
	}
	event := eventstore.Event{Type: body.EventName(), Data: data, Metadata: metadata}
	event.ID = eventstore.EventID(w.stream, revision, event.Type, data, metadata, meta.Previous)
	return eventstore.Fact{
		Recorded: eventstore.Recorded{Event: event, Stream: w.stream, Revision: revision},
		Meta:     meta, Body: body,
	}, nil
}

// referred reads the earlier event that an action refers to, if it does.
func (w *worker) referred(ctx context.Context, g *group, do account.Action) ([]account.Recorded, error) {
	if user, ok := do.(account.OriginalUser); ok {
		return w.original(ctx, g, user.OriginalID(w.book.state))
	}
	user, ok := do.(account.ClaimUser)
	if !ok {
		return nil, nil
	}
	name := user.ClaimFor(w.book.state)
	if name == "" {
		return nil, nil
	}
	revision, found, err := w.find(ctx, name)
	if err != nil || !found {
		return nil, err
	}
	facts, err := w.factsAt(ctx, g, revision, 1)
	if err != nil || len(facts) == 0 || account.ClaimOf(facts[0].Body) != name {
		return nil, err
	}
	return recorded(facts), nil
}

func recorded(facts []eventstore.Fact) []account.Recorded {
	all := make([]account.Recorded, len(facts))
	for i, f := range facts {
		all[i] = account.Recorded{ID: f.ID, Revision: f.Revision, Event: f.Body}
	}
	return all
}

// original reads the event with this id, and the parts that follow it. None: no
// such event in this account.
func (w *worker) original(ctx context.Context, g *group, id uuid.UUID) ([]account.Recorded, error) {
	revision, ours := domain.RevisionOf(id)
	if !ours || revision > w.book.state.Revision {
		return nil, nil
	}
	facts, err := w.factsAt(ctx, g, revision, 1)
	if err != nil {
		return nil, err
	}
	if len(facts) == 0 || facts[0].ID != id {
		return nil, nil
	}
	if parts := account.PartsOf(facts[0].Body); parts > 1 {
		if facts, err = w.factsAt(ctx, g, revision, parts); err != nil {
			return nil, err
		}
	}
	return recorded(facts), nil
}

// factsAt gives count events from revision on: those of this group from memory,
// older ones from the store.
func (w *worker) factsAt(ctx context.Context, g *group, revision int64, count int) ([]eventstore.Fact, error) {
	if at := revision - g.expected - 1; at >= 0 {
		if end := at + int64(count); end <= int64(len(g.facts)) {
			return g.facts[at:end:end], nil
		}
		// The read model is ahead of the book: another engine wrote.
		return nil, &eventstore.ConflictError{Stream: w.stream, Expected: g.expected, Actual: revision}
	}
	facts := make([]eventstore.Fact, 0, count)
	for r, err := range w.ledger.opts.Store.ReadStream(ctx, w.stream, revision, eventstore.Forwards, count) {
		if err != nil {
			return nil, fmt.Errorf("read %s at %d: %w", w.stream, revision, err)
		}
		f, err := w.ledger.opts.Codec.Open(r)
		if err != nil {
			return nil, err
		}
		facts = append(facts, f)
	}
	return facts, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
