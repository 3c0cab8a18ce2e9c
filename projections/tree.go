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

// The tree of all account events. Stored are the leaves, a few to a row so that
// neither a rebuild nor a single event costs much, and the subtrees whose level
// is a multiple of tileLevels. What is between is computed when a proof asks for
// it, from at most 128 hashes.
//
//	x 0 row:8            → up to leavesInRow times hash:32 and the event's position:8
//	x level:1 index:8    → hash:32, for levels above
//	r                    → size:8 position:8 and the hashes of the right edge
const (
	tileLevels  = 8
	leavesInRow = 16
	nodeBytes   = 32
	leafBytes   = nodeBytes + 8
)

// The views are the tree that a notary signs.
var _ transparency.Tree = (*Views)(nil)

// growing is the tree's right edge, with the row of leaves that isn't full.
type growing struct {
	*transparency.Growing
	position eventstore.Position
	row      []byte
}

func applyTree(w *writer, s *step) error {
	if w.tree == nil {
		tree, err := readEdge(w.db)
		if err == nil {
			tree.row, err = readRow(w.db, tree.Size()/leavesInRow)
		}
		if err != nil {
			return err
		}
		w.tree = &tree
	}
	t := w.tree
	w.grown = true
	leaf := transparency.LeafOf(s.Hash)
	t.row = binary.BigEndian.AppendUint64(append(t.row, leaf[:]...), uint64(s.Position))
	t.position = s.Position
	t.Add(leaf, func(level uint, index uint64, node transparency.Node) {
		if level%tileLevels == 0 {
			w.append(nodeKey(level, index), node[:])
		}
	})
	if len(t.row) == leavesInRow*leafBytes {
		w.append(nodeKey(0, t.Size()/leavesInRow-1), t.row)
		t.row = t.row[:0]
	}
	return nil
}

func (w *writer) flushTree() {
	if !w.grown {
		return
	}
	t := w.tree
	value := binary.BigEndian.AppendUint64(nil, t.Size())
	value = binary.BigEndian.AppendUint64(value, uint64(t.position))
	for _, n := range t.Nodes() {
		value = append(value, n[:]...)
	}
	w.append([]byte{edgeKey}, value)
	if len(t.row) > 0 {
		w.append(nodeKey(0, t.Size()/leavesInRow), t.row)
	}
}

// readRow reads a row of leaves; nil if there is none yet.
func readRow(db pebble.Reader, row uint64) ([]byte, error) {
	return lookup(db, nodeKey(0, row), func(value []byte) ([]byte, error) {
		if len(value)%leafBytes != 0 || len(value) > leavesInRow*leafBytes {
			return nil, fmt.Errorf("row of leaves of %d bytes", len(value))
		}
		return slices.Clone(value), nil
	})
}

func nodeKey(level uint, index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{nodePrefix, byte(level)}, index)
}

func readEdge(db pebble.Reader) (growing, error) {
	g, err := lookup(db, []byte{edgeKey}, func(value []byte) (growing, error) {
		const head, size = 16, nodeBytes
		if len(value) < head || (len(value)-head)%size != 0 {
			return growing{}, fmt.Errorf("edge of %d bytes", len(value))
		}
		var nodes []transparency.Node
		for rest := value[head:]; len(rest) > 0; rest = rest[size:] {
			nodes = append(nodes, transparency.Node(rest[:size]))
		}
		tree, err := transparency.RestoreGrowing(binary.BigEndian.Uint64(value), nodes)
		return growing{Growing: tree, position: eventstore.Position(binary.BigEndian.Uint64(value[8:]))}, err
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
func (t Tree) Head() (transparency.Head, eventstore.Position) {
	return t.edge.Head(), t.edge.position
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
	return then.Head(), nil
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
		row, err := readRow(t.db, uint64(i)/leavesInRow)
		if offset := (i%leavesInRow)*leafBytes + nodeBytes; err == nil && len(row) >= offset+8 {
			return eventstore.Position(binary.BigEndian.Uint64(row[offset:]))
		}
		failed = errors.Join(failed, err, fmt.Errorf("%w: no leaf %d", errDamaged, i))
		return 0
	}
	// Leaves stand in the order of the log.
	i := sort.Search(int(t.Size()), func(i int) bool { return failed != nil || position(i) >= at })
	found := failed == nil && i < int(t.Size()) && position(i) == at
	return uint64(i), found, failed
}

// InTree reads the tree as of one moment; it is valid until read returns.
func (v *Views) InTree(ctx context.Context, read func(Tree) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, leave, err := v.read()
	if err != nil {
		return err
	}
	defer leave()
	tree, err := readTree(m)
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
		head, at = t.Head()
		return nil
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

// Leaves implements transparency.Tree.
func (v *Views) Leaves(ctx context.Context, first, end uint64) (leaves []transparency.Leaf, err error) {
	err = v.InTree(ctx, func(t Tree) error {
		leaves, err = readLeaves(t.db, first, end-first)
		return err
	})
	return leaves, err
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
func readNode(db pebble.Reader, id compact.NodeID) (transparency.Node, error) {
	below := id.Level % tileLevels
	first, count := id.Index<<below, uint64(1)<<below
	read := readSubtrees
	if id.Level < tileLevels {
		read = readLeafNodes
	}
	nodes, err := read(db, id.Level-below, first, count)
	if err != nil {
		return transparency.Node{}, fmt.Errorf("%w: node %d of level %d: %w", errDamaged, id.Index, id.Level, err)
	}
	for ; len(nodes) > 1; nodes = nodes[:len(nodes)/2] {
		for i := range len(nodes) / 2 {
			nodes[i] = transparency.Parent(nodes[2*i], nodes[2*i+1])
		}
	}
	return nodes[0], nil
}

func readLeafNodes(db pebble.Reader, _ uint, first, count uint64) ([]transparency.Node, error) {
	leaves, err := readLeaves(db, first, count)
	nodes := make([]transparency.Node, len(leaves))
	for i := range leaves {
		nodes[i] = leaves[i].Node
	}
	return nodes, err
}

// readLeaves reads count leaves in a row.
func readLeaves(db pebble.Reader, first, count uint64) ([]transparency.Leaf, error) {
	leaves := make([]transparency.Leaf, 0, count)
	for index := first; index < first+count; {
		row, err := readRow(db, index/leavesInRow)
		if err != nil {
			return nil, err
		}
		offset := int(index%leavesInRow) * leafBytes
		if offset >= len(row) {
			return nil, fmt.Errorf("no leaf %d", index)
		}
		for ; offset < len(row) && index < first+count; offset += leafBytes {
			leaves = append(leaves, transparency.Leaf{
				Node:     transparency.Node(row[offset : offset+nodeBytes]),
				Position: eventstore.Position(binary.BigEndian.Uint64(row[offset+nodeBytes:])),
			})
			index++
		}
	}
	return leaves, nil
}

// readSubtrees reads count stored subtrees of a level in a row.
func readSubtrees(db pebble.Reader, level uint, first, count uint64) (nodes []transparency.Node, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: nodeKey(level, first), UpperBound: nodeKey(level, first+count)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		if len(value) != nodeBytes {
			return nil, fmt.Errorf("node of %d bytes", len(value))
		}
		nodes = append(nodes, transparency.Node(value))
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	if uint64(len(nodes)) != count {
		return nil, fmt.Errorf("%d of %d nodes of level %d from %d", len(nodes), count, level, first)
	}
	return nodes, nil
}

func beyondTree(field string, value, limit uint64) error {
	return domain.Refuse(domain.CodeFieldInvalid, "%s %d is not within the tree of %d events", field, value, limit).
		With("field", field).With("value", fmt.Sprint(value)).With("limit", fmt.Sprint(limit))
}
