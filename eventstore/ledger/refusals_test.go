package ledger_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/storetest"
)

// TestAFullDiskIsToldTwice, however many appends it refuses: when it begins, and when it
// has ended.
func TestAFullDiskIsToldTwice(t *testing.T) {
	var full atomic.Bool
	log := new(storetest.Buffer)
	r := newRig(t, func(o *ledger.Options) {
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
		o.Store = &faultyStore{Store: o.Store, before: func() error {
			if full.Load() {
				return eventstore.ErrUnavailable
			}
			return nil
		}}
	})
	told := func(what string) int { return strings.Count(log.String(), what) }
	r.do("a", "before", purchase("before", 1))
	require.Empty(t, log.String())
	for times := range 2 {
		full.Store(true)
		for i := range 100 {
			key := fmt.Sprint(times, "-", i)
			_ = r.refused(domain.CodeUnavailable, command(fmt.Sprint("account-", i), key, purchase(key, 1)))
		}
		require.Equal(t, times+1, told("level=WARN msg=\"the log takes no writes: "))
		require.Equal(t, times, told("the log takes writes again"))
		full.Store(false)
		made := 0
		require.Eventually(t, func() bool {
			made++
			key := fmt.Sprint(times, "+", made)
			r.do("a", key, purchase(key, 1))
			return told("level=WARN msg=\"the log takes writes again\" refused=100 ") == times+1
		}, time.Minute, time.Millisecond)
	}
	require.Equal(t, 4, told("\n"))
}

// unreadableStore can't be read while it is out of reach.
type unreadableStore struct {
	eventstore.Store
	out atomic.Bool
}

func (s *unreadableStore) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	if s.out.Load() {
		return func(yield func(eventstore.Recorded, error) bool) {
			yield(eventstore.Recorded{}, fmt.Errorf("%w: out of reach", eventstore.ErrUnavailable))
		}
	}
	return s.Store.ReadStream(ctx, stream, from, d, limit)
}

// TestALogOutOfReachIsToldTwice, too: each command would say so, thousands of them a second.
func TestALogOutOfReachIsToldTwice(t *testing.T) {
	store, log := new(unreadableStore), new(storetest.Buffer)
	r := newRig(t, func(o *ledger.Options) {
		store.Store, o.Store = o.Store, store
		o.Shared, o.Logger = true, slog.New(slog.NewTextHandler(log, nil))
	})
	r.do("a", "before", purchase("before", 1))
	require.Empty(t, log.String())
	store.out.Store(true)
	_, err := r.Read(t.Context(), "a")
	require.True(t, domain.IsCode(err, domain.CodeUnavailable), "%v", err)
	for i := range 100 {
		key := fmt.Sprint(i)
		_, err := r.Execute(t.Context(), command("account-"+key, key, purchase(key, 1)))
		require.ErrorIs(t, err, eventstore.ErrUnavailable)
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log)
	require.Contains(t, log.String(), "level=WARN msg=\"the log can't be read: ")
	store.out.Store(false)
	made := 0
	require.Eventually(t, func() bool {
		made++
		_, err := r.Read(t.Context(), fmt.Sprint("account-", made))
		return err == nil && strings.Contains(log.String(), "level=WARN msg=\"the log can be read again\" refused=101 ")
	}, time.Minute, time.Millisecond)
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log)
}
