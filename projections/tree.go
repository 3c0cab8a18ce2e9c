package projections

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// The tree of all account events. Stored are the leaves, and the subtrees whose
// level is a multiple of tileLevels: 0.4 % more. What is between two of those is
// computed when a proof asks for it, from at most 128 hashes.
//
//	m level:1 index:8    → hash:32, for a leaf followed by the event's position:8
//	r                    → size:8 position:8 and the hashes of the right edge
const tileLevels = 8

// The views are the tree that a notary signs.
var _ transparency.Tree = (*Views)(nil)

// growing is the tree's right edge during a batch.
type growing struct {
	*transparency.Growing
	position eventstore.Position
}

func applyTree(w *writer, s *step) error {
	if w.tree == nil {
		tree, err := readEdge(w.db)
		if err != nil {
			return err
		}
		w.tree = &tree
	}
	leaf := transparency.LeafOf(s.Hash)
	value := binary.BigEndian.AppendUint64(leaf[:], uint64(s.Position))
	if err := w.append(nodeKey(0, w.tree.Size()), value); err != nil {
		return err
	}
	w.tree.position = s.Position
	var failed error
	err := w.tree.Add(leaf, func(level uint, index uint64, node transparency.Node) {
		if level > 0 && level%tileLevels == 0 {
			failed = errors.Join(failed, w.append(nodeKey(level, index), node[:]))
		}
	})
	return errors.Join(err, failed)
}

func (w *writer) flushTree() error {
	if w.tree == nil {
		return nil
	}
	value := binary.BigEndian.AppendUint64(nil, w.tree.Size())
	value = binary.BigEndian.AppendUint64(value, uint64(w.tree.position))
	for _, n := range w.tree.Nodes() {
		value = append(value, n[:]...)
	}
	return w.append([]byte{edgeKey}, value)
}

func nodeKey(level uint, index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{nodePrefix, byte(level)}, index)
}

func readEdge(db pebble.Reader) (growing, error) {
	g, err := lookup(db, []byte{edgeKey}, func(value []byte) (growing, error) {
		const head, size = 16, len(transparency.Node{})
		if len(value) < head || (len(value)-head)%size != 0 {
			return growing{}, fmt.Errorf("edge of %d bytes", len(value))
		}
		var nodes []transparency.Node
		for rest := value[head:]; len(rest) > 0; rest = rest[size:] {
			nodes = append(nodes, transparency.Node(rest[:size]))
		}
		tree, err := transparency.RestoreGrowing(binary.BigEndian.Uint64(value), nodes)
		return growing{tree, eventstore.Position(binary.BigEndian.Uint64(value[8:]))}, err
	})
	if g.Growing == nil {
		g.Growing = transparency.NewGrowing()
	}
	return g, err
}

// TreeHead implements transparency.Tree.
func (v *Views) TreeHead(ctx context.Context) (head transparency.Head, at eventstore.Position, err error) {
	err = v.inTree(ctx, func(_ pebble.Reader, tree growing) error {
		at = tree.position
		head, err = tree.Head()
		return err
	})
	return head, at, err
}

// HeadAt implements transparency.Tree.
func (v *Views) HeadAt(ctx context.Context, size uint64) (head transparency.Head, err error) {
	err = v.inTree(ctx, func(db pebble.Reader, tree growing) error {
		if size > tree.Size() {
			return beyondTree("size", size, tree.Size())
		}
		nodes, err := readNodes(db, compact.RangeNodes(0, size, nil))
		if err != nil {
			return err
		}
		then, err := transparency.RestoreGrowing(size, nodes)
		if err != nil {
			return err
		}
		head, err = then.Head()
		return err
	})
	return head, err
}

// Inclusion proves that the leaf at index is in the tree of a size.
// Error: CodeFieldInvalid for a size beyond the tree, or an index beyond size.
func (v *Views) Inclusion(ctx context.Context, index, size uint64) (hashes []transparency.Node, err error) {
	err = v.inTree(ctx, func(db pebble.Reader, tree growing) error {
		if size > tree.Size() {
			return beyondTree("size", size, tree.Size())
		}
		if index >= size {
			return beyondTree("index", index, size)
		}
		nodes, err := proof.Inclusion(index, size)
		if err != nil {
			return err
		}
		hashes, err = prove(db, nodes)
		return err
	})
	return hashes, err
}

// Consistency proves that the tree of size from is a prefix of that of size to.
// Error: CodeFieldInvalid unless 0 < from <= to <= the tree's size.
func (v *Views) Consistency(ctx context.Context, from, to uint64) (hashes []transparency.Node, err error) {
	err = v.inTree(ctx, func(db pebble.Reader, tree growing) error {
		if to > tree.Size() {
			return beyondTree("to", to, tree.Size())
		}
		if from > to || from == 0 {
			return beyondTree("from", from, to)
		}
		nodes, err := proof.Consistency(from, to)
		if err != nil {
			return err
		}
		hashes, err = prove(db, nodes)
		return err
	})
	return hashes, err
}

// LeafIndex is the place in the tree of the event at a position; false if there
// is none, or the views don't have it yet.
func (v *Views) LeafIndex(ctx context.Context, at eventstore.Position) (index uint64, found bool, err error) {
	err = v.inTree(ctx, func(db pebble.Reader, tree growing) error {
		var failed error
		position := func(i int) eventstore.Position {
			p, err := lookup(db, nodeKey(0, uint64(i)), func(value []byte) (eventstore.Position, error) {
				if len(value) != len(transparency.Node{})+8 {
					return 0, fmt.Errorf("leaf of %d bytes", len(value))
				}
				return eventstore.Position(binary.BigEndian.Uint64(value[len(transparency.Node{}):])), nil
			})
			failed = errors.Join(failed, err)
			return p
		}
		// Leaves stand in the order of the log.
		i := sort.Search(int(tree.Size()), func(i int) bool { return failed != nil || position(i) >= at })
		index, found = uint64(i), failed == nil && i < int(tree.Size()) && position(i) == at
		return failed
	})
	return index, found, err
}

// inTree reads tree and nodes as of one moment.
func (v *Views) inTree(ctx context.Context, read func(pebble.Reader, growing) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	g, leave, err := v.enter()
	if err != nil {
		return err
	}
	defer leave()
	db := g.db.NewSnapshot()
	defer func() { err = errors.Join(err, db.Close()) }()
	tree, err := readEdge(db)
	if err != nil {
		return err
	}
	return read(db, tree)
}

func prove(db pebble.Reader, nodes proof.Nodes) ([]transparency.Node, error) {
	read, err := readNodes(db, nodes.IDs)
	if err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(read))
	for i := range read {
		hashes[i] = read[i][:]
	}
	if hashes, err = nodes.Rehash(hashes, transparency.HashChildren); err != nil {
		return nil, err
	}
	out := make([]transparency.Node, len(hashes))
	for i, h := range hashes {
		out[i] = transparency.Node(h)
	}
	return out, nil
}

func readNodes(db pebble.Reader, ids []compact.NodeID) ([]transparency.Node, error) {
	nodes := make([]transparency.Node, len(ids))
	for i, id := range ids {
		node, err := readNode(db, id)
		if err != nil {
			return nil, err
		}
		nodes[i] = node
	}
	return nodes, nil
}

// readNode reads a full subtree's hash, or computes it from the stored ones below.
func readNode(db pebble.Reader, id compact.NodeID) (node transparency.Node, err error) {
	below := id.Level % tileLevels
	first := id.Index << below
	end := first + 1<<below
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: nodeKey(id.Level-below, first), UpperBound: nodeKey(id.Level-below, end)})
	if err != nil {
		return node, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	row := make([][]byte, 0, end-first)
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return node, err
		}
		if len(value) < len(node) {
			return node, fmt.Errorf("damaged view: node of %d bytes at %q", len(value), it.Key())
		}
		row = append(row, slices.Clone(value[:len(node)]))
	}
	if err := it.Error(); err != nil {
		return node, err
	}
	if uint64(len(row)) != end-first {
		return node, fmt.Errorf("damaged view: %d of %d nodes below level %d, index %d", len(row), end-first, id.Level, id.Index)
	}
	for ; len(row) > 1; row = row[:len(row)/2] {
		for i := range len(row) / 2 {
			row[i] = transparency.HashChildren(row[2*i], row[2*i+1])
		}
	}
	return transparency.Node(row[0]), nil
}

func beyondTree(field string, value, limit uint64) error {
	return domain.Refuse(domain.CodeFieldInvalid, "%s %d is not within the tree of %d events", field, value, limit).
		With("field", field).With("value", fmt.Sprint(value)).With("limit", fmt.Sprint(limit))
}
