package spherepay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/time/rate"

	"iocredits/domain"
)

// Client calls the provider. Safe for concurrent use.
type Client struct {
	base    *url.URL
	key     string
	http    *http.Client
	limiter *rate.Limiter
}

// Bounds of the client's behaviour.
const (
	// requestsPerSecond is the provider's limit for a merchant.
	requestsPerSecond = 100
	callTimeout       = 10 * time.Second
	maxAnswerBytes    = 4 << 20
	// A read is tried this often, with pauses from firstPause on, doubled and jittered.
	readTries  = 4
	firstPause = 200 * time.Millisecond
)

// NewClient makes a client of the provider at base, such as
// "https://api.spherepay.co". transport may be nil.
func NewClient(base, key string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("payment provider's address %q is not an http(s) URL", base)
	}
	if key == "" {
		return nil, errors.New("the payment provider's key is empty")
	}
	return &Client{
		base: u, key: key,
		http:    &http.Client{Transport: transport, Timeout: callTimeout, CheckRedirect: neverRedirected},
		limiter: rate.NewLimiter(requestsPerSecond, requestsPerSecond),
	}, nil
}

// neverRedirected leaves a redirect as the answer. net/http would take the key along to any
// port of the provider's host and to every host below it, from https to http too, and what
// somebody else answers there would count as the provider's word.
func neverRedirected(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Error is the provider's own refusal.
type Error struct {
	StatusCode int
	// Code is like "bankAccount/inactive".
	Code    string
	Message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("payment provider answered %d %s: %s", e.StatusCode, e.Code, e.Message)
}

// Temporary tells whether the same call may succeed later.
func (e *Error) Temporary() bool {
	return e.StatusCode == http.StatusTooManyRequests || e.StatusCode >= http.StatusInternalServerError
}

// Codes of refusals that leave it open what became of the call.
const (
	codeUnreadable = "answer/unreadable"
	// codesOfKeys begins the codes that are about an Idempotency-Key: the call that used the
	// key before may be ours.
	codesOfKeys = "idempotency/"
)

// Final tells that nothing was done, for certain: a refusal in the provider's words, that
// isn't about another call.
func (e *Error) Final() bool {
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return e.StatusCode/100 == 4 && e.Code != codeUnreadable && !strings.HasPrefix(e.Code, codesOfKeys)
}

// CreateLink makes a payment link of amount. It is called once and never tried
// again here: an answer that was lost leaves a link that exists, and the key is
// an error the second time. Whoever doesn't get an answer looks with Links, and
// makes a new attempt, which has another key, only if there is none.
func (c *Client) CreateLink(ctx context.Context, meta Meta, amount domain.Amount) (Link, error) {
	body, err := json.Marshal(newLink{Name: "IO Credits", Amount: Amount(amount), Currency: currency, Meta: meta})
	if err != nil {
		return Link{}, fmt.Errorf("create payment link: %w", err)
	}
	key := fmt.Sprintf("%s.%d", meta.Purchase, meta.Attempt)
	var data linkData
	if err := c.call(ctx, http.MethodPost, "/v1/paymentLink", nil, key, body, &data); err != nil {
		return Link{}, fmt.Errorf("create payment link: %w", err)
	}
	if !data.PaymentLink.usable() {
		return Link{}, errors.New("create payment link: the answer has no link")
	}
	return data.PaymentLink, nil
}

// Links lists the links of a purchase at which a customer can pay. All of ours name theirs: a
// link that names none counts only where the provider gives no names at all.
func (c *Client) Links(ctx context.Context, purchase string) ([]Link, error) {
	var data linksData
	if err := c.read(ctx, "/v1/paymentLink", url.Values{"meta.purchase": {purchase}}, &data); err != nil {
		return nil, fmt.Errorf("list payment links of purchase %s: %w", purchase, err)
	}
	named := slices.ContainsFunc(data.PaymentLinks, func(l Link) bool { return l.Meta.Purchase != "" })
	return slices.DeleteFunc(data.PaymentLinks, func(l Link) bool {
		return !l.usable() || l.Meta.ofAnother(purchase) || named && l.Meta.Purchase == ""
	}), nil
}

// Payments lists the payments at all links of a purchase. One that names another is left
// to the question about that, and to its own webhook.
func (c *Client) Payments(ctx context.Context, purchase string) ([]Payment, error) {
	var data paymentsData
	if err := c.read(ctx, "/v1/payment", url.Values{"meta.purchase": {purchase}}, &data); err != nil {
		return nil, fmt.Errorf("list payments of purchase %s: %w", purchase, err)
	}
	return slices.DeleteFunc(data.Payments, func(p Payment) bool { return p.Meta.ofAnother(purchase) }), nil
}

// read is a call that is safe to repeat.
func (c *Client) read(ctx context.Context, path string, query url.Values, into any) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := c.call(ctx, http.MethodGet, path, query, "", nil, into)
		var refused *Error
		if err == nil || try == readTries || errors.As(err, &refused) && !refused.Temporary() {
			return err
		}
		jittered := pause/2 + rand.N(pause) //nolint:gosec // spreads load, guards nothing
		timer := time.NewTimer(jittered)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		pause *= 2
	}
}

func (c *Client) call(ctx context.Context, method, path string, query url.Values, idempotency string, body []byte, into any) error {
	if err := c.limiter.Wait(ctx); err != nil {
		return err
	}
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		// With it net/http sends the request again when a connection breaks before the
		// answer, as it takes the Idempotency-Key for safe: here it is an error then.
		request.GetBody = nil
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if idempotency != "" {
		request.Header.Set("Idempotency-Key", idempotency)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return readAnswer(response.StatusCode, text, into)
}

func readAnswer(status int, text []byte, into any) error {
	if status/100 == 3 {
		return &Error{StatusCode: status, Code: codeUnreadable, Message: "it redirects, which is not followed: --payment-url has to be the address that answers"}
	}
	var answer answered
	if err := json.Unmarshal(text, &answer, lenient); err != nil {
		return &Error{StatusCode: status, Code: codeUnreadable, Message: "the answer is not the provider's JSON"}
	}
	if status/100 != 2 || !answer.OK {
		return &Error{StatusCode: status, Code: cmp.Or(textOf(answer.Error), codeUnreadable), Message: textOf(answer.Message)}
	}
	if err := json.Unmarshal(answer.Data, into, lenient); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
