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

// Tree is the tree of all account events as of one moment.
type Tree struct {
	db   pebble.Reader
	edge growing
}

func readTree(db pebble.Reader) (Tree, error) {
	edge, err := readEdge(db)
	return Tree{db, edge}, err
}

// Size is the number of leaves.
func (t Tree) Size() uint64 { return t.edge.Size() }

// Head is the whole tree, and the position of its last event.
func (t Tree) Head() (transparency.Head, eventstore.Position, error) {
	head, err := t.edge.Head()
	return head, t.edge.position, err
}

// HeadAt is the tree as it was at a size. Error: CodeFieldInvalid beyond it.
func (t Tree) HeadAt(size uint64) (transparency.Head, error) {
	if size > t.Size() {
		return transparency.Head{}, beyondTree("size", size, t.Size())
	}
	nodes, err := readNodes(t.db, compact.RangeNodes(0, size, nil))
	if err != nil {
		return transparency.Head{}, err
	}
	then, err := transparency.RestoreGrowing(size, nodes)
	if err != nil {
		return transparency.Head{}, err
	}
	return then.Head()
}

// Inclusion proves that the leaf at index is in the tree of a size.
// Error: CodeFieldInvalid for a size beyond the tree, or an index beyond size.
func (t Tree) Inclusion(index, size uint64) ([]transparency.Node, error) {
	if size > t.Size() {
		return nil, beyondTree("size", size, t.Size())
	}
	if index >= size {
		return nil, beyondTree("index", index, size)
	}
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, err
	}
	return prove(t.db, nodes)
}

// Consistency proves that the tree of size from is a prefix of that of size to.
// Error: CodeFieldInvalid unless 0 < from <= to <= the tree's size.
func (t Tree) Consistency(from, to uint64) ([]transparency.Node, error) {
	if to > t.Size() {
		return nil, beyondTree("to", to, t.Size())
	}
	if from > to || from == 0 {
		return nil, beyondTree("from", from, to)
	}
	nodes, err := proof.Consistency(from, to)
	if err != nil {
		return nil, err
	}
	return prove(t.db, nodes)
}

// LeafIndex is the place in the tree of the event at a position; false if there
// is none.
func (t Tree) LeafIndex(at eventstore.Position) (uint64, bool, error) {
	var failed error
	position := func(i int) eventstore.Position {
		p, err := lookup(t.db, nodeKey(0, uint64(i)), decodeLeafPosition)
		failed = errors.Join(failed, err)
		return p
	}
	// Leaves stand in the order of the log.
	i := sort.Search(int(t.Size()), func(i int) bool { return failed != nil || position(i) >= at })
	found := failed == nil && i < int(t.Size()) && position(i) == at
	return uint64(i), found, failed
}

func decodeLeafPosition(value []byte) (eventstore.Position, error) {
	const hashed = len(transparency.Node{})
	if len(value) != hashed+8 {
		return 0, fmt.Errorf("leaf of %d bytes", len(value))
	}
	return eventstore.Position(binary.BigEndian.Uint64(value[hashed:])), nil
}

// InTree reads the tree as of one moment; it is valid until read returns.
func (v *Views) InTree(ctx context.Context, read func(Tree) error) (err error) {
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
	tree, err := readTree(db)
	if err != nil {
		return err
	}
	return read(tree)
}

// Tree is the tree of an image; it is valid as long as that is open.
func (i *Image) Tree() (Tree, error) { return readTree(i.db) }

// TreeHead implements transparency.Tree.
func (v *Views) TreeHead(ctx context.Context) (head transparency.Head, at eventstore.Position, err error) {
	err = v.InTree(ctx, func(t Tree) error {
		head, at, err = t.Head()
		return err
	})
	return head, at, err
}

// HeadAt implements transparency.Tree.
func (v *Views) HeadAt(ctx context.Context, size uint64) (head transparency.Head, err error) {
	err = v.InTree(ctx, func(t Tree) error {
		head, err = t.HeadAt(size)
		return err
	})
	return head, err
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
