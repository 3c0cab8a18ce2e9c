package projections

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// errDamaged: a value of the views can't be read. The log still can.
var errDamaged = errors.New("damaged view")

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
			if !v.serves(number) {
				continue
			}
		}
		v.opts.Logger.Warn("the read models are built again from the log: a file of theirs is damaged")
		if err := v.Rebuild(ctx, nil); err != nil {
			v.opts.Logger.Error("the read models stay damaged", "error", err)
			if !sleep(ctx, maxPause) {
				return
			}
		}
	}
}

// serves says that a generation is the one that is read.
func (v *Views) serves(number int) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.current.number == number
}
