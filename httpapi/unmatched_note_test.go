package httpapi_test

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

// damagedStream is a store of which one stream can't be read.
type damagedStream struct {
	eventstore.Store
	stream atomic.Value
}

func (s *damagedStream) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, count int) iter.Seq2[eventstore.Recorded, error] {
	if s.stream.Load() != stream {
		return s.Store.ReadStream(ctx, stream, from, d, count)
	}
	return func(yield func(eventstore.Recorded, error) bool) {
		yield(eventstore.Recorded{}, &eventstore.CorruptError{Stream: stream, Revision: from, Reason: "checksum"})
	}
}

// TestANoteThatIsDamagedHidesNoPayment: it stands in the log of the account that got the
// payment, and the list has those of others.
func TestANoteThatIsDamagedHidesNoPayment(t *testing.T) {
	s := &damagedStream{}
	r := newRig(t, func(p *parts) { s.Store, p.server.Store = p.server.Store, s })
	for _, to := range []string{"demo-1", "demo-2"} {
		r.fund(to, "1")
		r.must(tell("?", "?", to+"-pay", "succeeded", "7"))
		r.must(resolve(to, "@unmatched~"+to+"-pay", `{"account":"`+to+`","note":"of `+to+`"}`))
	}
	s.stream.Store(eventstore.AccountStream("demo-1"))
	var notes []any
	for _, item := range r.must(get("finance", "/v1/payments/unmatched?status=credited")).Body["items"].([]any) {
		notes = append(notes, item.(map[string]any)["note"])
	}
	require.ElementsMatch(t, []any{"[unreadable]", "of demo-2"}, notes)
}
