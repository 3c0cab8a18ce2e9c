package projections_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/projections"
)

// gate holds back the subscriptions that read the log from its beginning: those
// of a rebuild.
type gate struct{ open chan struct{} }

func (g *gate) tap(ctx context.Context, after eventstore.Position, from iter.Seq2[[]eventstore.Recorded, error]) iter.Seq2[[]eventstore.Recorded, error] {
	if after == eventstore.BeforeFirst {
		select {
		case <-g.open:
		case <-ctx.Done():
		}
	}
	return from
}

// The old views answer, and move, until the new ones have caught up; a read that
// began on the old ones ends on them.
func TestRebuildWhileServing(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 40)
	r.toEnd()
	require.NoError(t, r.views.Close())
	r.opts.Store = &tapped{r.store, g.tap}
	r.views = openViews(t, "views", r.opts)
	r.follow()

	rebuilt := make(chan error, 1)
	go func() { rebuilt <- r.views.Rebuild(within(t), nil) }()
	serving := r.views
	for range 10 {
		result := r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
		require.NoError(t, serving.WaitThrough(within(t), result.Position), "the old views move on")
		b, err := serving.Balance(bg, "a")
		require.NoError(t, err)
		require.Equal(t, result.Balance, b.Balance)
	}
	next, stop := iter.Pull2(serving.Each(bg, projections.Query{Account: "a"}))
	defer stop()
	newest, err, _ := next()
	require.NoError(t, err)

	close(g.open)
	select {
	case <-serving.Changed(): // a swap announces itself to those who wait for deadlines
	case <-within(t).Done():
		t.Fatal("no swap")
	}
	select {
	case err := <-rebuilt:
		t.Fatalf("the old views were closed under a reader: %v", err)
	default:
	}
	fresh, err := serving.Balance(bg, "a")
	require.NoError(t, err)
	require.Equal(t, newest.BalanceAfter, fresh.Balance.Balance)
	for revision := newest.Revision - 1; revision >= 0; revision-- {
		entry, err, ok := next()
		require.True(t, ok)
		require.NoError(t, err)
		require.Equal(t, revision, entry.Revision)
	}
	stop()
	require.NoError(t, <-rebuilt)
	result := r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
	require.NoError(t, serving.WaitThrough(within(t), result.Position), "the new views move on")
	require.NoError(t, serving.Close())
	require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
}

// Over many rebuilds under load nothing that a reader sees goes back, and a name
// that was found once is found always.
func TestNothingGoesBackOverRebuilds(t *testing.T) {
	seeded(t, 3, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		r.follow()
		p := newPlayer(r, 2, rng.IntN)
		r.do("a0", "the key", account.RecordPurchase{Purchase: "p", Amount: credit})
		require.NoError(t, r.views.WaitThrough(within(t), r.AckedAny()))
		ctx, stop := context.WithCancel(bg)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		wg.Go(func() { watch(ctx, t, r.views) })
		wg.Go(func() {
			for ctx.Err() == nil {
				p.step()
			}
		})
		told := 0
		for range 6 {
			require.NoError(t, r.views.Rebuild(within(t), func(through, head eventstore.Position) {
				told++
				if through > head {
					t.Errorf("%d of %d", through, head)
				}
			}))
		}
		stop()
		wg.Wait()
		require.GreaterOrEqual(t, told, 6)
		require.NoError(t, r.views.WaitThrough(within(t), r.AckedAny()))
		require.NoError(t, r.views.Close())
		require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
	})
}

func watch(ctx context.Context, t *testing.T, v *projections.Views) {
	var through eventstore.Position
	revision := int64(-1)
	for ctx.Err() == nil {
		now := v.Through()
		b, err := v.Balance(bg, "a0")
		first, found, findErr := v.Find(bg, "a0", ledger.NameOfCommand("the key"))
		switch {
		case err != nil || findErr != nil:
			t.Errorf("read: %v, %v", err, findErr)
			return
		case now < through || b.Revision < revision || !found || first != 0:
			t.Errorf("through %d then %d, revision %d then %d, name found %v at %d", through, now, revision, b.Revision, found, first)
			return
		}
		through, revision = now, b.Revision
	}
}

// Damaged views stop at what they can't read; a rebuild revives them.
func TestRebuildRevivesStoppedViews(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 3)
	r.toEnd()
	through := r.views.Through()
	require.NoError(t, r.views.Close())
	change(t, r.fs, "views", func(db *pebble.DB) error { return db.Set([]byte("ba"), []byte{0xff}, pebble.Sync) })

	r.views = openViews(t, "views", r.opts)
	r.follow()
	_, err := r.views.Balance(bg, "a")
	require.ErrorContains(t, err, "damaged view")
	result := r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
	require.ErrorIs(t, r.views.WaitThrough(within(t), result.Position), projections.ErrStopped)
	require.Equal(t, through, r.views.Through())

	require.NoError(t, r.views.Rebuild(within(t), nil))
	status, err := r.views.Status(bg)
	require.NoError(t, err)
	require.Equal(t, projections.Status{Through: result.Position, Head: result.Position}, status)
	b, err := r.views.Balance(bg, "a")
	require.NoError(t, err)
	require.Equal(t, result.Balance, b.Balance)
	result = r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay})
	require.NoError(t, r.views.WaitThrough(within(t), result.Position), "Run goes on with the new views")
}

func TestAnInterruptedRebuildLeavesNothing(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.Store = &tapped{o.Store, g.tap} })
	r.spend("a", 3)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	require.ErrorIs(t, r.views.Rebuild(ctx, nil), context.Canceled)
	rebuilt := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		rebuilt <- r.views.Rebuild(bg, func(through, _ eventstore.Position) {
			if through == eventstore.BeforeFirst {
				close(began)
			}
		})
	}()
	select {
	case <-began:
	case err := <-rebuilt:
		t.Fatalf("it didn't begin: %v", err)
	}
	require.NoError(t, r.views.Close(), "closing ends a rebuild")
	require.ErrorIs(t, <-rebuilt, projections.ErrClosed)
	require.Equal(t, "views/000001", currentDir(t, r.fs, "views"))
}

func TestViewsThatDoNotFitAreBuiltAgain(t *testing.T) {
	checkpoint := func(edit func(old string) string) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) {
			change(t, r.fs, "views", func(db *pebble.DB) error {
				old, closer, err := db.Get([]byte("c"))
				require.NoError(t, err)
				edited := edit(string(old))
				require.NotEqual(t, string(old), edited)
				require.NoError(t, closer.Close())
				return db.Set([]byte("c"), []byte(edited), pebble.Sync)
			})
		}
	}
	for name, spoil := range map[string]func(*testing.T, *rig){
		"another format":       checkpoint(func(old string) string { return strings.Replace(old, `"format":"`, `"format":"x`, 1) }),
		"a damaged checkpoint": checkpoint(func(string) string { return "?" }),
		"a missing table":      func(t *testing.T, r *rig) { removeFiles(t, r.fs, ".sst") },
		"a missing manifest":   func(t *testing.T, r *rig) { removeFiles(t, r.fs, "MANIFEST") },
		"a missing generation": func(t *testing.T, r *rig) { require.NoError(t, r.fs.RemoveAll(currentDir(t, r.fs, "views"))) },
		"a leftover beside it": func(t *testing.T, r *rig) {
			require.NoError(t, r.views.Close())
			require.NoError(t, r.fs.MkdirAll("views/000002/x", 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, vfs.NewMem(), nil)
			r.spend("a", 3)
			r.toEnd()
			require.NoError(t, r.views.Close())
			spoil(t, r)
			r.views = openViews(t, "views", r.opts)
			if name != "a leftover beside it" {
				require.Equal(t, eventstore.BeforeFirst, r.views.Through())
			}
			r.toEnd()
			require.NoError(t, r.views.Close())
			require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
		})
	}
}

// stubborn is a disk that a folder can't be taken off.
type stubborn struct {
	vfs.FS
	folder string
}

func (d *stubborn) RemoveAll(name string) error {
	if name == d.folder {
		return syscall.EBUSY
	}
	return d.FS.RemoveAll(name)
}

// TestViewsThatAreNotOpenedHoldNothing: those that can't take the place of others are closed.
func TestViewsThatAreNotOpenedHoldNothing(t *testing.T) {
	disk := &stubborn{FS: vfs.NewMem()}
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS = disk })
	require.NoError(t, r.views.Close())
	change(t, disk, "views", func(db *pebble.DB) error { return db.Set([]byte("c"), []byte("?"), pebble.Sync) })
	disk.folder = currentDir(t, disk, "views")
	_, err := projections.Open(bg, "views", r.opts)
	require.ErrorIs(t, err, syscall.EBUSY)
	disk.folder = ""
	r.views = openViews(t, "views", r.opts)
}

func removeFiles(t *testing.T, fs vfs.FS, part string) {
	t.Helper()
	dir := currentDir(t, fs, "views")
	names, err := fs.List(dir)
	require.NoError(t, err)
	removed := 0
	for _, name := range names {
		if strings.Contains(name, part) && !strings.HasPrefix(name, "marker") {
			require.NoError(t, fs.Remove(fs.PathJoin(dir, name)))
			removed++
		}
	}
	require.Positive(t, removed)
}

// Read models never take the place of those of another log: they may be all that is
// left of it.
func TestViewsOfAnotherLog(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 5)
	r.toEnd()
	require.NoError(t, r.views.Close())
	ours := r.opts.Store
	other := newRig(t, vfs.NewMem(), nil)
	for i := range 20 {
		other.do("b", fmt.Sprint(i), account.RecordPurchase{Purchase: fmt.Sprint(i), Amount: credit})
	}
	r.opts.Store = other.store
	_, err := projections.Open(bg, "views", r.opts)
	require.ErrorIs(t, err, projections.ErrLogLost)
	require.ErrorContains(t, err, "move views away")

	r.opts.Store = ours
	v := openViews(t, "views", r.opts)
	b, err := v.Balance(bg, "a")
	require.NoError(t, err)
	require.NotZero(t, b.Balance.Balance)
}

// TestOutgoingViewsAnswerAndAreReplaced: they aren't prepared to be asked, and are right.
func TestOutgoingViewsAnswerAndAreReplaced(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 20)
	r.do("a", "k", account.Deduct{Amount: 1, Service: domain.ServiceRay})
	r.toEnd()
	require.NoError(t, r.views.Close())
	r.opts.Outgoing = true
	r.views = openViews(t, "views", r.opts)
	revision, found, err := r.views.Find(bg, "a", ledger.NameOfCommand("k"))
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 21, revision)
	require.NoError(t, r.views.Rebuild(within(t), nil))
	revision, found, err = r.views.Find(bg, "a", ledger.NameOfCommand("k"))
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 21, revision)
	require.NoError(t, r.views.Close())
	require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
}

// TestARebuildShowsAccountsThatRest: what a rebuild has of them in memory alone is written
// before anybody asks.
func TestARebuildShowsAccountsThatRest(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: eighteen thousand events, for one rebuild")
	}
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("quiet", 3)
	r.spend("busy", 18_000) // more than one change
	r.toEnd()
	before, err := r.views.Balance(bg, "quiet")
	require.NoError(t, err)
	require.EqualValues(t, 3, before.Revision)
	require.NoError(t, r.views.Rebuild(within(t), nil))
	after, err := r.views.Balance(bg, "quiet")
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// tableNames notes which tables are made.
type tableNames struct {
	vfs.FS
	mu   sync.Mutex
	made []string
}

func (n *tableNames) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		n.mu.Lock()
		n.made = append(n.made, n.PathDir(name))
		n.mu.Unlock()
	}
	return n.FS.Create(name, category)
}

// TestWhatIsDeletedIsNotWritten first: neither the views that were replaced, nor those of a
// rebuild that didn't end.
func TestWhatIsDeletedIsNotWritten(t *testing.T) {
	disk := &tableNames{FS: vfs.NewMem()}
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS, o.Store = disk, oneByOne{o.Store} })
	r.spend("a", 10)
	r.toEnd()
	require.NoError(t, r.views.Rebuild(within(t), nil))
	require.Len(t, disk.made, 1)
	require.Equal(t, "000002", disk.PathBase(disk.made[0]))
	require.True(t, r.whole("a"))

	faults["an event of an unknown type"](r)
	written := eventstore.Position(0)
	require.Error(t, r.views.Rebuild(within(t), func(through, _ eventstore.Position) { written = through }))
	require.Positive(t, written)
	require.Len(t, disk.made, 1)
}

// TestARebuildLeavesTheHurry of who waits for the views that answer to those.
func TestARebuildLeavesTheHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, vfs.NewMem(), nil)
		r.spend("a", 10)
		r.toEnd()
		require.NoError(t, r.views.Close())
		r.opts.Store = &tapped{r.store, slowly}
		r.views = openViews(t, "views", r.opts)
		r.views.Hurry()
		require.NoError(t, r.views.Rebuild(bg, nil))
		require.True(t, r.views.Hurried())
		r.follow()
		r.spend("a", 10)
		<-time.After(time.Second)
		require.False(t, r.views.Hurried(), "who follows on hears it")
	})
}

// slowly gives each event of the log by itself, and some time for it.
func slowly(_ context.Context, _ eventstore.Position, from iter.Seq2[[]eventstore.Recorded, error]) iter.Seq2[[]eventstore.Recorded, error] {
	return func(yield func([]eventstore.Recorded, error) bool) {
		for batch, err := range from {
			for i := range batch {
				if <-time.After(time.Millisecond); !yield(batch[i:i+1], err) {
					return
				}
			}
		}
	}
}
