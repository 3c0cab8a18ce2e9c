package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listen runs the server as the program does, until stop.
func (r *rig) listen() (addr string, stop func() error) {
	r.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(r.t.Context())
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(ctx, listener) }()
	return listener.Addr().String(), func() error {
		cancel()
		return <-served
	}
}

// dial opens a connection to the engine, for what no HTTP client would do.
func (r *rig) dial(addr string) net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// A peer that announces a body and never sends it is answered, and its connection
// ends: it would hold a goroutine for ever, and needs no key for that.
func TestAStalledBodyIsAnswered(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.RequestTimeout = 200 * time.Millisecond })
	addr, stop := r.listen()
	for name, head := range map[string]string{
		"no key":          "POST /v1/accounts/demo-1/deductions HTTP/1.1\r\nIdempotency-Key: z\r\n",
		"open route":      "GET /healthz HTTP/1.1\r\n",
		"front page":      "GET / HTTP/1.1\r\n",
		"no route":        "POST /nope HTTP/1.1\r\n",
		"no method":       "DELETE /healthz HTTP/1.1\r\n",
		"a page":          "GET /docs HTTP/1.1\r\n",
		"no page":         "GET /docs/nope HTTP/1.1\r\n",
		"options":         "OPTIONS /healthz HTTP/1.1\r\n",
		"options of all":  "OPTIONS * HTTP/1.1\r\n",
		"options nowhere": "OPTIONS /nope HTTP/1.1\r\n",
		"an expectation":  "POST /v1/deductions/batch HTTP/1.1\r\nExpect: wonders\r\n",
		"to be continued": "POST /v1/deductions/batch HTTP/1.1\r\nExpect: 100-continue\r\n",
		"webhook":         "POST /webhooks/spherepay HTTP/1.1\r\n",
		"a key, too slow": "POST /v1/accounts/demo-1/deductions HTTP/1.1\r\nIdempotency-Key: z\r\nX-Api-Key: service\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(addr)
			_, err := io.WriteString(c, head+"Host: a\r\nContent-Length: 1000\r\n\r\nx")
			require.NoError(t, err)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
			from := bufio.NewReader(c)
			answer, err := http.ReadResponse(from, nil)
			require.NoError(t, err, "50 times RequestTimeout, and no answer")
			require.True(t, answer.Close)
			_, err = io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			_, err = from.ReadByte()
			require.Equal(t, io.EOF, err, "the connection ends")
		})
	}
	require.NoError(t, stop())
}

// A refusal doesn't cost a connection whose body was read.
func TestARefusedBodyKeepsItsConnection(t *testing.T) {
	r := newRig(t, nil)
	a := r.refused(402, "insufficient-credits", post("service", demo+"/deductions", "k", `{"amount":"100","service":"vm"}`))
	require.Empty(t, a.Header.Get("Connection"))
}

// A reader that stalls is cut off, whatever it asked for: it would hold a view, or
// the memory of its answer, for ever.
func TestAStalledReaderIsCutOff(t *testing.T) {
	// Long enough for a statement to be made, by a slow machine under the race detector too:
	// past it the answer would be a refusal.
	r := newRig(t, func(p *parts) { p.server.RequestTimeout = 3 * time.Second })
	r.fund("demo-1", "1000")
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, `{"account":"demo-1","key":"k%d","amount":"0.000001","service":"vm","reference":%q}`+"\n", i, strings.Repeat("r", 100))
	}
	r.batch(lines.String())
	stalled := []struct{ path, accept string }{
		{demo + "/transactions", "text/csv"},
		{demo + "/statement?month=2026-03", "application/json"},
		{demo + "/statement?month=2026-03", "text/plain"},
	}
	for _, c := range stalled { // all at once: each takes as long as a request may
		_, err := fmt.Fprintf(r.dial(r.http.Listener.Addr().String()), "GET %s HTTP/1.1\r\nHost: a\r\nX-Api-Key: service\r\nAccept: %s\r\n\r\n", c.path, c.accept)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return strings.Count(r.log.String(), "answer broke off") == len(stalled) }, 20*time.Second, 10*time.Millisecond)
}

// flood sends requests until the engine takes no more, because nobody reads its answers.
func flood(t *testing.T, c net.Conn, request string) {
	t.Helper()
	requests := []byte(strings.Repeat(request, 1000))
	for {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
		if _, err := c.Write(requests); err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return
		}
	}
}

// Nobody who asks and doesn't read holds a connection for ever, nor up a stop: it needs no
// key, and no long answer.
func TestWhoNeverReadsIsCutOff(t *testing.T) {
	const nobody, page = "GET /nope HTTP/1.1\r\nHost: a\r\n\r\n", "GET /docs HTTP/1.1\r\nHost: a\r\n\r\n"
	t.Run("after a while", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(p *parts) { p.server.RequestTimeout = 3 * time.Second })
		addr, stop := r.listen()
		c := r.dial(addr)
		flood(t, c, nobody)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(20*time.Second)))
		var err error
		for err == nil {
			_, err = c.Write([]byte(nobody)) // as if it read now: too late
		}
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, stop())
	})
	t.Run("when the engine stops", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(p *parts) { p.server.RequestTimeout, p.server.ShutdownTimeout = time.Hour, 6*time.Second })
		addr, stop := r.listen()
		flood(t, r.dial(addr), nobody)
		flood(t, r.dial(addr), page)
		require.NoError(t, stop())
	})
}

// timedWriter counts the deadlines that an answer sets.
type timedWriter struct {
	*httptest.ResponseRecorder
	deadlines int
}

func (w *timedWriter) SetWriteDeadline(time.Time) error {
	w.deadlines++
	return nil
}

// A long answer has a deadline; one that fits into the socket's buffer needs none.
func TestLongAnswersHaveADeadline(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintf(&lines, `{"account":"demo-1","key":"k%d","amount":"0.000001","service":"vm"}`+"\n", i)
	}
	r.batch(lines.String())
	for path, long := range map[string]bool{
		demo + "/transactions?limit=1000": true, demo + "/transactions?limit=1": false, demo + "/events?limit=100": true, demo + "/balance": false,
		"/openapi.json": true, "/docs": true, "/healthz": false,
	} {
		w := &timedWriter{ResponseRecorder: httptest.NewRecorder()}
		request := httptest.NewRequest(http.MethodGet, path, nil)
		request.Header.Set("X-Api-Key", "auditor")
		r.server.Handler().ServeHTTP(w, request)
		require.Equal(t, 200, w.Code, path)
		require.Equal(t, long, w.deadlines > 0, "%s: %d bytes", path, w.Body.Len())
		require.Equal(t, long, w.Body.Len() > 16<<10, path)
	}
}
