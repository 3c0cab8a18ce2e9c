package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
	// MinFreeBytes is the room on the disk below which the views wait: they
	// must never take the last of it from the log.
	MinFreeBytes uint64
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
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = 256 << 20
	}
	if o.OnApply == nil {
		o.OnApply = func(int, time.Duration) {}
	}
}

// Views are all read models of a log. Safe for concurrent use.
type Views struct {
	opts Options
	dir  string

	// mu guards current, and that nobody enters a generation once it is replaced.
	mu      sync.RWMutex
	current *generation
	closed  bool

	// state guards what follows; moved is closed, and replaced, when any of it
	// changes.
	state   sync.Mutex
	through eventstore.Position
	stopped error
	moved   chan struct{}

	rebuilding sync.Mutex
	changed    chan struct{}
}

// ErrStopped: the views met an event that they can't apply. They answer as of
// the event before it and move no further.
var ErrStopped = errors.New("the read models have stopped")

// ErrClosed: the views were closed.
var ErrClosed = errors.New("read models closed")

// Open opens the views in dir, which it makes if need be. Views of another
// format, or of another log, are replaced by empty ones. Nothing moves before Run.
func Open(ctx context.Context, dir string, opts Options) (*Views, error) {
	opts.defaults()
	v := &Views{opts: opts, dir: dir, moved: make(chan struct{}), changed: make(chan struct{}, 1)}
	g, err := v.openCurrent(ctx)
	if err != nil {
		return nil, fmt.Errorf("open read models %s: %w", dir, err)
	}
	v.current, v.through = g, g.checkpoint.Position
	return v, nil
}

// Run follows the log until ctx ends. A failure that trying again can't mend
// stops the views, visibly in Status, until a rebuild replaces them.
func (v *Views) Run(ctx context.Context) {
	for ctx.Err() == nil {
		g := v.generation()
		err := v.follow(ctx, g, nil)
		if ctx.Err() != nil || g.replaced() {
			continue
		}
		v.stop(err)
		select {
		case <-ctx.Done():
		case <-g.retired.Done():
		}
	}
}

// RunToEnd follows the log up to the head at the call.
func (v *Views) RunToEnd(ctx context.Context) error {
	head, err := v.opts.Store.Head(ctx)
	if err != nil {
		return err
	}
	g := v.generation()
	if err := v.follow(ctx, g, func() bool { return g.checkpoint.Position >= head }); err != nil {
		v.stop(err)
		return err
	}
	return nil
}

func (v *Views) generation() *generation {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.current
}

// enter begins a read of the current generation, which stays open until leave.
func (v *Views) enter() (g *generation, leave func(), err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.closed {
		return nil, nil, ErrClosed
	}
	v.current.users.Add(1)
	return v.current, v.current.users.Done, nil
}

// publish makes a position visible. Generations that aren't current have none.
func (v *Views) publish(g *generation, position eventstore.Position) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if g != v.current {
		return
	}
	v.state.Lock()
	defer v.state.Unlock()
	v.through = max(v.through, position)
	v.wake()
}

func (v *Views) stop(err error) {
	v.opts.Logger.Error("the read models have stopped", "through", v.Through(), "error", err)
	v.state.Lock()
	defer v.state.Unlock()
	v.stopped = fmt.Errorf("%w: %w", ErrStopped, err)
	v.wake()
}

// wake tells everyone who waits. state MUST be held.
func (v *Views) wake() {
	close(v.moved)
	v.moved = make(chan struct{})
}

// Through is the position up to which the views have everything. It never goes
// back, over a rebuild neither.
func (v *Views) Through() eventstore.Position {
	v.state.Lock()
	defer v.state.Unlock()
	return v.through
}

// WaitThrough returns once Through() >= position. Errors: ctx's; ErrStopped.
func (v *Views) WaitThrough(ctx context.Context, position eventstore.Position) error {
	for {
		v.state.Lock()
		through, stopped, moved := v.through, v.stopped, v.moved
		v.state.Unlock()
		if through >= position {
			return nil
		}
		if stopped != nil {
			return stopped
		}
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
	s := Status{Through: v.through, Err: v.stopped}
	v.state.Unlock()
	head, err := v.opts.Store.Head(ctx)
	s.Head = head
	return s, err
}

// Close ends the views after the reads under way. Run MUST have returned.
func (v *Views) Close() error {
	v.mu.Lock()
	twice := v.closed
	v.closed = true
	v.mu.Unlock()
	if twice {
		return nil
	}
	return v.current.close()
}
