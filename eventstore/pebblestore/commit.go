package pebblestore

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"iocredits/eventstore"
)

// group is the appends that one sync makes durable, with their answers.
type group struct {
	batch   *pebble.Batch
	pending []*pending
	// run is the group's records for those who follow the log.
	run   run
	bytes int
	// last is the position of the group's last event; 0: it has none.
	last    eventstore.Position
	started time.Time
	err     error
}

// streamHead is where a stream ends, the group under preparation included.
type streamHead struct {
	last int64
	// group is the one that wrote it last.
	group uint64
}

const (
	maxGroupEvents = 16_384
	maxGroupBytes  = 8 << 20
	// maxSyncing bounds the groups that wait for their sync.
	maxSyncing = 8
	// maxRetainedBatch is the largest buffer of a group that is kept for others.
	maxRetainedBatch = 2 << 20
	// maxFolds bounds what waits to be folded.
	maxFolds = 8
	// maxHeads bounds the memory of streams' ends.
	maxHeads = 1 << 18
)

// commit prepares groups until the queue is closed. next is the last position
// that is taken.
func (s *Store) commit(next eventstore.Position) {
	defer close(s.syncing)
	defer close(s.folds)
	var carried *handover
	var begun time.Time
	for {
		h := carried
		if h == nil {
			var open bool
			if h, open = <-s.queue; !open {
				return
			}
			s.queued.Add(-int64(len(h.appends)))
		}
		s.gather(begun, len(h.appends)-h.met)
		begun = time.Now()
		g := s.newGroup(max(0, int(s.queued.Load())) + len(h.appends) - h.met)
		carried = s.fill(g, h, &next, s.roomLeft())
		full := s.apply(g)
		s.syncing <- g
		for _, e := range full { // only now: a fold waits until its events are durable
			s.folds <- e
		}
	}
}

// newGroup makes a group when so many appends wait, most of which have one event.
func (s *Store) newGroup(waiting int) *group {
	room := waiting + waiting/2 // more come while it is filled
	g := &group{pending: make([]*pending, 0, room), started: time.Now()}
	g.run = run{records: make([]eventstore.Recorded, 0, room), ends: make([]int, 0, room), begun: g.started}
	select {
	case g.batch = <-s.batches:
	default:
		g.batch = s.db.NewBatch(pebble.WithMaxRetainedSizeBytes(maxRetainedBatch))
	}
	return g
}

// free keeps the group's batch for another.
func (s *Store) free(g *group) {
	if g.err != nil {
		_ = g.batch.Close() // Pebble may hold on to it
		return
	}
	g.batch.Reset()
	select {
	case s.batches <- g.batch:
	default:
		_ = g.batch.Close()
	}
}

// fill puts h and all that waits into the group. From where the group is full, or an
// append can't be judged before the group is in Pebble, h is carried into the next.
func (s *Store) fill(g *group, h *handover, next *eventstore.Position, full error) (carried *handover) {
	s.groups++
	for {
		if h.met == 0 { // as it will be read back
			h.created = time.UnixMicro(s.opts.Now().UnixMicro()).UTC()
		}
		for ; h.met < len(h.appends); h.met++ {
			if len(g.run.records) >= maxGroupEvents || g.bytes >= maxGroupBytes || !s.take(g, &h.appends[h.met], next, full) {
				return h
			}
		}
		select {
		case another, open := <-s.queue:
			if !open {
				return nil
			}
			h = another
			s.queued.Add(-int64(len(h.appends)))
		default:
			return nil
		}
	}
}

// take puts an append into the group, unless its caller has left. It answers false if it
// has to be compared with events of this very group.
func (s *Store) take(g *group, p *pending, next *eventstore.Position, full error) bool {
	p.state.CompareAndSwap(waiting, taken) // one that was carried is taken already
	if p.state.Load() == taken {
		switch {
		case p.Err != nil: // it breaks the contract
		case s.failed.Load() != nil: // settle answers: what is before it may not be there
		case full != nil:
			p.Err = full
		default:
			if !s.add(g, p, next) {
				return false
			}
		}
		g.pending = append(g.pending, p)
	}
	s.queuedBytes.Add(-p.bytes)
	return true
}

// add checks the expected revision and encodes the events. It answers false as take does.
func (s *Store) add(g *group, p *pending, next *eventstore.Position) bool {
	head, err := s.headOf(p.Stream)
	if err != nil {
		p.Err = err
		return true
	}
	if p.Expected != head.last {
		if head.group == s.groups {
			return false
		}
		p.Appended, p.Err = s.repeated(p, head.last)
		return true
	}
	positions := p.position[:]
	if len(p.Events) > 1 {
		positions = make([]eventstore.Position, len(p.Events))
	}
	for i := range p.Events {
		*next++
		head.last++
		positions[i] = *next
		r := eventstore.Recorded{Event: p.Events[i], Stream: p.Stream, Revision: head.last, Position: *next, Created: p.of.created}
		r.Data, r.Metadata = orEmpty(r.Data), orEmpty(r.Metadata)
		s.encode(g, &r, i == len(p.Events)-1)
		g.run.records = append(g.run.records, r)
	}
	g.run.ends = append(g.run.ends, len(g.run.records)-1)
	head.group = s.groups
	g.bytes += int(p.bytes)
	g.last = *next
	p.Appended = eventstore.Appended{Revision: head.last, Positions: positions}
	return true
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// encode writes the record straight into the batch.
func (s *Store) encode(g *group, r *eventstore.Recorded, last bool) {
	// Finish fails only on a closed batch; this one is open until it is synced.
	op := g.batch.SetDeferred(eventKeyLen, recordLen(r))
	eventKey(op.Key[:0], r.Position)
	appendRecord(op.Value[:0], r, last)
	_ = op.Finish()
}

// repeated answers an append that is not at the stream's end: the first answer
// if it is the repeat of one that succeeded, a conflict otherwise. Everything
// that it compares with is in Pebble, and its answer waits for the sync of that.
func (s *Store) repeated(p *pending, last int64) (eventstore.Appended, error) {
	conflict := &eventstore.ConflictError{Stream: p.Stream, Expected: p.Expected, Actual: last}
	if last-int64(len(p.Events)) < p.Expected { // a sum could overflow
		return eventstore.Appended{}, conflict
	}
	appended := eventstore.Appended{Revision: p.Expected + int64(len(p.Events))}
	for i := range p.Events {
		r, err := s.recordAt(p.Stream, p.Expected+1+int64(i))
		if err != nil {
			return eventstore.Appended{}, err
		}
		if r.ID != p.Events[i].ID {
			return eventstore.Appended{}, conflict
		}
		appended.Positions = append(appended.Positions, r.Position)
	}
	return appended, nil
}

// headOf is where a stream ends, with everything that was given to Pebble so far.
func (s *Store) headOf(stream string) (*streamHead, error) {
	if head := s.heads[stream]; head != nil {
		return head, nil
	}
	head := &streamHead{last: eventstore.NoStream}
	for e, err := range s.extents(stream, math.MaxInt64, eventstore.Backwards) {
		if err != nil {
			return nil, err
		}
		head.last = e.last()
		break
	}
	s.heads[stream] = head
	return head, nil
}

// apply hands the group to Pebble: in its memtable, on the way to the disk. It gives the
// entries of the index that are to be folded.
func (s *Store) apply(g *group) []*entries {
	if len(s.heads) > maxHeads {
		clear(s.heads) // the index has them all once this group is in it
	}
	if len(g.run.records) == 0 {
		return nil
	}
	if failed := s.failed.Load(); failed != nil {
		g.err = *failed
		return nil
	}
	if err := s.db.ApplyNoSyncWait(g.batch, pebble.Sync); err != nil {
		g.err = s.fail(err)
		return nil
	}
	return s.index.add(g.run.records, s.opts.foldEvents)
}

// fail stops all further writing: whether the failed group is on the disk is
// unknown, and so would be everything after it.
func (s *Store) fail(err error) error {
	err = fmt.Errorf("commit to the event log: %w", err)
	if s.failed.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("the event log takes no more writes until it is opened again", "error", err)
		s.wake()
		s.opts.OnFail(err)
	}
	return err
}

// Healthy answers nil while the store takes writes, and otherwise why it never will
// again. That the disk has too little room passes, and isn't told here.
func (s *Store) Healthy() error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// settle waits for each group's sync in order, moves the head, and answers.
func (s *Store) settle() {
	for g := range s.syncing {
		if g.err == nil && len(g.run.records) > 0 {
			if err := g.batch.SyncWait(); err != nil {
				g.err = s.fail(err)
			}
		}
		if failed := s.failed.Load(); failed != nil && g.err == nil {
			g.err = *failed
		}
		if g.err == nil && len(g.run.records) > 0 {
			g.run.bytes = g.bytes
			s.tail.add(g.run)
			s.publish(g.last)
			s.opts.OnCommit(CommitStats{Appends: len(g.pending), Events: len(g.run.records), Bytes: g.bytes, Wait: time.Since(g.started)})
		}
		for _, p := range g.pending {
			if g.err != nil {
				p.Appended, p.Err = eventstore.Appended{}, errors.Join(p.Err, g.err)
			}
			if p.of.left--; p.of.left == 0 {
				s.unanswered.Add(-int64(len(p.of.appends))) // whoever is answered may come again at once
				p.of.done()
				s.leave()
			}
		}
		s.free(g)
	}
}

// publish moves the head and wakes subscribers.
func (s *Store) publish(head eventstore.Position) {
	s.head.Store(uint64(head))
	s.wake()
}

// wake lets everybody who waits for the head look again.
func (s *Store) wake() {
	s.mu.Lock()
	close(s.moved)
	s.moved = make(chan struct{})
	s.mu.Unlock()
}

// roomFor is how long a look that found room on the disk is good for: a system
// call for each group is a hundredth of a busy engine's time, and nothing fills
// MinFreeBytes in this time.
const roomFor = 20 * time.Millisecond

// roomLeft is diskFull for the committer, who asks for each group. It refuses appends, too,
// while the disk says that it has room and takes no tables, as beyond a quota: Pebble would
// let all wait without an answer once its memtables are full, the end of the store too.
func (s *Store) roomLeft() error {
	if s.writing.Filling() || s.indexWriting.Filling() {
		return fmt.Errorf("%w: the disk of %s takes no tables", eventstore.ErrUnavailable, s.dir)
	}
	now := time.Now() // Options.Now may stand still
	if now.Sub(s.foundRoom) < roomFor {
		return nil
	}
	err := s.diskFull()
	s.foundRoom = time.Time{}
	if err == nil {
		s.foundRoom = now
	}
	return err
}

// diskFull refuses appends before Pebble could meet a full disk.
func (s *Store) diskFull() error { return s.opts.diskFull(s.dir, 0) }

// roomToOpen is an error if the disk has no room for the tables that Pebble makes of
// the logs when it opens: without it Pebble neither opens nor fails.
func (o *Options) roomToOpen(dir string) error {
	if o.ReadOnly {
		return nil
	}
	least := *o
	least.MinFreeBytes = (memTables + 1) * (o.memTable + indexMemTable)
	return least.diskFull(dir, 0)
}

// diskFull is an error if the disk would have too little room with so many bytes more.
func (o *Options) diskFull(dir string, more uint64) error {
	usage, err := o.FS.GetDiskUsage(dir)
	if err != nil || usage.AvailBytes >= o.MinFreeBytes+more || usage.TotalBytes == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d bytes are free on the disk of %s, %d are needed", eventstore.ErrUnavailable, usage.AvailBytes, dir, o.MinFreeBytes+more)
}
