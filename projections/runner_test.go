package projections_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
)

// tapped is a store whose subscriptions pass through a test's hands.
type tapped struct {
	eventstore.Store
	tap func(ctx context.Context, after eventstore.Position, from iter.Seq2[[]eventstore.Recorded, error]) iter.Seq2[[]eventstore.Recorded, error]
}

func (s *tapped) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Recorded, error] {
	return s.tap(ctx, after, s.Store.Subscribe(ctx, after))
}

func TestRunToEndStopsAtTheHeadOfTheCall(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.toEnd()
	require.Equal(t, eventstore.BeforeFirst, r.views.Through())
	r.spend("a", 20)
	var told []eventstore.Position
	head := r.AckedAny()
	require.NoError(t, r.views.RunToEnd(bg, func(through, to eventstore.Position) {
		require.Equal(t, head, to)
		told = append(told, through)
	}))
	require.IsNonDecreasing(t, told)
	require.Equal(t, eventstore.BeforeFirst, told[0])
	require.Equal(t, head, told[len(told)-1])
	status, err := r.views.Status(bg)
	require.NoError(t, err)
	require.Equal(t, projections.Status{Through: head, Head: head}, status)
	require.Zero(t, status.Lag())
	r.spend("b", 4)
	status, err = r.views.Status(bg)
	require.NoError(t, err)
	require.EqualValues(t, 5, status.Lag())
}

func TestCancellingARunStopsNothing(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 1)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	require.ErrorIs(t, r.views.RunToEnd(ctx, nil), context.Canceled)
	r.views.Run(ctx)
	status, err := r.views.Status(bg)
	require.NoError(t, err)
	require.NoError(t, status.Err)
	r.toEnd()
	require.Equal(t, r.AckedAny(), r.views.Through())
}

func TestRunFollowsLiveAndWaitersWake(t *testing.T) {
	applied := make(chan int, 64)
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) {
		o.OnApply = func(events int, _ time.Duration) { applied <- events }
	})
	r.follow()
	for i := range 30 {
		result := r.do("a", "", account.RecordPurchase{Purchase: fmt.Sprint(i), Amount: credit})
		require.NoError(t, r.views.WaitThrough(within(t), result.Position))
		b, err := r.views.Balance(bg, "a")
		require.NoError(t, err)
		require.Equal(t, result.Balance, b.Balance)
	}
	// It is told of a batch after waiters are.
	for told := 0; told < 30; {
		select {
		case events := <-applied:
			told += events
			require.LessOrEqual(t, told, 30)
		case <-within(t).Done():
			require.Fail(t, "not told of every event", "%d", told)
		}
	}
	ctx, cancel := context.WithTimeout(bg, time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.views.WaitThrough(ctx, r.AckedAny()+1), context.DeadlineExceeded)
}

func TestViewsGoOnWhereTheyWere(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 10)
	r.toEnd()
	through := r.views.Through()
	require.NoError(t, r.views.Close())
	r.spend("b", 10)
	var from []eventstore.Position
	r.opts.Store = &tapped{r.store, func(_ context.Context, after eventstore.Position, all iter.Seq2[[]eventstore.Recorded, error]) iter.Seq2[[]eventstore.Recorded, error] {
		from = append(from, after)
		return all
	}}
	r.views = openViews(t, "views", r.opts)
	require.Equal(t, through, r.views.Through())
	r.toEnd()
	require.Equal(t, []eventstore.Position{through}, from)
	require.NoError(t, r.views.Close())
	require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
}

func TestABrokenSubscriptionIsTakenUpAgain(t *testing.T) {
	broken := errors.New("the line is cut")
	breaks := 0
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) {
		store := o.Store
		o.Store = &tapped{store, func(ctx context.Context, after eventstore.Position, _ iter.Seq2[[]eventstore.Recorded, error]) iter.Seq2[[]eventstore.Recorded, error] {
			return func(yield func([]eventstore.Recorded, error) bool) {
				for rec, err := range store.ReadAll(ctx, after+1, eventstore.Forwards, 3) {
					if err != nil || !yield([]eventstore.Recorded{rec}, nil) {
						return
					}
				}
				if breaks++; breaks%2 == 0 {
					yield(nil, broken)
				}
			}
		}}
	})
	r.spend("a", 10)
	require.NoError(t, r.views.RunToEnd(within(t), nil))
	require.GreaterOrEqual(t, breaks, 3, "nothing broke")
	status, err := r.views.Status(bg)
	require.NoError(t, err)
	require.NoError(t, status.Err)
	require.NoError(t, r.views.Close())
	require.Equal(t, r.rebuilt(), keyspace(t, r.fs, "views"))
}

func TestStreamsThatAreNotAccountsAreSkipped(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.spend("a", 1)
	for _, stream := range []string{"reactor-lease", "account", "account-", "account-a\x00b", "account-é", "$account-a"} {
		_, err := r.store.Append(bg, stream, eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "not-ours", Data: []byte("?"), Metadata: []byte("?")}})
		require.NoError(t, err)
	}
	r.toEnd()
	head, err := r.store.Head(bg)
	require.NoError(t, err)
	require.Equal(t, head, r.views.Through(), "foreign events count as seen")
	require.NoError(t, r.views.Close())
	for _, line := range keyspace(t, r.fs, "views") {
		require.NotRegexp(t, `^"bb`, line, "a balance of b") // an event's id may begin so, in the checkpoint
		require.NotContains(t, line, "é")
	}
}

// fillable is a disk with as much room as the test says.
type fillable struct {
	vfs.FS
	free atomic.Uint64
}

func (f *fillable) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free.Load()}, nil
}

func TestViewsWaitForRoomOnTheDisk(t *testing.T) {
	disk := &fillable{FS: vfs.NewMem()}
	disk.free.Store(1 << 40)
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.FS, o.MinFreeBytes = disk, 1<<30 })
	r.spend("a", 1)
	r.toEnd()
	disk.free.Store(1 << 20)
	r.spend("b", 1)
	ctx, cancel := context.WithTimeout(bg, 20*time.Millisecond)
	defer cancel()
	r.views.Run(ctx)
	status, err := r.views.Status(bg)
	require.NoError(t, err)
	require.NoError(t, status.Err, "waiting is no failure")
	require.EqualValues(t, 2, status.Lag())
	require.ErrorIs(t, r.views.RunToEnd(within(t), nil), projections.ErrNoRoom, "who waits for an end is told")
	require.ErrorContains(t, r.views.RunToEnd(within(t), nil), "1048576 bytes are free on the disk of views/000001, 1073741824 are needed")
	disk.free.Store(1 << 40)
	r.toEnd()
	require.Equal(t, r.AckedAny(), r.views.Through())
}

// impossible appends an event that no ledger writes, as a fault would.
func (r *rig) impossible(acct string, event eventstore.Event) {
	r.t.Helper()
	a := r.log()[acct]
	var err error
	event.Metadata, err = eventstore.EncodeMetadata(eventstore.Metadata{RecordedAt: start, Actor: "fault", Role: "fault"})
	require.NoError(r.t, err)
	event.ID = uuid.New()
	_, err = r.store.Append(bg, eventstore.AccountStream(acct), int64(len(a.facts))-1, []eventstore.Event{event})
	require.NoError(r.t, err)
}

var faults = map[string]func(r *rig){
	"an event of an unknown type": func(r *rig) { r.impossible("a", eventstore.Event{Type: "from-the-future", Data: []byte("{}")}) },
	"an event that can't be read": func(r *rig) { r.impossible("a", eventstore.Event{Type: "deducted", Data: []byte(`{"amount":1}`)}) },
	"an event that can't be applied": func(r *rig) {
		data, err := codec.Encode(&account.LotExpired{Lot: account.LotUse{Lot: 77, Class: account.Promotional, Amount: 5, ExpiresAt: start}})
		require.NoError(r.t, err)
		r.impossible("a", eventstore.Event{Type: "lot-expired", Data: data})
	},
	"a record with a changed byte": func(r *rig) {
		position := r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay}).Position
		r.do("a", "", account.Deduct{Amount: 1, Service: domain.ServiceRay}) // a damaged last record would keep the log itself shut
		require.NoError(r.t, r.Close(bg))
		require.NoError(r.t, r.store.Close())
		key := append([]byte{'e'}, 0, 0, 0, 0, 0, 0, 0, byte(position))
		db, err := pebble.Open("log", &pebble.Options{FS: r.fs, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
		require.NoError(r.t, err)
		value, closer, err := db.Get(key)
		require.NoError(r.t, err)
		spoilt := append([]byte(nil), value...)
		spoilt[len(spoilt)-1] ^= 1
		require.NoError(r.t, errors.Join(closer.Close(), db.Set(key, spoilt, pebble.Sync), db.Close()))
		r.store, err = pebblestore.Open("log", pebblestore.Options{FS: r.fs, Logger: quiet()})
		require.NoError(r.t, err)
	},
}

// Whatever is wrong, the views stop before it, say so, keep answering, and their
// checkpoint stays. A rebuild that meets the same fault changes nothing.
func TestViewsStopVisiblyAtAFault(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, vfs.NewMem(), nil)
			r.spend("a", 5)
			r.toEnd()
			through := r.views.Through()
			before, err := r.views.Balance(bg, "a")
			require.NoError(t, err)
			require.NoError(t, r.views.Close())
			untouched := keyspace(t, r.fs, "views")

			fault(r)
			r.opts.Store = r.store
			r.views = openViews(t, "views", r.opts)
			r.follow()
			err = r.views.WaitThrough(within(t), through+1)
			require.ErrorIs(t, err, projections.ErrStopped)
			require.ErrorContains(t, err, fmt.Sprintf("position %d", through+1))
			err = r.views.Rebuild(within(t), nil)
			require.ErrorContains(t, err, fmt.Sprintf("position %d", through+1))

			status, err := r.views.Status(bg)
			require.NoError(t, err)
			require.ErrorIs(t, status.Err, projections.ErrStopped)
			require.Equal(t, through, status.Through)
			require.Positive(t, status.Lag())
			after, err := r.views.Balance(bg, "a")
			require.NoError(t, err)
			require.Equal(t, before, after)
			require.NoError(t, r.views.Close())
			require.Equal(t, untouched, keyspace(t, r.fs, "views"))
		})
	}
}

func TestAClosedLogStopsTheViews(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.follow()
	r.spend("a", 1)
	require.NoError(t, r.views.WaitThrough(within(t), r.AckedAny()))
	require.NoError(t, r.store.Close())
	err := r.views.WaitThrough(within(t), r.AckedAny()+1)
	require.ErrorIs(t, err, projections.ErrStopped)
	require.ErrorIs(t, err, eventstore.ErrClosed)
}
