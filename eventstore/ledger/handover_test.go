package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
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
// In the bubble no time passes meanwhile.
func TestABatchIsHandedOverInParts(t *testing.T) {
	const accounts = 70
	for _, c := range []struct {
		name          string
		maxGroupBytes int
		want          []int
	}{
		{"by number", 0, []int{32, 32, 6}},
		{"by bytes", 1_000, slices.Concat( // of some 400 bytes
			slices.Repeat([]int{3}, 10), []int{2}, slices.Repeat([]int{3}, 10), []int{2, 3, 3})},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &handovers{}
				r := newRig(t, func(o *ledger.Options) {
					store.Store = o.Store.(*pebblestore.Store)
					o.Store, o.MaxGroupBytes = store, c.maxGroupBytes
				})
				require.Empty(t, r.batch(accounts, "fund", purchase("p", 10))) // each is read first, and appends alone
				require.Equal(t, slices.Repeat([]int{1}, accounts), store.take())
				require.Empty(t, r.batch(accounts, "spend", deduct(1)))
				require.Equal(t, c.want, store.take())
				for i := range accounts {
					require.Equal(t, 9*credit, r.balance(fmt.Sprint("a", i)))
				}
			})
		})
	}
}

// batch does the same on so many accounts, in a bubble, and gives the errors by their
// numbers. After it all accounts are at rest.
func (r *rig) batch(accounts int, key string, do account.Action) map[int]error {
	defer synctest.Wait()
	reqs := make([]ledger.Request, accounts)
	for i := range reqs {
		reqs[i] = command(fmt.Sprint("a", i), key, do)
	}
	failed := map[int]error{}
	for i, o := range r.ExecuteBatch(context.Background(), reqs) {
		if o.Err != nil {
			failed[i] = o.Err
		}
	}
	return failed
}

// halfBroken is a store that fails every other append of a handover: before it is written,
// or after.
type halfBroken struct {
	*pebblestore.Store
	before, after error
}

func (s *halfBroken) AppendAsync(appends []*eventstore.Append, done func()) {
	written := make([]*eventstore.Append, 0, len(appends))
	for i, a := range appends {
		if a.Err = s.before; i%2 == 0 || s.before == nil {
			written = append(written, a)
		}
	}
	s.Store.AppendAsync(written, func() {
		for i, a := range appends {
			if i%2 == 1 && s.after != nil {
				a.Appended, a.Err = eventstore.Appended{}, s.after
			}
		}
		done()
	})
}

// TestAHandoverThatFailsInPart: each account has its own answer. What failed beside it
// changes neither that nor its book.
func TestAHandoverThatFailsInPart(t *testing.T) {
	const accounts = 20
	for name, c := range map[string]struct {
		before, after error
		written       bool
	}{
		"not written":  {before: eventstore.ErrUnavailable},
		"outcome lost": {after: errors.New("connection lost"), written: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &halfBroken{}
				r := newRig(t, func(o *ledger.Options) { store.Store, o.Store = o.Store.(*pebblestore.Store), store })
				require.Empty(t, r.batch(accounts, "fund", purchase("p", 10)))
				store.before, store.after = c.before, c.after
				failed := r.batch(accounts, "spend", deduct(1))
				store.before, store.after = nil, nil
				require.Len(t, failed, accounts/2)
				for i := range accounts {
					name := fmt.Sprint("a", i)
					require.Equal(t, i%2 == 1, failed[i] != nil, name)
					require.True(t, failed[i] == nil || domain.IsCode(failed[i], domain.CodeUnavailable), "%v", failed[i])
					again := r.do(name, "spend", deduct(1))
					require.Equal(t, i%2 == 0 || c.written, again.Replayed, name)
					require.Equal(t, 9*credit, again.Balance.Balance)
					require.Len(t, r.facts(name), 2)
				}
			})
		})
	}
}

// TestAHandoverThatMeetsAnotherEngine on some of its accounts: those are decided again.
func TestAHandoverThatMeetsAnotherEngine(t *testing.T) {
	const accounts = 20
	synctest.Test(t, func(t *testing.T) {
		store := &handovers{}
		r := newRig(t, func(o *ledger.Options) { store.Store, o.Store = o.Store.(*pebblestore.Store), store })
		require.Empty(t, r.batch(accounts, "fund", purchase("p", 10)))
		other := ledger.New(r.opts)
		for i := 1; i < accounts; i += 2 {
			_, err := other.Execute(t.Context(), command(fmt.Sprint("a", i), "other", deduct(2)))
			require.NoError(t, err)
		}
		require.NoError(t, other.Close(t.Context()))
		store.take()
		require.Empty(t, r.batch(accounts, "spend", deduct(1)))
		require.Equal(t, slices.Concat([]int{accounts}, slices.Repeat([]int{1}, accounts/2)), store.take())
		for i := range accounts {
			want := 9 * credit
			if i%2 == 1 {
				want = 7 * credit
			}
			require.Equal(t, want, r.balance(fmt.Sprint("a", i)))
			require.Len(t, r.facts(fmt.Sprint("a", i)), 2+i%2)
		}
	})
}
