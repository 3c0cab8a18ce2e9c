package audit_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections/audit"
)

// TestVerifyIsInterrupted while a batch goes to the workers: it ends, and finds nothing
// in events that it gave to some of them only.
func TestVerifyIsInterrupted(t *testing.T) {
	const batch = 1024
	c := newCompany(t)
	c.must("a:0", account.GrantIncentive{Amount: credit})
	others := make([]eventstore.Event, 2*batch)
	for i := range others {
		others[i] = eventstore.Event{ID: uuid.New(), Type: "other"}
	}
	_, err := c.store.Append(bg, "other-1", eventstore.NoStream, others)
	require.NoError(t, err)
	for range 20 {
		ctx, interrupt := context.WithCancel(bg)
		seen, ended := 0, make(chan error, 1)
		go func() {
			_, err := audit.Verify(ctx, audit.Source{Store: c.store, Codec: codec}, audit.Options{
				Logger: quiet(), Workers: 4,
				Report: func(f audit.Finding) { t.Error(f) },
				Seen: func(*eventstore.Recorded) {
					if seen++; seen == batch {
						interrupt()
					}
				},
			})
			ended <- err
		}()
		select {
		case err := <-ended:
			require.ErrorIs(t, err, context.Canceled)
		case <-time.After(time.Minute):
			t.Fatal("it didn't end")
		}
		interrupt()
	}
}

// unreadable is a log of which nothing but the first event can be read now.
type unreadable struct{ *pebblestore.Store }

var errUnreadable = errors.New("too many open files")

func (u unreadable) ReadAll(ctx context.Context, from eventstore.Position, direction eventstore.Direction, _ int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range u.Store.ReadAll(ctx, from, direction, 1) {
			if !yield(r, err) {
				return
			}
		}
		yield(eventstore.Recorded{}, errUnreadable)
	}
}

// TestVerifyOfALogThatCantBeRead has no finding: what was not read is not missing. It is about
// who is first to hear that the log ended, so one try says little.
func TestVerifyOfALogThatCantBeRead(t *testing.T) {
	c := newCompany(t)
	c.must("a:0", account.GrantIncentive{Amount: credit})
	c.must("a:0", account.GrantIncentive{Amount: credit})
	c.sign()
	for range 300 {
		source := audit.Source{Store: unreadable{c.store}, Codec: codec, Checkpoints: c.checkpoints(), Verifier: c.verifier}
		_, err := audit.Verify(bg, source, audit.Options{Workers: 256, Logger: quiet(), Report: func(f audit.Finding) { t.Error(f) }})
		require.ErrorIs(t, err, errUnreadable)
	}
}

// TestTheComparisonOfReadModelsIsInterrupted: they may have very many rows.
func TestTheComparisonOfReadModelsIsInterrupted(t *testing.T) {
	c, other := newCompany(t), newCompany(t)
	for range 3 {
		c.must("a:0", account.GrantIncentive{Amount: credit})
		other.must("a:1", account.GrantIncentive{Amount: 2 * credit})
	}
	ctx, interrupt := context.WithCancel(bg)
	defer interrupt()
	differ := 0
	_, err := audit.Verify(ctx, audit.Source{Store: c.store, Codec: codec, Views: other.copied()}, audit.Options{
		Scratch: t.TempDir(), Logger: quiet(),
		Report: func(f audit.Finding) {
			if f.Check == audit.CheckView {
				differ++
				interrupt()
			}
		},
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, differ)
}
