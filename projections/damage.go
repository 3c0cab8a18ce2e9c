package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// errDamaged: a value of the views can't be read. The log still can.
var errDamaged = errors.New("damaged view")

// ErrNoRoom: the disk has no room for the read models beside those that there are.
var ErrNoRoom = errors.New("too little room on the disk for new read models")

// Damaged says that the error is of a file or a value of the read models which can't be
// read: Rebuild makes them again from the log.
func Damaged(err error) bool { return errors.Is(err, errDamaged) || pebble.IsCorruptionError(err) }

// damageOf hears of files of a generation that can't be read.
func (v *Views) damageOf(number int) *pebble.EventListener {
	return v.opts.pebbleLogger().Damage(func() {
		select {
		case v.damaged <- number:
		default:
		}
	})
}

// mend builds the views again when a file of theirs was found to be damaged, until ctx
// ends. They answer meanwhile, but for what stands in that file.
func (v *Views) mend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case number := <-v.damaged:
			v.mendGeneration(ctx, number)
		}
	}
}

// mendGeneration replaces a damaged generation, if that is the one that is read.
//
// It begins only where the disk has room for as much again, and leaves the log its own:
// views that can be read in part are better than a log that takes nothing. After a
// failure, which the stop of an engine isn't, it waits, longer each time: a disk that is
// failing fails the log's reads too. Then it tries again without being told again: views
// that have stopped at the damage read it no more.
func (v *Views) mendGeneration(ctx context.Context, number int) {
	for wait := firstMend; v.serves(number); wait = min(2*wait, maxMend) {
		err := v.roomFor(mendReserves)
		if err == nil {
			v.opts.Logger.Warn("the read models are built again from the log: a file of theirs is damaged")
			err = v.Rebuild(ctx, nil)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
		v.opts.Logger.Error("the read models stay damaged", "error", err, "again", wait)
		if !sleep(ctx, wait) {
			return
		}
	}
}

// Waits after views that couldn't be mended.
const (
	firstMend = 5 * time.Second
	maxMend   = time.Hour
)

// mendReserves is how often MinFreeBytes is left when views are mended unasked.
const mendReserves = 2

// roomFor is an error if the disk has too little room for a second copy of the views and,
// beside it, for so many times what is kept free for the log.
func (v *Views) roomFor(reserves uint64) error {
	g, leave, err := v.enter()
	if err != nil {
		return err
	}
	defer leave()
	usage, err := v.opts.FS.GetDiskUsage(g.dir)
	needed := g.db.Metrics().DiskSpaceUsage() + reserves*v.opts.MinFreeBytes
	if err == nil && usage.TotalBytes > 0 && usage.AvailBytes < needed {
		return fmt.Errorf("%w: %d bytes are free on the disk of %s, %d are needed to build them again", ErrNoRoom, usage.AvailBytes, g.dir, needed)
	}
	return nil
}

// Room is ErrNoRoom if less is free on the disk of a folder than views in it leave free, as
// far as is known. The folder MUST exist.
func Room(dir string, opts Options) error {
	opts.defaults()
	if usage, err := opts.FS.GetDiskUsage(dir); err == nil && usage.AvailBytes < opts.MinFreeBytes {
		return noRoom(dir, usage.AvailBytes, opts.MinFreeBytes)
	}
	return nil
}

func noRoom(dir string, free, needed uint64) error {
	return fmt.Errorf("%w: %d bytes are free on the disk of %s, %d are needed", ErrNoRoom, free, dir, needed)
}

// serves says that a generation is the one that is read.
func (v *Views) serves(number int) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.current.number == number
}
