package pebblestore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
)

// BenchmarkAppend appends single events of about 300 bytes, each durable, to
// streams of their own, and batches of 1,000.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ writers, events int }{{1, 1}, {64, 1}, {512, 1}, {4, 1000}} {
		b.Run(fmt.Sprintf("writers=%d/events=%d", c.writers, c.events), func(b *testing.B) {
			store, err := pebblestore.Open(b.TempDir(), pebblestore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = store.Close() }()
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range c.writers {
				wg.Go(func() {
					stream, revision := fmt.Sprintf("account-%d", w), eventstore.NoStream
					for left.Add(-int64(c.events)) > -int64(c.events) {
						events := make([]eventstore.Event, c.events)
						for i := range events {
							events[i] = eventstore.Event{ID: uuid.New(), Type: "deducted", Data: make([]byte, 100), Metadata: make([]byte, 180)}
						}
						a, err := store.Append(context.Background(), stream, revision, events)
						if err != nil {
							b.Error(err)
							return
						}
						revision = a.Revision
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
