package projections_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/eventstore/storetest"
	"iocredits/projections"
)

// moody is a disk that is full now and then.
type moody struct {
	vfs.FS
	full func() bool
}

func (m *moody) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if m.full() {
		return vfs.DiskUsage{}, nil
	}
	return vfs.DiskUsage{AvailBytes: 1 << 40}, nil
}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}()

// ahead is a rig with a game behind it that its views don't have yet. Changes under way
// fail now and then if fails says so.
func ahead(t *testing.T, rng *rand.Rand, fails bool) (*rig, *moody) {
	t.Helper()
	disk := &moody{FS: vfs.NewMem(), full: func() bool { return false }}
	r := newRig(t, disk.FS, func(o *projections.Options) { o.FS, o.MinFreeBytes = disk, 1 })
	r.toEnd() // names are asked for
	p := newPlayer(r, 9, rng.IntN)
	leases := int64(0)
	for range 250 {
		p.step()
		if rng.IntN(4) == 0 {
			_, err := r.store.Append(bg, "lease-reactor", leases-1, []eventstore.Event{{ID: uuid.New(), Type: "lease-taken"}})
			require.NoError(t, err)
			leases++
		}
	}
	require.Greater(t, p.accepted, 50, "the game was no game")
	moods := rand.New(rand.NewPCG(rng.Uint64(), 2))
	disk.full = func() bool { return fails && moods.IntN(6) == 0 }
	return r, disk
}

// TestFillingReadsThroughWhatIsUnderWay: a change is filled while the one before it is
// being written, so the database may not have that yet. Filled so throughout, with few
// rows in memory, and again after changes that failed and after others took over, the
// views are what they are otherwise, byte for byte.
func TestFillingReadsThroughWhatIsUnderWay(t *testing.T) {
	seeded(t, 20, func(t *testing.T, rng *rand.Rand) {
		r, disk := ahead(t, rng, true)
		rows, span, most := 1+rng.IntN(30), 1+rng.IntN(60), eventstore.Position(0)
		r.views.Remember(rows, span)
		takesOver := func() bool {
			r.sameAsLog()
			most = max(most, r.views.Unwritten())
			return rng.IntN(6) == 0
		}
		require.NoError(t, r.views.ApplyAhead(ended, func() int { return 1 + rng.IntN(8) }, takesOver))
		disk.full = func() bool { return false }
		head, err := r.store.Head(bg)
		require.NoError(t, err)
		require.Equal(t, head, r.views.Through())
		require.Less(t, most, eventstore.Position(2*span+20), "rows that were due were not written") // a third are leases
		require.True(t, most > 0 || rows < 20 || span < 9, "rows were written with each change")
		require.NoError(t, r.views.Close())
		require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
	})
}

// sameAsLog holds what is shown of accounts against the log, and now and then all rows of an
// image against those of a rebuild: rows that aren't written yet are there for whoever
// asks.
func (r *rig) sameAsLog() {
	r.t.Helper()
	through, books := r.views.Through(), journal.Totals{}
	for name, told := range r.log() {
		state, own := account.New(), told.books(r.t, through)
		for _, f := range told.facts {
			if f.Position <= through {
				account.Evolve(state, f.Body)
			}
		}
		books.Plus(&own)
		shown, err := r.views.Balance(bg, name)
		require.NoError(r.t, err)
		require.Equal(r.t, state.Balance(), shown.Balance, "%s through %d", name, through)
		require.Equal(r.t, state.Revision, shown.Revision, name)
	}
	company, err := r.views.TrialBalance(bg)
	require.NoError(r.t, err)
	require.Equal(r.t, books, company.Totals, "through %d", through)
	if through%8 == 0 {
		image, err := r.views.Image()
		require.NoError(r.t, err)
		defer func() { require.NoError(r.t, image.Close()) }()
		want := rebuiltTo(r.t, r.store, through)
		require.Equal(r.t, want, rowsOf(r.t, image.Rows(bg)))
		require.Equal(r.t, balanceRow(want, "a1"), balanceRow(rowsOf(r.t, image.RowsOf(bg, "a1")), "a1"))
	}
}

func rowsOf(t *testing.T, rows iter.Seq2[projections.Row, error]) (all []string) {
	t.Helper()
	for row, err := range rows {
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%q = %q", row.Key, row.Value))
	}
	return all
}

// balanceRow is that of an account among rows, or nothing.
func balanceRow(rows []string, name string) string {
	for _, row := range rows {
		if strings.HasPrefix(row, `"b`+name+`" =`) {
			return row
		}
	}
	return ""
}

// TestRowsWrittenLate: until a rebuild has what the log had at its beginning, rows of
// accounts are in memory alone. When it has, everything is there. If a change fails
// before, the rows are gone, and nothing goes on without them.
func TestRowsWrittenLate(t *testing.T) {
	seeded(t, 10, func(t *testing.T, rng *rand.Rand) {
		r, disk := ahead(t, rng, false)
		size := func() int { return 1 + rng.IntN(8) }
		end, err := r.store.Head(bg)
		require.NoError(t, err)

		broken := openViews(t, "broken", r.opts)
		broken.WholeFrom(end)
		failed := false
		fail := func() bool {
			if !failed && broken.Unwritten() > 0 { // changes with leases alone leave nothing unwritten
				failed = true
				disk.full = func() bool { disk.full = func() bool { return false }; return true }
			}
			return false
		}
		require.ErrorContains(t, broken.ApplyAhead(ended, size, fail), "are lost")
		disk.full = func() bool { return false }

		whole := end - eventstore.Position(rng.IntN(int(end)/2))
		r.views.WholeFrom(whole)
		few := rng.IntN(2) == 0
		if few {
			r.views.Remember(1+rng.IntN(12), 1<<16)
		}
		require.NoError(t, r.views.ApplyAhead(ended, size, func() bool {
			known := 0
			for i := range 9 {
				b, err := r.views.Balance(bg, fmt.Sprint("a", i))
				require.NoError(t, err)
				if b.Revision != eventstore.NoStream {
					known++
				}
			}
			require.True(t, few || r.views.Through() >= whole || known == 0, "rows were not written late")
			require.True(t, r.views.Through() < whole || known > 0, "rows were not written")
			if r.views.Through() >= whole {
				r.sameAsLog()
			}
			return r.views.Through() >= whole && rng.IntN(6) == 0
		}))
		require.NoError(t, r.views.Close())
		require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
	})
}

// TestADamagedRowIsNotTriedForEver: once rows in memory are lost, those on the disk count.
// One that can't be read, or is older than the checkpoint says, is never gone on with.
func TestADamagedRowIsNotTriedForEver(t *testing.T) {
	seeded(t, 4, func(t *testing.T, rng *rand.Rand) {
		r, disk := ahead(t, rng, false)
		damaged, damage := false, r.views.DamageRow
		if rng.IntN(2) == 0 {
			damage = func(name string) error { return r.views.AgeRow(name, 1) }
		}
		r.views.Remember(1000, 60)
		err := r.views.ApplyAhead(ended, func() int { return 8 }, func() bool {
			if through := r.views.Through(); !damaged && through > 100 && r.views.Unwritten() > 30 {
				for i := range 9 {
					require.NoError(t, damage(fmt.Sprint("a", i)))
				}
				damaged = true
				writes := 0
				disk.full = func() bool { writes++; return writes == 1 }
			}
			return false
		})
		require.True(t, damaged, "nothing was unwritten")
		require.ErrorContains(t, err, "damaged view")
		require.True(t, projections.Permanent(err), "%v would be tried again for ever", err)
	})
}

// TestRowsAreCompletedFromAClustersLog: its positions are no numbers in a row, and it is
// read from an event's position alone.
func TestRowsAreCompletedFromAClustersLog(t *testing.T) {
	seeded(t, 6, func(t *testing.T, rng *rand.Rand) {
		r, disk := ahead(t, rng, true)
		r.opts.Store = storetest.Spaced{Store: r.store}
		v := openViews(t, "sparse", r.opts)
		v.Remember(30, 1+rng.IntN(200))
		require.NoError(t, v.ApplyAhead(ended, func() int { return 1 + rng.IntN(8) }, nil))
		disk.full = func() bool { return false }
		image, err := v.Image()
		require.NoError(t, err)
		shown := rowsOf(t, image.Rows(bg))
		require.NoError(t, image.Close())
		require.NoError(t, v.Close())
		again := openViews(t, "again", r.opts)
		require.NoError(t, again.RunToEnd(within(t), nil))
		require.NoError(t, again.Close())
		require.Equal(t, keyspace(t, r.fs, "again"), shown)
		require.Equal(t, keyspace(t, r.fs, "again"), keyspace(t, r.fs, "sparse"))
	})
}

// TestAnImageIsReadForItsCaller: for rows that aren't written it reads the log, and no longer
// than whoever asked stays.
func TestAnImageIsReadForItsCaller(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	for range 2 { // an account's first row is written at once
		r.spend("a", 3)
		r.toEnd()
	}
	require.Positive(t, r.views.Unwritten())
	image, err := r.views.Image()
	require.NoError(t, err)
	defer func() { require.NoError(t, image.Close()) }()
	_, _, err = image.Value(ended, []byte("ba"))
	require.ErrorIs(t, err, context.Canceled)
	for _, rows := range []iter.Seq2[projections.Row, error]{image.Rows(ended), image.RowsOf(ended, "a")} {
		var last error
		for _, last = range rows {
		}
		require.ErrorIs(t, last, context.Canceled)
	}
}

// TestARebuildOfABusyLogEnds: the views that it is to replace move on meanwhile. It asks
// whether it has caught up right after each change that may have, and not when the next
// is filled, which is when they have moved again.
func TestARebuildOfABusyLogEnds(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.follow()
	ctx, stop := context.WithCancel(bg)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for i := range 16 {
		name := fmt.Sprint("a", i)
		r.do(name, "", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := r.try(name, "", account.Deduct{Amount: 1, Service: domain.ServiceRay}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	asked := 0
	const rebuilds = 8
	for range rebuilds {
		head, err := r.store.Head(bg)
		require.NoError(t, err)
		require.NoError(t, r.views.Rebuild(within(t), func(through, _ eventstore.Position) {
			if through >= head {
				asked++
			}
		}))
	}
	require.Less(t, asked, 3*rebuilds, "rebuilds that had caught up went on")
}

// TestAnEventThatCantBeAppliedStopsABrokenSubscriptionToo: whichever comes first, the
// cause is told, and not tried again for ever.
func TestAnEventThatCantBeAppliedStopsABrokenSubscriptionToo(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 50)
	data, err := codec.Encode(&account.LotExpired{Lot: account.LotUse{Lot: 77, Class: account.Promotional, Amount: 5, ExpiresAt: start}})
	require.NoError(t, err)
	r.impossible("a", eventstore.Event{Type: "lot-expired", Data: data})
	require.NoError(t, r.views.Close())
	store := r.opts.Store
	r.opts.Store = &tapped{store, func(ctx context.Context, after eventstore.Position, _ iter.Seq2[[]eventstore.Recorded, error]) iter.Seq2[[]eventstore.Recorded, error] {
		return func(yield func([]eventstore.Recorded, error) bool) {
			for rec, err := range store.ReadAll(ctx, after+1, eventstore.Forwards, math.MaxInt) {
				if err != nil || !yield([]eventstore.Recorded{rec}, nil) {
					return
				}
			}
			yield(nil, errors.New("the line is cut"))
		}
	}}
	r.views = openViews(t, "views", r.opts)
	for range 6 {
		require.ErrorContains(t, r.views.Rebuild(within(t), nil), "lot 77 of a")
	}
}
