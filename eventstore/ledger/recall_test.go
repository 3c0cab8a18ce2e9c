package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/eventstore/ledger"
)

// TestSnapshotFarAheadOfTheNames: an account whose snapshot has more events than the
// window takes, of which the read model has none, takes no command before it has them:
// a repeat would be done twice.
func TestSnapshotFarAheadOfTheNames(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) {
		o.MaxRecentNames, o.SnapshotEvery, o.IdleSnapshot, o.NamesPatience = 400, 1, 1, time.Millisecond
	})
	for i := range 60 {
		r.do("a", fmt.Sprint(i), purchase(fmt.Sprint(i), 1))
	}
	r.opts.MaxRecentNames = 20
	r.restart()
	_ = r.refused(domain.CodeOverloaded, command("a", "3", purchase("3", 1)))
	require.Len(t, r.facts("a"), 60)
	r.names.advance(60)
	require.True(t, r.do("a", "3", purchase("3", 1)).Replayed)
	require.True(t, r.do("a", "59", purchase("59", 1)).Replayed)
}
