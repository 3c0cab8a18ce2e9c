package account_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestOverdue: more is due than a Tick ends, where each lot counts that may expire, or to
// which a hold gives back; and what comes back may pay all that waits, from all lots.
func TestOverdue(t *testing.T) {
	dated := func(n int) []domain.Event {
		return many(n, func(string) domain.Event { return &account.IncentiveGranted{Amount: credit, ExpiresAt: hour(1)} })
	}
	lasting := func(n int) []domain.Event {
		return many(n, func(string) domain.Event { return &account.IncentiveGranted{Amount: credit} })
	}
	hold := func(n int) []domain.Event {
		return append(lasting(n), &account.Reserved{Reservation: "r", Lots: uses(0, int64(n)-1), ExpiresAt: hour(1)})
	}
	waits := events(requested("d", "1", 1, 1000*credit, hour(0)), &account.DeploymentPending{Deployment: "d", GraceEndsAt: hour(9)})
	for _, c := range []struct {
		name  string
		facts []domain.Event
		at    time.Time
		want  bool
	}{
		{"as many lots as a Tick ends", dated(100), hour(1), false},
		{"one more", dated(101), hour(1), true},
		{"that is not due yet", dated(101), hour(1).Add(-1), false},
		{"a hold with its lots", hold(99), hour(1), false},
		{"a hold with one more", hold(100), hour(1), true},
		{"something that comes back, and what waits", append(append(hold(1), waits...), lasting(97)...), hour(1), false},
		{"the same, with one lot more", append(append(hold(1), waits...), lasting(98)...), hour(1), true},
		{"nothing that comes back", append(waits, lasting(99)...), hour(1), false},
	} {
		s := account.New()
		for _, e := range c.facts {
			account.Evolve(s, e)
		}
		require.Equal(t, c.want, s.Overdue(func() time.Time { return c.at }), c.name)
	}
}
