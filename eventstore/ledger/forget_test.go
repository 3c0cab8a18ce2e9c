package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// heldSnapshots holds up the saving of snapshots.
type heldSnapshots struct {
	eventstore.Snapshots
	saving, open chan struct{}
}

func (s *heldSnapshots) SaveSnapshot(ctx context.Context, stream string, snapshot eventstore.Snapshot) error {
	select {
	case s.saving <- struct{}{}:
		<-s.open
	default:
	}
	return s.Snapshots.SaveSnapshot(ctx, stream, snapshot)
}

// TestWindowsOfBusyAccountsAreForgottenLater: an account that works while others of its
// shard need room keeps its names until it rests, also if the read models have not moved
// since.
func TestWindowsOfBusyAccountsAreForgottenLater(t *testing.T) {
	held := &heldSnapshots{saving: make(chan struct{}, 1), open: make(chan struct{})}
	r := newRig(t, func(o *ledger.Options) {
		held.Snapshots, o.Snapshots = o.Snapshots, held
		o.MaxNames, o.SnapshotEvery = 64*4, 2
	})
	out := r.ExecuteBatch(context.Background(), []ledger.Request{command("a", "1", purchase("p", 1)), command("a", "2", purchase("q", 1))})
	require.NoError(t, out[0].Err)
	<-held.saving // "a" works, with four names
	r.names.advance(r.AckedAny())
	beside := ""
	for n := 0; beside == ""; n++ {
		name := fmt.Sprint("account-", n)
		if _, err := r.Read(context.Background(), name); err != nil {
			require.True(t, domain.IsCode(err, domain.CodeOverloaded), err)
			beside = name
		}
	}
	close(held.open)
	require.Eventually(t, func() bool {
		_, err := r.Read(context.Background(), beside)
		return err == nil
	}, patience, time.Millisecond)
}
