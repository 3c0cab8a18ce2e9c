package ledger

import (
	"container/list"
	"context"
	"errors"
	"time"

	"iocredits/domain"
	"iocredits/eventstore"
)

// task is a command or, without Do, a strong read, on its way.
type task struct {
	ctx  context.Context
	req  Request
	line int

	result Result
	view   View
	err    error
	// done has room for every task that is sent to it: a worker never blocks on
	// a caller that has gone.
	done chan *task
}

// worker runs the commands of one account, one group after the other. It exists
// as long as its book is in memory; its goroutine only while there is work.
type worker struct {
	ledger  *Ledger
	shard   *shard
	account string
	stream  string

	// Under shard.mu.
	queue   []*task
	running bool
	acked   eventstore.Position
	used    time.Time
	place   *list.Element

	// book belongs to whoever set running; nil: not loaded, or discarded.
	book *book
}

// maxAttempts bounds how often a group is decided again after a conflict
// (design.md §3).
const maxAttempts = 5

// run serves the queue until it is empty.
func (w *worker) run() {
	for {
		tasks := w.take()
		if tasks == nil {
			return
		}
		w.serve(tasks)
	}
}

// take empties the queue, or ends the goroutine's time.
func (w *worker) take() []*task {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	if len(w.queue) == 0 {
		w.running = false
		return nil
	}
	tasks := w.queue
	w.queue = nil
	return tasks
}

// serve answers tasks, in groups of one append each. A group whose append fails
// takes the book with it: nothing decided on it may be used or answered.
func (w *worker) serve(tasks []*task) {
	ctx := w.ledger.life
	attempt := 1
	for len(tasks) > 0 {
		if err := w.ready(ctx); err != nil {
			w.fail(tasks, err)
			return
		}
		g := w.decide(ctx, tasks)
		appended, err := w.append(ctx, g)
		var conflict *eventstore.ConflictError
		switch {
		case err == nil:
			w.settle(g, appended)
			tasks, attempt = g.rest, 1
			continue
		case errors.As(err, &conflict) && attempt < maxAttempts:
			attempt++
			w.book = nil
			continue
		}
		w.book = nil
		w.fail(g.taken(), w.appendError(err))
		tasks, attempt = g.rest, 1
	}
}

// append makes a group durable. A group without events is durable as it is: it
// was decided on a durable book.
func (w *worker) append(ctx context.Context, g *group) (eventstore.Appended, error) {
	if len(g.events) == 0 {
		return eventstore.Appended{}, nil
	}
	start := time.Now()
	appended, err := w.ledger.opts.Store.Append(ctx, w.stream, g.expected, g.events)
	if err == nil {
		w.ledger.opts.OnAppend(len(g.answers), len(g.events), g.bytes, time.Since(start))
	}
	return appended, err
}

// settle answers a group that is durable.
func (w *worker) settle(g *group, appended eventstore.Appended) {
	if len(g.events) > 0 {
		for i := range g.facts {
			g.facts[i].Position = appended.Positions[i]
		}
		w.book.position = appended.Positions[len(appended.Positions)-1]
		w.book.remember(g.names, g.facts)
		w.shard.mu.Lock()
		w.acked = w.book.position
		w.shard.mu.Unlock()
		w.ledger.raiseAcked(w.book.position)
	}
	for _, a := range g.answers {
		a.fill(g, w.book)
		w.ledger.finish(a.task)
	}
	if w.unsaved() >= w.ledger.opts.SnapshotEvery {
		w.save()
	}
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

func (w *worker) fail(tasks []*task, err error) {
	for _, t := range tasks {
		t.result, t.err = Result{}, err
		w.ledger.finish(t)
	}
}

// appendError tells a caller what a failed append means for it.
func (w *worker) appendError(err error) error {
	var conflict *eventstore.ConflictError
	switch {
	case errors.As(err, &conflict):
		return domain.Refuse(domain.CodeConflict, "the account was changed by another engine %d times in a row; try again", maxAttempts)
	case errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, eventstore.ErrClosed):
		w.ledger.opts.Logger.Warn("append refused", "account", w.account, "error", err)
		return domain.Refuse(domain.CodeUnavailable, "the log can't take writes now; nothing was written, try again later")
	}
	w.ledger.opts.Logger.Error("append failed, outcome unknown", "account", w.account, "error", err)
	return domain.Refuse(domain.CodeUnavailable, "the log did not confirm the write; try again with the same Idempotency-Key to learn the outcome")
}

// unsaved is how many events the newest snapshot lacks. The caller owns the
// book, or holds shard.mu while no worker runs.
func (w *worker) unsaved() int {
	if w.book == nil {
		return 0
	}
	return int(w.book.state.Revision - w.book.saved)
}
