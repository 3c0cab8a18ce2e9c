package esdbstore

import (
	"log/slog"
	"time"
)

// Options of a Store. The zero value is a good default.
type Options struct {
	Logger *slog.Logger
	// Deadline bounds a call with all its repeats, and AttemptTimeout one try.
	Deadline, AttemptTimeout time.Duration
	// Patience is how long an outage lasts before calls fail at once with
	// eventstore.ErrUnavailable. Until then they wait for its end.
	Patience time.Duration
	// PingEvery is the time between two looks whether the cluster still answers.
	// PingTimeout bounds the answer.
	PingEvery, PingTimeout time.Duration
	// CloseGrace is how long Close lets appends under way find out their outcome.
	CloseGrace time.Duration
}

// Defaults of Options.
const (
	DefaultDeadline       = 30 * time.Second
	DefaultAttemptTimeout = 5 * time.Second
	DefaultPatience       = 2 * time.Second
	DefaultPingEvery      = 5 * time.Second
	DefaultPingTimeout    = 3 * time.Second
	DefaultCloseGrace     = 5 * time.Second
)

const (
	// pageEvents and pageBytes bound what one read asks for: a page is read
	// whole before its first event is handed on, so that a slow receiver holds
	// no call open.
	pageEvents = 512
	pageBytes  = 4 << 20
	// batchEvents and batchBytes end a subscription's batch.
	batchEvents = 2_048
	batchBytes  = 1 << 20
	// ahead is how many events a subscription receives before they are asked for.
	ahead = 512

	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 2 * time.Second
	// maxUnclear bounds the repeats after an error that says nothing about
	// whether a repeat makes sense.
	maxUnclear = 5
)

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&o.Deadline, DefaultDeadline}, {&o.AttemptTimeout, DefaultAttemptTimeout}, {&o.Patience, DefaultPatience},
		{&o.PingEvery, DefaultPingEvery}, {&o.PingTimeout, DefaultPingTimeout}, {&o.CloseGrace, DefaultCloseGrace},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
}

// backoff doubles from the first to the last.
type backoff struct{ next time.Duration }

func (b *backoff) step() time.Duration {
	now := max(b.next, firstBackoff)
	b.next = min(2*now, lastBackoff)
	return now
}
