package projections_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/projections"
)

// spoil changes a byte of every table in a folder, at this part of it.
func spoil(t *testing.T, fs vfs.FS, dir string, part float64) {
	t.Helper()
	names, err := fs.List(dir)
	require.NoError(t, err)
	spoilt := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		path := fs.PathJoin(dir, name)
		f, err := fs.Open(path)
		require.NoError(t, err)
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		content[int(part*float64(len(content)))] ^= 0x41
		to, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = to.Write(content)
		require.NoError(t, err)
		require.NoError(t, to.Close())
		spoilt++
	}
	require.Positive(t, spoilt, "no table")
}

// TestADamagedFileIsMended: wherever the disk has lost a bit, nothing ends and nothing
// wrong is shown; views that are followed are soon whole again.
func TestADamagedFileIsMended(t *testing.T) {
	for _, part := range []float64{0.05, 0.3, 0.5, 0.7, 0.9, 0.999} {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			r := newRig(t, vfs.NewMem(), nil)
			for i := range 20 {
				r.spend(fmt.Sprint("a", i), 30)
			}
			r.toEnd()
			require.NoError(t, r.views.Close())
			spoil(t, r.fs, currentDir(t, r.fs, "views"), part)

			r.views = openViews(t, "views", r.opts)
			r.follow()
			result := r.do("a1", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
			require.Eventually(t, func() bool {
				for i := range 20 {
					name := fmt.Sprint("a", i)
					if !r.whole(name) {
						return false
					}
				}
				return r.views.Through() >= result.Position
			}, 20*time.Second, time.Millisecond)
		})
	}
}

// TestARowThatIsOutOfPlace: a checkpoint that is whole says that each row has all events
// up to it. One that hasn't, as after a file of before was put back, is never gone on with.
func TestARowThatIsOutOfPlace(t *testing.T) {
	for events, at := range map[int64]string{3: "revision 7", -2: "revision 12"} {
		r := newRig(t, vfs.NewMem(), nil)
		r.spend("a", 10)
		r.toEnd()
		require.NoError(t, r.views.Close())
		r.views = openViews(t, "views", r.opts)
		require.Zero(t, r.views.Unwritten())
		require.NoError(t, r.views.AgeRow("a", events))
		through := r.views.Through()
		r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
		err := r.views.RunToEnd(bg, nil)
		require.ErrorContains(t, err, "the row for account-a is at "+at+", where 10 should be")
		require.True(t, projections.Damaged(err))
		require.True(t, projections.Permanent(err))
		require.Equal(t, through, r.views.Through())
	}
}

// whole reads all of an account; false if that can't be done now.
func (r *rig) whole(name string) bool {
	r.t.Helper()
	view, err := r.Read(bg, name)
	require.NoError(r.t, err)
	balance, err := r.views.Balance(bg, name)
	if err != nil {
		require.True(r.t, projections.Damaged(err), err)
		return false
	}
	page, err := r.views.Transactions(bg, projections.Query{Account: name, Limit: 100})
	if err != nil {
		require.True(r.t, projections.Damaged(err), err)
		return false
	}
	if balance.Revision != view.Revision {
		return false // late
	}
	require.Equal(r.t, view.Balance.Balance, balance.Balance.Balance)
	require.Equal(r.t, view.Balance.Balance, page.Items[0].BalanceAfter)
	require.Len(r.t, page.Items, int(view.Revision)+1)
	return true
}

// TestADamagedCurrent is a damaged file of the read models like any other: who reads them is
// told so, and can go on without them, and a start builds them again.
func TestADamagedCurrent(t *testing.T) {
	for _, text := range []string{"1\b", "3\n", "", "nonsense"} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			r := newRig(t, vfs.NewMem(), nil)
			r.spend("a", 10)
			r.toEnd()
			require.NoError(t, r.views.Close())
			whole := keyspace(t, r.fs, "views")
			f, err := r.fs.Create("views/CURRENT", vfs.WriteCategoryUnspecified)
			require.NoError(t, err)
			_, err = f.Write([]byte(text))
			require.NoError(t, err)
			require.NoError(t, f.Close())

			_, _, err = projections.OpenImage("views", r.opts)
			require.True(t, projections.Damaged(err), "%v", err)
			require.ErrorContains(t, err, "CURRENT")
			r.views = openViews(t, "views", r.opts)
			r.toEnd()
			require.NoError(t, r.views.Close())
			require.Equal(t, whole, keyspace(t, r.fs, "views"))
		})
	}
}

// TestRowsWithoutACheckpoint are not taken for empty views: events that were applied once
// more would be in the company's books, and in the tree, twice.
func TestRowsWithoutACheckpoint(t *testing.T) {
	for _, text := range []string{"", "{}", `{"format":"` + projections.CurrentFormat + `","position":0}`} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			r := newRig(t, vfs.NewMem(), nil)
			r.spend("a", 10)
			r.toEnd()
			require.NoError(t, r.views.Close())
			whole := keyspace(t, r.fs, "views")
			change(t, r.fs, "views", func(db *pebble.DB) error {
				if text == "" {
					return db.Delete([]byte("c"), pebble.Sync)
				}
				return db.Set([]byte("c"), []byte(text), pebble.Sync)
			})

			_, _, err := projections.OpenImage("views", r.opts)
			require.True(t, projections.Damaged(err), "%v", err)
			r.views = openViews(t, "views", r.opts)
			r.toEnd()
			require.NoError(t, r.views.Close())
			require.Equal(t, whole, keyspace(t, r.fs, "views"))
		})
	}
}
