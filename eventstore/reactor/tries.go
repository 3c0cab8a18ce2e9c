package reactor

import (
	"context"
	"slices"
	"sync"
	"time"
)

// tries keeps account of the things that are being tried, by name. Each runs in
// a goroutine of its own; one that fails rests, longer each time, and holds up
// no other.
//
//	due -> under way -> (gone, once the read model has seen it)
//	           |  ^
//	   failed  v  | after a pause that doubles
//	         resting
type tries struct {
	opts *Options
	// failed and what are the words of a failure's line in the log.
	failed, what string
	// ended gets a value when a try has ended.
	ended chan struct{}
	group sync.WaitGroup

	mu sync.Mutex
	// known are under way or resting; all others are free to be tried.
	known    map[string]*attempt
	underWay int
}

// attempt is something that must not be tried now. Its times are the process's,
// not the engine's: a jump of the clock neither skips a pause nor stretches it.
type attempt struct {
	running  bool
	failures int
	rest     time.Time
}

func newTries(opts *Options, failed, what string) *tries {
	return &tries{opts: opts, failed: failed, what: what, ended: make(chan struct{}, 1), known: map[string]*attempt{}}
}

// wait returns when no try is under way.
func (t *tries) wait() { t.group.Wait() }

// room is how many more may be tried. Where very many rest, trouble is general
// (a full disk): then one at a time finds out whether it has passed.
func (t *tries) room() int {
	crowded := t.crowded()
	t.mu.Lock()
	defer t.mu.Unlock()
	room := t.opts.Parallel - t.underWay
	if crowded {
		room = min(room, 1)
	}
	return room
}

func (t *tries) crowded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.known)-t.underWay >= t.opts.Parallel
}

func (t *tries) busy(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.known[name]
	return a != nil && (a.running || time.Now().Before(a.rest))
}

// forget drops what had rested when all that is due was asked for, and is not among it:
// somebody else was there first. It gives the time until the next has rested.
func (t *tries) forget(due []string, asked time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := t.opts.MaxPause
	for name, a := range t.known {
		switch {
		case a.running || slices.Contains(due, name):
		case !a.rest.After(asked):
			delete(t.known, name)
		default:
			wait = min(wait, time.Until(a.rest))
		}
	}
	return wait
}

func (t *tries) begin(ctx context.Context, name string, try func() error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.known[name]
	if a == nil {
		a = &attempt{}
		t.known[name] = a
	}
	a.running = true
	t.underWay++
	t.group.Go(func() { t.end(ctx, name, try()) })
}

// end frees the name, or lets it rest after a failure.
func (t *tries) end(ctx context.Context, name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay--
	a := t.known[name]
	if err == nil {
		delete(t.known, name)
	} else {
		a.running = false
		a.failures++
		pause := t.opts.pause(a.failures)
		a.rest = time.Now().Add(pause)
		if ctx.Err() == nil {
			t.opts.Logger.Warn(t.failed, t.what, name, "error", err, "failures", a.failures, "retry_in", pause)
		}
	}
	select {
	case t.ended <- struct{}{}:
	default:
	}
}
