package ledger

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Options of a Ledger. Store, Codec, Names and Clock are required; the zero
// value of everything else is a good default.
type Options struct {
	Store eventstore.Store
	// Snapshots may be nil: then a cold account is folded from its beginning.
	Snapshots eventstore.Snapshots
	// Shared: other engines write to the same log. Then answers that rest on no
	// append of their own are checked against the end of the stream.
	Shared bool
	Codec  *eventstore.Codec
	Names  Names
	// Known, if set, gives an account as the read models have it: the revision of its last
	// event there, and the figures after it. A cold account is held to that, for what a
	// store keeps beside its log is under no hash. MUST NOT be set with Shared: a cluster's
	// node may be behind what its subscriptions have told.
	Known  func(ctx context.Context, account string) (revision int64, figures account.Figures, err error)
	Clock  func() time.Time
	Logger *slog.Logger
	// Head is where the log ended when the engine started: what it had until then was
	// acknowledged too, by whoever ran before.
	Head eventstore.Position
	// Opening is the policy that new accounts begin with, as an event of theirs
	// (account.Command); nil: account.DefaultPolicy.
	Opening *account.Policy

	// SnapshotEvery is the number of events between snapshots of a busy account: more
	// of them where those are large (usualSnapshot).
	SnapshotEvery int
	// IdleSnapshot is the number of events from which an idle account is saved.
	IdleSnapshot int
	// MaxAccounts is how many books are kept in memory. Shards of the accounts have equal
	// shares of it, and each may grow to twice its own while its accounts are busy or the
	// read models lag behind them; beyond that the answer is `overloaded`.
	MaxAccounts int
	// MaxQueue bounds what waits for one account, MaxInFlight for all of them;
	// beyond either the answer is `overloaded`.
	MaxQueue, MaxInFlight int
	// MaxGroupEvents and MaxGroupBytes bound one append. A command is never
	// split, so a single large one may pass them.
	MaxGroupEvents, MaxGroupBytes int
	// Deciders is the number of goroutines that decide: enough that some may wait
	// for a cold account to be read.
	Deciders int
	// MaxRecentNames bounds the window of names that Names has not reached yet.
	MaxRecentNames int
	// MaxNames bounds all those windows together, at some 100 bytes a name: where
	// the read models have stopped, commands are refused and memory isn't used up.
	MaxNames int
	// NamesPatience is how long commands wait for Names when that window is full: those of
	// half as many accounts as there are Deciders, and of one at least.
	NamesPatience time.Duration

	// OnCommand and OnAppend, if set, are told of every answer and every append.
	OnCommand func(outcome string)
	OnAppend  func(commands, events, bytes int, took time.Duration)
}

func (o *Options) defaults() {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	set(&o.SnapshotEvery, 1_000)
	set(&o.IdleSnapshot, 100)
	set(&o.MaxAccounts, 1<<17)
	set(&o.MaxQueue, 8_192)
	set(&o.MaxInFlight, 65_536)
	set(&o.MaxGroupEvents, 2_000)
	set(&o.MaxGroupBytes, 768<<10)
	set(&o.Deciders, 16)
	set(&o.MaxRecentNames, 65_536)
	set(&o.MaxNames, 1<<22)
	if o.NamesPatience == 0 {
		o.NamesPatience = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.OnCommand == nil {
		o.OnCommand = func(string) {}
	}
	if o.OnAppend == nil {
		o.OnAppend = func(int, int, int, time.Duration) {}
	}
}

// Ledger is the write side. Safe for concurrent use.
type Ledger struct {
	opts   Options
	store  eventstore.AsyncAppender
	shards [shardCount]shard

	// tasks and batches are those that were answered, for others. They are of one ledger:
	// the channels of one in a synctest bubble MUST NOT leave that.
	tasks, batches sync.Pool

	// runnable has the workers that have something to do, each once at most.
	runnable chan *worker

	// noWrites and noReads tell of a store that is out of reach.
	noWrites, noReads *refusals

	inFlight atomic.Int64
	acked    atomic.Uint64
	// round counts what Maintain has done: a clock that costs nothing to look at.
	round atomic.Uint32
	// work counts tasks and snapshots under way, so that Close can wait; gate
	// keeps any from beginning after closed was set.
	work   sync.WaitGroup
	gate   sync.RWMutex
	closed bool

	// saving has a place for each book that left and is being saved, waiting for each
	// worker that may wait for Names.
	saving, waiting chan struct{}

	// life is the context of workers: it ends when Close gives up waiting.
	life context.Context
	end  context.CancelFunc
}

// New makes a ledger. It keeps books of accounts in memory but nothing else: the
// store is the truth, and several ledgers may write to one.
func New(opts Options) *Ledger {
	opts.defaults()
	l := &Ledger{opts: opts, runnable: make(chan *worker, 2*max(opts.MaxAccounts, shardCount)), noWrites: refusedWrites(), noReads: refusedReads()}
	l.raiseAcked(opts.Head)
	l.life, l.end = context.WithCancel(context.Background())
	l.saving, l.waiting = make(chan struct{}, opts.Deciders), make(chan struct{}, max(1, opts.Deciders/2))
	l.store = eventstore.Async(l.life, opts.Store)
	for i := range l.shards {
		l.shards[i].init()
	}
	for range opts.Deciders {
		go l.runWorkers()
	}
	return l
}

// runWorkers lets workers take their turns until the ledger has closed. A few
// goroutines do it for all accounts: a worker never waits for an append, and a
// goroutine that lives long has a stack that needn't grow for each command.
func (l *Ledger) runWorkers() {
	for {
		select {
		case w := <-l.runnable:
			w.turn(false)
		case <-l.life.Done():
			return
		}
	}
}

// schedule gives a worker its turn soon. The caller has set running, or is the
// worker; so there is room.
func (l *Ledger) schedule(w *worker) { l.runnable <- w }

// Execute decides a command and makes its events durable, or refuses it.
//
// The error is a *domain.Error for a refusal; of these `overloaded`,
// `unavailable` and `conflict` may be tried again with the same CommandID.
// If ctx ends first, the error is ctx's and the outcome is unknown to the caller:
// the command is done as a whole or not at all, and trying again with the same
// CommandID tells which.
func (l *Ledger) Execute(ctx context.Context, req Request) (Result, error) {
	t := l.newTask(ctx, req)
	if err := l.submit(t); err != nil {
		return Result{}, err
	}
	select {
	case <-t.done:
		result, err := t.result, t.err
		l.freeTask(t)
		return result, err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// ExecuteBatch executes many commands, each on its own, and answers in their
// order. Commands of one account are decided in the order given. When ctx ends,
// lines without an answer carry its error.
func (l *Ledger) ExecuteBatch(ctx context.Context, reqs []Request) []Outcome {
	out := make([]Outcome, len(reqs))
	l.ExecuteBatchInto(ctx, reqs, out)
	return out
}

// ExecuteBatchInto is ExecuteBatch with the caller's room for the answers. MUST:
// out has one for each request.
func (l *Ledger) ExecuteBatchInto(ctx context.Context, reqs []Request, out []Outcome) {
	if !l.begin(len(reqs)) {
		for i := range out {
			out[i] = Outcome{Err: errShutDown()}
		}
		return
	}
	b := l.newBatch(len(reqs))
	under := l.inFlight.Add(int64(len(reqs))) - int64(len(reqs))
	for i := range reqs {
		t := &b.tasks[i]
		t.ctx, t.req, t.batch = ctx, reqs[i], b
		under++
		w, err := l.enqueue(t, under)
		if err != nil {
			t.err = err
			t.answer()
		}
		if w != nil {
			b.starting = append(b.starting, w)
		}
	}
	// Only now: an account's lines are then one group.
	for some := range slices.Chunk(b.starting, maxHandover) {
		l.startAll(some)
	}
	select {
	case <-b.done:
		for i := range b.tasks {
			out[i] = Outcome{Result: b.tasks[i].result, Err: b.tasks[i].err}
		}
		l.freeBatch(b)
	case <-ctx.Done():
		for i := range b.tasks {
			if t := &b.tasks[i]; t.answered.Load() {
				out[i] = Outcome{Result: t.result, Err: t.err}
			} else {
				out[i] = Outcome{Err: ctx.Err()}
			}
		}
	}
}

// Read gives the account's state as the write side has it, durable: a strong read.
func (l *Ledger) Read(ctx context.Context, account string) (View, error) {
	return l.Look(ctx, account, nil)
}

// Look is Read that also shows the state itself, for what a view doesn't have.
// inspect is as a Request's, with no events; nothing is written, not even what is due.
func (l *Ledger) Look(ctx context.Context, name string, inspect func(*account.State, []eventstore.Fact)) (View, error) {
	t := l.newTask(ctx, Request{Account: name, Inspect: inspect})
	if err := l.submit(t); err != nil {
		return View{}, err
	}
	select {
	case <-t.done:
		view, err := t.view, t.err
		l.freeTask(t)
		if err != nil {
			return View{}, err
		}
		return *view, nil
	case <-ctx.Done():
		return View{}, ctx.Err()
	}
}

// Opening is the policy that an account begins with of which this ledger writes the
// first event.
func (l *Ledger) Opening() account.Policy {
	if l.opts.Opening == nil {
		return account.DefaultPolicy()
	}
	return *l.opts.Opening
}

// Acked is the position of the last event that this ledger acknowledged for the
// account. Where that is before Head, or old enough for every read model to have it, it
// is Head: what was acknowledged before the start, nobody remembers by account.
func (l *Ledger) Acked(account string) eventstore.Position {
	s := l.shard(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.workers[account]; e != nil {
		return max(e.Value.acked, l.opts.Head)
	}
	return l.opts.Head
}

// AckedAny is the last position that this ledger acknowledged for any account, and no less
// than Head.
func (l *Ledger) AckedAny() eventstore.Position { return eventstore.Position(l.acked.Load()) }

// QueueDepth is the number of commands and strong reads under way.
func (l *Ledger) QueueDepth() int { return int(l.inFlight.Load()) }

// Close refuses new commands, finishes those that were accepted, and saves
// snapshots of what has no recent one. When ctx ends first it gives up: what waits
// in a queue is refused as `unavailable`, and what is on its way to the store is
// answered when the store answers.
func (l *Ledger) Close(ctx context.Context) error {
	l.gate.Lock()
	l.closed = true
	l.gate.Unlock()
	defer l.end()
	finished := make(chan struct{})
	go func() {
		l.work.Wait()
		if l.life.Err() == nil {
			l.saveIdle(func(*worker) bool { return true })
			l.work.Wait()
		}
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		l.end()
		l.abandon(finished)
		return ctx.Err()
	}
}

// abandon refuses what waits, and lets workers end what they are about: those that
// took turns for them have ended with the ledger's life.
func (l *Ledger) abandon(finished <-chan struct{}) {
	go func() {
		for {
			select {
			case w := <-l.runnable:
				w.turn(false)
			case <-finished:
				return
			}
		}
	}()
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, e := range s.workers {
			e.Value.fail(e.Value.queue, errShutDown())
			e.Value.queue = nil
		}
		s.mu.Unlock()
	}
}

func errShutDown() error {
	return domain.Refuse(domain.CodeUnavailable, "the engine is shutting down")
}

// Maintain saves snapshots of idle accounts until ctx ends.
func (l *Ledger) Maintain(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			round := l.round.Add(1)
			if l.begin(1) {
				// Of a round ago: it rested for all of the last.
				l.saveIdle(func(w *worker) bool { return round-w.used > 1 })
				l.work.Done()
			}
		}
	}
}

// begin counts n pieces of work; false once the ledger closes.
func (l *Ledger) begin(n int) bool {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return false
	}
	l.work.Add(n)
	return true
}

// submit hands a task to its account's worker and starts that if it rests.
func (l *Ledger) submit(t *task) error {
	if !l.begin(1) {
		return errShutDown()
	}
	w, err := l.enqueue(t, l.inFlight.Add(1))
	if w != nil {
		l.start(w)
	}
	return err
}

// start gives a worker that rested its turn. With a book in memory the turn is
// short, and taking it here saves waking another goroutine for it.
func (l *Ledger) start(w *worker) {
	if w.mayWait() {
		l.schedule(w)
		return
	}
	w.turn(true)
}

// mayWait says that the worker may have to read first, or wait for the read models: so
// as not to hold up its caller, who may leave before it is done and has other workers
// to start.
func (w *worker) mayWait() bool {
	opts := &w.ledger.opts
	return w.book == nil || opts.Shared || len(w.book.recent.names) >= opts.MaxRecentNames
}

// enqueue hands a task to its account's worker, and gives the worker if it rests:
// the caller MUST start it. The task is work that has begun, the under-th in flight.
// Nothing may pile up without bound: what finds no room is refused at once.
func (l *Ledger) enqueue(t *task, under int64) (*worker, error) {
	if under > int64(l.opts.MaxInFlight) {
		return nil, l.overloaded("%d commands are under way", l.opts.MaxInFlight)
	}
	s := l.shard(t.req.Account)
	s.mu.Lock()
	w := s.worker(l, t.req.Account)
	if w == nil {
		s.mu.Unlock()
		return nil, l.overloaded("the %d accounts that this one shares its room with are busy or wait for the read models", 2*l.share())
	}
	if len(w.queue) >= l.opts.MaxQueue {
		s.mu.Unlock()
		return nil, l.overloaded("%d commands wait for this account", l.opts.MaxQueue)
	}
	rested := !w.running
	if rested {
		w.queue = w.first[:0]
	}
	w.queue = append(w.queue, t)
	w.running = true
	s.mu.Unlock()
	if rested {
		return w, nil
	}
	return nil, nil //nolint:nilnil // it runs: nobody has to start it
}

func (l *Ledger) overloaded(format string, limit int) error {
	l.inFlight.Add(-1)
	l.work.Done()
	l.opts.OnCommand(string(domain.CodeOverloaded))
	return domain.Refuse(domain.CodeOverloaded, format+"; try again", limit)
}

// finish answers a task.
func (l *Ledger) finish(t *task) {
	l.inFlight.Add(-1)
	if t.req.Do != nil && !t.own {
		l.opts.OnCommand(outcomeOf(t))
	}
	t.answer()
	l.work.Done()
}

func outcomeOf(t *task) string {
	refusal, refused := domain.AsError(t.err)
	switch {
	case refused:
		return string(refusal.Code)
	case t.err != nil:
		return "failed"
	case t.result.Replayed:
		return "replayed"
	}
	return "accepted"
}
