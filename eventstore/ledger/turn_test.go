package ledger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// TestACallerIsHeldForOneRound: who begins an account's turn decides what waits for it
// then, and is answered. What others ask of the account meanwhile is done elsewhere: they
// could go on for ever.
func TestACallerIsHeldForOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("a", "1", purchase("p", 10)) // from here on its book is in memory
		returned, second := make(chan struct{}), make(chan error, 1)
		_, err := r.Look(t.Context(), "a", func(*account.State, []eventstore.Fact) {
			go func() {
				_, err := r.Look(t.Context(), "a", func(*account.State, []eventstore.Fact) {
					select {
					case <-returned:
					case <-time.After(time.Minute):
						t.Error("the first is held for the second")
					}
				})
				second <- err
			}()
			synctest.Wait() // until it waits behind the first
		})
		require.NoError(t, err)
		close(returned)
		require.NoError(t, <-second)
		require.NoError(t, r.Close(t.Context()))
	})
}
