package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dial opens a connection to the engine, for what no HTTP client would do.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.http.URL, "http://"))
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// A peer that announces a body and never sends it is answered, and its connection
// ends: it would hold a goroutine for ever, and needs no key for that.
func TestAStalledBodyIsAnswered(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.RequestTimeout = 200 * time.Millisecond })
	for name, head := range map[string]string{
		"no key":          "POST /v1/accounts/demo-1/deductions HTTP/1.1\r\nIdempotency-Key: z\r\n",
		"open route":      "GET /healthz HTTP/1.1\r\n",
		"front page":      "GET / HTTP/1.1\r\n",
		"no route":        "POST /nope HTTP/1.1\r\n",
		"webhook":         "POST /webhooks/spherepay HTTP/1.1\r\n",
		"a key, too slow": "POST /v1/accounts/demo-1/deductions HTTP/1.1\r\nIdempotency-Key: z\r\nX-Api-Key: service\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial()
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
}

// A refusal doesn't cost a connection whose body was read.
func TestARefusedBodyKeepsItsConnection(t *testing.T) {
	r := newRig(t, nil)
	a := r.refused(402, "insufficient-credits", post("service", demo+"/deductions", "k", `{"amount":"100","service":"vm"}`))
	require.Empty(t, a.Header.Get("Connection"))
}
