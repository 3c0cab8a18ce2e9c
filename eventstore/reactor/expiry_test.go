package reactor_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/reactor"
)

// datedLots are lots that nobody was told of yet, and who is told.
type datedLots struct {
	mu     sync.Mutex
	untold []string
	broken string
	told   []string
}

func (l *datedLots) ExpiringLots(_ context.Context, _, until time.Time, visit func(string, account.ExpiryAnnounced) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.untold {
		if !visit(name, account.ExpiryAnnounced{Amount: domain.Credit, ExpiresAt: until}) {
			break
		}
	}
	return nil
}

func (l *datedLots) WaitThrough(context.Context, eventstore.Position) error { return nil }

func (l *datedLots) AnnounceExpiry(_ context.Context, name string, _ account.ExpiryAnnounced) (eventstore.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name == l.broken {
		return 0, errLost
	}
	l.told = append(l.told, name)
	var left []string
	for _, untold := range l.untold {
		if untold != name {
			left = append(left, untold)
		}
	}
	l.untold = left
	return math.MaxInt64, nil
}

// TestOneAccountThatCantBeTold: it keeps nobody else from being told.
func TestOneAccountThatCantBeTold(t *testing.T) {
	r := newRig(t)
	r.follow()
	lots := &datedLots{untold: []string{"a", "broken", "broken", "b", "c"}, broken: "broken"}
	err := r.reactor(func(o *reactor.Options) { o.Lots, o.Announce = lots, lots }).RunDue(t.Context())
	require.ErrorIs(t, err, errLost)
	require.Equal(t, []string{"a", "b", "c"}, lots.told)
	require.Equal(t, []string{"broken", "broken"}, lots.untold)
}
