package main

import (
	"context"
	"fmt"
	"time"

	"iocredits/eventstore"
	"iocredits/eventstore/reactor"
)

// keepsUp tells whether this engine's read models follow the log: what is due, or waits for
// a payment link, is looked up in them. An engine of which they stand still, or are built
// anew, holds the reactor's lease as well as any other and would do nothing with it.
type keepsUp struct {
	head    func(context.Context) (eventstore.Position, error)
	through func() eventstore.Position
	// target is where the log ended at since, once the read models had reached the last one.
	target eventstore.Position
	since  time.Time
}

const (
	// lateAfter is how long the read models may take to where the log ended before: far
	// longer than they do where nothing is wrong.
	lateAfter = 3 * reactor.DefaultLeaseTTL
	// headWithin bounds the look at the log: the lease has to be renewed.
	headWithin = reactor.DefaultLeaseTTL / 10
)

// fit is a reactor.Lease's. A log that is out of reach is no reason: others don't reach it
// either, or the lease will be lost.
func (k *keepsUp) fit(ctx context.Context) error {
	through := k.through()
	if !k.since.IsZero() && through < k.target {
		if late := time.Since(k.since); late > lateAfter {
			k.since = time.Time{} // whoever takes the lease again has as much time
			return fmt.Errorf("the read models are at position %d, and have not reached %d for %s", through, k.target, late.Round(time.Second))
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, headWithin)
	defer cancel()
	if head, err := k.head(ctx); err == nil {
		k.target, k.since = head, time.Now()
	}
	return nil
}
