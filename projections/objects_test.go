package projections_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/projections"
)

// Objects are what their own events made of them, and stand in one queue each.
func TestObjectsAreWhatTheirEventsMade(t *testing.T) {
	seeded(t, 4, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		p := newPlayer(r, 3, rng.IntN)
		for range 150 {
			acct := fmt.Sprint("a", rng.IntN(3))
			var do account.Action = account.ApproveAdjustment{Adjustment: p.id("x")}
			if rng.IntN(2) == 0 {
				do = account.RequestAdjustment{Adjustment: p.id("x"), Amount: domain.Amount(1+rng.IntN(3)) * 500 * credit}
			}
			_, err := r.Execute(bg, ledgerRequest{Account: acct, Do: do, Actor: fmt.Sprint("actor", rng.IntN(3)), Role: "finance"})
			_, refused := domain.AsError(err)
			require.True(t, err == nil || refused, "%v", err)
		}
		r.toEnd()
		queued := map[string]int{}
		for name, a := range r.log() {
			want := map[string]account.Object{}
			events := map[string]int{}
			for _, f := range a.facts {
				if kind, id, ok := account.ObjectOf(f.Body); ok {
					if want[id] == nil {
						want[id] = account.NewObject(kind)
					}
					want[id].Apply(f.Body)
					events[id]++
				}
			}
			for id, object := range want {
				got, found, err := r.views.Object(bg, name, account.ObjectAdjustment, id)
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, object, got.Object)
				require.Equal(t, events[id], got.Events)
				require.Equal(t, object.Status(), got.Steps[len(got.Steps)-1].Status)
				queued[object.Status()]++
			}
			require.Len(t, r.objects(func(after string) (projections.ObjectPage, error) {
				return r.views.Objects(bg, name, account.ObjectAdjustment, 2, after)
			}), len(want))
			require.Len(t, r.objects(func(after string) (projections.ObjectPage, error) {
				return r.views.ObjectsDown(bg, name, account.ObjectAdjustment, 2, after)
			}), len(want))
		}
		require.NotEmpty(t, queued)
		for status, n := range queued {
			items := r.objects(func(after string) (projections.ObjectPage, error) {
				return r.views.QueueSince(bg, account.ObjectAdjustment, status, time.Time{}, 2, after)
			})
			require.Len(t, items, n, status)
			for i, item := range items {
				require.Equal(t, status, item.Object.Status())
				require.False(t, i > 0 && item.CreatedAt.Before(items[i-1].CreatedAt), "oldest first")
			}
		}
	})
}

func (r *rig) objects(page func(after string) (projections.ObjectPage, error)) []*projections.ObjectRecord {
	r.t.Helper()
	var all []*projections.ObjectRecord
	for after := ""; ; {
		p, err := page(after)
		require.NoError(r.t, err)
		require.LessOrEqual(r.t, len(p.Items), 2)
		all = append(all, p.Items...)
		if after = p.Next; after == "" {
			return all
		}
	}
}

func TestObjectsThatAreNotThere(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	for _, id := range []string{"x", "y", "z"} {
		r.do("a", "", account.RequestAdjustment{Adjustment: id, Amount: credit})
	}
	r.toEnd()
	_, found, err := r.views.Object(bg, "b", account.ObjectAdjustment, "x")
	require.NoError(t, err)
	require.False(t, found)
	page, err := r.views.Objects(bg, "a", account.ObjectAdjustment, 1, "")
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	for _, cursor := range []string{page.Next, "!", "AAAA"} {
		_, err = r.views.Objects(bg, "b", account.ObjectAdjustment, 1, cursor)
		require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%v", err)
	}
}
