package ledger

import (
	"context"
	"slices"
	"sync/atomic"
)

// task is a command or, without Do, a strong read, on its way.
type task struct {
	ctx context.Context
	req Request
	// own: the ledger's own, before those of callers, or after them for what they leave to be paid.
	own bool
	// name is the command id's, once it was looked for.
	name Name

	// The answer, begun when the task is decided and complete once that is durable:
	// result for a command, view for a strong read, or err. from and to bound the
	// command's facts in its group, unless result has them.
	result   Result
	view     *View
	err      error
	from, to int

	// A task alone is answered through done, which has room for the answer: a
	// worker never blocks on a caller that has gone. One of a batch sets answered
	// and counts down.
	done     chan struct{}
	batch    *batch
	answered atomic.Bool
}

// writes says that the task may have events: a strong read has none.
func (t *task) writes() bool { return t.req.Do != nil }

// batch is the tasks of one call, and waits for all of them.
type batch struct {
	tasks []task
	// starting are the workers that the call has to start.
	starting []*worker
	left     atomic.Int64
	// done has room for the one that says so.
	done chan struct{}
}

// newBatch makes a batch of tasks, which are to be answered each.
func (l *Ledger) newBatch(tasks int) *batch {
	b, ok := l.batches.Get().(*batch)
	if !ok {
		b = &batch{done: make(chan struct{}, 1)}
	}
	b.tasks = slices.Grow(b.tasks, tasks)[:tasks]
	b.left.Store(int64(tasks))
	if tasks == 0 {
		b.done <- struct{}{}
	}
	return b
}

// freeBatch gives a batch back. MUST: done was received, so that nobody else has one
// of its tasks. One whose caller left early is never freed.
func (l *Ledger) freeBatch(b *batch) {
	clear(b.tasks)
	clear(b.starting)
	b.tasks, b.starting = b.tasks[:0], b.starting[:0]
	l.batches.Put(b)
}

func (l *Ledger) newTask(ctx context.Context, req Request) *task {
	t, ok := l.tasks.Get().(*task)
	if !ok {
		t = &task{done: make(chan struct{}, 1)}
	}
	t.ctx, t.req = ctx, req
	return t
}

// freeTask gives a task back. MUST: its answer was received, so that nobody else
// has it. One whose caller left early is never freed.
func (l *Ledger) freeTask(t *task) {
	*t = task{done: t.done}
	l.tasks.Put(t)
}

// answer makes the result visible to the caller.
func (t *task) answer() {
	if t.batch == nil {
		t.done <- struct{}{}
		return
	}
	t.answered.Store(true)
	if t.batch.left.Add(-1) == 0 {
		t.batch.done <- struct{}{}
	}
}
