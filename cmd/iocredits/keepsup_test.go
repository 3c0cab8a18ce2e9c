package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
)

// TestReadModelsThatStandStillAreNotFit, and late ones that get there are: what counts is
// where the log ended a while ago.
func TestReadModelsThatStandStillAreNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		head, through := eventstore.Position(100), eventstore.Position(0)
		var unreachable error
		k := keepsUp{
			head:    func(context.Context) (eventstore.Position, error) { return head, unreachable },
			through: func() eventstore.Position { return through },
		}
		pass := func(by time.Duration) error {
			<-time.After(by)
			return k.fit(t.Context())
		}
		require.NoError(t, pass(0))
		head = 1000
		require.NoError(t, pass(lateAfter), "a while is theirs")
		through = 100
		require.NoError(t, pass(time.Second), "they have reached 100, and never were where the log ended")
		require.ErrorContains(t, pass(lateAfter+time.Second), "at position 100, and have not reached 1000 for 31s")
		require.NoError(t, pass(0), "whoever takes the lease again has as much time")
		require.Error(t, pass(lateAfter+time.Second))
		through, unreachable = 1000, errors.New("out of reach")
		require.NoError(t, pass(10*lateAfter))
		require.NoError(t, pass(10*lateAfter), "others don't reach it either")
	})
}
