package projections_test

import (
	"bytes"
	"context"
	"iter"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// changedStore is a log that somebody changed under the read models; it counts what is
// read of it.
type changedStore struct {
	eventstore.Store
	change func(eventstore.Recorded, func(eventstore.Recorded, error) bool) bool
	read   int
}

func (s *changedStore) ReadAll(ctx context.Context, from eventstore.Position, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		left := limit
		count := func(r eventstore.Recorded, err error) bool {
			s.read++
			left--
			return yield(r, err) && left > 0
		}
		for r, err := range s.Store.ReadAll(ctx, from, d, 1<<30) {
			if err != nil {
				yield(r, err)
				return
			}
			if !s.change(r, count) {
				return
			}
		}
	}
}

type yielding = func(eventstore.Recorded, error) bool

// changes are what a hand, a disk or a lost file may do to a log. Each is of the event
// at a position.
var changes = map[string]func(eventstore.Recorded, yielding) bool{
	"its data is another": func(r eventstore.Recorded, yield yielding) bool {
		r.Data = bytes.Replace(r.Data, []byte("0.000001"), []byte("0.000002"), 1)
		return yield(r, nil)
	},
	"who did it is another": func(r eventstore.Recorded, yield yielding) bool {
		r.Metadata = bytes.Replace(r.Metadata, []byte("tester"), []byte("nobody"), 1)
		return yield(r, nil)
	},
	"it is of another account": func(r eventstore.Recorded, yield yielding) bool {
		r.Stream = "account-b"
		return yield(r, nil)
	},
	"it is gone": func(eventstore.Recorded, yielding) bool { return true },
	"one came in behind it": func(r eventstore.Recorded, yield yielding) bool {
		another := r
		another.ID[15]++
		return yield(r, nil) && yield(another, nil)
	},
	"it can't be read": func(r eventstore.Recorded, yield yielding) bool {
		yield(eventstore.Recorded{}, &eventstore.CorruptError{Stream: r.Stream, Position: r.Position, Reason: "damaged"})
		return false
	},
}

// signing gives a notary of a log with n events, all but the last three of which are
// under a checkpoint, on a log that was changed after that.
func signing(t *testing.T, n int, change func(eventstore.Recorded, yielding) bool) (*office, *changedStore) {
	t.Helper()
	o := newOffice(fork(t, 1))
	o.deduct(n - 4)
	_, err := o.notary.Sign(bg, 0)
	require.NoError(t, err)
	o.deduct(3)
	changed := &changedStore{Store: o.store, change: change}
	o.openOn(o.rig, changed)
	return o, changed
}

func TestNotaryRefusesAChangedLog(t *testing.T) {
	const events = 40
	for name, change := range changes {
		for _, at := range []eventstore.Position{2, 20, events - 3, events - 2, events} {
			if at == events && name == "one came in behind it" {
				continue // it would be the newest event, which the read models come to
			}
			o, _ := signing(t, events, func(r eventstore.Recorded, yield yielding) bool {
				if r.Position == at {
					return change(r, yield)
				}
				return yield(r, nil)
			})
			require.ErrorIs(t, o.notary.Check(bg), transparency.ErrTree, "%s, at %d", name, at)
			_, err := o.notary.Sign(bg, 0)
			require.ErrorIs(t, err, transparency.ErrTree)
			require.ErrorIs(t, o.notary.Step(bg), transparency.ErrTree)
			require.Equal(t, 1, o.count())
		}
	}
	o, _ := signing(t, events, func(r eventstore.Recorded, yield yielding) bool { return yield(r, nil) })
	require.NoError(t, o.notary.Check(bg))
	_, err := o.notary.Sign(bg, 0)
	require.NoError(t, err)
	require.Equal(t, 2, o.count())
}

// TestNotaryReadsLittleOfALargeLog at a start, and yet finds that a twentieth of its
// older part is gone.
func TestNotaryReadsLittleOfALargeLog(t *testing.T) {
	const events = 16_000
	gone := false
	o, store := signing(t, events, func(r eventstore.Recorded, yield yielding) bool {
		if gone && r.Position > 2_000 && r.Position <= 2_800 {
			return true
		}
		return yield(r, nil)
	})
	require.NoError(t, o.notary.Check(bg))
	require.LessOrEqual(t, store.read, 4_000+64+1)
	o.openOn(o.rig, store)
	gone = true
	require.ErrorIs(t, o.notary.Check(bg), transparency.ErrTree)
}

// TestNotaryWithoutACheckpoint signs no tree that isn't the log's either.
func TestNotaryWithoutACheckpoint(t *testing.T) {
	o := newOffice(fork(t, 3))
	o.openOn(o.rig, &changedStore{Store: o.store, change: func(r eventstore.Recorded, yield yielding) bool {
		return r.Position == 2 || yield(r, nil)
	}})
	_, err := o.notary.Sign(bg, 0)
	require.ErrorIs(t, err, transparency.ErrTree)
	require.Zero(t, o.count())
}

// TestNotaryPassesOverOtherStreams: leases, claims and keys are between the events.
func TestNotaryPassesOverOtherStreams(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	const events, between = 9, 20
	for i := range events {
		r.do("a", "", account.GrantIncentive{Amount: domain.Amount(i + 1)})
		for j := range between {
			at := int64(i*between + j)
			_, err := r.store.Append(bg, "lease-reactor", at-1, []eventstore.Event{{ID: domain.NewTransactionID(at, [32]byte{}), Type: "lease-taken"}})
			require.NoError(t, err)
		}
	}
	r.toEnd()
	o := newOffice(r)
	_, err := o.notary.Sign(bg, 0)
	require.NoError(t, err)
	o.open(r)
	require.NoError(t, o.notary.Check(bg))
	newest := eventstore.Position((events-1)*(between+1) + 1)
	o.openOn(r, &changedStore{Store: o.store, change: func(r eventstore.Recorded, yield yielding) bool {
		return r.Position == newest || yield(r, nil)
	}})
	require.ErrorIs(t, o.notary.Check(bg), transparency.ErrTree, "the newest is looked at, whatever is between")
}
