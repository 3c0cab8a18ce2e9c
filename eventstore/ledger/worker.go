package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// worker decides the commands of one account, one group after the other. It
// exists as long as its book is in memory, and takes turns on the ledger's
// goroutines while there is work.
type worker struct {
	ledger  *Ledger
	shard   *shard
	account string
	stream  string

	// Under shard.mu. running: it has its turn, waits for one, or has a group on
	// the way to the disk; whoever sets it owns what follows.
	queue   []*task
	running bool
	// first is room for the queue of a worker that rests.
	first [1]*task
	acked eventstore.Position
	// used is the round of Maintain in which a command came last.
	used uint32

	// book is nil until it is loaded, and once it was discarded. ticked is of its stream.
	book   *book
	ticked ticked
	// tasks are taken from the queue and not decided; attempt counts how often
	// they were decided and met a conflict.
	tasks   []*task
	attempt int
	// most is how many tasks a group may have, after the log refused one for what it is;
	// 0: as many as fit.
	most int
	// failed is a group whose append failed.
	failed *group
	// saveNow asks for a snapshot; it counts as work under way.
	saveNow bool
}

// maxAttempts bounds how often a group is decided again after a conflict
// (design.md §3).
const maxAttempts = 5

// turn does what there is to do until an append is on its way, or nothing is left; with
// once a single round of it.
func (w *worker) turn(once bool) {
	if g := w.next(once, nil); g != nil {
		w.ledger.store.AppendAsync([]*eventstore.Append{&g.Append}, g.appended)
	}
}

// next does what there is to do up to the next group that has events, and gives that. The
// worker is the caller's, who MUST append it, and from then on appended's. nil: nothing is
// left, or a turn is scheduled for it. once: one round only, because the goroutine is of
// somebody whose own answer, or whose other workers' groups, would wait for all that others
// go on asking of this account. room, for a group, may be nil.
func (w *worker) next(once bool, room *single) *group {
	ctx := w.ledger.life
	if w.failed != nil {
		w.undo()
	}
	for round := 0; ; round++ {
		w.saveIfDue()
		if len(w.tasks) == 0 && !w.take() {
			return nil
		}
		if once && round > 0 {
			w.ledger.schedule(w)
			return nil
		}
		if ctx.Err() != nil {
			w.failAll(errShutDown())
			continue
		}
		if err := w.ready(ctx); err != nil {
			w.failAll(err)
			continue
		}
		if w.overdue() && !w.tasks[0].own && slices.ContainsFunc(w.tasks, (*task).writes) {
			w.tasks = slices.Insert(w.tasks, 0, w.tick())
		}
		g := w.decide(ctx, w.tasks, room)
		w.tasks = g.rest
		if len(g.Events) > 0 && w.book.state.Unsettled() && !slices.ContainsFunc(w.tasks, (*task).writes) {
			w.tasks = append(w.tasks, w.tick()) // what waits doesn't wait for the next command
		}
		if err := w.behind(ctx, g); err != nil {
			g.Err, g.broken = err, err
			w.failed = g
			w.undo()
			continue
		}
		if len(g.Events) > 0 {
			return g
		}
		// A group without events is durable as it is: it was decided on a durable
		// book, and on one that no other engine has left behind.
		var failed error
		if g.beginsWithTick() {
			if failed = g.tasks[0].err; failed == nil && len(w.tasks) > 0 {
				failed = errTickless // whatever is wrong, the next would do as little
			}
		}
		w.settle(g)
		if failed != nil {
			w.failAll(failed)
		}
	}
}

// overdue says that more is due than one decision may do (account.State.Overdue): a Tick
// does a part of it, in a group of its own.
func (w *worker) overdue() (is bool) {
	defer func() {
		if p := recover(); p != nil { // a clock that panics does so again, for the task that is decided
			_ = w.panicked("look at what is due", p)
			is = false
		}
	}()
	return w.book.state.Overdue(w.now)
}

// now is when a command is decided: never before the stream's last event.
func (w *worker) now() time.Time {
	return later(w.ledger.opts.Clock().UTC().Truncate(time.Microsecond), w.book.recordedAt)
}

// tick is a task of the ledger's own, whose answer nobody waits for.
func (w *worker) tick() *task {
	w.ledger.inFlight.Add(1)
	w.ledger.work.Add(1) // there is work: that of the tasks before which it comes
	t := w.ledger.newTask(w.ledger.life, Request{Account: w.account, Do: account.Tick{}, Actor: "engine", Role: "engine"})
	t.own = true
	return t
}

// errTickless is for an account of which much is due.
var errTickless = errors.New("a tick ended nothing of what is due")

// beginsWithTick says that a Tick of the ledger's own comes first. If that fails, what waits
// behind it fails with it: else the same Tick would be tried again, for ever.
func (g *group) beginsWithTick() bool { return len(g.tasks) > 0 && g.tasks[0].own }

// ticked says which revisions differ only by what the ledger's own Ticks did: who decided
// on what an account was before them has missed nothing that anybody asked for.
type ticked struct{ from, to int64 }

func (k *ticked) extend(from, to int64) {
	if k.to != from {
		k.from = from
	}
	k.to = to
}

func (k *ticked) has(revision, at int64) bool {
	return k.to == at && k.from <= revision && revision <= at
}

// behind is why a group can't be written or answered, and its book is of no more use: what
// broke the group, or a conflict if another engine wrote since the book was loaded. The
// append of a group with events finds that out by itself. For one without them this looks,
// or a refusal, a replay or a strong read would rest on what is no longer so.
func (w *worker) behind(ctx context.Context, g *group) error {
	if g.broken != nil || !w.ledger.opts.Shared || len(g.Events) > 0 {
		return g.broken
	}
	return w.leftBehind(ctx, g)
}

// leftBehind is a conflict if the stream has events that the group doesn't know of, or a
// refusal if nobody can tell.
func (w *worker) leftBehind(ctx context.Context, g *group) error {
	end := eventstore.NoStream
	for r, err := range w.ledger.opts.Store.ReadStream(ctx, w.stream, eventstore.End, eventstore.Backwards, 1) {
		if outOfReach(err) {
			w.ledger.noReads.add(w.ledger.opts.Logger, w.account, err)
		} else if err != nil {
			w.ledger.opts.Logger.Warn("the end of an account's stream can't be read", "account", w.account, "error", err)
		}
		if err != nil {
			return domain.Refuse(domain.CodeUnavailable, "the log can't be read now; nothing was written, try again later")
		}
		end = r.Revision
	}
	w.ledger.noReads.end(w.ledger.opts.Logger)
	if end != g.Expected {
		return &eventstore.ConflictError{Stream: w.stream, Expected: g.Expected, Actual: end}
	}
	return nil
}

// take empties the queue, or ends the worker's time.
func (w *worker) take() bool {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	w.tasks, w.queue, w.attempt, w.most = w.queue, nil, 1, 0
	if w.running = len(w.tasks) > 0; !w.running {
		w.first[0] = nil
	}
	return w.running
}

// appended ends a group's append. It runs on the store's goroutine: whatever takes
// longer than answering is for a turn of its own.
func (g *group) appended() {
	w := g.worker
	if g.Err != nil {
		w.failed = g
		w.ledger.schedule(w)
		return
	}
	w.ledger.opts.OnAppend(len(g.tasks), len(g.Events), g.bytes, time.Since(g.began))
	w.settle(g)
	w.attempt, w.most = 1, 2*w.most
	if len(w.tasks) == 0 && !w.saveNow && !w.lacks(w.ledger.opts.SnapshotEvery) {
		w.shard.mu.Lock()
		idle := len(w.queue) == 0
		if w.running = !idle; idle {
			w.first[0] = nil
		}
		w.shard.mu.Unlock()
		if idle {
			return
		}
	}
	w.ledger.schedule(w)
}

// undo deals with a failed append. It takes the book with it: nothing that
// was decided on it may be used or answered. After a conflict the same tasks are
// decided again on what the stream has become. Tasks that the log doesn't take together are
// decided again too, half as many at a time: none is refused because of another.
func (w *worker) undo() {
	g, err := w.failed, w.failed.Err
	defer g.leave()
	w.dropBook()
	w.failed = nil
	if n := len(g.tasks); n > 1 && errors.Is(err, eventstore.ErrInvalid) {
		w.most = n / 2
		w.tasks = append(slices.Clone(g.tasks), w.tasks...)
		return
	}
	again := isConflict(err)
	if again && w.attempt < maxAttempts {
		w.attempt++
		w.tasks = append(slices.Clone(g.tasks), w.tasks...)
		return
	}
	if again || g.broken == nil {
		err = w.appendError(err)
	}
	withTick := g.beginsWithTick() // before its tasks are answered, and somebody else's
	w.fail(g.tasks, err)
	if withTick {
		w.failAll(err)
	}
	w.attempt = 1
}

// isConflict says that another engine wrote to the stream.
func isConflict(err error) bool {
	_, is := errors.AsType[*eventstore.ConflictError](err)
	return is
}

// dropBook: the next turn loads another.
func (w *worker) dropBook() {
	if w.book != nil {
		w.book.recent.leave()
		w.book, w.ticked = nil, ticked{}
	}
}

// saveIfDue saves a snapshot of a durable book.
func (w *worker) saveIfDue() {
	if w.saveNow || w.lacks(w.ledger.opts.SnapshotEvery) {
		w.save()
	}
	if w.saveNow {
		w.saveNow = false
		w.ledger.work.Done()
	}
}

// settle answers a group that is durable.
func (w *worker) settle(g *group) {
	if len(g.Events) > 0 {
		for i := range g.facts {
			g.facts[i].Position = g.Appended.Positions[i]
		}
		w.book.position = g.facts[len(g.facts)-1].Position
		w.book.recent.remember(g.Expected+1, g.facts)
		w.shard.mu.Lock()
		w.acked = w.book.position
		w.shard.mu.Unlock()
		w.ledger.raiseAcked(w.book.position)
		w.ledger.noWrites.end(w.ledger.opts.Logger)
	}
	for _, t := range g.tasks {
		t.complete(g, w.book)
		w.ledger.finish(t)
	}
	g.leave()
}

// leave drops what the group refers to beside its events: the log's tail keeps the group in
// memory as long as those, or those of another in one piece of memory with it (single).
func (g *group) leave() {
	g.tasks, g.rest, g.worker, g.Appended = nil, nil, nil, eventstore.Appended{}
}

// raiseAcked moves AckedAny forward, never back.
func (l *Ledger) raiseAcked(position eventstore.Position) {
	for {
		old := l.acked.Load()
		if old >= uint64(position) || l.acked.CompareAndSwap(old, uint64(position)) {
			return
		}
	}
}

// failAll fails the tasks that are taken.
func (w *worker) failAll(err error) {
	w.fail(w.tasks, err)
	w.tasks = nil
}

func (w *worker) fail(tasks []*task, err error) {
	for _, t := range tasks {
		t.result, t.err = Result{}, err
		w.ledger.finish(t)
	}
}

// appendError tells a caller what a failed append means for it.
func (w *worker) appendError(err error) error {
	switch {
	case isConflict(err):
		return domain.Refuse(domain.CodeConflict, "the account was changed by another engine %d times in a row; try again", maxAttempts)
	case errors.Is(err, eventstore.ErrInvalid):
		w.ledger.opts.Logger.Error("append refused for what it is", "account", w.account, "error", err)
		return domain.Refuse(domain.CodeLimitExceeded, "the log doesn't take the events of this command, and nothing was written: %v", err)
	case outOfReach(err):
		w.ledger.noWrites.add(w.ledger.opts.Logger, w.account, err)
		return domain.Refuse(domain.CodeUnavailable, "the log can't take writes now; nothing was written, try again later")
	}
	w.ledger.opts.Logger.Error("append failed, outcome unknown", "account", w.account, "error", err)
	return domain.Refuse(domain.CodeUnavailable, "the log did not confirm the write; try again with the same Idempotency-Key to learn the outcome")
}

// usualSnapshot is the size up to which a snapshot is saved every `every` events. A
// larger one waits for proportionally more: what an account leaves behind for ever
// (account.State) is in each of its snapshots, so at a fixed interval their sum would grow
// with the square of its life. So on average fewer than two usualSnapshots are written per
// `every` events, and whoever loads an account with a large snapshot folds more events
// behind it.
const usualSnapshot = 256 << 10

// lacks says that the newest snapshot lacks so many events, or as many more as it is
// larger than usual. The caller owns the book, or holds shard.mu while no worker runs.
func (w *worker) lacks(every int) bool {
	if w.book == nil {
		return false
	}
	unsaved := int(w.book.state.Revision - w.book.saved)
	return unsaved >= every && unsaved/every >= w.book.snapshotBytes/usualSnapshot
}
