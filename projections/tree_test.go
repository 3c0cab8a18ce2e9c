package projections_test

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/transparency"
	"iocredits/projections"
)

// countingStore counts the events that are read by stream.
type countingStore struct {
	eventstore.Store
	read int
}

func (c *countingStore) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range c.Store.ReadStream(ctx, stream, from, d, limit) {
			c.read++
			if !yield(r, err) {
				return
			}
		}
	}
}

// all sends actions as batches, and wants them accepted.
func (r *rig) all(acct string, actions []account.Action) {
	r.t.Helper()
	for some := range slices.Chunk(actions, 1000) {
		reqs := make([]ledger.Request, len(some))
		for i, do := range some {
			reqs[i] = ledger.Request{Account: acct, Do: do, Actor: "tester", Role: "service"}
		}
		for _, out := range r.ExecuteBatch(bg, reqs) {
			require.NoError(r.t, out.Err)
		}
	}
}

// plainRoot is RFC 6962 by its definition.
func plainRoot(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		return rfc6962.DefaultHasher.EmptyRoot()
	case 1:
		return leaves[0]
	}
	half := 1
	for 2*half < len(leaves) {
		half *= 2
	}
	return rfc6962.DefaultHasher.HashChildren(plainRoot(leaves[:half]), plainRoot(leaves[half:]))
}

// leaves are those of the log, by its definition.
func (r *rig) leaves() (hashes [][]byte, at []eventstore.Position) {
	r.t.Helper()
	heads := map[string]eventstore.Hash{}
	for rec, err := range r.store.ReadAll(bg, 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(r.t, err)
		if _, ours := eventstore.AccountOf(rec.Stream); !ours {
			continue
		}
		h := eventstore.ChainHash(rec.Stream, rec.Revision, rec.Event, heads[rec.Stream])
		heads[rec.Stream] = h
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(h[:]))
		at = append(at, rec.Position)
	}
	return hashes, at
}

// TestTree holds roots and proofs to the definition, over batches of any size,
// and with events between that are no account's.
func TestTree(t *testing.T) {
	seeded(t, 3, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		r.do("a", "", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
		r.do("b", "", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
		for range 3 + rng.IntN(5) {
			batch := make([]account.Action, 1+rng.IntN(200))
			for j := range batch {
				batch[j] = account.Deduct{Amount: 1, Service: domain.ServiceRay}
			}
			r.all([]string{"a", "b"}[rng.IntN(2)], batch)
			r.toEnd()
		}
		hashes, at := r.leaves()
		head, position, err := r.views.TreeHead(bg)
		require.NoError(t, err)
		require.EqualValues(t, len(hashes), head.Size)
		require.Equal(t, at[len(at)-1], position)
		require.Equal(t, plainRoot(hashes), head.Root[:])
		for range 50 {
			r.checkProofs(rng, hashes, at)
		}
		_, err = r.inclusion(head.Size, head.Size)
		require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%v", err)
		_, err = r.consistency(1, head.Size+1)
		require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%v", err)
		_, err = r.views.HeadAt(bg, head.Size+1)
		require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%v", err)
	})
}

// prove asks the tree something as of one moment.
func prove[T any](r *rig, ask func(projections.Tree) (T, error)) (answer T, err error) {
	err = r.views.InTree(bg, func(t projections.Tree) error {
		answer, err = ask(t)
		return err
	})
	return answer, err
}

type leafPlace struct {
	index uint64
	found bool
}

func (r *rig) leafAt(at eventstore.Position) (leafPlace, error) {
	return prove(r, func(t projections.Tree) (leafPlace, error) {
		index, found, err := t.LeafIndex(at)
		return leafPlace{index, found}, err
	})
}

func (r *rig) inclusion(index, size uint64) ([]transparency.Node, error) {
	return prove(r, func(t projections.Tree) ([]transparency.Node, error) { return t.Inclusion(index, size) })
}

func (r *rig) consistency(from, to uint64) ([]transparency.Node, error) {
	return prove(r, func(t projections.Tree) ([]transparency.Node, error) { return t.Consistency(from, to) })
}

func (r *rig) checkProofs(rng *rand.Rand, hashes [][]byte, at []eventstore.Position) {
	r.t.Helper()
	size := 1 + rng.IntN(len(hashes))
	head, err := r.views.HeadAt(bg, uint64(size))
	require.NoError(r.t, err)
	require.Equal(r.t, plainRoot(hashes[:size]), head.Root[:], "size %d", size)

	index := rng.IntN(size)
	place, err := r.leafAt(at[index])
	require.NoError(r.t, err)
	require.True(r.t, place.found)
	found := place.index
	require.EqualValues(r.t, index, found)
	proof, err := r.inclusion(found, uint64(size))
	require.NoError(r.t, err)
	leaf := transparency.Node(hashes[index])
	require.NoError(r.t, transparency.VerifyInclusion(leaf, found, proof, head))
	leaf[rng.IntN(32)] ^= 1
	require.ErrorIs(r.t, transparency.VerifyInclusion(leaf, found, proof, head), transparency.ErrProof)

	from := 1 + rng.IntN(size)
	earlier, err := r.views.HeadAt(bg, uint64(from))
	require.NoError(r.t, err)
	steps, err := r.consistency(uint64(from), uint64(size))
	require.NoError(r.t, err)
	require.NoError(r.t, transparency.VerifyConsistency(earlier, head, steps))
	earlier.Root[0] ^= 1
	require.Error(r.t, transparency.VerifyConsistency(earlier, head, steps))
}

// TestTrialBalance: after every batch of any history the company's books are
// closed, and they are the sum of the accounts' books and of their balances.
func TestTrialBalance(t *testing.T) {
	seeded(t, 5, func(t *testing.T, rng *rand.Rand) {
		r := newRig(t, vfs.NewMem(), nil)
		p := newPlayer(r, 3, rng.IntN)
		for range 150 {
			p.step()
			r.toEnd()
			books, err := r.views.TrialBalance(bg)
			require.NoError(t, err)
			require.Equal(t, journal.Sum{}, books.Totals.Open())
			require.Equal(t, r.views.Through(), books.Position)
			var sum, balances journal.Sum
			var all journal.Totals
			for name, told := range r.log() {
				own := told.books(t, books.Position)
				balance, err := r.views.Balance(bg, name)
				require.NoError(t, err)
				require.Equal(t, journal.Sum{}.Add(balance.Balance.Balance), own.Balance(), name)
				sum, balances = sum.Plus(own.Balance()), balances.Add(balance.Balance.Balance)
				all.Plus(&own)
			}
			require.Equal(t, books.Totals, all)
			require.Equal(t, sum, balances)
		}
		require.True(t, slices.ContainsFunc(allTotals(t, r), func(s journal.Sum) bool { return s != journal.Sum{} }), "nothing was posted")
	})
}

func allTotals(t *testing.T, r *rig) []journal.Sum {
	t.Helper()
	books, err := r.views.TrialBalance(bg)
	require.NoError(t, err)
	return books.Totals[:]
}
