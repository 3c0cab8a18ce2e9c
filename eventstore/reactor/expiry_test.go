package reactor_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
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
	// refuse says what becomes of telling an account.
	refuse func(name string) error
	told   []string
	// tried and visited count, looks too.
	tried, visited, looks int
	// stopped is why the read model gets no further.
	stopped error
}

func (l *datedLots) ExpiringLots(_ context.Context, _, until time.Time, behind []byte, visit func(string, account.ExpiryAnnounced) bool) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	for i, name := range l.untold {
		place := fmt.Appendf(nil, "%09d", i)
		if bytes.Compare(place, behind) <= 0 || slices.Contains(l.told, name) {
			continue
		}
		behind = place
		l.visited++
		if !visit(name, account.ExpiryAnnounced{Amount: domain.Credit, ExpiresAt: until}) {
			break
		}
	}
	return behind, nil
}

func (l *datedLots) WaitThrough(context.Context, eventstore.Position) error { return l.stopped }

func (l *datedLots) AnnounceExpiry(_ context.Context, name string, _ account.ExpiryAnnounced) (eventstore.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried++
	if err := l.refuse(name); err != nil {
		return eventstore.BeforeFirst, err
	}
	l.told = append(l.told, name)
	return math.MaxInt64, nil
}

func (l *datedLots) announce(t *testing.T) error {
	r := newRig(t)
	r.follow()
	return r.reactor(func(o *reactor.Options) { o.Lots, o.Announce = l, l }).RunDue(t.Context())
}

// TestOneAccountThatCantBeTold: it keeps nobody else from being told.
func TestOneAccountThatCantBeTold(t *testing.T) {
	lots := &datedLots{untold: []string{"a", "broken", "broken", "b", "c"}, refuse: func(name string) error {
		if name == "broken" {
			return errLost
		}
		return nil
	}}
	require.ErrorIs(t, lots.announce(t), errLost)
	require.Equal(t, []string{"a", "b", "c"}, lots.told)
	require.Equal(t, 4, lots.tried)
}

// TestManyWhoCantBeTold: trouble that isn't an account's ends the work, and what is
// said of it is short.
func TestManyWhoCantBeTold(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		tries int
	}{
		"each for itself": {errLost, 10},
		"a full disk":     {domain.Refuse(domain.CodeUnavailable, "no room"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			lots := &datedLots{refuse: func(string) error { return c.err }}
			for i := range 2500 {
				lots.untold = append(lots.untold, fmt.Sprint("a", i))
			}
			err := lots.announce(t)
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, "the others are not tried")
			require.Equal(t, c.tries, lots.tried)
			require.Len(t, strings.Split(err.Error(), "\n"), c.tries+1)
		})
	}
}

// TestManyAreTold: each look goes on where the last one ended.
func TestManyAreTold(t *testing.T) {
	lots := &datedLots{refuse: func(name string) error {
		if name == "broken" {
			return errLost
		}
		return nil
	}}
	for i := range 2500 {
		lots.untold = append(lots.untold, fmt.Sprint("a", i), "broken")
	}
	require.ErrorIs(t, lots.announce(t), errLost)
	require.Len(t, lots.told, 2500)
	require.Equal(t, 2501, lots.tried)
	require.Equal(t, 5000, lots.visited, "no lot is looked at twice")
}

// TestNobodyIsNeverTold: those who can't be told come first each time, and are more than a
// look puts up with.
func TestNobodyIsNeverTold(t *testing.T) {
	lots := &datedLots{refuse: func(name string) error {
		if strings.HasPrefix(name, "broken") {
			return errLost
		}
		return nil
	}}
	for i := range 15 {
		lots.untold = append(lots.untold, fmt.Sprint("broken", i))
	}
	lots.untold = append(lots.untold, "good")
	r := newRig(t)
	r.follow()
	engine := r.reactor(func(o *reactor.Options) { o.Lots, o.Announce = lots, lots })
	aside := map[string]bool{}
	require.ErrorContains(t, engine.Announce(t.Context(), aside), "the others are not tried")
	require.Empty(t, lots.told)
	require.ErrorIs(t, engine.Announce(t.Context(), aside), errLost)
	require.Len(t, lots.told, 1)
	require.Empty(t, aside, "all were tried: the next look begins again")
}

// TestStoppedReadModelsTellNobody: they call a lot untold that was spent, or told of, since.
func TestStoppedReadModelsTellNobody(t *testing.T) {
	lots := &datedLots{untold: []string{"a"}, stopped: errLost, refuse: func(string) error { return nil }}
	require.ErrorIs(t, lots.announce(t), errLost)
	require.Empty(t, lots.told)
}
