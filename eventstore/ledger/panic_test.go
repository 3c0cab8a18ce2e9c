package ledger_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// These are actions whose words about themselves are wrong.
type (
	badName     struct{ account.Action }
	badClaim    struct{ account.Action }
	badOriginal struct{ account.Action }
)

func (badName) NameFor(*account.State) string                      { panic("name") }
func (badClaim) ClaimFor(*account.State) string                    { panic("claim") }
func (badOriginal) OriginalID(*account.State) domain.TransactionID { panic("original") }

// TestAPanicIsAFaultOfOneCommand: what is decided beside it is answered and kept.
func TestAPanicIsAFaultOfOneCommand(t *testing.T) {
	r := newRig(t, nil)
	watched := command("a", "5", deduct(2))
	watched.Inspect = func(*account.State, []eventstore.Fact) { panic("inspect") }
	read := ledger.Request{Account: "a", Do: account.Tick{}, Inspect: watched.Inspect}
	out := r.ExecuteBatch(context.Background(), []ledger.Request{
		command("a", "1", purchase("p", 10)),
		command("a", "2", badName{deduct(1)}),
		command("a", "3", badClaim{deduct(1)}),
		command("a", "4", badOriginal{deduct(1)}),
		watched,
		read,
		command("a", "6", deduct(3)),
	})
	for i, panicked := range []string{"", "name", "claim", "original", "inspect", "inspect", ""} {
		if panicked == "" {
			require.NoError(t, out[i].Err, "command %d", i)
			continue
		}
		require.ErrorContains(t, out[i].Err, "panic: "+panicked)
		_, refused := domain.AsError(out[i].Err)
		require.False(t, refused, "a fault is no refusal")
	}
	require.Equal(t, 5*credit, r.balance("a"), "whoever can't look at it was charged all the same")
	require.Len(t, r.facts("a"), 3)

	watched.Inspect = nil
	again, err := r.Execute(context.Background(), watched)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.NoError(t, func() error { _, err := r.Execute(context.Background(), command("a", "2", deduct(1))); return err }(), "a fault binds no key")
	require.Equal(t, 4*credit, r.balance("a"))
}

// panicsOnce is a store of snapshots whose first answer is a panic.
type panicsOnce struct {
	eventstore.Snapshots
	panicked bool
}

func (s *panicsOnce) LoadSnapshot(ctx context.Context, stream string) (eventstore.Snapshot, bool, error) {
	if !s.panicked {
		s.panicked = true
		panic("snapshot")
	}
	return s.Snapshots.LoadSnapshot(ctx, stream)
}

// TestAPanicWhileLoadingHoldsNobody: whoever asks next has a load of their own.
func TestAPanicWhileLoadingHoldsNobody(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.Snapshots = &panicsOnce{Snapshots: o.Snapshots} })
	_, err := r.Execute(context.Background(), command("a", "1", purchase("p", 10)))
	require.ErrorContains(t, err, "loading: panic: snapshot")
	again, err := r.Execute(context.Background(), command("a", "1", purchase("p", 10)))
	require.NoError(t, err)
	require.False(t, again.Replayed)
	require.Equal(t, 10*credit, r.balance("a"))
}
