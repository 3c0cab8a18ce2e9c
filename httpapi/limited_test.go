package httpapi_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/httpapi"
)

// countedStore counts the events that are read of a stream, and tells of each.
type countedStore struct {
	eventstore.Store
	read   int
	onRead func(read int)
}

func (s *countedStore) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.count(s.Store.ReadStream(ctx, stream, from, d, limit))
}

func (s *countedStore) ReadAll(ctx context.Context, from eventstore.Position, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.count(s.Store.ReadAll(ctx, from, d, limit))
}

func (s *countedStore) count(all iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range all {
			if err == nil {
				s.read++
				s.onRead(s.read)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// longReads are the reads that go through much of an account or of the log.
func longReads(r *rig) map[string]call {
	const acct = demo
	entries := r.must(get("support", acct+"/transactions?limit=1")).Body["items"].([]any)
	id := entries[0].(map[string]any)["transaction_id"].(string)
	text := http.Header{"Accept": {"text/plain"}}
	return map[string]call{
		"explain":               get("auditor", acct+"/transactions/"+id+"/explain"),
		"explain text":          {as: "auditor", method: "GET", path: acct + "/transactions/" + id + "/explain", header: text},
		"events":                get("auditor", acct+"/events?limit=1000"),
		"events with balances":  get("auditor", acct+"/events?with=balance&limit=1000"),
		"events, folded before": get("auditor", acct+"/events?with=balance&from=90"),
		"statement":             get("auditor", acct+"/statement?month=2026-03"),
		"statement text":        {as: "auditor", method: "GET", path: acct + "/statement?month=2026-03", header: text},
		"transactions":          get("auditor", acct+"/transactions?limit=1000"),
		"balance as of":         get("auditor", acct+"/balance?as_of=2026-03-01T12:00:00Z"),
		"balance known at":      get("auditor", acct+"/balance?known_at=2020-03-01T12:00:00Z"),
		"strong balance":        get("auditor", acct+"/balance?consistency=strong"),
		"journal":               get("auditor", "/v1/audit/journal?limit=1000"),
		"verify":                get("auditor", "/v1/audit/verify/demo-1"),
		"inclusion":             get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&revision=1"),
	}
}

// beside is another engine over the same account, with much in it.
func (r *rig) beside(p *parts, change func(*httpapi.Options)) http.Handler {
	r.t.Helper()
	r.fund("demo-1", "1000")
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintf(&lines, `{"account":"demo-1","key":"k%d","amount":"0.000001","service":"vm"}`+"\n", i)
	}
	r.batch(lines.String())
	opts := p.server
	opts.Ledger, opts.Metrics = r.ledger, nil
	change(&opts)
	other, err := httpapi.New(opts)
	require.NoError(r.t, err)
	return other.Handler()
}

func (r *rig) serve(h http.Handler, ctx context.Context, c call) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(ctx, c.method, c.path, nil)
	for name, values := range c.header {
		request.Header[name] = values
	}
	request.Header.Set("X-Api-Key", c.as)
	h.ServeHTTP(w, request)
	return w
}

func TestLongReadsEndWithTheirTime(t *testing.T) {
	var p *parts
	r := newRig(t, func(of *parts) { p = of })
	h := r.beside(p, func(o *httpapi.Options) { o.RequestTimeout = time.Nanosecond })
	for name, c := range longReads(r) {
		t.Run(name, func(t *testing.T) {
			w := r.serve(h, t.Context(), c)
			require.Equal(t, 503, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), `"code":"request-timeout"`)
			require.Equal(t, "1", w.Header().Get("Retry-After"))
		})
	}
	// A file is as long as it is: its reader sets the pace.
	file := call{as: "auditor", method: "GET", path: demo + "/transactions", header: http.Header{"Accept": {"text/csv"}}}
	require.Equal(t, 102, strings.Count(r.serve(h, t.Context(), file).Body.String(), "\n"))
}

// A client that goes away in the middle ends what was read for it.
func TestLongReadsEndWithTheirClient(t *testing.T) {
	const readBefore = 40
	var p *parts
	r := newRig(t, func(of *parts) { p = of })
	store := &countedStore{Store: r.store, onRead: func(int) {}}
	h := r.beside(p, func(o *httpapi.Options) { o.Store = store })
	for name, c := range longReads(r) {
		t.Run(name, func(t *testing.T) {
			ctx, goes := context.WithCancel(t.Context())
			store.read, store.onRead = 0, func(read int) {
				if read == readBefore {
					goes()
				}
			}
			w := r.serve(h, ctx, c)
			if store.read < readBefore { // it asks the read models, or reads little
				goes()
				w = r.serve(h, ctx, c)
			} else {
				require.Equal(t, readBefore, store.read)
			}
			require.Equal(t, 503, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), `"code":"request-timeout"`)
		})
	}
}
