package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"iocredits/domain"
	"iocredits/eventstore"
)

// decoded is a batch of the log on its way to a generation.
type decoded struct {
	*room
	last eventstore.Recorded
}

// room has a batch's facts and their chain hashes. It is used again once the
// batch was applied: nothing that views keep is in it, though it may point there.
type room struct {
	facts  []eventstore.Fact
	hashes []eventstore.Hash
}

var rooms = sync.Pool{New: func() any { return new(room) }}

func (r *room) free() {
	clear(r.facts)
	r.facts, r.hashes = r.facts[:0], r.hashes[:0]
	rooms.Put(r)
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

// What the log has ready is applied together, up to this many events. A batch of
// Pebble's costs the same for one event as for hundreds, and is checked for room
// and published once.
const applyEvents = 16_384

// decoding is how many batches of the log are read ahead, decoded side by side if
// they aren't small.
const (
	decoding   = 8
	smallBatch = 128
)

// A log that is written fast is followed in steps of stepFor: the processor is
// the writers'. What comes after a pause is shown at once, stepEvents are not
// waited with, and whoever waits for the views ends the step.
const (
	stepFor    = 50 * time.Millisecond
	stepEvents = 4096
)

// opening is a batch of the log that is being decoded.
type opening chan opened

type opened struct {
	decoded
	err error
}

// followOnce follows one subscription. Decoding and applying overlap, and
// batches are decoded side by side: a rebuild uses all processors.
func (v *Views) followOnce(ctx context.Context, g *generation, done func() bool) (finished bool, err error) {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan opening, decoding)
	after := g.checkpoint.Position
	group.Go(func() error {
		defer close(batches)
		for records, err := range v.opts.Store.Subscribe(ctx, after) {
			if err != nil {
				return err
			}
			o := make(opening, 1)
			select {
			case batches <- o:
			case <-ctx.Done():
				return ctx.Err()
			}
			open := func() {
				d, err := v.decode(records)
				o <- opened{d, err}
			}
			if len(records) < smallBatch {
				open()
			} else {
				go open()
			}
		}
		return errEnded
	})
	group.Go(func() error {
		var shown time.Time
		for first := range batches {
			ready, err := v.gather(ctx, first, batches, shown.Add(stepFor))
			shown = time.Now()
			if applying := v.applyAll(ctx, g, ready); applying != nil {
				return applying
			}
			if err != nil {
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

// gather waits for a batch and takes what else comes in this step, which ends at
// a time. The error is that of the batch after those.
func (v *Views) gather(ctx context.Context, first opening, batches <-chan opening, end time.Time) (ready []decoded, err error) {
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
		if next = v.another(ctx, batches, end); next == nil {
			return ready, nil
		}
	}
}

// another gives the next batch if there is one, or comes before end and nobody
// waits for the views; nil otherwise.
func (v *Views) another(ctx context.Context, batches <-chan opening, end time.Time) opening {
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
	case <-v.hurry:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// applyAll applies batches of the log as one. If that fails, one after the
// other: the views stop exactly before the batch with the bad event.
func (v *Views) applyAll(ctx context.Context, g *generation, ready []decoded) error {
	if len(ready) == 0 {
		return nil
	}
	defer func() {
		for _, d := range ready {
			d.free()
		}
	}()
	err := v.apply(ctx, g, ready...)
	var bad *applyError
	if len(ready) == 1 || !errors.As(err, &bad) {
		return err
	}
	for _, d := range ready {
		if err := v.apply(ctx, g, d); err != nil {
			return err
		}
	}
	return nil
}

var (
	errFinished = errors.New("finished")
	errEnded    = errors.New("the subscription ended")
)

// decode opens the events of accounts; streams that aren't ours are skipped.
func (v *Views) decode(records []eventstore.Recorded) (decoded, error) {
	var digest eventstore.Digester
	d := decoded{room: rooms.Get().(*room), last: records[len(records)-1]} //nolint:forcetypeassert // the pool has nothing else
	d.facts, d.hashes = slices.Grow(d.facts, len(records)), slices.Grow(d.hashes, len(records))
	for _, r := range records {
		if !ours(r.Stream) {
			continue
		}
		f, err := v.opts.Codec.Open(r)
		if err != nil {
			d.free()
			return decoded{}, err
		}
		d.facts = append(d.facts, f)
		if r.Written != nil {
			d.hashes = append(d.hashes, r.Written.Hash)
		} else {
			d.hashes = append(d.hashes, digest.ChainHash(f.Stream, f.Revision, f.Event, f.Meta.Previous))
		}
	}
	return d, nil
}

// ours tells the streams of accounts and of their notices. One with a name that
// no account can have was not written by a ledger, and its name could break the
// order of keys.
func ours(stream string) bool {
	name, ok := eventstore.AccountOf(stream)
	if !ok {
		name, ok = eventstore.NoticesOf(stream)
	}
	return ok && domain.CheckID("account", name) == nil
}

// apply writes batches of the log and the checkpoint behind them as one.
func (v *Views) apply(ctx context.Context, g *generation, ready ...decoded) error {
	if err := v.waitForRoom(ctx, g); err != nil {
		return err
	}
	began, events := time.Now(), 0
	w := g.writing()
	for _, d := range ready {
		for i := range d.facts {
			if err := w.apply(&d.facts[i], d.hashes[i]); err != nil {
				return errors.Join(&applyError{position: d.facts[i].Position, err: err}, w.discard())
			}
		}
		events += len(d.facts)
	}
	next := g.checkpoint.behind(ready)
	value, err := json.Marshal(next)
	if err != nil {
		return errors.Join(err, w.discard())
	}
	if err := v.show(g, w, next.Position, value); err != nil {
		return err
	}
	g.checkpoint = next
	v.opts.OnApply(events, time.Since(began))
	return nil
}

// writing gives the generation's writer, ready for a batch.
func (g *generation) writing() *writer {
	if g.writer == nil {
		g.writer = newWriter(g)
	} else {
		g.writer.begin()
	}
	return g.writer
}

// show commits a batch and makes its position known.
func (v *Views) show(g *generation, w *writer, position eventstore.Position, checkpoint []byte) error {
	g.visible.Lock()
	defer g.visible.Unlock()
	if err := g.retired.Err(); err != nil {
		return errors.Join(err, w.discard())
	}
	if err := w.commit(checkpoint); err != nil {
		return &applyError{position: position, err: err}
	}
	g.shown.put(w.changed)
	// A rebuild may be ahead of the views that it is to replace: nobody else tells
	// what they lack then.
	news := position > v.Through()
	if v.publish(g, position) {
		v.signals.send(w)
	}
	if news {
		for _, name := range w.forgotten {
			v.opts.OnForgotten(name)
		}
	}
	return nil
}

// waitForRoom holds the views back while the disk is nearly full.
func (v *Views) waitForRoom(ctx context.Context, g *generation) error {
	for told := false; ; told = true {
		usage, err := v.opts.FS.GetDiskUsage(g.dir)
		if full := err == nil && usage.AvailBytes < v.opts.MinFreeBytes; !full {
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
