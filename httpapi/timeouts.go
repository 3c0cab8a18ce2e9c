package httpapi

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// timeouts gives requests a context that ends once they have taken too long. Those
// that begin close together share it: a timer of its own is a fortieth of what a
// deduction costs.
type timeouts struct {
	after   time.Duration
	current atomic.Pointer[timeout]
}

// timeout is for requests that begin before until.
type timeout struct {
	context.Context
	until time.Time
}

// sharedFor is how long one timeout is given out, and so how much longer than
// after a request may have.
const sharedFor = 100 * time.Millisecond

// at gives the timeout of a request that begins now.
func (t *timeouts) at(now time.Time) *timeout {
	if c := t.current.Load(); c != nil && now.Before(c.until) {
		return c
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.after+sharedFor)
	context.AfterFunc(ctx, cancel)
	c := &timeout{ctx, now.Add(sharedFor)}
	t.current.Store(c) // of two made at once one serves only the request that made it
	return c
}

// timedContext ends with its timeout. Once the client has gone, Err says so, but Done stays
// open: whoever is about to begin something asks Err, and whoever waits for what was begun
// waits on. A context made from this one doesn't learn of it at all, so a wait that nobody
// may want any more needs a patience of its own.
type timedContext struct {
	*timeout
	client context.Context
}

// Err implements context.Context.
func (c *timedContext) Err() error {
	if err := c.client.Err(); err != nil {
		return err
	}
	return c.timeout.Err()
}

// Value implements context.Context.
func (c *timedContext) Value(key any) any { return c.client.Value(key) }

// limited gives a read a context of its own, which ends after RequestTimeout, or at once
// when the client has gone: unlike a command, a read may be given up in the middle. An
// account's history has no bound, and to fold all of it could take any time. Reads of one
// look-up don't need this and go without; a file that has begun takes as long as its
// reader does, with a limit for each piece (send.go).
func limited(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		k := callOf(c)
		whole := k.ctx
		ctx, cancel := context.WithTimeout(whole, k.server.opts.RequestTimeout)
		defer cancel()
		k.ctx = ctx
		defer func() { k.ctx = whole }()
		return h(c)
	}
}

// unlimited is for a file that begins: from here on its reader sets the pace.
func (k *call) unlimited() { k.ctx = k.Request().Context() }
