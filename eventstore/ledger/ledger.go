package ledger

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"iocredits/domain"
	"iocredits/eventstore"
)

// Options of a Ledger. Store, Codec, Names and Clock are required; the zero
// value of everything else is a good default.
type Options struct {
	Store eventstore.Store
	// Snapshots may be nil: then a cold account is folded from its beginning.
	Snapshots eventstore.Snapshots
	Codec     *eventstore.Codec
	Names     Names
	Clock     func() time.Time
	Logger    *slog.Logger

	// SnapshotEvery is the number of events between snapshots of a busy account.
	SnapshotEvery int
	// IdleSnapshot is the number of events from which an idle account is saved.
	IdleSnapshot int
	// MaxAccounts bounds the books in memory.
	MaxAccounts int
	// MaxQueue bounds what waits for one account, MaxInFlight for all of them;
	// beyond either the answer is `overloaded`.
	MaxQueue, MaxInFlight int
	// MaxGroupEvents and MaxGroupBytes bound one append. A command is never
	// split, so a single large one may pass them.
	MaxGroupEvents, MaxGroupBytes int
	// MaxRecentNames bounds the window of names that Names has not reached yet.
	MaxRecentNames int
	// NamesPatience is how long commands wait for Names when that window is full.
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
	set(&o.MaxAccounts, 100_000)
	set(&o.MaxQueue, 8_192)
	set(&o.MaxInFlight, 65_536)
	set(&o.MaxGroupEvents, 2_000)
	set(&o.MaxGroupBytes, 768<<10)
	set(&o.MaxRecentNames, 65_536)
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
	shards [shardCount]shard

	inFlight atomic.Int64
	acked    atomic.Uint64
	// work counts tasks and snapshots under way, so that Close can wait; gate
	// keeps any from beginning after closed was set.
	work   sync.WaitGroup
	gate   sync.RWMutex
	closed bool

	// life is the context of workers: it ends when Close gives up waiting.
	life context.Context
	end  context.CancelFunc
}

// New makes a ledger. It keeps books of accounts in memory but nothing else: the
// store is the truth, and several ledgers may write to one.
func New(opts Options) *Ledger {
	opts.defaults()
	l := &Ledger{opts: opts}
	l.life, l.end = context.WithCancel(context.Background())
	for i := range l.shards {
		l.shards[i].init()
	}
	return l
}

// Execute decides a command and makes its events durable, or refuses it.
//
// The error is a *domain.Error for a refusal; of these `overloaded`,
// `unavailable` and `conflict` may be tried again with the same CommandID.
// If ctx ends first, the error is ctx's and the outcome is unknown to the caller:
// the command is done as a whole or not at all, and trying again with the same
// CommandID tells which.
func (l *Ledger) Execute(ctx context.Context, req Request) (Result, error) {
	t := &task{ctx: ctx, req: req, done: make(chan *task, 1)}
	if err := l.enqueue(t); err != nil {
		return Result{}, err
	}
	select {
	case <-t.done:
		return t.result, t.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// ExecuteBatch executes many commands, each on its own, and answers in their
// order. Commands of one account are decided in the order given. When ctx ends,
// lines without an answer carry its error.
func (l *Ledger) ExecuteBatch(ctx context.Context, reqs []Request) []Outcome {
	done := make(chan *task, len(reqs))
	out := make([]Outcome, len(reqs))
	waiting := 0
	for i, req := range reqs {
		t := &task{ctx: ctx, req: req, done: done, line: i}
		if err := l.enqueue(t); err != nil {
			out[i].Err = err
			continue
		}
		out[i].Err = errPending
		waiting++
	}
	for ; waiting > 0; waiting-- {
		select {
		case t := <-done:
			out[t.line] = Outcome{Result: t.result, Err: t.err}
		case <-ctx.Done():
			for i := range out {
				if errors.Is(out[i].Err, errPending) {
					out[i].Err = ctx.Err()
				}
			}
			return out
		}
	}
	return out
}

var errPending = errors.New("pending")

// Read gives the account's state as the write side has it, durable: a strong read.
func (l *Ledger) Read(ctx context.Context, account string) (View, error) {
	t := &task{ctx: ctx, req: Request{Account: account}, done: make(chan *task, 1)}
	if err := l.enqueue(t); err != nil {
		return View{}, err
	}
	select {
	case <-t.done:
		return t.view, t.err
	case <-ctx.Done():
		return View{}, ctx.Err()
	}
}

// Acked is the position of the last event that this ledger acknowledged for the
// account, or 0 if all of them are old enough for every read model to have them.
func (l *Ledger) Acked(account string) eventstore.Position {
	s := l.shard(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.workers[account]; w != nil {
		return w.acked
	}
	return 0
}

// AckedAny is the last position that this ledger acknowledged for any account.
func (l *Ledger) AckedAny() eventstore.Position { return eventstore.Position(l.acked.Load()) }

// QueueDepth is the number of commands and strong reads under way.
func (l *Ledger) QueueDepth() int { return int(l.inFlight.Load()) }

// Close refuses new commands, finishes those that were accepted, and saves
// snapshots of what has no recent one. When ctx ends first it gives up waiting.
func (l *Ledger) Close(ctx context.Context) error {
	l.gate.Lock()
	l.closed = true
	l.gate.Unlock()
	defer l.end()
	finished := make(chan struct{})
	go func() {
		l.work.Wait()
		l.saveIdle(func(*worker) bool { return true })
		l.work.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Maintain saves snapshots of idle accounts until ctx ends.
func (l *Ledger) Maintain(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if l.begin() {
				l.saveIdle(func(w *worker) bool { return now.Sub(w.used) > every })
				l.work.Done()
			}
		}
	}
}

// begin counts one piece of work; false once the ledger closes.
func (l *Ledger) begin() bool {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return false
	}
	l.work.Add(1)
	return true
}

// enqueue hands a task to its account's worker, and starts one if none runs.
// Nothing may pile up without bound: what finds no room is refused at once.
func (l *Ledger) enqueue(t *task) error {
	if !l.begin() {
		return domain.Refuse(domain.CodeUnavailable, "the engine is shutting down")
	}
	if int(l.inFlight.Add(1)) > l.opts.MaxInFlight {
		return l.overloaded("%d commands are under way", l.opts.MaxInFlight)
	}
	s := l.shard(t.req.Account)
	s.mu.Lock()
	w := s.worker(l, t.req.Account)
	if w == nil {
		s.mu.Unlock()
		return l.overloaded("more than %d accounts are busy or wait for the read models", l.opts.MaxAccounts)
	}
	if len(w.queue) >= l.opts.MaxQueue {
		s.mu.Unlock()
		return l.overloaded("%d commands wait for this account", l.opts.MaxQueue)
	}
	w.queue = append(w.queue, t)
	start := !w.running
	w.running = true
	s.mu.Unlock()
	if start {
		go w.run()
	}
	return nil
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
	if t.req.Do != nil {
		l.opts.OnCommand(outcomeOf(t))
	}
	t.done <- t
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
