package pebblestore

import (
	"slices"
	"sync"
	"time"

	"iocredits/eventstore"
)

// tail has the newest durable records in memory: a subscriber that keeps up is
// given what was just written, without reading it back. Whoever has fallen behind
// it reads from Pebble.
type tail struct {
	mu sync.Mutex
	// runs are consecutive: each begins at the position after the one before.
	runs          []run
	events, bytes int
}

// run is the records of one group. It never changes once it is in the tail.
type run struct {
	records []eventstore.Recorded
	// ends are the indexes in records of each append's last event.
	ends  []int
	bytes int
	// begun is when its group was.
	begun time.Time
}

func (r *run) first() eventstore.Position { return r.records[0].Position }

func (r *run) last() eventstore.Position { return r.records[len(r.records)-1].Position }

// What the tail keeps at most, the newest run excepted. Bytes are those of the records
// (recordSize); what an event was encoded from (eventstore.Written) comes on top of it,
// about a KiB for each event of the ledger, and as much for each command of its batch
// that was decided beside it. All of it is gone through by each garbage collection: so
// what is older than several steps of those who follow is not kept.
const (
	tailEvents = 16_384
	tailBytes  = 8 << 20
	tailAge    = 250 * time.Millisecond
)

// worthOfBatch is how many records are given as they are: fewer are copied together
// with those after them.
const worthOfBatch = 256

// add puts the records of a group behind the others.
func (t *tail) add(r run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs = append(t.runs, r)
	t.events += len(r.records)
	t.bytes += r.bytes
	for len(t.runs) > 1 && (t.events > tailEvents || t.bytes > tailBytes || r.begun.Sub(t.runs[0].begun) > tailAge) {
		t.events -= len(t.runs[0].records)
		t.bytes -= t.runs[0].bytes
		t.runs[0] = run{} // nothing old is kept alive
		t.runs = t.runs[1:]
	}
}

// forget drops all runs: events in them were erased.
func (t *tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs, t.events, t.bytes = nil, 0, 0
}

// after gives whole appends from the position after p on, as many as a batch of a
// subscription takes; nothing if the tail doesn't reach back to there.
func (t *tail) after(p eventstore.Position) []eventstore.Recorded {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, _ := slices.BinarySearchFunc(t.runs, p, func(r run, p eventstore.Position) int {
		if r.last() > p {
			return 1
		}
		return -1
	})
	if at == len(t.runs) || t.runs[at].first() > p+1 {
		return nil
	}
	from := int(p + 1 - t.runs[at].first())
	batch, full := t.runs[at].take(from, batchEvents, batchBytes)
	if full || at == len(t.runs)-1 || len(batch) >= worthOfBatch {
		return batch
	}
	batch = slices.Clone(batch)
	bytes := sizeOf(batch)
	for _, r := range t.runs[at+1:] {
		var more []eventstore.Recorded
		more, full = r.take(0, batchEvents-len(batch), batchBytes-bytes)
		batch = append(batch, more...)
		if bytes += sizeOf(more); full {
			break
		}
	}
	return batch
}

// take gives the records from an index on up to the first end of an append at
// which they pass one of the limits: full; or all of them.
func (r *run) take(from, events, bytes int) (records []eventstore.Recorded, full bool) {
	next, _ := slices.BinarySearch(r.ends, from)
	for size, i := 0, from; next < len(r.ends); next++ {
		end := r.ends[next] + 1
		size += sizeOf(r.records[i:end])
		if i = end; i-from >= events || size >= bytes {
			return r.records[from:i:i], true
		}
	}
	return r.records[from:len(r.records):len(r.records)], false
}

func sizeOf(records []eventstore.Recorded) (bytes int) {
	for i := range records {
		bytes += len(records[i].Data) + len(records[i].Metadata)
	}
	return bytes
}
