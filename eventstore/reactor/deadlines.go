package reactor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Deadlines is the read model of what will be due. It lags behind the log, and
// Through says how far it reaches.
type Deadlines interface {
	// NextDue is the time of the earliest deadline; false if there is none.
	NextDue(ctx context.Context) (next time.Time, found bool, err error)
	// DueAccounts lists at most limit accounts with a deadline at or before now,
	// the longest due first, without those that skip names.
	DueAccounts(ctx context.Context, now time.Time, limit int, skip func(account string) bool) ([]string, error)
	// Changed gets a value after deadlines were added.
	Changed() <-chan struct{}
	Through() eventstore.Position
	// WaitThrough returns once Through() >= position, or with an error.
	WaitThrough(ctx context.Context, position eventstore.Position) error
}

// ticker sends ticks to the accounts that are due. It lists them, tries each in
// a goroutine of its own, and lists again when a try ends, so that an account
// that is stuck holds one place and nothing else.
type ticker struct {
	opts  Options
	tries *tries
}

func newTicker(opts Options) *ticker {
	return &ticker{opts: opts, tries: newTries(&opts, "deadlines of an account not applied", "account")}
}

// errUnchanged: the read model says due and the account says not, though the
// read model has all of its events. Trying at once would never end.
var errUnchanged = errors.New("the read model of deadlines disagrees with the account, which has nothing due")

func (t *ticker) run(ctx context.Context) {
	defer t.tries.wait()
	failures := 0
	for ctx.Err() == nil {
		if wait := t.tries.quiet(); wait > 0 {
			sleep(ctx, wait, nil, nil)
			continue
		}
		room := t.tries.room()
		if room == 0 {
			sleep(ctx, t.opts.Recheck, nil, t.tries.ended)
			continue
		}
		wait, err := t.dispatch(ctx, room)
		switch {
		case err == nil:
			failures = 0
			sleep(ctx, wait, t.opts.Deadlines.Changed(), t.tries.ended)
		case ctx.Err() == nil:
			failures++
			wait = t.opts.pause(failures)
			t.opts.Logger.Warn("deadlines can't be read", "error", err, "retry_in", wait)
			sleep(ctx, wait, nil, nil)
		}
	}
}

// dispatch begins tries at no more than room accounts that are due, and tells
// how long nothing else can become due.
func (t *ticker) dispatch(ctx context.Context, room int) (wait time.Duration, err error) {
	now := t.opts.now()
	through, asked := t.opts.Deadlines.Through(), time.Now() // before the list, which has at least this much
	most := room + t.tries.size()                            // so that those which never failed are among them
	due, err := t.opts.Deadlines.DueAccounts(ctx, now, most, t.tries.busy)
	if err != nil {
		return 0, err
	}
	next, found, err := t.opts.Deadlines.NextDue(ctx)
	if err != nil {
		return 0, err
	}
	wait = t.opts.Recheck
	if found && next.After(now) { // what is due already is under way, rests, or has no room
		wait = min(wait, next.Sub(now)+time.Microsecond)
	}
	if len(due) < most {
		wait = min(wait, t.tries.forget(due, asked))
	}
	due = first(t.tries, due, func(name string) string { return name })
	for _, name := range due[:min(len(due), room)] {
		t.tries.begin(ctx, name, func() error { return t.opts.tick(ctx, name, through) })
	}
	return wait, nil
}

// tick lets an account apply what is due, and waits until the read model has
// seen it. listed is a position that the read model had when it called the
// account due.
func (o *Options) tick(ctx context.Context, name string, listed eventstore.Position) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	result, err := o.Ledger.Execute(ctx, byEngine(name, account.Tick{}))
	if err != nil {
		return fmt.Errorf("tick: %w", err)
	}
	if len(result.Facts) == 0 && result.Position <= listed {
		return errUnchanged
	}
	if err := o.Deadlines.WaitThrough(ctx, result.Position); err != nil {
		return fmt.Errorf("wait for the read model: %w", err)
	}
	return nil
}

// tickAll is RunDue: lists until one has nothing that was not tried in vain.
func tickAll(ctx context.Context, opts Options) error {
	if err := opts.catchUp(ctx); err != nil {
		return err
	}
	now := opts.now()
	failed := map[string]bool{}
	var failures []error
	for {
		through := opts.Deadlines.Through()
		due, err := opts.Deadlines.DueAccounts(ctx, now, opts.Parallel, func(name string) bool { return failed[name] })
		if err != nil {
			return fmt.Errorf("deadlines: %w", err)
		}
		if len(due) == 0 {
			return errors.Join(failures...)
		}
		for i, err := range opts.tickEach(ctx, due, through) {
			if err != nil {
				failed[due[i]] = true
				failures = append(failures, fmt.Errorf("deadlines of account %s: %w", due[i], err))
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// tickEach ticks accounts side by side; one that fails stops no other.
func (o *Options) tickEach(ctx context.Context, names []string, listed eventstore.Position) []error {
	errs := make([]error, len(names))
	var tries sync.WaitGroup
	for i, name := range names {
		tries.Go(func() { errs[i] = o.tick(ctx, name, listed) })
	}
	tries.Wait()
	return errs
}

// now is the time as the ledger stamps it: to the microsecond. A deadline a
// nanosecond later is not due for an account before the next one.
func (o *Options) now() time.Time { return o.Clock().UTC().Truncate(time.Microsecond) }

// pause doubles with each failure, up to MaxPause.
func (o *Options) pause(failures int) time.Duration {
	const doublings = 16 // enough for any sensible maximum, and no overflow
	return min(o.FirstPause<<min(failures-1, doublings), o.MaxPause)
}
