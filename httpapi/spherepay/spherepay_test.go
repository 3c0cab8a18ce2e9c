package spherepay

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

const (
	testKey    = "sk_test"
	testSecret = "whsec_test"
)

// shop is a sandbox over real HTTP, with whoever takes its webhooks.
type shop struct {
	*Sandbox
	client *Client
	url    string

	mu     sync.Mutex
	events []Event
	// refuse makes the taker answer 500 this often.
	refuse atomic.Int64
}

func openShop(t *testing.T, file string) *shop {
	t.Helper()
	s := &shop{}
	taker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !Verify([]byte(testSecret), body, r.Header.Get(SignatureHeader)) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if s.refuse.Add(-1) >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		e, err := ParseEvent(body)
		if err != nil {
			t.Errorf("webhook: %v", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}))
	t.Cleanup(taker.Close)
	provider := httptest.NewUnstartedServer(nil)
	base := "http://" + provider.Listener.Addr().String()
	var err error
	s.Sandbox, err = OpenSandbox(SandboxOptions{Key: testKey, Secret: testSecret, BaseURL: base, WebhookURL: taker.URL, File: file})
	require.NoError(t, err)
	provider.Config.Handler = s.Sandbox
	provider.Start()
	t.Cleanup(provider.Close)
	s.url = base
	s.client, err = NewClient(base, testKey, nil)
	require.NoError(t, err)
	return s
}

func (s *shop) link(t *testing.T, purchase string, amount domain.Amount) Link {
	t.Helper()
	link, err := s.client.CreateLink(t.Context(), Meta{Account: "acme", Purchase: purchase, Attempt: 1}, amount)
	require.NoError(t, err)
	return link
}

func TestActions(t *testing.T) {
	const amount = 10 * domain.Credit
	for _, c := range []struct {
		name    string
		actions []Action
		want    []string
	}{
		{"pay", []Action{Pay}, []string{"payment.successful succeeded 10"}},
		{"fail, then pay", []Action{Fail, Pay}, []string{"payment.failed failed 10", "payment.successful succeeded 10"}},
		{"in two halves", []Action{Half, Half}, []string{"payment.incomplete succeeded 5", "payment.successful succeeded 5"}},
		{"half, then the rest", []Action{Half, Pay}, []string{"payment.incomplete succeeded 5", "payment.successful succeeded 5"}},
		{"double", []Action{Double}, []string{"payment.successful succeeded 20"}},
		{"the webhook twice", []Action{Twice}, []string{"payment.successful succeeded 10", "payment.successful succeeded 10"}},
		{"the webhook is lost", []Action{Silent}, nil},
		{"refund", []Action{Pay, Refund}, []string{"payment.successful succeeded 10", "payment.card.refunded refunded 10"}},
		{"chargeback", []Action{Pay, Chargeback}, []string{"payment.successful succeeded 10", "payment.card.refunded refunded 10 chargeback"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openShop(t, "")
			s.link(t, "p1", amount)
			for _, a := range c.actions {
				require.NoError(t, s.Act(t.Context(), "p1", a))
			}
			var got []string
			for _, e := range s.events {
				p := e.Data.Payment
				require.Equal(t, Meta{Account: "acme", Purchase: "p1", Attempt: 1}, p.Meta)
				got = append(got, strings.TrimSpace(string(e.Name)+" "+string(p.Status)+" "+domain.Amount(p.Amount).String()+" "+p.Reason))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestActionsThatCantBe(t *testing.T) {
	s := openShop(t, "")
	require.ErrorIs(t, s.Act(t.Context(), "nothing", Pay), ErrNoLink)
	s.link(t, "p1", domain.Credit)
	require.ErrorIs(t, s.Act(t.Context(), "p1", Refund), ErrNoPayment)
	require.ErrorIs(t, s.Act(t.Context(), "p1", "steal"), ErrUnknownAction)
	require.Empty(t, s.events)
}

// TestTwiceIsOneEvent: a webhook that is sent again has the same event id.
func TestTwiceIsOneEvent(t *testing.T) {
	s := openShop(t, "")
	s.link(t, "p1", domain.Credit)
	require.NoError(t, s.Act(t.Context(), "p1", Twice))
	require.Len(t, s.events, 2)
	require.Equal(t, s.events[0], s.events[1])
}

func TestWebhookIsSentAgain(t *testing.T) {
	s := openShop(t, "")
	s.link(t, "p1", domain.Credit)
	s.refuse.Store(2)
	require.NoError(t, s.Act(t.Context(), "p1", Pay))
	require.Len(t, s.events, 1)
	s.refuse.Store(webhookTries)
	require.ErrorContains(t, s.Act(t.Context(), "p1", Pay), "webhook not taken")
}

func TestEarlyPayment(t *testing.T) {
	s := openShop(t, "")
	s.PayEarly()
	s.link(t, "p1", domain.Credit)
	require.Len(t, s.events, 1, "the webhook came before the link's answer")
	s.link(t, "p2", domain.Credit)
	require.Len(t, s.events, 1)
}

func TestClient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := openShop(t, file)
	link := s.link(t, "p1", 1_500_000)
	_, err := s.client.CreateLink(t.Context(), link.Meta, 1_500_000)
	var refused *Error
	require.ErrorAs(t, err, &refused, "a reused key is an error, never a replay")
	require.Equal(t, "idempotency/reused", refused.Code)
	require.False(t, refused.Temporary())

	require.NoError(t, s.Act(t.Context(), "p1", Silent))
	s = openShop(t, file) // the sandbox restarts
	links, err := s.client.Links(t.Context(), "p1")
	require.NoError(t, err)
	require.Len(t, links, 1)
	require.Equal(t, link.ID, links[0].ID)
	payments, err := s.client.Payments(t.Context(), "p1")
	require.NoError(t, err)
	require.Len(t, payments, 1)
	require.Equal(t, Amount(1_500_000), payments[0].Amount)
	none, err := s.client.Payments(t.Context(), "p2")
	require.NoError(t, err)
	require.Empty(t, none)

	stranger, err := NewClient(s.url, "sk_other", nil)
	require.NoError(t, err)
	_, err = stranger.Links(t.Context(), "p1")
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
}

// TestRetries: reads are tried again while the provider has trouble, the
// creation of a link never is.
func TestRetries(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) < 3 || r.Method == http.MethodPost {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>bad gateway</html>")
			return
		}
		_, _ = io.WriteString(w, `{"ok":true,"statusCode":200,"data":{"payments":[]}}`)
	}))
	defer server.Close()
	c, err := NewClient(server.URL, testKey, nil)
	require.NoError(t, err)
	_, err = c.Payments(t.Context(), "p1")
	require.NoError(t, err)
	require.EqualValues(t, 3, calls.Load())

	calls.Store(0)
	_, err = c.CreateLink(t.Context(), Meta{Purchase: "p1", Attempt: 1}, domain.Credit)
	var refused *Error
	require.ErrorAs(t, err, &refused)
	require.True(t, refused.Temporary())
	require.EqualValues(t, 1, calls.Load())
}

// TestALinkIsAskedForOnce: also where net/http would ask again, because a connection that
// was used before broke before the answer.
func TestALinkIsAskedForOnce(t *testing.T) {
	var links atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.ReadAll(r.Body)
			links.Add(1)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		_, _ = io.WriteString(w, `{"ok":true,"statusCode":200,"data":{"payments":[]}}`)
	}))
	defer server.Close()
	c, err := NewClient(server.URL, testKey, nil)
	require.NoError(t, err)
	_, err = c.Payments(t.Context(), "p1") // which leaves a connection
	require.NoError(t, err)
	_, err = c.CreateLink(t.Context(), Meta{Purchase: "p1", Attempt: 1}, domain.Credit)
	require.Error(t, err)
	require.NotErrorAs(t, err, new(*Error))
	require.EqualValues(t, 1, links.Load())
}

// TestPathsOfCalls: the address may end with a slash or have a path of its own, and no call
// is redirected.
func TestPathsOfCalls(t *testing.T) {
	var path atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path.Store(r.URL.Path)
		_, _ = io.WriteString(w, `{"ok":true,"statusCode":200,"data":{"payments":[]}}`)
	}))
	defer server.Close()
	for base, want := range map[string]string{"": "/v1/payment", "/": "/v1/payment", "/proxy": "/proxy/v1/payment", "/proxy/": "/proxy/v1/payment"} {
		c, err := NewClient(server.URL+base, testKey, nil)
		require.NoError(t, err)
		_, err = c.Payments(t.Context(), "p1")
		require.NoError(t, err)
		require.Equal(t, want, path.Load(), base)
	}
}

// TestFinal: what isn't a plain refusal may have made a link.
func TestFinal(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   bool
	}{
		{400, "amount/invalid", true}, {401, "key/unknown", true}, {422, "", true},
		{400, "idempotency/reused", false}, {400, codeUnreadable, false}, {200, codeUnreadable, false}, {200, "amount/invalid", false},
		{408, "x", false}, {409, "x", false}, {425, "x", false}, {429, "x", false}, {500, "x", false}, {502, codeUnreadable, false},
	} {
		require.Equal(t, c.want, (&Error{StatusCode: c.status, Code: c.code}).Final(), "%+v", c)
	}
}

func TestNewClientRefusesNonsense(t *testing.T) {
	for _, base := range []string{"", "api.spherepay.co", "ftp://x", "http://", "://"} {
		_, err := NewClient(base, testKey, nil)
		require.Error(t, err, base)
	}
	_, err := NewClient("https://api.spherepay.co", "", nil)
	require.Error(t, err)
}

func TestSignature(t *testing.T) {
	// Computed with: printf '{"id":"1"}' | openssl dgst -sha256 -hmac secret
	const want = "6146142a2ce0159e84c0767881e4ec80bc397da62526e7d19f70795eb79460c0"
	body := []byte(`{"id":"1"}`)
	good := Sign([]byte("secret"), body)
	require.Equal(t, want, good)
	require.True(t, Verify([]byte("secret"), body, good))
	require.False(t, Verify([]byte("other"), body, good))
	require.False(t, Verify([]byte("secret"), append(body, ' '), good))
	require.False(t, Verify([]byte("secret"), body, strings.ToUpper(good)))
	require.False(t, Verify([]byte("secret"), body, ""))
	require.False(t, Verify(nil, body, Sign(nil, body)), "without a secret nothing is genuine")
}

func TestParseEvent(t *testing.T) {
	const good = `{"id":"event_1","name":"payment.successful","data":{"payment":{"id":"payment_1","status":"succeeded","amount":12.5,
		"paymentLink":"l","meta":{"account":"a","purchase":"p","attempt":"2"},"unknown":{"x":1}}},"mock":false,"created":"2026-01-02T03:04:05Z"}`
	e, err := ParseEvent([]byte(good))
	require.NoError(t, err)
	require.Equal(t, Amount(12_500_000), e.Data.Payment.Amount)
	require.Equal(t, 2, e.Data.Payment.Meta.Attempt)
	for name, body := range map[string]string{"no JSON": "payment", "cut": good[:80], "no object": "[]", "null": "null", "two": "{} {}"} {
		_, err := ParseEvent([]byte(body))
		require.True(t, domain.IsCode(err, domain.CodeBodyInvalid), "%s: %v", name, err)
	}
}

// TestWhatIsOddIsRead as far as it can be: the signature says that it is a fact.
func TestWhatIsOddIsRead(t *testing.T) {
	const usual = `{"id":"event_1","name":"payment.successful","data":{"payment":{"id":"payment_1","status":"succeeded","amount":"12.5",` +
		`"paymentLink":"l","meta":{"account":"a","purchase":"p","attempt":"2"}}},"mock":false,"created":"2026-01-02T03:04:05Z"}`
	for _, row := range []struct {
		name, of, to, want string
	}{
		{"as usual", "", "", "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"trailing zeros", `"12.5"`, `"10.2000000"`, "payment_1 succeeded 10.2 [] l {a p 2}"},
		{"an exponent", `"12.5"`, `1.02e1`, "payment_1 succeeded 10.2 [] l {a p 2}"},
		{"above the limit", `"12.5"`, `1000000000.5`, "payment_1 succeeded 1000000000.5 [1000000000.5] l {a p 2}"},
		{"too fine", `"12.5"`, `"0.1234567"`, "payment_1 succeeded 0.123456 [0.1234567] l {a p 2}"},
		{"below zero", `"12.5"`, `-1`, "payment_1 succeeded 0 [-1] l {a p 2}"},
		{"nothing", `"12.5"`, `"0"`, "payment_1 succeeded 0 [0] l {a p 2}"},
		{"no figure", `"12.5"`, `"NaN"`, "payment_1 succeeded 0 [NaN] l {a p 2}"},
		{"no amount", `"amount":"12.5",`, ``, "payment_1 succeeded 0 [nothing] l {a p 2}"},
		{"an amount of another form", `"12.5"`, `{"value":5}`, `payment_1 succeeded 0 [{"value":5}] l {a p 2}`},
		{"what can't be printed", `"12.5"`, `"\u0000é"`, "payment_1 succeeded 0 [??] l {a p 2}"},
		{"an attempt that is a number", `"2"`, `2`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"an attempt that is none", `"2"`, `"x"`, "payment_1 succeeded 12.5 [] l {a p 0}"},
		{"meta of another form", `{"account":"a","purchase":"p","attempt":"2"}`, `[]`, "payment_1 succeeded 12.5 [] l {  0}"},
		{"an account that is a number", `"a"`, `7`, "payment_1 succeeded 12.5 [] l {7 p 2}"},
		{"an account of another form", `"a"`, `["a"]`, "payment_1 succeeded 12.5 [] l { p 2}"},
		{"a time that is a number", `"2026-01-02T03:04:05Z"`, `1700000000000`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"an id that ours can't be", "payment_1", "pay/1=", "pay/1= succeeded 12.5 [] l {a p 2}"},
		{"no event id", `"event_1"`, `null`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"no status", `"succeeded"`, `null`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"half a character", `"name"`, `"title":"Ada \ud83d","name"`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"half a character inside", `"amount"`, `"payer":{"\udc00":"Ada \ud83d"},"amount"`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"bytes that are no text", `"amount"`, "\"payer\":\"Ada \xff\",\"amount\"", "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"half a character in what is kept", `"l","meta":{"account":"a"`, `"l\ud83d","meta":{"account":"a\ud83d"`, "payment_1 succeeded 12.5 [] l\ufffd {a\ufffd p 2}"},
		{"the same twice", `"amount"`, `"amount":"12.5","amount"`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"unknown ones twice", `"amount"`, `"x":1,"x":{"y":1,"y":2},"amount"`, "payment_1 succeeded 12.5 [] l {a p 2}"},
		{"two accounts", `"account":"a"`, `"account":"a","account":"b"`, "payment_1 succeeded 12.5 [] l { p 2}"},
		{"two purchases", `"purchase":"p"`, `"purchase":"p","purchase":"q"`, "payment_1 succeeded 12.5 [] l {a  2}"},
		{"two metas", `"meta":`, `"meta":{"account":"b"},"meta":`, "payment_1 succeeded 12.5 [] l {  0}"},
	} {
		e, err := ParseEvent([]byte(strings.Replace(usual, row.of, row.to, 1)))
		require.NoError(t, err, row.name)
		p := e.Data.Payment
		require.Equal(t, row.want, fmt.Sprintf("%s %s %s [%s] %s %v", p.ID, p.Status, domain.Amount(p.Amount), p.Told, p.Link, p.Meta), row.name)
		require.False(t, p.Unnamed, row.name)
	}
}

// TestWhatContradictsItselfIsForPeople, whatever it says: neither of two is taken, and
// nothing of it goes by the id that the payment may have.
func TestWhatContradictsItselfIsForPeople(t *testing.T) {
	const usual = `{"id":"event_1","name":"NAME","data":{"payment":{"id":"payment_1","status":"pending","amount":"12.5"}},"mock":false}`
	for _, row := range []struct {
		of, to, want string
	}{
		{`"id":"payment_1"`, `"id":"payment_1","id":"payment_2"`, "pending 12.5 []"},
		{`"payment_1"`, `"payment_\ud83d"`, "pending 12.5 []"},
		{`"status":"pending"`, `"status":"succeeded","status":"refunded"`, "succeeded 12.5 []"},
		{`"status":"pending"`, `"status":"pending","status":"failed"`, "succeeded 12.5 []"},
		{`"amount":"12.5"`, `"amount":"12.5","amount":12`, `pending 0 [["12.5",12]]`},
		{`"amount":"12.5"`, `"amount":"1","amount":"2","amount":"3"`, `pending 0 [[["1","2"],"3"]]`},
		{`"name":"NAME"`, `"name":"payment.successful","name":"payment.failed"`, "succeeded 12.5 []"},
		{`"mock":false`, `"mock":true,"mock":false`, "succeeded 12.5 []"},
		{`"payment":`, `"payment":{"id":"payment_2"},"payment":`, "succeeded 0 [nothing]"},
		{`"data":`, `"data":[],"data":`, "succeeded 0 [nothing]"},
	} {
		for name, status := range map[string]string{"payment.pending": "", "payment.card.refunded": "refunded"} {
			body := strings.Replace(strings.Replace(usual, row.of, row.to, 1), "NAME", name, 1)
			e, err := ParseEvent([]byte(body))
			require.NoError(t, err, body)
			p, want := e.Data.Payment, row.want
			if _, rest, _ := strings.Cut(want, " "); status != "" && !strings.Contains(row.to, `"name"`) {
				want = status + " " + rest
			}
			require.Equal(t, want, fmt.Sprintf("%s %s [%s]", p.Status, domain.Amount(p.Amount), p.Told), body)
			require.True(t, p.Unnamed, body)
			require.False(t, e.Mock, body)
			require.Equal(t, "unnamed/"+body, p.ID)
		}
	}
}

// TestPaymentsWithoutAnId have one of what was told, so that what comes again is known.
func TestPaymentsWithoutAnId(t *testing.T) {
	ids := map[string]bool{}
	for _, body := range []string{
		`{"name":"payment.successful","data":{"payment":{"amount":"1"}}}`, `{"name":"payment.successful","data":{"payment":{"amount":"2"}}}`,
		`{"name":"payment.successful","data":{"payment":{"id":{},"amount":"2"}}}`, `{"name":"payment.successful","data":[]}`, `{"name":"payment.successful"}`,
	} {
		for range 2 {
			e, err := ParseEvent([]byte(body))
			require.NoError(t, err)
			require.True(t, e.Data.Payment.Unnamed)
			require.Equal(t, Succeeded, e.Data.Payment.Status)
			ids[e.Data.Payment.ID] = true
		}
	}
	require.Len(t, ids, 5)
	e, err := ParseEvent([]byte(`{"id":"event_1","name":"customer.created","data":{"customer":{"id":"c"}}}`))
	require.NoError(t, err)
	require.Empty(t, e.Data.Payment.Status, "it is about no payment")
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"id":"event_1","name":"payment.successful","data":{"payment":{"id":"p","amount":"1"}}}`))
	f.Add([]byte(`{"mock":1,"data":{"payment":{"id":[],"amount":1e5,"meta":{"attempt":1e99}}}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"name":"\ud83d","name":1,"data":{"payment":{"id":"p","id":"q","meta":{"account":"\ud83d"}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEvent(body)
		if err != nil {
			return
		}
		p := e.Data.Payment
		if a := domain.Amount(p.Amount); a < 0 || a > domain.MaxBalance || p.Told == "" && (a == 0 || a > domain.MaxAmount) {
			t.Fatalf("amount %d, told as %q", a, p.Told)
		}
		if p.ID == "" {
			t.Fatal("no id")
		}
		for _, text := range []string{string(e.Name), string(p.Status), p.Told, p.Link, p.Reason, p.Meta.Account, p.Meta.Purchase} {
			if !utf8.ValidString(text) {
				t.Fatalf("%q is no text", text)
			}
		}
	})
}

// TestPage: a person can do everything with a browser and no script.
func TestPage(t *testing.T) {
	s := openShop(t, "")
	link := s.link(t, "p1", 2*domain.Credit)
	get := func(target string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	status, page := get(link.URL)
	require.Equal(t, http.StatusOK, status)
	for _, a := range Actions() {
		require.Contains(t, page, `action="/pay/`+link.ID+`/`+string(a)+`"`)
		require.NotEmpty(t, meaning(a), a)
	}
	response, err := http.PostForm(link.URL+"/pay", url.Values{})
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Len(t, s.events, 1)
	_, page = get(link.URL)
	require.Contains(t, page, "succeeded")
	_, home := get(s.url + "/")
	require.Contains(t, home, "p1")
	status, _ = get(s.url + "/pay/nothing")
	require.Equal(t, http.StatusNotFound, status)
}
