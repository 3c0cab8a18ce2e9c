package storetest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"iocredits/eventstore"
)

// Written collects appended events and holds them, when the test ends, against what
// decoding them gives: whoever is handed one from memory must see nothing else, and
// nobody may have changed it meanwhile. Safe for concurrent use.
type Written struct {
	mu     sync.Mutex
	events []eventstore.Recorded
}

// NewWritten checks at the end of t.
func NewWritten(t testing.TB, codec *eventstore.Codec) *Written {
	w := &Written{}
	t.Cleanup(func() { w.check(t, codec) })
	return w
}

// Add takes the events of an append. MUST: expected is where the stream ends.
func (w *Written) Add(stream string, expected int64, events []eventstore.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range events {
		w.events = append(w.events, eventstore.Recorded{Event: e, Stream: stream, Revision: expected + 1 + int64(i)})
	}
}

func (w *Written) check(t testing.TB, codec *eventstore.Codec) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.events {
		written := r.Written
		if written == nil {
			continue
		}
		r.Written = nil
		f, err := codec.Open(r)
		if !assert.NoError(t, err) {
			continue
		}
		assert.Equal(t, f.Body, written.Body, "%s of %s", r.Type, r.Stream)
		assert.Equal(t, *f.Meta, written.Meta, "metadata of %s of %s", r.Type, r.Stream)
		assert.Equal(t, eventstore.ChainHash(r.Stream, r.Revision, r.Event, f.Meta.Previous), written.Hash)
	}
}
