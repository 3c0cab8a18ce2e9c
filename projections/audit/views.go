package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2/vfs"

	"iocredits/eventstore"
	"iocredits/eventstore/disk"
	"iocredits/projections"
)

// views builds the read models anew up to where the given ones are, and compares
// every byte.
func (v *verification) views(ctx context.Context) error {
	position := v.Views.Position()
	if position > v.head {
		v.report(Finding{
			Check: CheckView, Revision: -1, Position: position, What: "position",
			Expected: fmt.Sprintf("at most %d, where the log ends", v.head), Found: fmt.Sprint(position),
		})
		return nil
	}
	if !v.comparable() {
		return nil
	}
	built, err := build(ctx, prefix{Store: v.Store, end: position}, v.Source.Codec, vfs.Default, v.Scratch, v.Options, func(through, head eventstore.Position) {
		v.Progress("read models", through, head)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, projections.ErrNoRoom) {
		return err // it says nothing of the log
	}
	if err != nil {
		v.report(Finding{Check: CheckView, Revision: -1, Position: position, What: "rebuild", Expected: "read models of this log", Found: err.Error()})
		return nil
	}
	v.summary.ViewsCompared = true
	return errors.Join(v.compareRows(ctx, built), built.Close())
}

// comparable says that the views have rows as this version writes them. Another's are a
// finding; of none a crash took what there was, and the engine will make it again.
func (v *verification) comparable() bool {
	if v.Views.Position() == eventstore.BeforeFirst {
		return false
	}
	if v.Views.Format() != projections.CurrentFormat {
		v.report(Finding{
			Check: CheckView, Revision: -1, Position: v.Views.Position(), What: "format",
			Expected: projections.CurrentFormat, Found: v.Views.Format(),
		})
		return false
	}
	return true
}

// unopened is a finding if the read models are too damaged to be opened.
func (v *verification) unopened() { _ = v.unreadable(v.ViewsDamage) }

// unreadable makes a finding of what can't be read of the read models; other errors stay.
func (v *verification) unreadable(err error) error {
	if !projections.Damaged(err) {
		return err
	}
	position := v.head
	if v.Views != nil {
		position = v.Views.Position()
	}
	v.report(Finding{Check: CheckView, Revision: -1, Position: position, What: "file", Expected: "whole read models", Found: disk.Reason(err)})
	return nil
}

// build makes the views of a log in a folder. Error: projections.ErrNoRoom.
func build(ctx context.Context, log eventstore.Store, codec *eventstore.Codec, fs vfs.FS, dir string, opts Options, progress projections.Progress) (*projections.Image, error) {
	made := projections.Options{Store: log, Codec: codec, FS: fs, Logger: opts.Logger, MinFreeBytes: opts.MinFreeBytes}
	if opts.Scratch != "" { // a disk that is full ends Pebble, and the process
		if err := projections.Room(opts.Scratch, made); err != nil {
			return nil, err
		}
	}
	views, err := projections.Open(ctx, dir, made)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(views.RunToEnd(ctx, progress), views.Close()); err != nil {
		return nil, err
	}
	image, _, err := projections.OpenImage(dir, made)
	return image, err
}

// compareRows walks both databases in the order of their keys.
func (v *verification) compareRows(ctx context.Context, built *projections.Image) error {
	want, stopWant := iter.Pull2(built.Rows(ctx))
	defer stopWant()
	got, stopGot := iter.Pull2(v.Views.Rows(ctx))
	defer stopGot()
	w, werr, wok := want()
	g, gerr, gok := got()
	for wok || gok {
		if err := errors.Join(werr, gerr, ctx.Err()); err != nil {
			return err
		}
		order := bytes.Compare(w.Key, g.Key)
		switch {
		case !gok || wok && order < 0:
			v.row(w, w.Text(), "no row")
			w, werr, wok = want()
			continue
		case !wok || order > 0:
			v.row(g, "no row", g.Text())
			g, gerr, gok = got()
			continue
		case !bytes.Equal(w.Value, g.Value):
			v.row(w, w.Text(), g.Text())
		}
		v.summary.Rows++
		w, werr, wok = want()
		g, gerr, gok = got()
	}
	return errors.Join(werr, gerr)
}

func (v *verification) row(r projections.Row, expected, found string) {
	v.report(rowFinding(r, v.Views.Position(), expected, found))
}

func rowFinding(r projections.Row, at eventstore.Position, expected, found string) Finding {
	f := Finding{Check: CheckView, What: r.Kind(), Account: r.Account(), Revision: -1, Position: at, Expected: expected, Found: found}
	if revision, exists := r.Revision(); exists {
		f.Revision = revision
	}
	return f
}

// prefix is a log that ends at a position.
type prefix struct {
	eventstore.Store
	end eventstore.Position
}

func (p prefix) Head(context.Context) (eventstore.Position, error) { return p.end, nil }

func (p prefix) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		for batch, err := range p.Store.Subscribe(ctx, after) {
			n := len(batch)
			for n > 0 && batch[n-1].Position > p.end {
				n--
			}
			if err != nil || n > 0 {
				if !yield(batch[:n], err) || err != nil {
					return
				}
			}
			if n < len(batch) {
				return
			}
		}
	}
}
