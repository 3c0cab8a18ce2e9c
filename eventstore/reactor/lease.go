package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// Lease lets one of several engines do a piece of work (design.md rule 8). It is
// a stream: whoever appends to it at the exact revision that it read holds the
// lease, and keeps it by appending again.
//
// No two clocks are compared. An engine that waits takes the lease when the
// stream hasn't moved for TTL by its own clock. So a holder that is cut off from
// the log may go on for a moment while another begins: for the reactor that is
// wasteful and never wrong.
type Lease struct {
	Store eventstore.Store
	// Name of the lease; Holder says in the log and in the stream who has it.
	Name, Holder string
	// TTL is how long a holder may be silent before another takes over.
	TTL time.Duration
	// Fit, if set, says why this engine can't do the work now; nil: it can. It is asked at
	// each renewal. Who isn't fit gives the lease back and leaves it to others for a TTL;
	// where nobody wanted it, it is better held by who isn't than by none.
	Fit    func(ctx context.Context) error
	Logger *slog.Logger

	// asked is the newest record that was to be written. It is the same one while it is
	// tried again at its place: whose answer was lost finds that it is there already.
	asked struct {
		at  int64
		typ string
		id  uuid.UUID
	}
}

// Types of a lease's events. Stored names are for ever.
const (
	typeTaken    = "lease-taken"
	typeReleased = "lease-released"
)

type leaseRecord struct {
	Holder string `json:"holder"`
}

// DefaultLeaseTTL is how long the reactor's work rests when its holder dies.
const DefaultLeaseTTL = 10 * time.Second

// renewals is how often a holder speaks within TTL.
const renewals = 4

// Hold runs work whenever this engine has the lease, until ctx ends. The context
// of work ends when the lease is lost, and Hold waits for it.
func (l *Lease) Hold(ctx context.Context, work func(context.Context)) {
	for ctx.Err() == nil {
		at, err := l.take(ctx)
		if err != nil {
			if ctx.Err() == nil {
				l.Logger.Warn("lease not taken", "lease", l.Name, "error", err)
				sleep(ctx, l.TTL/renewals, nil, nil)
			}
			continue
		}
		l.Logger.Info("lease taken", "lease", l.Name, "holder", l.Holder)
		if l.use(ctx, at, work) {
			sleep(ctx, l.TTL, nil, nil)
		}
	}
}

// take waits until the lease is free and takes it. It answers the revision that
// says so.
func (l *Lease) take(ctx context.Context) (int64, error) {
	seen := eventstore.NoStream - 1 // where no stream ends
	var since time.Time
	for {
		at, free, mine, err := l.newest(ctx)
		if err != nil {
			return 0, err
		}
		if at != seen {
			seen, since = at, time.Now()
		}
		if free || mine || time.Since(since) >= l.TTL {
			at, err := l.put(ctx, at, typeTaken)
			var conflict *eventstore.ConflictError
			if !errors.As(err, &conflict) {
				return at, err
			}
			continue // another engine was faster
		}
		sleep(ctx, min(l.TTL/renewals, l.TTL-time.Since(since)), nil, nil)
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
}

// use runs work and renews the lease until it is lost, or until ctx ends or this engine
// isn't fit, in which case it is given back.
func (l *Lease) use(ctx context.Context, at int64, work func(context.Context)) (unfit bool) {
	inner, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(inner)
	}()
	renewed, failed, soon := time.Now(), false, false
	for ctx.Err() == nil {
		if !soon {
			sleep(ctx, l.TTL/renewals, nil, nil)
		}
		if unfit = l.isUnfit(ctx); unfit {
			break
		}
		next, err := l.put(ctx, at, typeTaken)
		if err == nil {
			// After a failure the record may be as old as its first try, and others count
			// from there: so the next one comes at once.
			soon = failed
			at, renewed, failed = next, time.Now(), false
			continue
		}
		failed, soon = true, false
		var conflict *eventstore.ConflictError
		if errors.As(err, &conflict) || time.Since(renewed) >= l.TTL {
			l.Logger.Warn("lease lost", "lease", l.Name, "holder", l.Holder, "error", err)
			break
		}
	}
	cancel()
	<-done
	if ctx.Err() != nil || unfit {
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), l.TTL/renewals)
		defer stop()
		l.giveBack(last, at)
	}
	return unfit
}

func (l *Lease) isUnfit(ctx context.Context) bool {
	if l.Fit == nil {
		return false
	}
	err := l.Fit(ctx)
	if err != nil {
		l.Logger.Warn("lease given back: another engine may do better", "lease", l.Name, "holder", l.Holder, "error", err)
	}
	return err != nil
}

// giveBack says that the lease is free, if the stream still ends with this engine's
// record. That may be one whose answer was lost, or cut off by the stop itself, and it
// may come to the log after a first look. What can't be given back runs out.
func (l *Lease) giveBack(ctx context.Context, at int64) {
	taken := l.asked.id
	for {
		_, err := l.put(ctx, at, typeReleased)
		var conflict *eventstore.ConflictError
		if !errors.As(err, &conflict) {
			return
		}
		end, newest, err := l.end(ctx)
		if err != nil || newest.ID != taken || end == at {
			return
		}
		at = end
	}
}

// newest is where the stream ends: free, somebody gave the lease back; mine, the record is
// the one that this engine wrote without learning so.
func (l *Lease) newest(ctx context.Context) (at int64, free, mine bool, err error) {
	at, r, err := l.end(ctx)
	free = at == eventstore.NoStream || r.Type == typeReleased
	return at, free, r.Type == typeTaken && r.ID == l.asked.id, err
}

// end is the stream's last record and its revision; NoStream if there is none.
func (l *Lease) end(ctx context.Context) (at int64, newest eventstore.Event, err error) {
	for r, err := range l.Store.ReadStream(ctx, eventstore.LeaseStream(l.Name), eventstore.End, eventstore.Backwards, 1) {
		if err != nil {
			return 0, eventstore.Event{}, fmt.Errorf("read lease %s: %w", l.Name, err)
		}
		return r.Revision, r.Event, nil
	}
	return eventstore.NoStream, eventstore.Event{}, nil
}

// idFor is the id of the record that is to be written at a place: a new one, unless the
// same record was asked for before.
func (l *Lease) idFor(at int64, typ string) uuid.UUID {
	if l.asked.at != at || l.asked.typ != typ {
		l.asked.at, l.asked.typ, l.asked.id = at, typ, uuid.New()
	}
	return l.asked.id
}

// put writes a record behind at, and answers its revision. Errors: *ConflictError, if
// the stream is elsewhere; after any other it may have been written all the same.
func (l *Lease) put(ctx context.Context, at int64, typ string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.TTL/2)
	defer cancel()
	stream := eventstore.LeaseStream(l.Name)
	if at == eventstore.NoStream {
		var conflict *eventstore.ConflictError
		bound := []eventstore.Event{{ID: uuid.New(), Type: eventstore.TypeMetadata, Data: []byte(eventstore.KeepNewest), Metadata: []byte("{}")}}
		if _, err := l.Store.Append(ctx, eventstore.MetadataStream(stream), eventstore.NoStream, bound); err != nil && !errors.As(err, &conflict) {
			return 0, fmt.Errorf("bound lease %s: %w", l.Name, err)
		}
	}
	data, err := json.Marshal(leaseRecord{Holder: l.Holder})
	if err != nil {
		return 0, fmt.Errorf("encode lease: %w", err)
	}
	appended, err := l.Store.Append(ctx, stream, at, []eventstore.Event{{ID: l.idFor(at, typ), Type: typ, Data: data, Metadata: []byte("{}")}})
	if err != nil {
		return 0, fmt.Errorf("write lease %s: %w", l.Name, err)
	}
	return appended.Revision, nil
}
