package projections_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// fullStore takes so many appends, and then no more.
type fullStore struct {
	eventstore.Store
	left int
}

func (s *fullStore) Append(ctx context.Context, stream string, expected int64, events []eventstore.Event) (eventstore.Appended, error) {
	if s.left--; s.left < 0 {
		return eventstore.Appended{}, eventstore.ErrUnavailable
	}
	return s.Store.Append(ctx, stream, expected, events)
}

// TestTheRestOfWhatWaitsIsDue: an engine that ends, or has no room, after the first part of
// what an inflow pays leaves an account that is listed as due, until all is paid.
func TestTheRestOfWhatWaitsIsDue(t *testing.T) {
	const waiting = 300
	r := newRig(t, vfs.NewMem(), nil)
	price, err := domain.ParseRate("hourly_price", "1")
	require.NoError(t, err)
	for i := range waiting {
		r.do("a", "", account.StartDeployment{Deployment: fmt.Sprint(i), Service: domain.ServiceVM, HourlyPrice: price, Hours: 1})
	}
	require.NoError(t, r.Close(bg))
	short := ledger.New(ledger.Options{
		Store: &fullStore{r.store, 1}, Codec: codec, Names: namesOf{r}, Clock: r.clock.Now, Logger: quiet(),
	})
	_, err = short.Execute(bg, ledger.Request{
		Account: "a", Actor: "ann", Role: "admin", Do: account.RecordPurchase{Purchase: "p", Amount: waiting * credit},
	})
	require.NoError(t, err)
	require.NoError(t, short.Close(bg)) // which has tried to pay the rest

	r.begin()
	r.toEnd()
	left := func() domain.Amount {
		b, err := r.views.Balance(bg, "a")
		require.NoError(t, err)
		return b.Balance.Balance
	}
	require.NotEmpty(t, r.due(r.clock.Now(), 10, nobody))
	for now := r.clock.Now(); len(r.due(now, 10, nobody)) > 0; r.toEnd() {
		require.Positive(t, left())
		r.do("a", "", account.Tick{}) // as the reactor does for what is listed
	}
	require.Zero(t, left())
	require.Len(t, r.due(r.clock.Now().Add(time.Hour), 10, nobody), 1, "they run, and end")
}
