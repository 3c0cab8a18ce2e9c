package httpapi

import (
	"context"
	"sync/atomic"
	"time"
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

// timedContext ends with its timeout. That the client has gone only Err tells, at
// once, and not Done: who is about to begin something asks Err, and who waits for
// what was begun waits on. So does a context made from it, whose Err tells of its own
// end only: who waits for what nobody may want any more gives it a patience of its own.
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
