package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/eventstore"
)

// Options of Views. Store and Codec are required; the zero value of everything
// else is a good default.
type Options struct {
	Store  eventstore.Store
	Codec  *eventstore.Codec
	FS     vfs.FS
	Logger *slog.Logger
	// CacheBytes is the size of the block cache.
	CacheBytes int64
	// MemTableBytes is about how much a crash can take, to be applied again.
	MemTableBytes uint64
	// MinFreeBytes is the room on the disk below which the views wait: they
	// must never take the last of it from the log.
	MinFreeBytes uint64
	// Outgoing: the views that are there are to be replaced by Rebuild, and hardly asked
	// for anything before. Their tables aren't compacted, and their names not loaded.
	Outgoing bool
	// OnForgotten, if set, is told of every account whose key was destroyed, by
	// this engine or another: whoever keeps keys in memory drops this one. A rebuild
	// may tell it again, beside those who follow the log.
	OnForgotten func(account string)
	// OnApply, if set, is told of every batch that was applied.
	OnApply func(events int, took time.Duration)
}

func (o *Options) defaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 64 << 20
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = 512 << 20
	}
	if o.OnForgotten == nil {
		o.OnForgotten = func(string) {}
	}
	if o.OnApply == nil {
		o.OnApply = func(int, time.Duration) {}
	}
}

// Views are all read models of a log. Safe for concurrent use.
type Views struct {
	opts Options
	dir  string

	// mu guards current, and that nobody enters a generation once it is replaced
	// or life has ended.
	mu      sync.RWMutex
	current *generation
	life    context.Context
	end     context.CancelFunc

	// state guards what follows; moved is closed, and replaced, when any of it
	// changes.
	state sync.Mutex
	// through is written with state held.
	through atomic.Uint64
	stopped error
	moved   chan struct{}
	// hurry has a value while somebody waits for the views.
	hurry chan struct{}
	// damaged has the number of a generation that was found to be.
	damaged chan int

	rebuilding sync.Mutex
	// toEnd is true during RunToEnd.
	toEnd   atomic.Bool
	signals *signals
}

// ErrStopped: the views met an event that they can't apply. They answer as of
// the batch of the log before it and move no further: an append is never shown
// in half, not even up to its bad event.
var ErrStopped = errors.New("the read models have stopped")

// ErrClosed: the views were closed.
var ErrClosed = errors.New("read models closed")

// Progress is told how far a run is, and where the log ends.
type Progress func(through, head eventstore.Position)

// Open opens the views in dir, which it makes if need be. Views that are damaged,
// of another format or of another log are replaced by empty ones. Nothing moves
// before Run.
func Open(ctx context.Context, dir string, opts Options) (*Views, error) {
	opts.defaults()
	v := &Views{opts: opts, dir: dir, moved: make(chan struct{}), hurry: make(chan struct{}, 1), damaged: make(chan int, 1), signals: newSignals()}
	v.life, v.end = context.WithCancel(context.Background())
	g, err := v.openCurrent(ctx)
	if err != nil {
		v.end()
		return nil, fmt.Errorf("open read models %s: %w", dir, err)
	}
	v.current = g
	v.through.Store(uint64(g.checkpoint.Position))
	return v, nil
}

// Run follows the log until ctx or the views end. A failure that trying again
// can't mend stops the views, visibly in Status, until a rebuild replaces them: a file
// that is damaged begins one.
func (v *Views) Run(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	var mending sync.WaitGroup
	mending.Go(func() { v.mend(ctx) })
	defer mending.Wait()
	defer end()
	for ctx.Err() == nil {
		g, leave, err := v.enter()
		if err != nil {
			return
		}
		err = v.follow(ctx, g, nil)
		leave()
		if ctx.Err() != nil || g.replaced() || !v.stop(g, err) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-g.retired.Done():
		}
	}
}

// RunToEnd follows the log up to the head at the call. It MUST NOT be called
// beside Run or Rebuild. progress may be nil. Errors: ErrNoRoom, where Run would wait for
// room on the disk; ctx's, the store's, and what stops the views.
func (v *Views) RunToEnd(ctx context.Context, progress Progress) error {
	v.toEnd.Store(true)
	defer v.toEnd.Store(false)
	head, err := v.opts.Store.Head(ctx)
	if err != nil {
		return err
	}
	g, leave, err := v.enter()
	if err != nil {
		return err
	}
	defer leave()
	err = v.follow(ctx, g, func() bool {
		if progress != nil {
			progress(g.checkpoint.Position, head)
		}
		return g.checkpoint.Position >= head
	})
	if permanent(err) {
		v.stop(g, err)
	}
	return err
}

// enter begins a use of the current generation, which stays open until leave.
func (v *Views) enter() (g *generation, leave func(), err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.life.Err() != nil {
		return nil, nil, ErrClosed
	}
	v.current.users.Add(1)
	return v.current, v.current.leave, nil
}

// read is enter for who reads the database: as of the moment that is shown.
func (v *Views) read() (m *moment, leave func(), err error) {
	g, left, err := v.enter()
	if err != nil {
		return nil, nil, err
	}
	m = g.shown.enter()
	return m, func() { m.leave(); left() }, nil
}

// publish makes a position visible; false if g isn't what readers see.
func (v *Views) publish(g *generation, position eventstore.Position) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if g != v.current {
		return false
	}
	v.state.Lock()
	defer v.state.Unlock()
	v.through.Store(max(v.through.Load(), uint64(position)))
	v.wake()
	return true
}

// stop makes a failure visible; false if g isn't what readers see.
func (v *Views) stop(g *generation, err error) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if g != v.current {
		return false
	}
	v.opts.Logger.Error("the read models have stopped", "through", v.Through(), "error", err)
	v.state.Lock()
	defer v.state.Unlock()
	v.stopped = fmt.Errorf("%w: %w", ErrStopped, err)
	v.wake()
	return true
}

// wake tells everyone who waits. state MUST be held.
func (v *Views) wake() {
	close(v.moved)
	v.moved = make(chan struct{})
}

// Through is the position up to which the views have everything. It never goes back,
// not even across a rebuild.
func (v *Views) Through() eventstore.Position {
	return eventstore.Position(v.through.Load())
}

// WaitThrough returns once Through() >= position. Errors: ctx's; ErrStopped;
// ErrClosed.
func (v *Views) WaitThrough(ctx context.Context, position eventstore.Position) error {
	for {
		v.state.Lock()
		through, stopped, moved := v.Through(), v.stopped, v.moved
		v.state.Unlock()
		if through >= position {
			return nil
		}
		if stopped != nil {
			return stopped
		}
		raise(v.hurry)
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Status tells how the views are.
type Status struct {
	Through, Head eventstore.Position
	// Err is why the views stopped; nil while they run.
	Err error
}

// Lag is how many positions the views are behind the log.
func (s Status) Lag() uint64 {
	if s.Head < s.Through {
		return 0
	}
	return uint64(s.Head - s.Through)
}

// Status asks the log for its head. Error: the store's.
func (v *Views) Status(ctx context.Context) (Status, error) {
	v.state.Lock()
	s := Status{Through: v.Through(), Err: v.stopped}
	v.state.Unlock()
	head, err := v.opts.Store.Head(ctx)
	s.Head = head
	return s, err
}

// Close ends Run and Rebuild, and the views after the reads under way.
func (v *Views) Close() error {
	v.mu.Lock()
	twice := v.life.Err() != nil
	v.end()
	v.mu.Unlock()
	if twice {
		return nil
	}
	v.rebuilding.Lock()
	defer v.rebuilding.Unlock()
	v.state.Lock()
	v.stopped = ErrClosed
	v.wake()
	v.state.Unlock()
	return v.current.close()
}
