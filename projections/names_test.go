package projections_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

type ledgerRequest = ledger.Request

// Every name that the log claims is found, at its first claim, for ever.
func TestNamesAreFoundAtTheirFirstClaim(t *testing.T) {
	seeded(t, 4, func(t *testing.T, rng *rand.Rand) {
		r := played(t, rng, 200)
		type claim struct {
			account string
			name    ledger.Name
		}
		want := map[claim]int64{}
		for name, a := range r.log() {
			for _, f := range a.facts {
				for _, n := range ledger.AppendNames(nil, &f) {
					if _, taken := want[claim{name, n}]; !taken {
						want[claim{name, n}] = f.Revision
					}
					revision, found, err := r.views.Find(bg, name, n)
					require.NoError(t, err)
					require.True(t, found, n)
					require.Equal(t, want[claim{name, n}], revision, n)
				}
			}
		}
		require.Greater(t, len(want), 50)
		_, found, err := r.views.Find(bg, "a0", ledger.NameOfCommand("never"))
		require.NoError(t, err)
		require.False(t, found)
	})
}

// Two engines may both have claimed a name: the first claim counts, in the same
// batch of the log and in a later one, and in its own account only.
func TestTheFirstClaimWins(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	claim := func(acct string, expected int64) {
		data, err := codec.Encode(&account.Unfrozen{})
		require.NoError(t, err)
		meta, err := eventstore.EncodeMetadata(eventstore.Metadata{RecordedAt: start, Command: eventstore.Command{ID: "k", Count: 1}})
		require.NoError(t, err)
		_, err = r.store.Append(bg, eventstore.AccountStream(acct), expected, []eventstore.Event{{ID: uuid.New(), Type: "account-unfrozen", Data: data, Metadata: meta}})
		require.NoError(t, err)
	}
	find := func(acct string) (int64, bool) {
		revision, found, err := r.views.Find(bg, acct, ledger.NameOfCommand("k"))
		require.NoError(t, err)
		return revision, found
	}
	r.do("a", "", account.Freeze{})
	claim("a", 0)
	claim("a", 1)
	r.toEnd()
	claim("a", 2)
	r.toEnd()
	revision, found := find("a")
	require.True(t, found)
	require.EqualValues(t, 1, revision)
	_, found = find("b")
	require.False(t, found)
	claim("b", -1)
	r.toEnd()
	revision, found = find("b")
	require.True(t, found)
	require.Zero(t, revision)
}

// With the views as the ledger's names, whatever their lag, over restarts of
// either and over rebuilds: a key has one effect.
func TestAKeyHasOneEffectHoweverFarTheViewsLag(t *testing.T) {
	seeded(t, 6, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		first := map[string]eventstore.Position{}
		for range 120 {
			switch rng.IntN(12) {
			case 0:
				r.restart()
			case 1:
				r.toEnd()
			case 2:
				require.NoError(t, r.views.Rebuild(bg, nil))
			case 3:
				require.NoError(t, r.views.Close())
				r.views = openViews(t, "views", r.opts)
			default:
				key := fmt.Sprint("k", rng.IntN(25))
				result := r.do("a", key, account.RecordPurchase{Purchase: key, Amount: credit})
				position, known := first[key]
				require.Equal(t, known, result.Replayed)
				if known {
					require.Equal(t, position, result.Position)
				}
				first[key] = result.Position
			}
		}
		r.toEnd()
		b, err := r.views.Balance(bg, "a")
		require.NoError(t, err)
		require.Equal(t, domain.Amount(len(first))*credit, b.Balance.Balance)
	})
}

// The state forgets a closed reservation; its name stays taken.
func TestANameOfAClosedThingIsNeverFree(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 0)
	r.do("a", "", account.Reserve{Reservation: "x", Amount: credit, Service: domain.ServiceRay})
	r.do("a", "", account.Release{Reservation: "x"})
	r.toEnd()
	r.restart()
	_, err := r.try("a", "", account.Reserve{Reservation: "x", Amount: credit, Service: domain.ServiceRay})
	require.True(t, domain.IsCode(err, domain.CodeDuplicateID), "%v", err)
	_, err = r.try("a", "", account.Release{Reservation: "x"})
	require.True(t, domain.IsCode(err, domain.CodeReservationClosed), "%v", err)
	_, err = r.try("a", "", account.Release{Reservation: "y"})
	require.True(t, domain.IsCode(err, domain.CodeUnknownReservation), "%v", err)
}
