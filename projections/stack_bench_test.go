package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
)

// stack is everything but HTTP, on a real disk: log, ledger and views.
type stack struct {
	store  *pebblestore.Store
	views  *projections.Views
	ledger *ledger.Ledger
}

func openStack(b *testing.B) *stack {
	b.Helper()
	quiet := slog.New(slog.DiscardHandler)
	codec := eventstore.NewCodec(account.EventTypes()...)
	store, err := pebblestore.Open(filepath.Join(b.TempDir(), "log"), pebblestore.Options{Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	views, err := projections.Open(b.Context(), filepath.Join(b.TempDir(), "views"), projections.Options{Store: store, Codec: codec, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	l := ledger.New(ledger.Options{Store: store, Snapshots: store, Codec: codec, Names: views, Clock: time.Now, Logger: quiet})
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { views.Run(ctx) })
	b.Cleanup(func() {
		_ = l.Close(context.Background())
		stop()
		wg.Wait()
		_ = views.Close()
		_ = store.Close()
	})
	return &stack{store, views, l}
}

func (s *stack) fund(b *testing.B, accounts int) {
	b.Helper()
	s.send(b, accounts, func(i int) ledger.Request {
		return ledger.Request{
			Account: fmt.Sprintf("bench-%d", i), Actor: "bench", Role: "admin", CommandID: "fund", Fingerprint: "f",
			Do: account.RecordPurchase{Purchase: "fund", Amount: 1_000_000 * domain.Credit},
		}
	})
}

// send executes n requests in batches of 1,000.
func (s *stack) send(b *testing.B, n int, request func(i int) ledger.Request) {
	b.Helper()
	reqs := make([]ledger.Request, 0, 1000)
	for i := range n {
		reqs = append(reqs, request(i))
		if len(reqs) == cap(reqs) || i == n-1 {
			for _, o := range s.ledger.ExecuteBatch(b.Context(), reqs) {
				if o.Err != nil {
					b.Fatal(o.Err)
				}
			}
			reqs = reqs[:0]
		}
	}
}

func (s *stack) caughtUp(b *testing.B) {
	b.Helper()
	if err := s.views.WaitThrough(b.Context(), s.ledger.AckedAny()); err != nil {
		b.Fatal(err)
	}
}

func deduct(acct, key string) ledger.Request {
	return ledger.Request{
		Account: acct, Actor: "deployment-api", Role: "service", Key: "service-1", RequestID: "0198c0de-0000-7000-8000-000000000000",
		CommandID: key, Fingerprint: "AAAAAAAAAAAAAAAAAAAAAA",
		Do: account.Deduct{Amount: 1, Service: domain.ServiceInference, Reference: "request"},
	}
}

// BenchmarkDeduct is single durable deductions from many goroutines; the run
// ends when the views have caught up.
func BenchmarkDeduct(b *testing.B) {
	for _, c := range []struct{ writers, accounts int }{{1, 10_000}, {64, 10_000}, {64, 1}, {256, 10_000}} {
		b.Run(fmt.Sprintf("writers=%d/accounts=%d", c.writers, c.accounts), func(b *testing.B) {
			s := openStack(b)
			s.fund(b, c.accounts)
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range c.writers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if _, err := s.ledger.Execute(b.Context(), deduct(fmt.Sprintf("bench-%d", (i*104729)%int64(c.accounts)), fmt.Sprintf("k-%d", i))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			s.caughtUp(b)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deductions/s")
		})
	}
}

// BenchmarkBatch is batches of 1,000 from 4 goroutines over 10,000 accounts.
func BenchmarkBatch(b *testing.B) {
	const lines, writers, accounts = 1000, 4, 10_000
	s := openStack(b)
	s.fund(b, accounts)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for from := next.Add(lines) - lines; from < int64(b.N); from = next.Add(lines) - lines {
				reqs := make([]ledger.Request, min(lines, int64(b.N)-from))
				for i := range reqs {
					n := from + int64(i)
					reqs[i] = deduct(fmt.Sprintf("bench-%d", (n*104729)%accounts), fmt.Sprintf("k-%d", n))
				}
				for _, o := range s.ledger.ExecuteBatch(b.Context(), reqs) {
					if o.Err != nil {
						b.Error(o.Err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	s.caughtUp(b)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkRebuildOnDisk rebuilds all views of a log of deductions.
func BenchmarkRebuildOnDisk(b *testing.B) {
	const accounts = 10_000
	s := openStack(b)
	s.fund(b, accounts)
	s.send(b, b.N, func(i int) ledger.Request {
		return deduct(fmt.Sprintf("bench-%d", (i*104729)%accounts), fmt.Sprintf("k-%d", i))
	})
	s.caughtUp(b)
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.views.Rebuild(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N+accounts)/b.Elapsed().Seconds(), "events/s")
}
