package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/labstack/echo/v4"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func serve(b *testing.B, h http.Handler, want int, request *http.Request) {
	w := &discard{header: http.Header{}}
	h.ServeHTTP(w, request)
	if w.status != want {
		b.Fatalf("status %d", w.status)
	}
}

// BenchmarkHandler measures the handlers alone, without a network, beside an
// echo handler that answers nothing.
func BenchmarkHandler(b *testing.B) {
	empty := echo.New()
	empty.GET("/v1/accounts/:account/balance", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	r := newRig(b, func(p *parts) { p.server.Logger = slog.New(slog.DiscardHandler) })
	r.fund("demo-1", "1000000")
	h := r.server.Handler()
	read := func(path string) *http.Request {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("X-Api-Key", "service")
		return request
	}
	balance, check := read("/v1/accounts/demo-1/balance"), read("/credits/check?account=demo-1&amount=1")
	b.Run("empty", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			serve(b, empty, http.StatusOK, balance)
		}
	})
	b.Run("balance", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			serve(b, h, http.StatusOK, balance)
		}
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			serve(b, h, http.StatusOK, check)
		}
	})
	var next atomic.Int64
	b.Run("deduct", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				request := read("/v1/accounts/demo-1/deductions")
				request.Method = http.MethodPost
				request.Header.Set("Idempotency-Key", fmt.Sprint(next.Add(1)))
				body := `{"amount":"0.000001","service":"vm","reference":"vm-31"}`
				request.Body, request.ContentLength = readerOnly{strings.NewReader(body)}, int64(len(body))
				serve(b, h, http.StatusCreated, request)
			}
		})
	})
}
