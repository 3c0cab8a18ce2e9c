package ledger

import (
	"time"

	"iocredits/eventstore"
)

// A handover carries the groups of at most maxHandover accounts: enough to share the cost
// of one. It goes to the store earlier once it has MaxGroupBytes, or once its first group
// has waited for handoverWithin, because an account whose group is in it does nothing
// else meanwhile.
const (
	maxHandover    = 32
	handoverWithin = 500 * time.Microsecond
)

// handover is one group of each of several accounts. The store answers them together.
type handover struct {
	groups  []*group
	appends []*eventstore.Append
	bytes   int
	// warmth is the sum of what was read for nothing but to be near: without it the
	// compiler would leave the reads out.
	warmth int64
}

// startAll is start for several workers, whose groups are handed over together.
func (l *Ledger) startAll(workers []*worker) {
	h := new(handover)
	h.warm(workers)
	room := make([]single, len(workers))
	for i, w := range workers {
		if w.mayWait() {
			l.schedule(w)
			continue
		}
		if g := w.next(true, &room[i]); g != nil {
			h.add(g)
		}
		if h.bytes >= l.opts.MaxGroupBytes || h.waited() > handoverWithin {
			l.handOver(h)
			h = new(handover)
		}
	}
	l.handOver(h)
}

func (h *handover) add(g *group) {
	h.groups, h.appends = append(h.groups, g), append(h.appends, &g.Append)
	h.bytes += g.bytes
}

// waited is for how long the first group has been in it.
func (h *handover) waited() time.Duration {
	if len(h.groups) == 0 {
		return 0
	}
	return time.Since(h.groups[0].began)
}

func (l *Ledger) handOver(h *handover) {
	if len(h.groups) > 0 {
		l.store.AppendAsync(h.appends, h.appended)
	}
}

// warm reads a bit of each piece of memory that the workers' decisions are about to read.
// With ten thousand busy accounts none of it is in the processor's cache; here no read
// waits for another, so that many are fetched at once, where a decision would wait for
// one after the other. What is read is what BenchmarkBatch of projections was quicker
// with; nothing else rests on it.
func (h *handover) warm(workers []*worker) {
	for _, w := range workers {
		if b := w.book; b != nil {
			h.warmth += b.saved + int64(b.hash[0]) + int64(b.position) + int64(len(b.recent.names))
		}
	}
	for _, w := range workers {
		if w.book == nil {
			continue
		}
		s := w.book.state
		h.warmth += s.Revision + int64(s.HeldPurchased) + int64(s.Paid) + int64(s.Policy.GraceMinutes) +
			int64(s.Policy.MinimumMinutes.VM) + int64(len(s.Due)) + int64(len(s.Made)) + s.Forgotten
		if len(s.Lots) > 0 {
			h.warmth += s.Lots[0].ID
		}
	}
}

// appended ends the appends of all groups. It runs on the store's goroutine.
func (h *handover) appended() {
	for _, g := range h.groups { // as warm does: since it decided, the processor has had a lot else to do
		b := g.worker.book
		h.warmth += int64(b.position) + b.state.Revision
	}
	for _, g := range h.groups {
		g.appended()
	}
}
