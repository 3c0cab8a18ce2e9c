package httpapi

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRequestsThatBeginTogetherShareATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := timeouts{after: time.Second}
		first := all.at(time.Now())
		require.Same(t, first, all.at(time.Now()))

		<-time.After(sharedFor)
		last := all.at(time.Now())
		require.NotSame(t, first, last)

		<-time.After(time.Second - time.Nanosecond)
		require.NoError(t, first.Err(), "the last of those that share it may have all of its time")
		<-time.After(time.Nanosecond)
		synctest.Wait()
		require.ErrorIs(t, first.Err(), context.DeadlineExceeded)
		require.NoError(t, last.Err())
		<-last.Done()
		require.ErrorIs(t, last.Err(), context.DeadlineExceeded)
	})
}

func TestTimedContextKnowsThatTheClientHasGone(t *testing.T) {
	type key struct{}
	client, goes := context.WithCancel(context.WithValue(t.Context(), key{}, "its own"))
	all := timeouts{after: time.Hour}
	ctx := &timedContext{all.at(time.Now()), client}
	other := &timedContext{all.at(time.Now()), t.Context()}
	require.NoError(t, ctx.Err())
	require.Equal(t, "its own", ctx.Value(key{}))

	goes()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.NoError(t, other.Err(), "who shares its timeout doesn't share its client")
	select {
	case <-ctx.Done():
		t.Fatal("who waits for what was begun waits on")
	default:
	}
}
