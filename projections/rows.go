package projections

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/go-json-experiment/json"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Rows of accounts aren't written with each change, but once for rowSpan events, when an
// account that is busy has changed several times. Until then its row on the disk is older
// than the checkpoint, which says so (RowsFrom).
//
// Nothing is lost by that: a row has the revision of its last event, so whoever finds an
// old one has the events since from the log. Meanwhile balances are shown from memory
// (shownViews). An account's first row is written at once, so that each has one.
const rowSpan = 1 << 16

// unwrittenShare is which part of the rows in memory may be unwritten: one in so many.
const unwrittenShare = 2

// errRowsLost: rows were discarded before they were written, and before a generation was
// whole. All of the log would be needed to make them again: that is a rebuild.
var errRowsLost = errors.New("rows of accounts that were to be written are lost")

// whole says that every row on the disk has all its events up to the checkpoint.
func (c *checkpoint) whole() bool { return c.RowsFrom == 0 }

// keepRows says in the change's checkpoint which rows it is to leave unwritten, if any.
func (w *writer) keepRows(from checkpoint, ready []decoded) {
	w.since += w.events
	if w.rowsDue(from) {
		w.checkpoint.RowsFrom = 0
		return
	}
	for i := 0; w.checkpoint.whole() && i < len(ready); i++ {
		if facts := ready[i].facts; len(facts) > 0 {
			w.checkpoint.RowsFrom = facts[0].Position // an event's: a cluster's log is read from nowhere else
		}
	}
}

// rowsDue says that the change, behind that of a checkpoint, is to leave no row unwritten.
func (w *writer) rowsDue(from checkpoint) bool {
	g := w.g
	switch {
	case len(w.unwritten)+len(w.rows) > g.accounts.limit/unwrittenShare || g.accounts.full():
		return true
	case w.checkpoint.Position < g.wholeFrom:
		return false
	case from.Position < g.wholeFrom:
		return true // from here on it is read: nothing is shown of what came before
	}
	return w.since >= g.rowSpan
}

// flushRows puts copies of balances and rows into the change, since the rows themselves
// may be changed again while it is written: the balances that it changed, for readers; and
// every row that is unwritten, if the change is to leave none, else only rows that were
// never written.
func (w *writer) flushRows() {
	due, read := w.checkpoint.whole(), w.checkpoint.Position >= w.g.wholeFrom
	for _, row := range w.rows {
		row.changed = false
		if read {
			w.balances = append(w.balances, namedBalance{row.name, row.balanceRecord})
		}
		switch {
		case due || read && !row.stored:
			w.writeRow(row)
		case !row.unwritten:
			row.unwritten = true
			w.unwritten = append(w.unwritten, row)
		}
	}
	w.rows = forget(w.rows)
	if !due {
		return
	}
	for _, row := range w.unwritten {
		if row.unwritten {
			w.writeRow(row)
		}
	}
	w.unwritten = forget(w.unwritten)
}

// forget empties a list, and lets go of its rows: each keeps those of its slab alive.
func forget(rows []*accountRow) []*accountRow {
	clear(rows)
	return rows[:0]
}

// writeRow puts a row into the change.
func (w *writer) writeRow(row *accountRow) {
	row.unwritten, row.stored = false, true
	w.keyScratch = append(append(w.keyScratch[:0], balancePrefix), row.name...)
	w.scratch = appendBalance(w.scratch[:0], &row.balanceRecord)
	w.append(w.keyScratch, w.scratch)
}

// completed gives, by key, the rows that lack events at a checkpoint with these from the
// log, and the checkpoint that says so. Nothing if it is whole.
func (v *Views) completed(ctx context.Context, db pebble.Reader, c checkpoint) (map[string][]byte, error) {
	if c.whole() {
		return nil, nil
	}
	rows := map[string]*balanceRecord{}
	for r, err := range v.opts.Store.ReadAll(ctx, c.RowsFrom, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return nil, fmt.Errorf("read the log for rows of accounts: %w", err)
		}
		if r.Position > c.Position {
			break
		}
		name, isAccount := eventstore.AccountOf(r.Stream)
		if !isAccount || !ours(r.Stream) {
			continue
		}
		row := rows[name]
		if row == nil {
			if row, err = lookup(db, balanceKey(name), decodeBalanceOf); err != nil {
				return nil, err
			}
			if row == nil {
				return nil, fmt.Errorf("%w: account %s has events up to position %d, and no row", errDamaged, name, c.Position)
			}
			rows[name] = row
		}
		if err := row.advance(v.opts.Codec, r); err != nil {
			return nil, err
		}
	}
	return encodeRows(rows, c)
}

// catchUp puts the events up to a position that a row lacks into it, from the log.
func (v *Views) catchUp(ctx context.Context, name string, row *balanceRecord, through eventstore.Position) error {
	for r, err := range v.opts.Store.ReadStream(ctx, eventstore.AccountStream(name), row.Revision+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return fmt.Errorf("read the log for the row of account %s: %w", name, err)
		}
		if r.Position > through {
			break
		}
		if err := row.advance(v.opts.Codec, r); err != nil {
			return err
		}
	}
	return nil
}

// advance puts an event of the row's account into it, unless it is there. Error:
// errDamaged if the row lacks events before it.
func (row *balanceRecord) advance(codec *eventstore.Codec, r eventstore.Recorded) error {
	if r.Revision <= row.Revision {
		return nil
	}
	if r.Revision > row.Revision+1 {
		return row.outOfPlace(r.Stream, r.Revision)
	}
	f, err := codec.Open(r)
	if err != nil {
		return err
	}
	effect := account.EffectOf(f.Body, f.Revision)
	row.apply(&f, &effect)
	return nil
}

func (row *balanceRecord) outOfPlace(stream string, revision int64) error {
	return fmt.Errorf("%w: the row for %s is at revision %d, where %d should be", errDamaged, stream, row.Revision, revision-1)
}

func encodeRows(rows map[string]*balanceRecord, c checkpoint) (map[string][]byte, error) {
	encoded := make(map[string][]byte, len(rows)+1)
	for name, row := range rows {
		encoded[string(balanceKey(name))] = appendBalance(nil, row)
	}
	c.RowsFrom = 0
	value, err := json.Marshal(c)
	encoded[string([]byte{checkpointKey})] = value
	return encoded, err
}

// complete writes the rows that lack events, with these from the log: a crash took those
// in memory, or they were discarded. Nobody else may follow the log into g.
func (v *Views) complete(ctx context.Context, g *generation) error {
	if g.unread() {
		return &applyError{position: g.checkpoint.Position, err: errRowsLost}
	}
	rows, err := v.completed(ctx, g.db, g.checkpoint)
	if Damaged(err) {
		return &applyError{position: g.checkpoint.Position, err: err}
	}
	if err != nil || rows == nil {
		return err
	}
	batch := g.db.NewBatch()
	for key, value := range rows {
		err = errors.Join(err, batch.Set([]byte(key), value, nil))
	}
	if err = errors.Join(err, batch.Commit(pebble.NoSync), batch.Close()); err != nil {
		return fmt.Errorf("write rows of accounts: %w", err)
	}
	g.checkpoint.RowsFrom = 0
	g.shown.show(g.now(), nil, false).leave()
	return nil
}

// flushUnwritten writes the rows that are unwritten, so that nobody has to complete them.
// Nothing may be filled or under way, and nobody may follow any more.
func (w *writer) flushUnwritten() error {
	if w.lost || len(w.unwritten) == 0 || w.g.unread() {
		return nil // they are completed from the log, or nobody will ever read them
	}
	w.checkpoint = w.g.checkpoint
	w.checkpoint.RowsFrom = 0
	value, err := json.Marshal(w.checkpoint)
	if err != nil {
		return err
	}
	w.flushRows()
	return w.commit(w.g, value)
}
