package projections

import (
	"context"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/go-json-experiment/json"

	"iocredits/eventstore"
)

// WholeFrom makes the views a generation that a rebuild makes, of a log that had an end.
func (v *Views) WholeFrom(end eventstore.Position) { v.current.wholeFrom = end }

// Remember says how many rows of accounts are kept in memory, and for how many events they
// may be unwritten.
func (v *Views) Remember(rows int, span int) {
	v.current.accounts.limit, v.current.shown.limit, v.current.rowSpan = rows, rows, span
}

// Unwritten is how many positions of the log rows of accounts may lack. Between changes.
func (v *Views) Unwritten() eventstore.Position {
	c := v.current.checkpoint
	if c.whole() {
		return 0
	}
	return c.Position - c.RowsFrom + 1
}

// Waits of who mends views.
const (
	FirstMend = firstMend
	MaxMend   = maxMend
)

// FindDamage is as if a file of the views that answer were found to be damaged.
func (v *Views) FindDamage() {
	v.mu.RLock()
	number := v.current.number
	v.mu.RUnlock()
	select {
	case v.damaged <- number:
	default: // it is known
	}
}

// Hurry is as if somebody waited for the views; Hurried says that nobody has heard yet.
func (v *Views) Hurry()        { raise(v.hurry) }
func (v *Views) Hurried() bool { return len(v.hurry) > 0 }

// DamageRow makes an account's row unreadable.
func (v *Views) DamageRow(name string) error {
	return v.current.db.Set(balanceKey(name), []byte("damaged"), pebble.NoSync)
}

// AgeRow puts an account's row back to what it was before its newest events.
func (v *Views) AgeRow(name string, events int64) error {
	row, err := lookup(v.current.db, balanceKey(name), decodeBalanceOf)
	if err != nil || row == nil {
		return err
	}
	row.Revision -= events
	return v.current.db.Set(balanceKey(name), appendBalance(nil, row), pebble.NoSync)
}

// CommitUnshown brings views that nobody follows to the log's end, up to where the change
// is committed. show does the rest.
func (v *Views) CommitUnshown() (show func(), err error) {
	g := v.current
	var records []eventstore.Recorded
	for r, err := range v.opts.Store.ReadAll(context.Background(), g.checkpoint.Position+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	d, err := v.decode(records)
	w := newWriter(g)
	if err = errors.Join(err, w.fill(d)); err != nil {
		return nil, err
	}
	c := w.next()
	value, err := json.Marshal(c.checkpoint)
	return func() { g.shown.show(g.now(), c.balances, c.checkpoint.whole()).leave() }, errors.Join(err, c.commit(g, value))
}

// Permanent says that the views would stop at the error.
func Permanent(err error) bool { return permanent(err) }

// ApplyAhead brings views that nobody follows to the log's end with an applier that is
// always one change ahead, in parts of as many events as size says. What becomes of a
// change under way fails once ctx has ended, if the disk is full. After that, and where
// done says so, another goes on behind what was written, as it would in follow.
func (v *Views) ApplyAhead(ctx context.Context, size func() int, done func() bool) error {
	g := v.current
	g.following.Lock()
	defer g.following.Unlock()
	g.writer = newWriter(g)
	for {
		a := &applier{v: v, g: g, w: g.writer, done: done}
		if err := a.recover(context.Background()); err != nil { // ctx may have ended
			return err
		}
		err := a.applyToEnd(ctx, size)
		if !a.finished && !errors.Is(err, context.Canceled) {
			return err
		}
	}
}

func (a *applier) applyToEnd(ctx context.Context, size func() int) (err error) {
	defer func() { err = errors.Join(err, a.settle()) }()
	var records []eventstore.Recorded
	for r, err := range a.v.opts.Store.ReadAll(context.Background(), a.g.checkpoint.Position, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return err
		}
		if r.Position > a.g.checkpoint.Position {
			records = append(records, r)
		}
	}
	for len(records) > 0 {
		n := min(size(), len(records))
		d, err := a.v.decode(records[:n])
		if err != nil {
			return err
		}
		records = records[n:]
		if err := a.applyAll(ctx, []decoded{d}); err != nil {
			return err
		}
	}
	return nil
}
