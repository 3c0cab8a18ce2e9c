package transparency

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"iocredits/eventstore"
)

// Leaf is a leaf of a tree, with the position of its event.
type Leaf struct {
	Node     Node
	Position eventstore.Position
}

// What is signed is the tree, and the read models keep it over a start: it says nothing
// of a log that was changed under it. To read the whole log takes minutes, so a start
// looks at so much of it that it takes no longer for a log of any size:
//
//	the newest compareTail leaves    each one: there is what a crash, a lost file or
//	                                 a hand in a hurry comes to first
//	the last under the checkpoint    whose place the log's head alone doesn't prove
//	compareSome of the newest        ten times as many, a hundred times, and so on up
//	                                 to all: a gap of some size is met by one of them
//
// The rest only verify reads.
const (
	compareTail = 4_000
	compareSome = 64
)

// compare holds the log to the tree. Error: ErrTree, or ctx's, the store's and the tree's.
func (n *Notary) compare(ctx context.Context, now Head, signed uint64) error {
	tail := now.Size - min(now.Size, compareTail)
	if err := n.compareLeaves(ctx, tail, now.Size); err != nil {
		return err
	}
	if tail == 0 {
		return nil
	}
	var some []uint64
	if 0 < signed && signed <= tail {
		some = append(some, signed-1)
	}
	// Other ones at each size of the tree, and the same ones if it is asked again.
	random := rand.New(rand.NewPCG(binary.BigEndian.Uint64(now.Root[:]), now.Size))
	for span, first := uint64(compareTail), tail; first > 0; {
		span *= 10
		first = now.Size - min(now.Size, span)
		for range compareSome {
			some = append(some, first+random.Uint64N(tail-first))
		}
	}
	for _, index := range some {
		if err := n.compareLeaves(ctx, index, index+1); err != nil {
			return err
		}
	}
	return nil
}

// compareLeaves compares the leaves from first to before end with the log: each is of
// the event at its position, and no other event of an account is between them.
func (n *Notary) compareLeaves(ctx context.Context, first, end uint64) error {
	for first < end {
		compared, err := n.compareFrom(ctx, first, end)
		if err != nil {
			return err
		}
		first += compared
	}
	return nil
}

// compareFrom compares the first of these leaves, at least one, and gives how many.
func (n *Notary) compareFrom(ctx context.Context, first, end uint64) (compared uint64, err error) {
	leaves, err := n.opts.Tree.Leaves(ctx, first, end)
	if err != nil || len(leaves) == 0 {
		return end - first, err
	}
	// On a cluster there may be much between them that is no account's: who is called
	// again looks at more.
	most := 4*len(leaves) - 3
	at, read := 0, 0
	differs := func(found string) (uint64, error) {
		return 0, fmt.Errorf("%w: event %d of the tree is at position %d; in the log there is %s", ErrTree, first+uint64(at)+1, leaves[at].Position, found)
	}
	var corrupt *eventstore.CorruptError
	for r, err := range n.opts.Store.ReadAll(ctx, leaves[0].Position, eventstore.Forwards, most) {
		if errors.As(err, &corrupt) {
			return differs("a " + corrupt.Error())
		}
		if err != nil {
			return 0, err
		}
		read++
		if _, ours := eventstore.AccountOf(r.Stream); !ours {
			continue
		}
		if r.Position != leaves[at].Position {
			return differs(fmt.Sprintf("none before position %d", r.Position))
		}
		if leafOf(&r) != leaves[at].Node {
			return differs(fmt.Sprintf("another one, revision %d of %s", r.Revision, r.Stream))
		}
		if at++; at == len(leaves) {
			break
		}
	}
	if at == 0 || at < len(leaves) && read < most {
		return differs("none")
	}
	return uint64(at), nil
}

// leafOf is the leaf of an event by what it says came before it.
func leafOf(r *eventstore.Recorded) Node {
	meta, err := eventstore.DecodeMetadata(r.Metadata)
	if err != nil {
		return Node{}
	}
	return LeafOf(eventstore.ChainHash(r.Stream, r.Revision, r.Event, meta.Previous))
}
