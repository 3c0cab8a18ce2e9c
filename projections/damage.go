package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// errDamaged: a value of the views can't be read. The log still can.
var errDamaged = errors.New("damaged view")

// Damaged says that the error is of a file or a value of the read models which can't be
// read: Rebuild makes them again from the log.
func Damaged(err error) bool { return errors.Is(err, errDamaged) || pebble.IsCorruptionError(err) }

// damageOf hears of files of a generation that can't be read. Who reads gets an error;
// without this Pebble calls Fatalf, and one bad block that anybody may ask for would
// stop the engine.
func (v *Views) damageOf(number int) *pebble.EventListener {
	var told sync.Map
	return &pebble.EventListener{DataCorruption: func(info pebble.DataCorruptionInfo) {
		if _, again := told.LoadOrStore(info.Path, nil); !again {
			v.opts.Logger.Error("a file of the read models is damaged", "file", info.Path, "error", reason(info.Details))
		}
		select {
		case v.damaged <- number:
		default:
		}
	}}
}

// reason is what Pebble says, without the second line that it has for itself.
func reason(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
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

// pebbleLogger passes errors of Pebble's on. It is told of a fatal one when it
// can't go on; the views can't either, and the log beside them stays whole.
type pebbleLogger struct{ to *slog.Logger }

var _ pebble.Logger = pebbleLogger{}

func (l pebbleLogger) Infof(string, ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.to.Error("read models: pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	panic("read models: pebble can't go on: " + fmt.Sprintf(format, args...))
}
