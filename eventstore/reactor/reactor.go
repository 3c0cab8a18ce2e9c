package reactor

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// Ledger is the write side, as the reactor uses it.
type Ledger interface {
	Execute(ctx context.Context, req ledger.Request) (ledger.Result, error)
	// AckedAny is the last position that was acknowledged, also before the start.
	AckedAny() eventstore.Position
}

// byEngine is a command that nobody asked for. It has no id: to repeat it does no harm.
func byEngine(name string, do account.Action) ledger.Request {
	return ledger.Request{Account: name, Do: do, Actor: "engine", Role: "engine"}
}

// Options of a Reactor. Ledger, Deadlines and Clock are required; the zero value
// of everything else is a good default.
type Options struct {
	Ledger    Ledger
	Deadlines Deadlines
	// Clock is the engine's time. It may jump, ahead and back.
	Clock  func() time.Time
	Logger *slog.Logger

	// Provider, Purchases and Claims are set together, or not at all: then nobody can
	// buy.
	Provider  Provider
	Purchases Purchases
	Claims    Claims
	// Lots and Announce are set together, or not at all: then nobody is told that
	// credits will expire.
	Lots     Lots
	Announce Announcer
	// AnnounceBefore is how long before its date a lot's customer is told,
	// AnnounceEvery how often lots are looked for.
	AnnounceBefore, AnnounceEvery time.Duration
	// ReconcileEvery is how often the provider is asked about open purchases, and
	// ReconcileEnded for how long about those that ended without being paid.
	ReconcileEvery, ReconcileEnded time.Duration
	// OnPaymentDiffers, if set, is told when the provider gives a recorded payment
	// another amount; the log has which.
	OnPaymentDiffers func()

	// Recheck bounds how long the reactor sleeps: after a jump of the clock
	// nothing is late by more than this. Where trouble is general, it is how long nothing
	// is tried after a try, or its failure.
	Recheck time.Duration
	// Timeout bounds one try at one account.
	Timeout time.Duration
	// Parallel bounds the accounts that are tried at once.
	Parallel int
	// FirstPause follows the first failure of an account, and doubles with each
	// further one up to MaxPause.
	FirstPause, MaxPause time.Duration
}

func (o *Options) defaults() {
	set := func(v *time.Duration, to time.Duration) {
		if *v == 0 {
			*v = to
		}
	}
	set(&o.AnnounceBefore, 7*24*time.Hour)
	set(&o.AnnounceEvery, time.Minute)
	set(&o.ReconcileEvery, 2*time.Minute)
	set(&o.ReconcileEnded, 24*time.Hour)
	set(&o.Recheck, time.Second)
	set(&o.Timeout, 10*time.Second)
	set(&o.FirstPause, 100*time.Millisecond)
	set(&o.MaxPause, time.Minute)
	if o.Parallel == 0 {
		o.Parallel = 128
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.OnPaymentDiffers == nil {
		o.OnPaymentDiffers = func() {}
	}
}

// Reactor does what has become due. Safe for concurrent use; several engines may
// each run one, at the price of some work done twice.
type Reactor struct {
	opts Options
}

// New makes a reactor that does nothing before Run or RunDue.
func New(opts Options) *Reactor {
	opts.defaults()
	return &Reactor{opts: opts}
}

// Run does what becomes due until ctx ends, and returns when all tries that it
// began have ended. It doesn't fail: what goes wrong is logged and tried again.
//
// It begins when the read models have what was acknowledged before it: while they are
// built anew all that ever was due, unpaid or untold looks so once more.
func (r *Reactor) Run(ctx context.Context) {
	for failures := 1; ; failures++ {
		err := r.opts.catchUp(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		wait := r.opts.pause(failures)
		r.opts.Logger.Warn("nothing is done about what becomes due", "error", err, "retry_in", wait)
		sleep(ctx, wait, nil, nil)
	}
	var work sync.WaitGroup
	work.Go(func() { newTicker(r.opts).run(ctx) })
	if r.opts.Provider != nil {
		work.Go(func() { newCashier(r.opts).run(ctx) })
	}
	if r.opts.Lots != nil {
		work.Go(func() { r.opts.runAnnouncer(ctx) })
	}
	work.Wait()
}

// catchUp waits until the read model of deadlines has what was acknowledged.
func (o *Options) catchUp(ctx context.Context) error {
	if err := o.Deadlines.WaitThrough(ctx, o.Ledger.AckedAny()); err != nil {
		return fmt.Errorf("deadlines: wait for the read model: %w", err)
	}
	return nil
}

// RunDue does everything that is due now, of all that was acknowledged before
// the call, and returns when nothing of it is left. Each account is tried at
// once, whatever happened to it before. Errors: ctx's; those of the accounts
// that could not be ticked, joined, after all others were.
func (r *Reactor) RunDue(ctx context.Context) error {
	err := tickAll(ctx, r.opts)
	if err == nil && r.opts.Lots != nil {
		err = r.opts.announce(ctx, map[string]bool{})
	}
	return err
}

// sleep waits for d, or for news on either channel (nil: there never is any), or for
// ctx's end.
func sleep(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ended:
	case <-ctx.Done():
	}
}
