package ledger

import (
	"context"
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
	// Append is of the group's events, and has the store's answer.
	eventstore.Append
	worker   *worker
	facts    []eventstore.Fact
	written  []eventstore.Written
	balances []domain.Amount
	bytes    int
	began    time.Time
	// tasks were decided, and are answered once all that is durable.
	tasks []*task
	// recording: events are going into the group and the book.
	recording bool
	// broken is why nothing of the group may be written or answered: a panic while it was
	// recording, or a conflict, because the book turned out to be behind the stream.
	broken error
	// rest did not fit and is the next group.
	rest []*task
}

// single is a group of one command, the most common one by far, with room for its event
// in one piece of memory.
type single struct {
	group
	fact    [1]eventstore.Fact
	write   [1]eventstore.Written
	event   [1]eventstore.Event
	balance [1]domain.Amount
}

// newGroup makes a group with room for one event of each task. room may be nil.
func (w *worker) newGroup(tasks []*task, room *single) *group {
	var g *group
	if len(tasks) == 1 {
		if room == nil {
			room = new(single)
		}
		g = &room.group
		g.facts, g.written, g.Events, g.balances = room.fact[:0], room.write[:0], room.event[:0], room.balance[:0]
	} else {
		g = &group{
			facts: make([]eventstore.Fact, 0, len(tasks)), written: make([]eventstore.Written, 0, len(tasks)),
			balances: make([]domain.Amount, 0, len(tasks)),
		}
		g.Events = make([]eventstore.Event, 0, len(tasks))
	}
	g.worker, g.Stream, g.Expected, g.began = w, w.stream, w.book.state.Revision, time.Now()
	return g
}

// complete puts into a task's answer what is known now that its group is durable.
func (t *task) complete(g *group, b *book) {
	if t.err != nil {
		t.result, t.view = Result{}, nil
		return
	}
	head := &t.result.Head
	head.Position = b.position
	if at := head.Revision - g.Expected - 1; at >= 0 && at < int64(len(g.facts)) {
		head.Position = g.facts[at].Position
	}
	if t.req.Do == nil {
		t.view.Mark = *head
		return
	}
	r := &t.result
	r.Revision, r.Position = head.Revision, head.Position
	if r.Facts == nil {
		r.Facts = g.facts[t.from:t.to:t.to]
	}
	if !r.Replayed {
		r.Balances = g.balances[t.from:t.to:t.to]
	}
	if n := len(r.Facts); n > 0 {
		last := &r.Facts[n-1]
		r.Revision, r.Position = last.Revision, last.Position
	}
}

// decide takes tasks one after the other until the group is full. The book is
// evolved as it goes, ahead of what is durable.
func (w *worker) decide(ctx context.Context, tasks []*task, room *single) *group {
	g := w.newGroup(tasks, room)
	for g.tasks = tasks[:0]; len(g.tasks) < len(tasks); {
		if len(g.Events) >= w.ledger.opts.MaxGroupEvents || g.bytes >= w.ledger.opts.MaxGroupBytes ||
			len(g.tasks) > 0 && (len(g.tasks) == w.most || w.overdue()) {
			break
		}
		t := tasks[len(g.tasks)]
		g.tasks = tasks[:len(g.tasks)+1]
		t.result, t.view = Result{}, nil
		// The last moment at which a caller that has gone stops its command.
		if t.err = t.ctx.Err(); t.err != nil {
			continue
		}
		before := w.book.state.Revision
		if t.err = w.decideOne(ctx, g, t); t.own {
			w.ticked.extend(before, w.book.state.Revision)
		}
		if isConflict(t.err) {
			g.broken = t.err
		}
		if g.broken != nil {
			break
		}
	}
	g.rest = tasks[len(g.tasks):]
	return g
}

// decideOne decides a task and begins its answer; complete ends that. A panic in it is
// a fault of this task alone, unless its events were being recorded: then nobody knows
// what is in the book. It goes no further: an HTTP server would survive it, and the
// worker whose turn it was would never have another.
func (w *worker) decideOne(ctx context.Context, g *group, t *task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if err = w.panicked(fmt.Sprintf("decision of %T", t.req.Do), p); g.recording {
				g.broken = err
			}
		}
	}()
	if t.req.Do != nil {
		if err := w.decideCommand(ctx, g, t); err != nil {
			return err
		}
	}
	s := w.book.state
	t.result.Balance = s.Balance()
	t.result.Head.Revision, t.result.Head.RecordedAt = s.Revision, w.book.recordedAt
	if t.req.Do == nil {
		t.view = &View{Balance: t.result.Balance, Policy: s.Policy}
		if s.Revision == eventstore.NoStream {
			t.view.Policy = w.ledger.Opening()
		}
	}
	if t.req.Inspect == nil {
		return nil
	}
	facts := t.result.Facts
	if facts == nil {
		facts = g.facts[t.from:t.to:t.to]
	}
	return w.inspect(&t.req, facts)
}

// decideCommand finds what the command did before, or does it.
func (w *worker) decideCommand(ctx context.Context, g *group, t *task) error {
	if err := w.findReplay(ctx, g, t); err != nil || t.result.Replayed {
		return err
	}
	if err := w.checkRevision(t.req.OnlyAt); err != nil {
		return err
	}
	t.from = len(g.facts)
	err := w.accept(ctx, g, t)
	t.to = len(g.facts)
	return err
}

// inspect shows the state to the caller. If that panics the caller gets a fault,
// though the command stands: the events are in the group, and nothing was changed.
func (w *worker) inspect(req *Request, facts []eventstore.Fact) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = w.panicked(fmt.Sprintf("inspection of %T", req.Do), p)
		}
	}()
	req.Inspect(w.book.state, facts)
	return nil
}

// checkRevision is for callers that decided on what they read.
func (w *worker) checkRevision(onlyAt *int64) error {
	if at := w.book.state.Revision; onlyAt != nil && *onlyAt != at && !w.ticked.has(*onlyAt, at) {
		return domain.Refuse(domain.CodePreconditionFailed, "the account is at revision %d, not at %d", at, *onlyAt).
			With("revision", strconv.FormatInt(at, 10))
	}
	return nil
}

// findReplay looks for the command among those that were accepted before, for
// ever: in the window of names, then in the read model that has all older ones.
func (w *worker) findReplay(ctx context.Context, g *group, t *task) error {
	req := &t.req
	if req.CommandID == "" {
		return nil
	}
	t.name = NameOfCommand(req.CommandID)
	revision, found, err := w.find(ctx, t.name)
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
	if revision > g.Expected && first.ID != req.CommandID {
		// The event that the read model has there is another engine's, not this group's.
		return &eventstore.ConflictError{Stream: w.stream, Expected: g.Expected, Actual: revision}
	}
	if first.Fingerprint != req.Fingerprint && (req.Earlier == "" || first.Fingerprint != req.Earlier) {
		return w.reused(revision)
	}
	t.result.Replayed = true
	if at := int(revision - g.Expected - 1); at >= 0 {
		t.from, t.to = at, at+first.Count
		return nil
	}
	t.result.Facts, err = w.factsAt(ctx, g, revision, first.Count)
	return err
}

// reused refuses a request whose key was used before. What was asked before the
// account was forgotten can't be compared any more, so a repeat of it is not told
// from another request, and nothing is done twice.
func (w *worker) reused(revision int64) error {
	detail := "the Idempotency-Key was used before for another request"
	if forgotten := w.book.state.Forgotten; forgotten > 0 && revision <= forgotten {
		detail = "the Idempotency-Key was used before, and the account was forgotten since: whether this is the same request " +
			"can't be told any more; what it did then stands at the revision given"
	}
	return domain.Refuse(domain.CodeIdempotencyKeyReused, "%s", detail).With("revision", strconv.FormatInt(revision, 10))
}

// accept decides a command and puts its events into the group; or refuses it
// and leaves book and group as they were.
func (w *worker) accept(ctx context.Context, g *group, t *task) error {
	at := w.now()
	events, err := w.decideEvents(ctx, g, account.Command{At: at, By: t.req.Actor, Do: t.req.Do, Opening: w.ledger.opts.Opening})
	if err != nil {
		return err
	}
	g.recording = true
	err = w.record(g, t, at, events)
	g.recording = false
	return err
}

// decideEvents asks the rules, with what they need to know of the account's past.
func (w *worker) decideEvents(ctx context.Context, g *group, cmd account.Command) (events []domain.Event, err error) {
	if user, ok := cmd.Do.(account.NameUser); ok {
		if name := user.NameFor(w.book.state); name != "" {
			if _, cmd.NameTaken, err = w.find(ctx, NameOfClaim(name)); err != nil {
				return nil, err
			}
		}
	}
	if cmd.Original, err = w.referred(ctx, g, cmd.Do); err != nil {
		return nil, err
	}
	return account.Decide(w.book.state, cmd)
}

func (w *worker) panicked(doing string, p any) error {
	w.ledger.opts.Logger.Error(doing+" panicked", "account", w.account, "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("%s: panic: %v", doing, p)
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
	claim := user.ClaimFor(w.book.state)
	if claim == "" {
		return nil, nil
	}
	revision, found, err := w.find(ctx, NameOfClaim(claim))
	if err != nil || !found {
		return nil, err
	}
	facts, err := w.factsAt(ctx, g, revision, 1)
	if err != nil || len(facts) == 0 || account.ClaimOf(facts[0].Body) != claim {
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
	if at := revision - g.Expected - 1; at >= 0 {
		if end := at + int64(count); end <= int64(len(g.facts)) {
			return g.facts[at:end:end], nil
		}
		// The read model is ahead of the book: another engine wrote.
		return nil, &eventstore.ConflictError{Stream: w.stream, Expected: g.Expected, Actual: revision}
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
