package projections_test

import (
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
