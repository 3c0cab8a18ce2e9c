package httpapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLookAgain: a look at the beginning, one a tick and none else.
func TestLookAgain(t *testing.T) {
	errDamaged := errors.New("damaged")
	for name, c := range map[string]struct {
		ticks, doneAt, failsAt int
		want                   error
		looks                  int
	}{
		"done at once":     {doneAt: 1, looks: 1},
		"done after ticks": {ticks: 3, doneAt: 4, looks: 4},
		"never done":       {ticks: 2, looks: 3},
		"fails":            {ticks: 1, failsAt: 2, want: errDamaged, looks: 2},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ticks, ended, looks := make(chan time.Time), make(chan error), 0
		go func() {
			ended <- lookAgain(ctx, func() <-chan time.Time { return ticks }, func() (bool, error) {
				looks++
				if looks == c.failsAt {
					return false, errDamaged
				}
				return looks == c.doneAt, nil
			})
		}()
		for range c.ticks {
			ticks <- time.Time{}
		}
		if c.doneAt == 0 && c.failsAt == 0 {
			cancel()
		}
		require.ErrorIs(t, <-ended, c.want, name)
		require.Equal(t, c.looks, looks, name)
		cancel()
	}
}
