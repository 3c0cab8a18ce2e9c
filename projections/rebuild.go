package projections

import (
	"context"
	"errors"
	"fmt"

	"iocredits/eventstore"
)

// Rebuild makes all views anew from the log while the present ones answer, and
// puts the new ones in their place when they have caught up. It also revives
// views that have stopped. progress may be nil. Errors: ErrNoRoom, before anything was
// written, if the disk can't hold both without the views waiting for room; ErrClosed.
func (v *Views) Rebuild(ctx context.Context, progress Progress) error {
	v.rebuilding.Lock()
	defer v.rebuilding.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(v.life, cancel)()
	err := v.rebuild(ctx, progress)
	if v.life.Err() != nil {
		err = errors.Join(ErrClosed, err)
	}
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	return nil
}

func (v *Views) rebuild(ctx context.Context, progress Progress) error {
	if err := v.roomFor(1); err != nil {
		return err
	}
	head, err := v.opts.Store.Head(ctx)
	if err != nil {
		return err
	}
	v.mu.RLock()
	old := v.current
	v.mu.RUnlock()
	next, err := v.emptyGeneration(old.number+1, building)
	if err != nil {
		return err
	}
	next.wholeFrom = head // swap asks for that much
	err = v.follow(ctx, next, func() bool {
		if progress != nil {
			through := next.checkpoint.Position
			progress(through, max(through, head, v.Through()))
		}
		return v.swap(old, next, head)
	})
	if err != nil {
		return errors.Join(err, v.remove(next))
	}
	return v.replace(ctx, old, next)
}

// swap makes next the current generation if it has all that the present one has
// shown, and at least the log as it was when the rebuild began: views that have
// stopped are not replaced by others that stand before the same event.
func (v *Views) swap(old, next *generation, atLeast eventstore.Position) bool {
	old.visible.Lock()
	defer old.visible.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state.Lock()
	defer v.state.Unlock()
	position := next.checkpoint.Position
	if v.life.Err() != nil || position < max(v.Through(), atLeast) {
		return false
	}
	v.current, v.stopped = next, nil
	v.through.Store(uint64(position))
	v.wake()
	// What next had ahead of the old one was never announced.
	v.signals.sendAll()
	old.retire()
	return true
}

// replace makes a swap last. next is flushed first, which takes room: once CURRENT names
// it, there is nothing else to go back to.
func (v *Views) replace(ctx context.Context, old, next *generation) error {
	err := v.waitForRoom(ctx, next)
	if err == nil {
		err = errors.Join(next.db.Flush(), v.writeCurrent(next.number))
	}
	if err != nil {
		return errors.Join(err, old.close()) // the next start opens it
	}
	return v.remove(old)
}

// remove deletes a generation.
func (v *Views) remove(g *generation) error {
	return errors.Join(g.drop(), v.opts.FS.RemoveAll(g.dir))
}

// drop is close without the writing: nobody opens it again.
func (g *generation) drop() error {
	g.retire()
	g.users.Wait()
	defer g.free()
	g.shown.moment.leave()
	return g.db.Close()
}
