package reactor

import (
	"context"
	"fmt"
	"time"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Lots is the read model of lots with a date.
type Lots interface {
	// ExpiringLots visits lots whose date is after from and at or before until, and
	// whose customers were not told yet; visit says whether to go on.
	ExpiringLots(ctx context.Context, from, until time.Time, visit func(account string, lot account.ExpiryAnnounced) bool) error
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
	for ctx.Err() == nil {
		if err := o.announce(ctx); err != nil && ctx.Err() == nil {
			o.Logger.Warn("expiring credits not announced in full", "error", err)
		}
		sleep(ctx, o.AnnounceEvery, nil, nil)
	}
}

// maxAnnounced bounds what one look collects.
const maxAnnounced = 1_000

// announce tells of every lot that is near enough now.
func (o *Options) announce(ctx context.Context) error {
	type found struct {
		account string
		lot     account.ExpiryAnnounced
	}
	for {
		var lots []found
		now := o.now()
		err := o.Lots.ExpiringLots(ctx, now, now.Add(o.AnnounceBefore), func(name string, lot account.ExpiryAnnounced) bool {
			lots = append(lots, found{name, lot})
			return len(lots) < maxAnnounced
		})
		if err != nil || len(lots) == 0 {
			return err
		}
		last := eventstore.BeforeFirst
		for _, f := range lots {
			position, err := o.Announce.AnnounceExpiry(ctx, f.account, f.lot)
			if err != nil {
				return fmt.Errorf("announce the expiry of lot %d of %s: %w", f.lot.Lot, f.account, err)
			}
			last = max(last, position)
		}
		// Before the next look the read model has to know of these.
		if err := o.Lots.WaitThrough(ctx, last); err != nil {
			return err
		}
	}
}
