package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"iocredits/eventstore"
)

// A store may find the events of a stream through an index, and nothing that reads the log
// by position notices when that is wrong: an engine would take an account without entries
// for a new one. So each event's place is counted on the way through the log, the index's
// entries are counted against them, and in no more memory than this.

// places adds up a hash of each place, apart for parts of the streams: those of the log,
// minus those of the index. What is left in a part is what they differ by. The hashes have
// a seed of their own, so nobody can make an index that adds up to the same.
type places struct {
	seed maphash.Seed
	sums [placeParts]uint64
}

const placeParts = 4096

// partOf is the part that a stream is in.
func (p *places) partOf(stream string) uint64 { return maphash.String(p.seed, stream) % placeParts }

func (p *places) add(stream string, revision int64, position eventstore.Position) {
	part, hash := p.hash(stream, revision, position)
	p.sums[part] += hash
}

func (p *places) take(at eventstore.Place) {
	part, hash := p.hash(at.Stream, at.Revision, at.Position)
	p.sums[part] -= hash
}

func (p *places) hash(stream string, revision int64, position eventstore.Position) (part, hash uint64) {
	name := maphash.String(p.seed, stream)
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], name)
	binary.LittleEndian.PutUint64(b[8:], uint64(revision))
	binary.LittleEndian.PutUint64(b[16:], uint64(position))
	return name % placeParts, maphash.Bytes(p.seed, b[:])
}

func (p *places) differ(stream string) bool { return p.sums[p.partOf(stream)] != 0 }

// index compares the store's index with the log, if there is one and every record could be
// read: where one can't be, its stream and the index's end aren't known.
func (v *verification) index(ctx context.Context) error {
	indexed, has := v.Store.(eventstore.Indexed)
	if !has || v.unread {
		return nil
	}
	v.summary.IndexCompared = true
	broken, err := v.eachPlace(ctx, indexed, v.places.take)
	if err != nil || !broken && v.places.sums == [placeParts]uint64{} {
		return err
	}
	found := v.summary.Findings
	l := &lost{v: v, streams: map[string]*lostStream{}}
	if err := l.searchLog(ctx); err != nil {
		return err
	}
	if _, err := v.eachPlace(ctx, indexed, l.extra); err != nil {
		return err
	}
	if v.summary.Findings == found {
		v.report(Finding{Check: CheckIndex, Revision: -1, Position: v.head, Expected: "one entry for each event", Found: "others, or more"})
	}
	return nil
}

// eachPlace visits the index's entries of streams that are Kept, but for events that came
// since the head was read. broken: the index can't be read to its end.
func (v *verification) eachPlace(ctx context.Context, indexed eventstore.Indexed, visit func(eventstore.Place)) (broken bool, err error) {
	now := v.head
	for at, err := range indexed.Places(ctx) {
		if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
			return false, errors.Join(ctx.Err(), err)
		}
		if err != nil {
			v.report(Finding{Check: CheckIndex, Revision: -1, Position: v.head, What: "file", Expected: "an index that can be read", Found: err.Error()})
			return true, nil
		}
		if !eventstore.Kept(at.Stream) {
			continue
		}
		if at.Position > now { // who wrote it may have moved the head before
			if now, err = v.Store.Head(ctx); err != nil {
				return false, err
			}
		}
		if at.Position <= v.head || at.Position > now {
			visit(at)
		}
	}
	return false, nil
}

// lost names what an index lacks, or has too much: one finding for each stream, of the
// first event that is wrong.
type lost struct {
	v       *verification
	streams map[string]*lostStream
	more    bool
}

// lostStream is a stream in a part that differs.
type lostStream struct {
	last  int64
	found bool
}

// searchLog asks the index for every event of the parts that differ.
func (l *lost) searchLog(ctx context.Context) error {
	var failed error
	err := l.v.readAll(ctx, func(r eventstore.Recorded) bool {
		if !eventstore.Kept(r.Stream) || !l.v.places.differ(r.Stream) {
			return true
		}
		s := l.streams[r.Stream]
		if s == nil && len(l.streams) == maxRemembered {
			l.more = true
			return true
		}
		if s == nil {
			s = &lostStream{}
			l.streams[r.Stream] = s
		}
		s.last = r.Revision
		if s.found {
			return true
		}
		entry, whole, err := l.v.lookUp(ctx, r.Stream, r.Revision, r.Position)
		if failed = err; failed == nil && !whole {
			s.found = true
			l.v.report(indexFinding(r.Stream, r.Revision, r.Position, fmt.Sprintf("position %d", r.Position), entry))
		}
		return failed == nil
	})
	if l.more {
		l.v.report(Finding{
			Check: CheckIndex, Revision: -1, Position: l.v.head, What: "more",
			Expected: "an index of this log", Found: fmt.Sprintf("more than %d streams that may differ: the others aren't named", maxRemembered),
		})
	}
	return errors.Join(err, failed)
}

// lookUp tells what reading a stream at a revision comes to; whole: to the right event.
func (v *verification) lookUp(ctx context.Context, stream string, revision int64, position eventstore.Position) (entry string, whole bool, err error) {
	for r, err := range v.Store.ReadStream(ctx, stream, revision, eventstore.Forwards, 1) {
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) && corrupt.Position > 0 {
			return fmt.Sprintf("position %d: %s", corrupt.Position, corrupt.Reason), false, nil
		}
		if corrupt != nil {
			return corrupt.Reason, false, nil
		}
		return fmt.Sprintf("position %d", r.Position), err == nil && r.Position == position, err
	}
	return "no entry", false, nil
}

// extra finds an entry of an event that the log hasn't got.
func (l *lost) extra(at eventstore.Place) {
	s := l.streams[at.Stream]
	if !l.v.places.differ(at.Stream) || s == nil && l.more || s != nil && (s.found || at.Revision <= s.last) {
		return
	}
	if s == nil {
		s = &lostStream{}
		if len(l.streams) < maxRemembered {
			l.streams[at.Stream] = s
		}
	}
	s.found = true
	l.v.report(indexFinding(at.Stream, at.Revision, at.Position, "no entry", fmt.Sprintf("position %d", at.Position)))
}

func indexFinding(stream string, revision int64, position eventstore.Position, expected, found string) Finding {
	f := Finding{Check: CheckIndex, Revision: revision, Position: position, Expected: expected, Found: found}
	if name, ours := eventstore.AccountOf(stream); ours {
		f.Account = name
	} else if name, ours := eventstore.NoticesOf(stream); ours {
		f.Account, f.What = name, "notices"
	} else {
		f.What = stream
	}
	return f
}
