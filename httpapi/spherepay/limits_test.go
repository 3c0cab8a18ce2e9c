package spherepay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"iocredits/domain"
)

// TestNoMoreThanTheProviderTakes: 100 requests a second and no more (io-credits.md,
// SpherePay). What would be more waits here, and never leaves if its caller doesn't.
func TestNoMoreThanTheProviderTakes(t *testing.T) {
	var asked atomic.Int64
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, `{"ok":true,"data":{"paymentLink":{"id":"l","url":"https://pay/l"}}}`)
	}))
	t.Cleanup(provider.Close)
	client, err := NewClient(provider.URL, testKey, nil)
	require.NoError(t, err)
	require.InDelta(t, 100, float64(client.limiter.Limit()), 0)
	require.Equal(t, 100, client.limiter.Burst())

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client.limiter.SetLimit(rate.Every(time.Hour)) // so that none comes back meanwhile
	client.limiter.AllowN(time.Now(), 99)
	_, err = client.CreateLink(ctx, Meta{Account: "acme", Purchase: "p", Attempt: 1}, domain.Credit)
	require.NoError(t, err, "the hundredth")
	_, err = client.CreateLink(ctx, Meta{Account: "acme", Purchase: "p", Attempt: 2}, domain.Credit)
	require.ErrorContains(t, err, "exceed context deadline", "one more would wait longer than its caller")
	require.EqualValues(t, 1, asked.Load())
}

// TestAnswersThatAreNone: the envelope says whether it went well, whatever the status; and
// a link is one only with its id and where the customer pays.
func TestAnswersThatAreNone(t *testing.T) {
	for answer, want := range map[string]string{
		`{"ok":true,"data":{"paymentLink":{"id":"l","url":"https://pay/l"}}}`:                                                                     "",
		`{"ok":true,"data":{"paymentLink":{"id":"l"}}}`:                                                                                           "the answer has no link",
		`{"ok":true,"data":{"paymentLink":{"url":"https://pay/l"}}}`:                                                                              "the answer has no link",
		`{"ok":false,"statusCode":400,"error":"bankAccount/inactive","message":"closed","data":{"paymentLink":{"id":"l","url":"https://pay/l"}}}`: "bankAccount/inactive: closed",
	} {
		provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, answer)
		}))
		client, err := NewClient(provider.URL, testKey, nil)
		require.NoError(t, err)
		link, err := client.CreateLink(t.Context(), Meta{Account: "acme", Purchase: "p", Attempt: 1}, domain.Credit)
		provider.Close()
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, Link{ID: "l", URL: "https://pay/l"}, link)
			continue
		}
		require.ErrorContains(t, err, want)
		if refusal := new(Error); errors.As(err, &refusal) {
			require.Equal(t, "bankAccount/inactive", refusal.Code)
			require.False(t, refusal.Final(), "of a status that says it went well nothing is certain")
		}
	}
}

// TestNoRedirectIsFollowed: the key goes to the address that was set, and nowhere else, and
// nobody else's answer is the provider's.
func TestNoRedirectIsFollowed(t *testing.T) {
	var strangers atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		strangers.Add(1)
		_, _ = io.WriteString(w, `{"ok":true,"data":{"payments":[],"paymentLinks":[],"paymentLink":{"id":"l","url":"https://pay"}}}`)
	}))
	defer stranger.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		provider := httptest.NewServer(http.RedirectHandler(stranger.URL, status)) // another port of its host
		defer provider.Close()
		c, err := NewClient(provider.URL, testKey, nil)
		require.NoError(t, err)
		_, reading := c.Payments(t.Context(), "p1")
		_, making := c.CreateLink(t.Context(), Meta{Purchase: "p1", Attempt: 1}, domain.Credit)
		for _, err := range []error{reading, making} {
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, status, refused.StatusCode)
			require.False(t, refused.Final())
			require.Contains(t, err.Error(), "--payment-url")
		}
	}
	require.Zero(t, strangers.Load())
}
