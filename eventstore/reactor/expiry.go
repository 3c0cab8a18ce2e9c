package reactor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Lots is the read model of lots with a date.
type Lots interface {
	// ExpiringLots visits lots whose date is after from and at or before until, and
	// whose customers were not told yet; visit says whether to go on. It answers the
	// place where it stopped; the next call goes on behind it. nil: from the beginning.
	ExpiringLots(ctx context.Context, from, until time.Time, behind []byte, visit func(account string, lot account.ExpiryAnnounced) bool) (last []byte, err error)
	// WaitThrough returns once the read model has everything up to position.
	WaitThrough(ctx context.Context, position eventstore.Position) error
}

// Announcer records that a customer is told of credits that will expire.
type Announcer interface {
	AnnounceExpiry(ctx context.Context, account string, lot account.ExpiryAnnounced) (eventstore.Position, error)
}

// runAnnouncer tells customers ahead of time. It looks again and again at all
// lots with a date near enough: there is nothing to remember, and a lot that two
// engines announce is told of once, because the read model takes the first.
func (o *Options) runAnnouncer(ctx context.Context) {
	aside := map[string]bool{}
	for ctx.Err() == nil {
		if err := o.announce(ctx, aside); err != nil && ctx.Err() == nil {
			o.Logger.Warn("expiring credits not announced in full", "error", err)
		}
		sleep(ctx, o.AnnounceEvery, nil, nil)
	}
}

const (
	// maxAnnounced bounds what one look collects.
	maxAnnounced = 1_000
	// maxFailures is how many accounts can't be told before the trouble isn't theirs.
	maxFailures = 10
)

// announce tells of every lot that is near enough now, once the read model has what was
// acknowledged: to one that is behind, or has stopped, a lot that was spent or told of looks
// untold, and what customers are told stays in the log. An account that can't be
// told holds up no other; where maxFailures can't, or the log takes nothing, trouble is
// general, and it ends until the next time. Accounts that can't be told are put aside
// until a look has come to the end: so it comes to each, however many they are.
// Errors: those of such accounts, joined.
func (o *Options) announce(ctx context.Context, aside map[string]bool) error {
	if err := o.Lots.WaitThrough(ctx, o.Ledger.AckedAny()); err != nil {
		return fmt.Errorf("expiring credits: wait for the read model: %w", err)
	}
	now := o.now()
	a := announcing{Options: o, failed: aside}
	var behind []byte
	for {
		lots, place, err := o.expiring(ctx, now, behind)
		if err == nil && len(lots) == 0 {
			clear(aside)
		}
		if err != nil || len(lots) == 0 {
			return errors.Join(append(a.failures, err)...)
		}
		behind = place
		last, general := a.tell(ctx, lots)
		if general {
			err = errAnnouncingEnded
		}
		// The next look, now or in a while, has to know of these.
		if err = errors.Join(err, o.Lots.WaitThrough(ctx, last)); err != nil {
			return errors.Join(append(a.failures, err)...)
		}
	}
}

// errAnnouncingEnded: the failures are not all, because others were not tried.
var errAnnouncingEnded = errors.New("the others are not tried before the next time")

// announcing is one announce under way.
type announcing struct {
	*Options
	failed   map[string]bool
	failures []error
}

// tell announces lots, those of accounts aside that failed. It answers the position of
// the last that was written; true: there is no use in going on.
func (a *announcing) tell(ctx context.Context, lots []expiringLot) (last eventstore.Position, general bool) {
	last = eventstore.BeforeFirst
	for _, f := range lots {
		if a.failed[f.account] {
			continue
		}
		position, err := a.Announce.AnnounceExpiry(ctx, f.account, f.lot)
		last = max(last, position)
		if err == nil {
			continue
		}
		a.failures = append(a.failures, fmt.Errorf("announce the expiry of lot %d of %s: %w", f.lot.Lot, f.account, err))
		if domain.IsCode(err, domain.CodeUnavailable) || ctx.Err() != nil {
			return last, true // it isn't the account's
		}
		a.failed[f.account] = true
		if len(a.failures) == maxFailures {
			return last, true
		}
	}
	return last, false
}

// expiringLot is a lot and whose it is.
type expiringLot struct {
	account string
	lot     account.ExpiryAnnounced
}

// expiring lists lots that are near enough now, from behind a place on, up to the next.
func (o *Options) expiring(ctx context.Context, now time.Time, behind []byte) (lots []expiringLot, place []byte, err error) {
	place, err = o.Lots.ExpiringLots(ctx, now, now.Add(o.AnnounceBefore), behind, func(name string, lot account.ExpiryAnnounced) bool {
		lots = append(lots, expiringLot{name, lot})
		return len(lots) < maxAnnounced
	})
	return lots, place, err
}
