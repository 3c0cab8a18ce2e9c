package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
)

// handovers is a store that remembers how many groups came together.
type handovers struct {
	*pebblestore.Store
	mu    sync.Mutex
	sizes []int
}

func (h *handovers) AppendAsync(appends []*eventstore.Append, done func()) {
	h.mu.Lock()
	h.sizes = append(h.sizes, len(appends))
	h.mu.Unlock()
	h.Store.AppendAsync(appends, done)
}

// take gives the sizes so far, and forgets them.
func (h *handovers) take() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.sizes = nil }()
	return h.sizes
}

// TestABatchIsHandedOverInParts: groups of a batch go to the store together, but neither
// too many nor too large ones: what has been decided waits for what is decided after it.
func TestABatchIsHandedOverInParts(t *testing.T) {
	const accounts = 100
	for _, c := range []struct {
		name          string
		maxGroupBytes int
		most          int
	}{
		{"by number", 0, 32},
		{"by bytes", 1_000, 3}, // of some 400 bytes
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &handovers{}
			r := newRig(t, func(o *ledger.Options) {
				store.Store = o.Store.(*pebblestore.Store)
				o.Store, o.MaxGroupBytes = store, c.maxGroupBytes
			})
			batch := func(key string, do account.Action) {
				reqs := make([]ledger.Request, accounts)
				for i := range reqs {
					reqs[i] = command(fmt.Sprint("a", i), key, do)
				}
				for _, o := range r.ExecuteBatch(context.Background(), reqs) {
					require.NoError(t, o.Err)
				}
			}
			batch("fund", purchase("p", 10)) // each is read first, and appends alone
			require.Equal(t, slices.Repeat([]int{1}, accounts), store.take())
			batch("spend", deduct(1))
			groups := 0
			for _, size := range store.take() {
				groups += size
				require.LessOrEqual(t, size, c.most)
			}
			require.Equal(t, accounts, groups)
			for i := range accounts {
				require.Equal(t, 9*credit, r.balance(fmt.Sprint("a", i)))
			}
		})
	}
}
