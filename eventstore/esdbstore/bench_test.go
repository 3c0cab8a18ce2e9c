package esdbstore_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/esdbserver"
	"iocredits/eventstore/esdbstore"
	"iocredits/eventstore/pebblestore"
)

// bench opens an embedded store on disk, and the same through so many connections.
func bench(b *testing.B, connections int) (embedded eventstore.Store, wires []eventstore.Store) {
	b.Helper()
	store, err := pebblestore.Open(b.TempDir(), pebblestore.Options{Logger: quiet()})
	require.NoError(b, err)
	server, err := esdbserver.New(esdbserver.Options{Store: store, Mode: esdbserver.Open, Logger: quiet()})
	require.NoError(b, err)
	listener := listenLow(b, "")
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() {
		server.Shutdown(context.Background())
		require.NoError(b, store.Close())
	})
	for range connections {
		wire, err := esdbstore.Open(context.Background(), "esdb://"+listener.Addr().String()+"?tls=false", esdbstore.Options{Logger: quiet()})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, wire.Close()) })
		wires = append(wires, wire)
	}
	return store, wires
}

// BenchmarkAppend appends single events of the size of a charge, each writer to
// a stream of its own: to the embedded store, over one connection that the
// writers share, and over one connection each, as of so many engines.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		embedded, wires := bench(b, writers)
		ways := map[string]func(writer int) eventstore.Store{
			"embedded":          func(int) eventstore.Store { return embedded },
			"one-connection":    func(int) eventstore.Store { return wires[0] },
			"a-connection-each": func(writer int) eventstore.Store { return wires[writer] },
		}
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			b.Run(fmt.Sprintf("%s/writers=%d", way, writers), func(b *testing.B) {
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for w := range writers {
					wg.Go(func() { appendUntil(b, ways[way](w), fmt.Sprintf("account-%s-%d-%d", b.Name(), b.N, w), &next) })
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			})
		}
	}
}

// appendUntil appends to a stream until b.N appends were begun by all writers.
func appendUntil(b *testing.B, s eventstore.Store, stream string, next *atomic.Int64) {
	last := eventstore.NoStream
	for next.Add(1) <= int64(b.N) {
		e := several(1)
		e[0].Data = append([]byte(`{"pad":"`), bytes.Repeat([]byte("x"), 400)...)
		e[0].Data = append(e[0].Data, `"}`...)
		appended, err := s.Append(context.Background(), stream, last, e)
		if err != nil {
			b.Error(err)
			return
		}
		last = appended.Revision
	}
}

// BenchmarkCatchUp follows a log from its beginning.
func BenchmarkCatchUp(b *testing.B) {
	const events = 100_000
	embedded, wires := bench(b, 1)
	for i := range int64(events / 1000) {
		batch := several(1000)
		for j := range batch {
			batch[j].Data = append(append([]byte(`{"pad":"`), bytes.Repeat([]byte("x"), 400)...), `"}`...)
		}
		_, err := embedded.Append(context.Background(), "account-1", i*1000-1, batch)
		require.NoError(b, err)
	}
	for name, s := range map[string]eventstore.Store{"embedded": embedded, "wire": wires[0]} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				seen := 0
				for batch, err := range s.Subscribe(context.Background(), eventstore.BeforeFirst) {
					require.NoError(b, err)
					if seen += len(batch); seen >= events {
						break
					}
				}
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// An hour in which the connection breaks every five seconds, without the pauses:
// the memory afterwards is that of before.
func TestMemoryOverReconnects(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	noLeaks(t)
	r := newRig(t, false)
	p := newProxy(t, r.addr)
	s := r.open(t, p.addr())
	f := follow(s)
	last := eventstore.NoStream
	reconnect := func(n int) {
		for range n {
			p.drop()
			appended, err := s.Append(context.Background(), "account-1", last, several(1))
			require.NoError(t, err)
			last = appended.Revision
			require.Eventually(t, func() bool { return int64(f.count()) > last }, 10*time.Second, time.Millisecond)
		}
	}
	const warm, hour = 60, 720
	reconnect(warm)
	heap, resident, goroutines := memory(t)
	reconnect(hour)
	heapAfter, residentAfter, goroutinesAfter := memory(t)
	t.Logf("after %d reconnects: heap %d to %d KiB, resident %d to %d MiB, goroutines %d to %d",
		hour, heap>>10, heapAfter>>10, resident>>20, residentAfter>>20, goroutines, goroutinesAfter)
	require.Less(t, heapAfter, heap+(4<<20), "the heap grows with reconnects")
	require.Less(t, goroutinesAfter, goroutines+20)
	require.Len(t, f.stop(), warm+hour)
	require.NoError(t, s.Close())
}

// memory gives the heap in use, the resident memory and the number of goroutines.
func memory(t *testing.T) (heap, resident uint64, goroutines int) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(text); len(fields) > 1 {
			pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
			require.NoError(t, err)
			resident = pages * uint64(os.Getpagesize())
		}
	}
	return m.HeapAlloc, resident, runtime.NumGoroutine()
}
