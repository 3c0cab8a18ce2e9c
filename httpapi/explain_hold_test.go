package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

// doAll executes commands of a service in demo-1, and gives the id of the last event.
func (r *rig) doAll(all ...account.Action) (last string) {
	r.t.Helper()
	requests := make([]ledger.Request, len(all))
	for i := range all {
		requests[i] = ledger.Request{Account: "demo-1", Do: all[i], Actor: "a", Role: "service"}
	}
	for some := range slices.Chunk(requests, 1_000) { // so many may wait
		for _, out := range r.ledger.ExecuteBatch(r.t.Context(), some) {
			require.NoError(r.t, out.Err)
			last = out.Result.Facts[0].ID.String()
		}
	}
	return last
}

// TestAReservationsLifeHasBounds: of a long one its beginning is told, and that there is more.
func TestAReservationsLifeHasBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: more than ten thousand events")
	}
	const steps, events = 1_000, 10_000 // as the contract says
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	capture := account.Capture{Reservation: "a", Amount: domain.Micro}
	begun := r.doAll(account.Reserve{Reservation: "a", Amount: 20 * domain.Credit, Service: domain.ServiceRay})
	told := func(id string, want int, cut bool) {
		t.Helper()
		x, text := r.explain(id)
		require.Len(t, x.Objects[0].Steps, want)
		more := strings.Contains(text, "\n    there may be more: at most 1000 steps are told, from the 10000 events after it began\n")
		require.Equal(t, cut, more)
	}
	r.doAll(slices.Repeat([]account.Action{capture}, steps-1)...)
	told(begun, steps, false)
	told(r.doAll(capture), steps+1, true)
	told(begun, steps, true)

	closed := r.doAll(account.Reserve{Reservation: "c", Amount: domain.Credit, Service: domain.ServiceRay})
	r.doAll(account.Release{Reservation: "c"})
	begun = r.doAll(account.Reserve{Reservation: "b", Amount: 20 * domain.Credit, Service: domain.ServiceRay})
	capture.Reservation = "b"
	r.doAll(slices.Repeat([]account.Action{account.Deduct{Amount: domain.Micro, Service: domain.ServiceVM}}, events-1)...)
	r.doAll(capture)
	told(begun, 2, false)
	told(r.doAll(account.Release{Reservation: "b"}), 3, true)
	told(begun, 2, true)
	told(closed, 2, false)
}
