package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// What the log has ready is applied together, up to this many events. A batch of
// Pebble's costs the same for one event as for hundreds, and is checked for room
// and published once.
const applyEvents = 16_384

// A log that is written fast is followed in steps of stepFor: the processor is
// the writers'. What comes after a pause is shown at once; once stepEvents are
// ready they are applied at once; and whoever waits for the views ends the step.
const (
	stepFor    = 50 * time.Millisecond
	stepEvents = 4096
)

// applier applies the log to a generation. While a change is written, the next is
// filled: neither the views' work nor Pebble's waits for the other.
//
// Invariant: one change at the most is under way, and what fills the next reads through
// it (writer.before). Nothing is asked of the generation's position, and nothing
// swapped, while one is.
type applier struct {
	v *Views
	g *generation
	w *writer
	// done is asked after each change that was written, when the next may be filled
	// already; nil is never done.
	done     func() bool
	finished bool
	// hurry has a value while somebody waits for the views: those that answer, and none
	// that a rebuild makes.
	hurry <-chan struct{}
	// underWay gets what became of the change that is being written; nil if there is none.
	underWay chan error
}

// run applies batches until they end, something fails, or done says so. After it
// nothing is under way; rows that are to be written late stay with the writer.
func (a *applier) run(ctx context.Context, batches <-chan opening) (err error) {
	defer func() { err = errors.Join(err, a.settle()) }()
	var stepBegan time.Time
	for {
		first, err := a.next(batches)
		if first == nil || err != nil {
			return err
		}
		ready, err := a.gather(ctx, first, batches, stepBegan.Add(stepFor))
		stepBegan = time.Now()
		if applying := a.applyAll(ctx, ready); applying != nil {
			return applying
		}
		if err != nil {
			return err
		}
	}
}

// next waits for a batch of the log, but not before what was applied is written: whoever
// follows a quiet log sees everything. nil: there are no more.
func (a *applier) next(batches <-chan opening) (opening, error) {
	select {
	case next := <-batches:
		return next, nil
	default:
	}
	if err := a.settle(); err != nil {
		return nil, err
	}
	return <-batches, nil
}

// gather waits for a batch and takes what else comes in this step, which ends at
// a time. The error is that of the batch after those.
func (a *applier) gather(ctx context.Context, first opening, batches <-chan opening, end time.Time) (ready []decoded, err error) {
	for next, events := first, 0; ; {
		o := <-next
		if o.err != nil {
			return ready, o.err
		}
		ready = append(ready, o.decoded)
		if events += len(o.facts); events >= applyEvents {
			return ready, nil
		}
		if events >= stepEvents {
			end = time.Time{}
		}
		if next = a.another(ctx, batches, end); next == nil {
			return ready, nil
		}
	}
}

// another gives the next batch if there is one, or comes before end and nobody
// waits for the views; nil otherwise.
func (a *applier) another(ctx context.Context, batches <-chan opening, end time.Time) opening {
	select {
	case next := <-batches: // nil once it is closed
		return next
	default:
	}
	wait := time.Until(end)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case next := <-batches:
		return next
	case <-a.hurry:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// applyAll applies batches of the log as one change. If that fails, one after the
// other: the views stop exactly before the batch with the bad event.
func (a *applier) applyAll(ctx context.Context, ready []decoded) error {
	if len(ready) == 0 {
		return nil
	}
	defer func() {
		for _, d := range ready {
			d.free()
		}
	}()
	err := a.fill(ctx, ready...)
	if err == nil {
		return a.write(ctx)
	}
	if dropped := a.drop(); dropped != nil {
		return dropped
	}
	if len(ready) == 1 || a.g.unread() { // of a rebuild that fails nothing is left in any case
		return err
	}
	for _, d := range ready {
		if err := a.fill(ctx, d); err != nil {
			return errors.Join(err, a.drop())
		}
		if err := a.write(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fill puts batches of the log into the next change.
func (a *applier) fill(ctx context.Context, ready ...decoded) error {
	if err := a.recover(ctx); err != nil {
		return err
	}
	return a.w.fill(ready...)
}

// recover completes rows that were discarded, if any were: then nothing is filled or
// under way.
func (a *applier) recover(ctx context.Context) error {
	if !a.w.lost {
		return nil
	}
	if err := a.v.complete(ctx, a.g); err != nil {
		return err
	}
	a.w.lost = false
	return nil
}

// write begins to write the filled change, once the one before it is written, and returns
// while that is under way.
func (a *applier) write(ctx context.Context) error {
	if err := a.settle(); err != nil {
		return err
	}
	filled, outcome := a.w.next(), make(chan error, 1)
	a.underWay = outcome
	go func() { outcome <- a.v.write(ctx, a.g, filled) }()
	full := a.g.accounts.full()
	catchesUp := a.done != nil && a.g.wholeFrom > 0 && filled.checkpoint.Position >= a.g.wholeFrom
	if !full && !catchesUp {
		return nil
	}
	// Rows that are dropped will be read again, as the change under way leaves them. And a
	// rebuild that may have caught up asks at once: what it is to replace moves on.
	if err := a.settle(); err != nil {
		return err
	}
	if full {
		a.g.accounts.clear()
	}
	return nil
}

// settle waits for the change under way, and asks whether that is enough. If it is, or
// the change failed, what was filled since then is discarded. Error: errFinished if it is.
func (a *applier) settle() error {
	if a.underWay == nil {
		return nil
	}
	err := <-a.underWay
	a.underWay = nil
	if err == nil {
		a.g.checkpoint = a.w.before.checkpoint
		if a.done == nil || !a.done() {
			return nil
		}
		a.finished, err = true, errFinished
		if a.w.empty() {
			return err
		}
	}
	a.w.discard()
	return err
}

// drop discards what was filled, after what is under way was written.
func (a *applier) drop() error {
	err := a.settle()
	a.w.discard()
	return err
}

// write makes a change and its position visible.
func (v *Views) write(ctx context.Context, g *generation, c *change) error {
	if err := v.waitForRoom(ctx, g); err != nil {
		return err
	}
	began := time.Now()
	if err := v.show(g, c); err != nil {
		return err
	}
	v.opts.OnApply(c.events, c.took+time.Since(began))
	return nil
}

// show commits a change and publishes its position.
func (v *Views) show(g *generation, c *change) error {
	position := c.checkpoint.Position
	value, err := json.Marshal(c.checkpoint)
	if err != nil {
		return err
	}
	g.visible.Lock()
	defer g.visible.Unlock()
	if err := g.retired.Err(); err != nil {
		return err
	}
	if err := c.commit(g, value); err != nil {
		return &applyError{position: position, err: err}
	}
	before := g.shown.show(g.now(), c.balances, c.checkpoint.whole())
	defer before.leave() // once the position is published: it may wait for Pebble
	// A rebuild may be ahead of the views that it is to replace: nobody else tells
	// what they lack then.
	news := position > v.Through()
	if v.publish(g, position) {
		v.signals.send(c)
	}
	if news {
		for _, name := range c.forgotten {
			v.opts.OnForgotten(name)
		}
	}
	return nil
}

// waitForRoom holds the views back while the disk is nearly full, or takes no tables: a write
// would wait for ever in Pebble once its memtables are full, and the end of the views with it.
// RunToEnd hardly waits: nobody may be there to make room.
func (v *Views) waitForRoom(ctx context.Context, g *generation) error {
	for told := false; ; told = true {
		free, enough := v.free(g.dir, v.opts.MinFreeBytes)
		filling := g.writing.Filling()
		switch {
		case enough && !filling:
			return nil
		case v.toEnd.Load() && !enough:
			return noRoom(g.dir, free, v.opts.MinFreeBytes)
		case v.toEnd.Load() && told: // Pebble has tried again, many times
			return fmt.Errorf("%w: the disk of %s takes no tables", ErrNoRoom, g.dir)
		case !told:
			v.opts.Logger.Warn("the read models wait for room on the disk", "free", free, "needed", v.opts.MinFreeBytes, "takes_tables", !filling)
		}
		if !sleep(ctx, 500*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// free tells how much is free on a folder's disk, and whether that is at least what is
// needed; true if the disk doesn't say.
func (v *Views) free(dir string, needed uint64) (free uint64, enough bool) {
	usage, err := v.opts.FS.GetDiskUsage(dir)
	return usage.AvailBytes, err != nil || usage.AvailBytes >= needed
}
