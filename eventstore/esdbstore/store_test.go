package esdbstore_test

import (
	"testing"

	"iocredits/eventstore"
	"iocredits/eventstore/storetest"
)

func TestStore(t *testing.T) {
	for name, secure := range map[string]bool{"tls": true, "clear": false} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Instance {
				noLeaks(t)
				r := newRig(t, secure)
				return storetest.Instance{
					Store:   r.open(t, ""),
					Reopen:  func(t *testing.T) eventstore.Store { return r.open(t, "") },
					Cluster: true,
				}
			})
		})
	}
}
