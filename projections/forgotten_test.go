package projections_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/projections"
)

// TestForgottenAccountsAreTold: whoever keeps keys in memory hears of each that
// was destroyed, once the views show the event that says so.
func TestForgottenAccountsAreTold(t *testing.T) {
	var told []string
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.OnForgotten = func(name string) { told = append(told, name) } })
	defer r.close()
	r.do("a", "k1", account.RecordPurchase{Purchase: "p", Amount: credit})
	r.do("b", "k2", account.RecordForgotten{Reason: "case 7"})
	r.do("a", "k3", account.RecordForgotten{Reason: "case 8"})
	r.toEnd()
	require.Equal(t, []string{"b", "a"}, told)
}

// TestForgottenAccountsAreToldByARebuild: the new views may be ahead of those that are
// shown, which have stopped or stepped less far. When they take their place nobody else
// tells what happened between the two, and this engine would go on sealing under a key
// that another destroyed: what it seals is lost.
func TestForgottenAccountsAreToldByARebuild(t *testing.T) {
	told := make(chan string, 10)
	r := newRig(t, vfs.NewMem(), func(o *projections.Options) { o.OnForgotten = func(name string) { told <- name } })
	defer r.close()
	r.do("a", "k1", account.RecordForgotten{Reason: "case 7"})
	r.toEnd()
	require.Equal(t, "a", <-told)
	r.do("b", "k2", account.RecordForgotten{Reason: "case 8"})
	require.NoError(t, r.views.Rebuild(within(t), nil))
	close(told)
	var names []string
	for name := range told {
		names = append(names, name)
	}
	require.Contains(t, names, "b")
}

// TestForgottenAccountsAreListed: each event that says so, of whatever batch, and again
// after a rebuild.
func TestForgottenAccountsAreListed(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	defer r.close()
	list := func() (events []string) {
		require.NoError(t, r.views.EachForgotten(bg, func(name string, revision int64) {
			events = append(events, fmt.Sprint(name, " ", revision))
		}))
		return events
	}
	require.Empty(t, list())
	r.do("a", "k1", account.RecordPurchase{Purchase: "p", Amount: credit})
	r.do("b", "k2", account.RecordForgotten{Reason: "case 7"})
	r.do("a", "k3", account.RecordForgotten{Reason: "case 8"})
	r.do("a", "k4", account.RecordForgotten{Reason: "case 9"})
	r.toEnd()
	first := r.do("a", "k5", account.RecordForgotten{Reason: "case 10"}).Revision - 2
	r.toEnd()
	want := []string{fmt.Sprint("a ", first), fmt.Sprint("a ", first+1), fmt.Sprint("a ", first+2), "b 0"}
	require.Equal(t, want, list())
	require.NoError(t, r.views.Rebuild(within(t), nil))
	require.Equal(t, want, list())
	ended, cancel := context.WithCancel(bg)
	cancel()
	require.ErrorIs(t, r.views.EachForgotten(ended, func(string, int64) {}), context.Canceled)
}
