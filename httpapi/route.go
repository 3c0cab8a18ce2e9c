package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/httpapi/api"
)

// handlers implement the contract, one file a feature.
type handlers struct{ *Server }

var _ api.ServerInterface = handlers{}

// route is what is known of a route before any request comes.
type route struct {
	operation
	metrics routeMetrics
	// everyone: no key is needed. roles are those of auth.go otherwise.
	everyone bool
	roles    roleSet
	// ofAccount: the path names an account, if only an empty one.
	ofAccount bool
	// timed routes may write: they have RequestTimeout from the start. Reads have
	// the time that limited gives them.
	timed bool
}

// call is one request on its way: echo's context with what the frame found out.
type call struct {
	echo.Context
	server    *Server
	route     *route
	ctx       context.Context
	timed     timedContext // ctx, of a timed route
	key       *identity
	account   string
	requestID string
	// commandID is the Idempotency-Key, checked; empty if none was given.
	commandID string
	// missing are the required fields that the body lacks.
	missing []string
	// behind is why the read models may lack what is asked for; nil: they don't.
	behind error
	// lag is what await found the read models to lack. It MUST be asked before anything is
	// read: what they learn meanwhile isn't in the answer.
	lag int64
	// bodyDone: the body was read to its end, or given up.
	bodyDone bool
	// values are of the answer's headers. net/http reads them after the handler
	// has returned: so a call is never used again for another request.
	values headerValues
}

// headerValues are room for a few headers of one value each, which would need a
// slice of its own otherwise.
type headerValues [headerPlaces]string

// headerPlace is a header's place in them: two in one would both get the later value.
type headerPlace int

const (
	requestIDPlace headerPlace = iota
	lengthPlace
	etagPlace
	headerPlaces
)

func (v *headerValues) of(at headerPlace, value string) []string {
	v[at] = value
	return v[at : at+1 : at+1]
}

// callOf gives what the frame made of the request. Only endpoint calls handlers.
func callOf(c echo.Context) *call {
	k, _ := c.(*call)
	return k
}

func (k *call) routeName() string {
	if k.route == nil {
		return ""
	}
	return k.route.name
}

// router registers every route of the contract with its roles. Error: a route
// without a row in auth.go, or a row without a route.
func (s *Server) router() (*echo.Echo, error) {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		// Only what no route took comes here.
		k := &call{Context: c, server: s, requestID: s.requestID(c.Request())}
		header := c.Response().Header()
		header["X-Request-Id"], header["Cache-Control"] = []string{k.requestID}, noCache
		s.writeProblem(k, k.noRoute(err))
	}
	// Not in the contract: for a person who opens the engine's address.
	e.Match([]string{http.MethodGet, http.MethodHead}, "/", func(c echo.Context) error {
		(&call{Context: c, server: s}).leaveBody()
		return c.Redirect(statusFound, "/docs")
	})
	r := &registrar{server: s, echo: e, seen: map[string]bool{}}
	api.RegisterHandlers(r, handlers{s})
	for name := range access {
		if !r.seen[name] && r.err == nil {
			r.err = fmt.Errorf("auth.go has a row for %s, which is no route", name)
		}
	}
	return e, r.err
}

// registrar is the router that the generated code registers with.
type registrar struct {
	server *Server
	echo   *echo.Echo
	seen   map[string]bool
	err    error
}

func (r *registrar) add(method, path string, h echo.HandlerFunc) *echo.Route {
	operation, known := operations[method+" "+path]
	if !known {
		r.err = fmt.Errorf("%s %s is not in the contract", method, path)
		return nil
	}
	r.seen[operation.name] = true
	if strings.HasPrefix(path, "/dev/") && r.server.opts.Dev == nil {
		return nil
	}
	row, known := access[operation.name]
	if !known {
		r.err = fmt.Errorf("%s has no row in auth.go", operation.name)
		return nil
	}
	rt := &route{
		operation: operation, everyone: len(row) == 0, roles: setOf(row),
		metrics: r.server.opts.Metrics.route(operation.name, statusOK, statusCreated),
		timed:   method != http.MethodGet, ofAccount: strings.Contains(path, "/:account"),
	}
	if method == http.MethodGet && operation.name != endless {
		h = limited(h)
	}
	if len(operation.headers) > 0 {
		h = oneLine(h)
	}
	serve := r.server.endpoint(rt, handlers{r.server}.lean(operation.name, h))
	if method == http.MethodGet && operation.name != endless {
		r.echo.Add(http.MethodHead, path, serve) // net/http drops the body
	}
	return r.echo.Add(method, path, serve)
}

// endless is the route whose answer has no end, and so no HEAD.
const endless = "GET /v1/accounts/{account}/notifications/stream"

// endpoint is the frame around a handler: request id, key, role, account, query,
// timeout, then the handler; problems, panics, figures and access log after it.
func (s *Server) endpoint(rt *route, h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		request := c.Request()
		k := &call{Context: c, server: s, route: rt, requestID: s.requestID(request), ctx: request.Context()}
		header := c.Response().Header()
		header["X-Request-Id"], header["Cache-Control"] = k.values.of(requestIDPlace, k.requestID), noCache
		if !rt.timed {
			k.leaveBody() // nobody reads that of a GET
		}
		err := k.handle(h, start)
		broken := err != nil && c.Response().Committed
		switch {
		case broken:
			s.opts.Logger.Error("answer broke off", "request_id", k.requestID, "route", rt.name, "error", err)
		case err != nil:
			s.writeProblem(k, err)
		}
		took := time.Since(start)
		rt.metrics.observe(c.Response().Status, took)
		if level := accessLevel(c.Response().Status); s.opts.Logger.Enabled(k.ctx, level) {
			s.logAccess(k, level, took)
		}
		if broken {
			// Half a file must not look like a whole one: the connection is cut.
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

func (k *call) handle(h echo.HandlerFunc, start time.Time) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := k.admit(); err != nil {
		return err
	}
	if k.route.timed {
		k.timed = timedContext{k.server.timeouts.at(start), k.ctx}
		k.ctx = &k.timed
	}
	return k.orBehind(h(k))
}

// admit checks in this order: key, role, account, query, Idempotency-Key.
func (k *call) admit() error {
	if err := k.authenticate(); err != nil {
		return err
	}
	if k.route.ofAccount {
		if err := k.enter(k.Param("account")); err != nil {
			return err
		}
	}
	if query := k.Request().URL.RawQuery; query != "" || len(k.route.needed) > 0 {
		if err := k.checkQuery(query); err != nil {
			return err
		}
	}
	return k.checkIdempotencyKey()
}

// enter checks the account in the path, and that the key may see it.
func (k *call) enter(account string) error {
	if k.Request().URL.RawPath != "" {
		plain, err := url.PathUnescape(account)
		if err != nil {
			return domain.Refuse(domain.CodeIDInvalid, "account is not well escaped").With("field", "account")
		}
		account = plain
	}
	check := domain.CheckAccount
	if !k.route.timed {
		check = domain.CheckID // the engine's own accounts may be read
	}
	if err := check("account", account); err != nil {
		return err
	}
	k.account = account
	return k.mayEnter(account)
}

// maxLoggedPath bounds what a client can put into the log.
const maxLoggedPath = 256

func (s *Server) logAccess(k *call, level slog.Level, took time.Duration) {
	request := k.Request()
	key := ""
	if k.key != nil {
		key = k.key.ID
	}
	s.opts.Logger.LogAttrs(k.ctx, level, "request",
		slog.String("request_id", k.requestID), slog.String("method", request.Method), slog.String("path", clipTo(request.URL.Path, maxLoggedPath)),
		slog.Int("status", k.Response().Status), slog.String("key", key), slog.Duration("took", took),
		slog.Int64("bytes", k.Response().Size))
}
