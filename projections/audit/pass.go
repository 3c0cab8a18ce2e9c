package audit

import (
	"context"
	"hash/maphash"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// log reads the log once and gives every account's events, in order, to one
// worker. When there are more accounts than fit, half of them are put off, as
// often as need be, and the log is read again for each part that was.
//
//	reader ─ batches ─┬─> worker 0 ─┐
//	                  └─> worker 1 ─┴─> collector, in order: tree, checkpoints
func (v *verification) log(ctx context.Context) error {
	parts, seed := &atomic.Uint64{}, maphash.MakeSeed()
	parts.Store(1)
	for part := uint64(0); part < parts.Load(); part++ {
		p := &pass{v: v, part: part, parts: parts, seed: seed, saved: v.snapshots(ctx)}
		if err := p.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

const (
	batchSize = 1024
	// batchesAhead bounds what the reader may be ahead of the workers.
	batchesAhead = 8
)

type pass struct {
	v     *verification
	seed  maphash.Seed
	part  uint64
	parts *atomic.Uint64
	saved snapshots
}

// batch is consecutive events with the results of the workers beside them.
type batch struct {
	events []eventstore.Recorded
	// owner is ownerOf each stream.
	owner  []uint64
	hashes []eventstore.Hash
	done   sync.WaitGroup
}

func (p *pass) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ordered := make(chan *batch, batchesAhead)
	queues := make([]chan *batch, p.v.Workers)
	for i := range queues {
		queues[i] = make(chan *batch, batchesAhead)
	}
	var unread error // why the log isn't read to its end: before ordered is closed
	group.Go(func() error {
		defer func() {
			close(ordered)
			for _, q := range queues {
				close(q)
			}
		}()
		unread = p.read(ctx, ordered, queues)
		return unread
	})
	workers := make([]*worker, len(queues))
	for i, queue := range queues {
		w := &worker{pass: p, id: uint64(i), seen: p.parts.Load(), streams: map[string]*stream{}}
		workers[i] = w
		group.Go(func() error {
			for b := range queue {
				w.take(b)
				b.done.Done()
			}
			return nil
		})
	}
	group.Go(func() error {
		c, err := p.newCollector()
		if err != nil {
			return err
		}
		defer c.stop()
		for b := range ordered {
			b.done.Wait()
			if err := c.collect(b); err != nil {
				return err
			}
		}
		if unread != nil {
			return unread
		}
		return c.end()
	})
	if err := group.Wait(); err != nil {
		return err
	}
	// Only now is it settled which accounts were put off.
	for _, w := range workers {
		w.finish()
	}
	return nil
}

func (p *pass) read(ctx context.Context, ordered chan<- *batch, queues []chan *batch) error {
	var b *batch
	send := func() bool {
		b.done.Add(len(queues))
		for _, to := range append(sends(queues), ordered) { // the collector last: it waits for all workers to have had it
			select {
			case to <- b:
			case <-ctx.Done():
				return false
			}
		}
		b = nil
		return true
	}
	paid := newClaims(p.v.Codec, p.v.report)
	err := p.v.readAll(ctx, func(r eventstore.Recorded) bool {
		if b == nil {
			b = &batch{events: make([]eventstore.Recorded, 0, batchSize), owner: make([]uint64, 0, batchSize)}
			b.hashes = make([]eventstore.Hash, batchSize)
		}
		b.events, b.owner = append(b.events, r), append(b.owner, p.ownerOf(r.Stream))
		if p.part == 0 {
			paid.see(&b.events[len(b.events)-1])
			p.v.Seen(&b.events[len(b.events)-1])
			if eventstore.Kept(r.Stream) {
				p.v.places.add(r.Stream, r.Revision, r.Position)
			}
		}
		return len(b.events) < batchSize || send()
	})
	if err == nil {
		err = ctx.Err() // what was sent to some is sent to nobody again
	}
	if err == nil && b != nil && !send() {
		err = ctx.Err()
	}
	return err
}

// Bits of an owner: followed at all; of notices, which are no leaf of the tree. Of those
// below, the last eight choose the worker and the others the part.
const (
	followed   = 1 << 63
	beside     = 1 << 62
	workerBits = 8
)

// ownerOf is the hash of a stream that is followed; 0 for any other.
func (p *pass) ownerOf(stream string) uint64 {
	if _, ours := eventstore.AccountOf(stream); ours {
		return maphash.String(p.seed, stream)&^beside | followed
	}
	if _, ours := eventstore.NoticesOf(stream); ours {
		return maphash.String(p.seed, stream) | beside | followed
	}
	return 0
}

func sends(queues []chan *batch) []chan<- *batch {
	to := make([]chan<- *batch, len(queues))
	for i, q := range queues {
		to[i] = q
	}
	return to
}

// worker follows its share of the accounts.
type worker struct {
	*pass
	id      uint64
	seen    uint64 // parts at the last batch
	digest  eventstore.Digester
	streams map[string]*stream
}

// isOwner tells whether a stream is this worker's, in whichever pass.
func (w *worker) isOwner(owner uint64) bool {
	return owner != 0 && owner%(1<<workerBits)%uint64(w.v.Workers) == w.id
}

// wants tells whether this pass follows a stream.
func (w *worker) wants(owner uint64) bool { return (owner>>workerBits)%w.seen == w.part }

func (w *worker) take(b *batch) {
	w.grow()
	w.trim()
	for i := range b.events {
		owner := b.owner[i]
		if !w.isOwner(owner) {
			continue
		}
		r := &b.events[i]
		if !w.wants(owner) {
			if w.part == 0 && owner&beside == 0 { // the tree is made in the first pass, of everything
				b.hashes[i] = claimedHash(r)
			}
			continue
		}
		s := w.streams[r.Stream]
		if s == nil {
			s = newStream(r.Stream, w.v.Codec, &w.digest, w.saved, w.v.report)
			w.streams[r.Stream] = s
		}
		b.hashes[i] = s.follow(r)
	}
}

// grow asks for more parts when there are too many accounts for this pass.
func (w *worker) grow() {
	limit := max(1, w.v.MaxAccounts/w.v.Workers)
	if w.part > 0 || len(w.streams) <= limit {
		return
	}
	// Unless another worker has asked since this one last looked.
	w.parts.CompareAndSwap(w.seen, 2*w.seen)
}

// trim puts off the accounts that aren't of this pass any more.
func (w *worker) trim() {
	parts := w.parts.Load()
	if parts == w.seen {
		return
	}
	w.seen = parts
	for name := range w.streams {
		if !w.wants(w.ownerOf(name)) {
			delete(w.streams, name)
		}
	}
}

// claimedHash is the chain hash by what the event says came before it.
func claimedHash(r *eventstore.Recorded) eventstore.Hash {
	meta, err := eventstore.DecodeMetadata(r.Metadata)
	if err != nil {
		return eventstore.Hash{}
	}
	return eventstore.ChainHash(r.Stream, r.Revision, r.Event, meta.Previous)
}

// finish counts what was followed. No worker runs any more, so the number of
// parts is settled: each account is counted in one pass.
func (w *worker) finish() {
	w.trim()
	var books journal.Totals
	var balances journal.Sum
	for _, s := range w.streams {
		s.end(&books, &balances)
		if !s.beside {
			w.v.summary.Accounts++
		}
		if s.broken && !s.beside {
			w.v.incomplete()
		}
	}
	w.v.summary.Totals.Plus(&books)
	w.v.balance = w.v.balance.Plus(balances)
}

// collector takes finished batches in the order of the log.
type collector struct {
	*pass
	tree *transparency.Growing
	next func() (transparency.Signed, error, bool)
	stop func()
	// signed is the checkpoint that the tree comes to next; nil: there is none. before
	// is the size of the newest that was read: a later one isn't smaller.
	signed *transparency.Signed
	before uint64
}

func (p *pass) newCollector() (*collector, error) {
	c := &collector{pass: p, tree: transparency.NewGrowing(), stop: func() {}}
	if p.part > 0 || p.v.Checkpoints == nil {
		return c, nil
	}
	c.next, c.stop = iter.Pull2(p.v.Checkpoints)
	return c, c.advance()
}

func (c *collector) collect(b *batch) error {
	last := b.events[len(b.events)-1].Position
	phase := "events"
	if c.part > 0 {
		phase += ", pass " + strconv.FormatUint(c.part+1, 10)
	}
	c.v.Progress(phase, last, c.v.head)
	if c.part > 0 {
		return nil
	}
	for i := range b.events {
		if b.owner[i] == 0 || b.owner[i]&beside != 0 {
			continue
		}
		c.tree.Add(transparency.LeafOf(b.hashes[i]), nil)
		for c.signed != nil && c.signed.Size <= c.tree.Size() {
			if err := c.compare(b.events[i].Position); err != nil {
				return err
			}
		}
	}
	return nil
}
