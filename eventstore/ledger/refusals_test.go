package ledger_test

import (
	"fmt"
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
