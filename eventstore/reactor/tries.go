package reactor

import (
	"cmp"
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
	// inVain: the try that ended last failed.
	inVain bool
	// quietUntil is Recheck after a try began, or failed, where trouble was general.
	quietUntil time.Time
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

// room is how many more may be tried. Where trouble is general one finds out whether it has
// passed, and after a while another.
func (t *tries) room() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := t.opts.Parallel - t.underWay
	if t.general() {
		room = min(room, 1)
	}
	return room
}

// quiet is how long nothing is to be tried, because trouble is general and something was
// tried a moment ago: zero or less once something may be.
func (t *tries) quiet() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.general() {
		return 0
	}
	return time.Until(t.quietUntil)
}

// general says that trouble isn't that of single things (a full disk, a provider that is
// away): very many rest, and the last try failed as well. The caller holds mu.
func (t *tries) general() bool { return t.inVain && len(t.known)-t.underWay >= t.opts.Parallel }

func (t *tries) busy(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.known[name]
	return a != nil && (a.running || time.Now().Before(a.rest))
}

// size is how many are under way or resting.
func (t *tries) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.known)
}

// first puts the things that have failed least first, and otherwise leaves them in their
// order: very many that never succeed, and are tried again and again, hold up no other.
func first[T any](t *tries, things []T, name func(T) string) []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	failures := func(thing T) int {
		if a := t.known[name(thing)]; a != nil {
			return a.failures
		}
		return 0
	}
	never, failed := things[:0], []T(nil) // in an outage things may be very many; those that failed are few
	for _, thing := range things {
		if failures(thing) == 0 {
			never = append(never, thing)
		} else {
			failed = append(failed, thing)
		}
	}
	slices.SortStableFunc(failed, func(a, b T) int { return cmp.Compare(failures(a), failures(b)) })
	return append(never, failed...)
}

// forget drops what had rested when all that is due was asked for, and is not among it:
// somebody else was there first. It gives the time until the next has rested.
func (t *tries) forget(due []string, asked time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := t.opts.MaxPause
	if len(t.known) == 0 {
		return wait
	}
	isDue := make(map[string]bool, len(due)) // in an outage both may be very many
	for _, name := range due {
		isDue[name] = true
	}
	for name, a := range t.known {
		switch {
		case a.running || isDue[name]:
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
	if t.general() { // the next one is for later, also if this one never ends
		t.quietUntil = time.Now().Add(t.opts.Recheck)
	}
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
	t.inVain = err != nil
	a := t.known[name]
	if err == nil {
		delete(t.known, name)
	} else {
		a.running = false
		a.failures++
		pause := t.opts.pause(a.failures)
		a.rest = time.Now().Add(pause)
		if t.general() {
			t.quietUntil = time.Now().Add(t.opts.Recheck)
		}
		if ctx.Err() == nil {
			t.opts.Logger.Warn(t.failed, t.what, name, "error", err, "failures", a.failures, "retry_in", pause)
		}
	}
	select {
	case t.ended <- struct{}{}:
	default:
	}
}
