package projections

import (
	"context"
	"math"

	"iocredits/eventstore"
)

// WholeFrom makes the views a generation that a rebuild makes, of a log that had an end.
func (v *Views) WholeFrom(end eventstore.Position) { v.current.wholeFrom = end }

// FillAhead brings views that nobody follows to the log's end as an applier does that is
// always one change ahead: each is filled before the one before it is written, in parts
// of as many events as size says. Where fails says so, the change under way is lost.
func (v *Views) FillAhead(ctx context.Context, size func() int, fails func() bool) error {
	g := v.current
	w := newWriter(g)
	var records []eventstore.Recorded
	for r, err := range v.opts.Store.ReadAll(ctx, g.checkpoint.Position+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	var parts []decoded
	for len(records) > 0 {
		n := min(size(), len(records))
		d, err := v.decode(records[:n])
		if err != nil {
			return err
		}
		parts, records = append(parts, d), records[n:]
	}
	var underWay *change
	for i := 0; i < len(parts) || underWay != nil; i++ {
		if i < len(parts) {
			if err := w.fill(parts[i]); err != nil {
				return err
			}
		}
		if underWay != nil {
			if fails() {
				w.discard()
				underWay, i = nil, i-2
				continue
			}
			if err := v.show(g, underWay); err != nil {
				return err
			}
			g.checkpoint, underWay = underWay.checkpoint, nil
		}
		if i < len(parts) {
			underWay = w.next()
		}
	}
	return nil
}
