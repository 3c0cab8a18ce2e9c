package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"iocredits/eventstore"
)

// decoded is a batch of the log on its way to a generation.
type decoded struct {
	facts []eventstore.Fact
	last  eventstore.Recorded
}

// pause is what a subscription that broke is given before it is tried again;
// it doubles up to maxPause.
const (
	pause    = 50 * time.Millisecond
	maxPause = 5 * time.Second
)

// follow applies the log to g until ctx ends, g is replaced, done (asked after
// each batch, and before the first) says so, or something fails for good.
// Only one goroutine may follow into a generation.
func (v *Views) follow(ctx context.Context, g *generation, done func() bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.retired, cancel)()
	wait := pause
	for {
		if done != nil && done() {
			return nil
		}
		before := g.checkpoint.Position
		finished, err := v.followOnce(ctx, g, done)
		if finished || ctx.Err() != nil || permanent(err) {
			return err
		}
		if g.checkpoint.Position > before {
			wait = pause
		}
		v.opts.Logger.Warn("the read models lost the log and try again", "error", err, "wait", wait)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
		wait = min(2*wait, maxPause)
	}
}

// applyError is a failed Apply: the same event would fail again.
type applyError struct {
	position eventstore.Position
	err      error
}

func (e *applyError) Error() string {
	return fmt.Sprintf("apply the event at position %d: %v", e.position, e.err)
}

func (e *applyError) Unwrap() error { return e.err }

// permanent tells errors that trying again can't mend.
func permanent(err error) bool {
	var corrupt *eventstore.CorruptError
	var apply *applyError
	return errors.As(err, &corrupt) || errors.As(err, &apply) || errors.Is(err, eventstore.ErrClosed)
}

// followOnce follows one subscription. Decoding and applying overlap: they cost
// about the same, and a rebuild has a processor for each.
func (v *Views) followOnce(ctx context.Context, g *generation, done func() bool) (finished bool, err error) {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan decoded, 2)
	after := g.checkpoint.Position
	group.Go(func() error {
		defer close(batches)
		for records, err := range v.opts.Store.Subscribe(ctx, after) {
			if err != nil {
				return err
			}
			d, err := v.decode(records)
			if err != nil {
				return err
			}
			select {
			case batches <- d:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return ctx.Err()
	})
	group.Go(func() error {
		for d := range batches {
			if err := v.apply(ctx, g, d); err != nil {
				return err
			}
			if done != nil && done() {
				finished = true
				return errFinished
			}
		}
		return nil
	})
	err = group.Wait()
	if finished {
		return true, nil
	}
	return false, err
}

var errFinished = errors.New("finished")

// decode opens the events of accounts; streams that aren't ours are skipped.
func (v *Views) decode(records []eventstore.Recorded) (decoded, error) {
	d := decoded{facts: make([]eventstore.Fact, 0, len(records)), last: records[len(records)-1]}
	for _, r := range records {
		if _, ours := eventstore.AccountOf(r.Stream); !ours {
			continue
		}
		f, err := v.opts.Codec.Open(r)
		if err != nil {
			return decoded{}, err
		}
		d.facts = append(d.facts, f)
	}
	return d, nil
}

// apply writes a batch of the log and the checkpoint behind it as one.
func (v *Views) apply(ctx context.Context, g *generation, d decoded) error {
	if err := v.waitForRoom(ctx, g); err != nil {
		return err
	}
	began := time.Now()
	w := newWriter(g.db)
	for _, f := range d.facts {
		if err := w.apply(f); err != nil {
			return errors.Join(&applyError{position: f.Position, err: err}, w.discard())
		}
	}
	next := checkpoint{Format: format, Position: d.last.Position, Event: d.last.ID}
	value, err := json.Marshal(next)
	if err != nil {
		return errors.Join(err, w.discard())
	}
	if err := w.commit(value); err != nil {
		return &applyError{position: d.last.Position, err: err}
	}
	g.checkpoint = next
	v.publish(g, next.Position)
	if w.deadlines {
		v.signalDeadlines()
	}
	v.opts.OnApply(len(d.facts), time.Since(began))
	return nil
}

// waitForRoom holds the views back while the disk is nearly full.
func (v *Views) waitForRoom(ctx context.Context, g *generation) error {
	for told := false; ; told = true {
		usage, err := v.opts.FS.GetDiskUsage(g.dir)
		if err != nil || usage.AvailBytes >= v.opts.MinFreeBytes {
			return nil
		}
		if !told {
			v.opts.Logger.Warn("the read models wait for room on the disk", "free", usage.AvailBytes, "needed", v.opts.MinFreeBytes)
		}
		if !sleep(ctx, 500*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// sleep waits; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Rebuild makes all views anew from the log while the present ones answer, and
// puts the new ones in their place when they have caught up. progress, if set,
// is told how far they are. It also revives views that have stopped.
func (v *Views) Rebuild(ctx context.Context, progress func(through, head eventstore.Position)) error {
	v.rebuilding.Lock()
	defer v.rebuilding.Unlock()
	old := v.generation()
	next, err := v.openGeneration(old.number + 1)
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	swapped := false
	err = v.follow(ctx, next, func() bool {
		if progress != nil {
			if head, err := v.opts.Store.Head(ctx); err == nil {
				progress(next.checkpoint.Position, head)
			}
		}
		swapped = swapped || v.swap(ctx, next)
		return swapped
	})
	if err != nil || !swapped {
		err = errors.Join(err, next.close(), v.opts.FS.RemoveAll(next.dir))
		return fmt.Errorf("rebuild: %w", err)
	}
	if err := v.writeCurrent(next.number); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	return errors.Join(old.close(), v.opts.FS.RemoveAll(old.dir))
}

// swap makes next the current generation if it has all that the present one
// has shown, or all there is where that one has stopped.
func (v *Views) swap(ctx context.Context, next *generation) bool {
	head, err := v.opts.Store.Head(ctx)
	if err != nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state.Lock()
	defer v.state.Unlock()
	if v.closed || next.checkpoint.Position < v.through || v.stopped != nil && next.checkpoint.Position < head {
		return false
	}
	old := v.current
	v.current, v.through, v.stopped = next, next.checkpoint.Position, nil
	v.wake()
	old.retire()
	return true
}

var _ pebble.Logger = pebbleLogger{}
