package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/notices"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/storetest"
	"iocredits/httpapi"
	"iocredits/projections"
)

var codec = eventstore.NewCodec(account.EventTypes()...)

// rig is a whole engine in this process, with every store in memory. Whatever
// goes through do is held against openapi.yaml.
type rig struct {
	t      testing.TB
	store  *faultyStore
	views  *projections.Views
	ledger *ledger.Ledger
	sealer *keyring.Sealer
	keys   *keyring.FileKeys
	clock  *storetest.Clock
	server *httpapi.Server
	http   *httptest.Server
	log    *storetest.Buffer
	parts  *parts
	// verifier is of what the engine signs.
	verifier note.Verifier
	// played has what was asked of the sandbox.
	played []string
}

// parts are what a test may change of an engine before it starts.
type parts struct {
	ledger ledger.Options
	server httpapi.Options
	// stillViews: the read models don't move until followLog.
	stillViews bool
}

func newRig(t testing.TB, change func(*parts)) *rig {
	t.Helper()
	r := &rig{t: t, clock: storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), log: &storetest.Buffer{}}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	quiet := slog.New(slog.DiscardHandler)
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: quiet})
	require.NoError(t, err)
	r.store = &faultyStore{Store: store, written: storetest.NewWritten(t, codec)}
	t.Cleanup(func() { _ = r.store.Close() })
	r.views, err = projections.Open(t.Context(), "views", projections.Options{FS: vfs.NewMem(), Store: r.store, Codec: codec, Logger: quiet})
	require.NoError(t, err)
	r.keys, err = keyring.Open(t.TempDir(), keyring.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.keys.Close() })
	r.sealer = keyring.NewSealer(r.keys, 0)

	p := &parts{
		ledger: ledger.Options{Store: r.store, Snapshots: r.store, Codec: codec, Names: r.views, Clock: r.clock.Now, Logger: quiet},
		server: httpapi.Options{
			Views: r.views, Store: r.store, Codec: codec, Sealer: r.sealer, Keys: testKeys(t), Clock: r.clock.Now, Logger: logger,
			Notices:  &notices.Writer{Store: r.store, Codec: codec, Clock: r.clock.Now},
			TopUpURL: "/manage-funds", Dev: &httpapi.Dev{Advance: r.advance, Play: r.play}, Audit: r.newAudit(quiet),
			ReadWebhook: readWebhook, LinkPatience: time.Millisecond,
		},
	}
	if change != nil {
		change(p)
	}
	if p.server.ReadPatience == 0 && !p.stillViews {
		p.server.ReadPatience = 30 * time.Second // views that move are waited for on a slow machine, too
	}
	r.parts = p
	t.Cleanup(func() { _ = r.views.Close() })
	if !p.stillViews {
		r.followLog()
	}
	r.start()
	return r
}

// start starts what stands on log and read models.
func (r *rig) start() {
	var err error
	r.parts.ledger.Head, err = r.store.Head(r.t.Context())
	require.NoError(r.t, err)
	r.ledger = ledger.New(r.parts.ledger)
	r.t.Cleanup(func() { _ = r.ledger.Close(context.Background()) })
	r.parts.server.Ledger = r.ledger
	r.server, err = httpapi.New(r.parts.server)
	require.NoError(r.t, err)
	r.http = httptest.NewServer(r.server.Handler())
	r.t.Cleanup(r.http.Close)
	transport := r.http.Client().Transport.(*http.Transport)
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = 64, 64
}

// restart ends that, and starts another.
func (r *rig) restart() {
	r.t.Helper()
	r.http.Close()
	require.NoError(r.t, r.ledger.Close(r.t.Context()))
	r.start()
}

// faultyStore is a real store on a disk that can go wrong.
type faultyStore struct {
	*pebblestore.Store
	// full: there is no room for another event. damaged: what is read to
	// followers is no event. away: nobody says where the log ends.
	full, damaged, away atomic.Bool
	written             *storetest.Written
}

func (s *faultyStore) Head(ctx context.Context) (eventstore.Position, error) {
	if s.away.Load() {
		return eventstore.BeforeFirst, fmt.Errorf("%w: the log doesn't answer", eventstore.ErrUnavailable)
	}
	return s.Store.Head(ctx)
}

// AppendAsync is how the ledger appends.
func (s *faultyStore) AppendAsync(appends []*eventstore.Append, done func()) {
	if s.full.Load() {
		for _, a := range appends {
			a.Err = fmt.Errorf("%w: no room on the disk", eventstore.ErrUnavailable)
		}
		done()
		return
	}
	for _, a := range appends {
		s.written.Add(a.Stream, a.Expected, a.Events)
	}
	s.Store.AppendAsync(appends, done)
}

func (s *faultyStore) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	if s.damaged.Load() {
		return func(yield func([]eventstore.Recorded, error) bool) {
			yield(nil, &eventstore.CorruptError{Position: after + 1, Reason: "checksum"})
		}
	}
	return s.Store.Subscribe(ctx, after)
}

// followLog lets the read models run.
func (r *rig) followLog() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.views.Run(ctx)
	}()
	r.t.Cleanup(func() { cancel(); <-done })
}

func (r *rig) advance(_ context.Context, by time.Duration) error {
	r.clock.Move(by)
	return nil
}

// roles are the keys of a test engine: the key of a role is its name.
var roles = []string{
	"customer:demo-1", "customer:demo-2", "service", "bd", "bd2", "finance", "finance2", "support", "support2", "auditor", "admin",
}

func testKeys(t testing.TB) *httpapi.Keys {
	t.Helper()
	var specs []httpapi.KeySpec
	for _, name := range roles {
		role, acct, _ := strings.Cut(name, ":")
		id := strings.ReplaceAll(name, ":", ".")
		specs = append(specs, httpapi.KeySpec{
			ID: "key." + id, Role: httpapi.Role(strings.TrimRight(role, "2")), Account: acct, Actor: "actor." + id, SHA256: httpapi.HashKey(name),
		})
	}
	keys, err := httpapi.NewKeys(specs)
	require.NoError(t, err)
	return keys
}

// call is a request of a test.
type call struct {
	as, method, path, key, body string
	header                      http.Header
	// wrong: the request is not one that the contract allows.
	wrong bool
}

// answer is an HTTP answer, decoded.
type answer struct {
	Status int
	Header http.Header
	Text   string
	Body   map[string]any
}

func (r *rig) request(c call) *http.Request {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), c.method, r.http.URL+c.path, strings.NewReader(c.body))
	require.NoError(r.t, err)
	for name, values := range c.header {
		request.Header[name] = values
	}
	if c.as != "" {
		request.Header.Set("X-Api-Key", c.as)
	}
	if c.key != "" {
		request.Header.Set("Idempotency-Key", c.key)
	}
	if c.body != "" && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	return request
}

// do sends a request, and holds it and its answer against the contract.
func (r *rig) do(c call) answer {
	r.t.Helper()
	request := r.request(c)
	response, err := r.http.Client().Do(request)
	require.NoError(r.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	a := answer{Status: response.StatusCode, Header: response.Header, Text: string(text)}
	if strings.Contains(response.Header.Get("Content-Type"), "json") && !strings.Contains(response.Header.Get("Content-Type"), "ndjson") {
		require.NoError(r.t, json.Unmarshal(text, &a.Body), "%s", text)
	}
	require.NotEmpty(r.t, a.Header.Get("X-Request-Id"))
	theContract().check(r.t, request, c, a)
	return a
}

// must is do for what has to succeed.
func (r *rig) must(c call) answer {
	r.t.Helper()
	a := r.do(c)
	require.Equal(r.t, 2, a.Status/100, "%s %s: %d %s", c.method, c.path, a.Status, a.Text)
	return a
}

// refused is do for what has to be refused with a code.
func (r *rig) refused(status int, code string, c call) answer {
	r.t.Helper()
	a := r.do(c)
	require.Equal(r.t, code, a.Body["code"], "%d %s", a.Status, a.Text)
	require.Equal(r.t, status, a.Status)
	require.Equal(r.t, "application/problem+json", a.Header.Get("Content-Type"))
	require.EqualValues(r.t, status, a.Body["status"])
	for member := range a.Body {
		require.Contains(r.t, httpapi.ProblemMembers(code), member, "/docs/problems doesn't say that %s has it", code)
	}
	return a
}

func (r *rig) fund(acct, amount string) {
	r.t.Helper()
	r.must(call{as: "admin", method: "POST", path: "/dev/accounts/" + acct + "/purchases", body: fmt.Sprintf(`{"amount":%q}`, amount)})
}

func (r *rig) balance(acct string) map[string]any {
	r.t.Helper()
	return r.must(call{as: "service", method: "GET", path: "/v1/accounts/" + acct + "/balance"}).Body
}

func post(as, path, key, body string) call {
	return call{as: as, method: "POST", path: path, key: key, body: body}
}

func get(as, path string) call { return call{as: as, method: "GET", path: path} }

// contractCheck validates traffic against openapi.yaml.
type contractCheck struct {
	doc    *openapi3.T
	router routers.Router
}

var theContract = sync.OnceValue(func() *contractCheck {
	for _, kind := range []string{"application/x-ndjson", "text/html", "text/csv"} {
		openapi3filter.RegisterBodyDecoder(kind, func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
			text, err := io.ReadAll(body)
			return string(text), err
		})
	}
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		panic(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return &contractCheck{doc, router}
})

func (c *contractCheck) check(t testing.TB, request *http.Request, sent call, got answer) {
	t.Helper()
	copied := request.Clone(context.Background())
	copied.Body = io.NopCloser(strings.NewReader(sent.body))
	copied.URL.Scheme, copied.URL.Host = "", ""
	route, params, err := c.router.FindRoute(copied)
	if err != nil {
		require.Contains(t, []int{404, 405}, got.Status, "%s %s is not in the contract", request.Method, sent.path)
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: copied, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if !sent.wrong && got.Status != 401 && got.Status != 403 {
		require.NoError(t, openapi3filter.ValidateRequest(context.Background(), in), "%s %s", request.Method, sent.path)
	}
	if got.Body["code"] == "unknown-route" {
		return // a route that isn't there is no part of the contract
	}
	declared := route.Operation.Responses.Status(got.Status)
	require.NotNil(t, declared, "%s %s: the contract has no status %d", request.Method, sent.path, got.Status)
	require.NoError(t, openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.Status, Header: got.Header,
		Body: io.NopCloser(bytes.NewReader([]byte(got.Text))), Options: in.Options,
	}), "%s %s: %s", request.Method, sent.path, got.Text)
	for _, name := range contractHeaders {
		if got.Header.Get(name) != "" {
			require.Contains(t, declared.Value.Headers, name, "%s %s %d", request.Method, sent.path, got.Status)
		}
	}
	if got.Body == nil {
		return
	}
	if media := declared.Value.Content.Get(got.Header.Get("Content-Type")); media != nil {
		c.note(media.Schema, route.Operation.OperationID, got.Body)
	}
}

// contractHeaders are those that the contract has to name wherever they come.
var contractHeaders = []string{
	"ETag", "WWW-Authenticate", "Content-Disposition", "Content-Security-Policy", "Retry-After", "Idempotency-Replayed", "Accept-Encoding",
}

// operations lists the contract as "METHOD path".
func (c *contractCheck) operations() []string {
	var all []string
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

var errBroken = errors.New("broken")

// readAnswer decodes an answer outside of the test's goroutine.
func readAnswer(response *http.Response) (answer, error) {
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	a := answer{Status: response.StatusCode, Header: response.Header, Text: string(text)}
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(text, &a.Body)
}
