package ledger

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// recorder has what it takes to record events one after the other: most of their
// cost is memory. Not for concurrent use.
type recorder struct {
	eventstore.Digester
	scratch []byte
	// room is what is left of the piece of memory that the texts of events go into.
	room []byte
}

var recorders = sync.Pool{New: func() any { return new(recorder) }}

const (
	// maxScratch bounds what a recorder keeps after an event that was large.
	maxScratch = 64 << 10
	// textRoom is for the texts of some fifty events. Whoever keeps one of them keeps all
	// of them in memory.
	textRoom = 24 << 10
)

// keep copies a text to where it stays.
func (r *recorder) keep(text []byte) []byte {
	if len(text) > textRoom/4 {
		return bytes.Clone(text)
	}
	if len(text) > len(r.room) {
		r.room = make([]byte, textRoom)
	}
	kept := r.room[:len(text):len(text)]
	r.room = r.room[len(text):]
	copy(kept, text)
	return kept
}

// record encodes and chains the events, then evolves the book by them.
func (w *worker) record(g *group, t *task, at time.Time, events []domain.Event) error {
	req := &t.req
	meta := eventstore.Metadata{
		RecordedAt: at, Actor: req.Actor, Role: req.Role, Key: req.Key, RequestID: req.RequestID,
		Command: eventstore.Command{ID: req.CommandID, Fingerprint: req.Fingerprint, Count: len(events)},
	}
	hash, revision := w.book.hash, w.book.state.Revision
	opened := revision < 0 && opensWithPolicy(events)
	start := len(g.facts)
	r := recorders.Get().(*recorder) //nolint:forcetypeassert // the pool has nothing else
	defer recorders.Put(r)
	for i, body := range events {
		meta.Command.Index, meta.Previous = i, hash
		revision++
		g.written = append(g.written, eventstore.Written{Meta: meta, Body: body})
		written := &g.written[len(g.written)-1]
		if opened && i == 0 {
			written.Meta.Actor, written.Meta.Role, written.Meta.Key = operatorActor, operatorRole, ""
		}
		g.facts = append(g.facts, eventstore.Fact{
			Recorded: eventstore.Recorded{Stream: w.stream, Revision: revision}, Meta: &written.Meta, Body: body,
		})
		fact := &g.facts[len(g.facts)-1]
		if err := r.encode(w.ledger.opts.Codec, fact); err != nil {
			g.facts, g.written = g.facts[:start], g.written[:start]
			return err
		}
		hash = r.ChainHash(w.stream, revision, fact.Event, hash)
		written.Hash, fact.Written = hash, written
	}
	// Accepted: nothing below fails.
	var room [MaxNames]Name
	for i := start; i < len(g.facts); i++ {
		f := &g.facts[i]
		account.Evolve(w.book.state, f.Body)
		g.Events = append(g.Events, f.Event)
		g.balances = append(g.balances, w.book.state.Balance().Balance)
		g.bytes += len(f.Data) + len(f.Metadata)
		names := room[:0]
		if i == start && req.CommandID != "" {
			names = append(names, t.name)
		}
		for _, name := range appendClaim(names, f) {
			w.book.recent.claim(name, f.Revision)
		}
	}
	if len(events) > 0 {
		w.book.hash, w.book.recordedAt = hash, at
	}
	return nil
}

// The operator is who started the engine: nobody else chose the policy that accounts begin with.
const (
	operatorActor = "operator"
	operatorRole  = "admin"
)

// opensWithPolicy tells that the first events of an account begin with Options.Opening: a
// policy that was asked for is alone in its command.
func opensWithPolicy(events []domain.Event) bool {
	if len(events) < 2 {
		return false
	}
	_, policy := events[0].(*account.PolicySet)
	return policy
}

// encode makes the event that is to be stored of a fact's body and metadata. Its
// data and its metadata are one piece of memory.
func (r *recorder) encode(codec *eventstore.Codec, f *eventstore.Fact) error {
	text, err := codec.Append(r.scratch[:0], f.Body)
	if err != nil {
		return err
	}
	end := len(text)
	if text, err = eventstore.AppendMetadata(text, f.Meta); err != nil {
		return err
	}
	if cap(text) <= maxScratch {
		r.scratch = text
	}
	f.Type = f.Body.EventName()
	if len(text) > eventstore.MaxEventBytes {
		return fmt.Errorf("event %s has %d bytes, more than %d", f.Type, len(text), eventstore.MaxEventBytes)
	}
	text = r.keep(text)
	f.Data, f.Metadata = text[:end:end], text[end:]
	f.ID = r.EventID(f.Stream, f.Revision, f.Type, f.Data, f.Metadata, f.Meta.Previous)
	return nil
}
