package projections_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/projections"
)

// renew appends to a lease's stream and gives the position.
func (r *rig) renew(revision int64) eventstore.Position {
	r.t.Helper()
	appended, err := r.store.Append(bg, "lease-reactor", revision-1, []eventstore.Event{{ID: uuid.New(), Type: "lease-taken"}})
	require.NoError(r.t, err)
	return appended.Positions[0]
}

// The newest event that the views saw was a lease's, and a scavenge took it while
// they were closed: they are followed on, and not built again. If the log isn't
// the one that they saw, they are.
func TestViewsFollowOnAfterAScavenge(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(r *rig, checkpoint string) string
		fits bool
		lost bool
	}{
		"the same log": {func(_ *rig, c string) string { return c }, true, false},
		"another event is kept there": {func(_ *rig, c string) string {
			return strings.Replace(c, `"kept":{"position":3,"event":"00`, `"kept":{"position":3,"event":"ff`, 1)
		}, false, true},
		"more is kept than was seen": {func(r *rig, c string) string {
			for first, err := range r.store.ReadAll(bg, 1, eventstore.Forwards, 1) {
				require.NoError(r.t, err)
				before, _, _ := strings.Cut(c, `"kept":`)
				return before + fmt.Sprintf(`"kept":{"position":1,"event":%q}}`, first.ID)
			}
			return c
		}, false, true},
		"views of before": {func(_ *rig, c string) string {
			before, _, _ := strings.Cut(c, `,"kept":`)
			return before + "}"
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, vfs.NewMem(), nil)
			r.spend("a", 2) // three events
			require.EqualValues(t, 4, r.renew(0))
			_, err := r.store.Append(bg, eventstore.ClaimStream("p"), eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "payment-claimed"}})
			require.NoError(t, err, "which is kept, and no view follows it")
			saw := r.renew(1)
			r.toEnd()
			require.Equal(t, saw, r.views.Through())
			require.NoError(t, r.views.Close())
			change(t, r.fs, "views", func(db *pebble.DB) error {
				old, closer, err := db.Get([]byte("c"))
				require.NoError(t, err)
				edited := c.edit(r, string(old))
				require.NoError(t, closer.Close())
				require.Equal(t, name == "the same log", edited == string(old), edited)
				return db.Set([]byte("c"), []byte(edited), pebble.Sync)
			})
			r.renew(2)
			n, err := r.store.Scavenge(bg, func(e *eventstore.Recorded) (bool, error) {
				return e.Stream == "lease-reactor" && e.Revision < 2, nil
			})
			require.NoError(t, err)
			require.Equal(t, 2, n)

			if c.lost {
				_, err := projections.Open(bg, "views", r.opts)
				require.ErrorIs(t, err, projections.ErrLogLost)
				return
			}
			r.views = openViews(t, "views", r.opts)
			want := eventstore.BeforeFirst
			if c.fits {
				want = saw
			}
			require.Equal(t, want, r.views.Through())
			r.toEnd()
			require.Equal(t, saw+1, r.views.Through())
		})
	}
}
