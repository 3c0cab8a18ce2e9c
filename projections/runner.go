package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iocredits/domain"
	"iocredits/eventstore"
)

// decoded is a batch of the log on its way to a generation.
type decoded struct {
	*room
	last eventstore.Recorded
}

// room has a batch's facts and their chain hashes. It is used again once the batch was
// applied: views MUST NOT keep a pointer to a fact or to its Meta. What a fact refers to
// beside that, its body and bytes, isn't in here.
type room struct {
	facts  []eventstore.Fact
	hashes []eventstore.Hash
	// metas are of facts that had to be decoded.
	metas []eventstore.Metadata
}

var rooms = sync.Pool{New: func() any { return new(room) }}

func (r *room) free() {
	clear(r.facts)
	clear(r.metas)
	r.facts, r.hashes, r.metas = r.facts[:0], r.hashes[:0], r.metas[:0]
	rooms.Put(r)
}

// pause is what a subscription that broke is given before it is tried again;
// it doubles up to maxPause.
const (
	pause    = 50 * time.Millisecond
	maxPause = 5 * time.Second
)

// follow applies the log to g until ctx ends, g is replaced, done says so, or something
// fails for good. done is asked before anything is written, and after each change that
// was; nil is never done.
// One goroutine at a time follows into a generation, and another waits until that ends:
// so does Run, for a rebuild whose generation it is to follow on.
func (v *Views) follow(ctx context.Context, g *generation, done func() bool) error {
	g.following.Lock()
	defer g.following.Unlock()
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
		if finished || ctx.Err() != nil || permanent(err) || errors.Is(err, ErrNoRoom) {
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

// decoding is how many batches of the log are read ahead, decoded side by side if
// they aren't small.
const (
	decoding   = 8
	smallBatch = 128
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
	group, reading := errgroup.WithContext(ctx)
	batches := make(chan opening, decoding)
	after := g.checkpoint.Position
	group.Go(func() error {
		defer close(batches)
		for records, err := range v.opts.Store.Subscribe(reading, after) {
			if err != nil {
				return err
			}
			o := make(opening, 1)
			select {
			case batches <- o:
			case <-reading.Done():
				return reading.Err()
			}
			open := func() {
				d, err := v.decode(records)
				o <- opened{d, err}
			}
			if len(records) < smallBatch {
				open()
			} else {
				group.Go(func() error { open(); return nil }) // what it finds wrong is told in its turn
			}
		}
		return errEnded
	})
	if g.writer == nil {
		g.writer = newWriter(g)
	}
	applying := &applier{v: v, g: g, w: g.writer, done: done}
	if v.serves(g.number) {
		applying.hurry = v.hurry
	}
	var applied error
	group.Go(func() error {
		// What was read is applied though the subscription breaks, as soon as the disk has room.
		applied = applying.run(ctx, batches)
		return applied
	})
	err = group.Wait()
	if applying.finished {
		return true, nil
	}
	if permanent(applied) { // whatever became of the subscription
		err = applied
	}
	return false, err
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
		f, err := v.opts.Codec.OpenIn(d.meta(r, len(records)), r)
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

// meta gives room for the metadata of one of so many records, if it has to be decoded.
func (r *room) meta(of eventstore.Recorded, records int) *eventstore.Metadata {
	if of.Written != nil {
		return nil
	}
	if len(r.metas) == 0 {
		r.metas = slices.Grow(r.metas, records)
	}
	r.metas = append(r.metas, eventstore.Metadata{})
	return &r.metas[len(r.metas)-1]
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
