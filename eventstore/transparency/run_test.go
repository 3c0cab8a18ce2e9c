package transparency_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// asked is a log that says when it was asked for its end, and then that it has none.
type asked struct {
	eventstore.Store
	first time.Time
}

func (a *asked) Head(context.Context) (eventstore.Position, error) {
	if a.first.IsZero() {
		a.first = time.Now()
	}
	return 0, eventstore.ErrClosed
}

// A start's first commands have the processors for themselves.
func TestANotaryLooksAfterAWhile(t *testing.T) {
	file, err := transparency.OpenFile(t.TempDir() + "/checkpoints")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	synctest.Test(t, func(t *testing.T) {
		log := &asked{}
		n := transparency.NewNotary(transparency.Options{Store: log, File: file, Look: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		n.Run(ctx)
		require.Equal(t, time.Second, log.first.Sub(began))
	})
}
