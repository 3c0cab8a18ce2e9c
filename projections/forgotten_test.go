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
