package transparency

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"iocredits/eventstore"
)

// Node is the hash of a leaf or of a subtree.
type Node [sha256.Size]byte

// MarshalText gives base64, as checkpoints have it. It never fails.
func (n Node) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, n[:]), nil }

// UnmarshalText reads base64 of exactly 32 bytes.
func (n *Node) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) != len(n) {
		return fmt.Errorf("%q is no hash of %d bytes in base64", text, len(n))
	}
	copy(n[:], b)
	return nil
}

func (n Node) String() string { return base64.StdEncoding.EncodeToString(n[:]) }

// LeafOf is the leaf of an event with this chain hash: SHA-256( 0x00 ‖ hash ).
func LeafOf(chain eventstore.Hash) Node {
	var b [1 + sha256.Size]byte
	copy(b[1:], chain[:])
	b[0] = rfc6962.RFC6962LeafHashPrefix
	return sha256.Sum256(b[:])
}

// HashChildren is the node above two others: SHA-256( 0x01 ‖ left ‖ right ).
func HashChildren(left, right []byte) []byte {
	var b [1 + 2*sha256.Size]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left)
	copy(b[1+sha256.Size:], right)
	sum := sha256.Sum256(b[:])
	return sum[:]
}

// Head is a tree of a size: its root says everything about its leaves.
type Head struct {
	Size uint64 `json:"size"`
	Root Node   `json:"root"`
}

var ranges = &compact.RangeFactory{Hash: HashChildren}

// Growing is the right edge of a tree: enough to add leaves and to know the root.
type Growing struct{ edge *compact.Range }

// NewGrowing is the empty tree.
func NewGrowing() *Growing { return &Growing{ranges.NewEmptyRange(0)} }

// RestoreGrowing goes on from what Nodes gave at a size.
func RestoreGrowing(size uint64, nodes []Node) (*Growing, error) {
	hashes := make([][]byte, len(nodes))
	for i := range nodes {
		hashes[i] = nodes[i][:]
	}
	edge, err := ranges.NewRange(0, size, hashes)
	if err != nil {
		return nil, fmt.Errorf("tree of size %d: %w", size, err)
	}
	return &Growing{edge}, nil
}

// Size is the number of leaves.
func (g *Growing) Size() uint64 { return g.edge.End() }

// Nodes are the roots of the full subtrees, the largest first.
func (g *Growing) Nodes() []Node {
	nodes := make([]Node, len(g.edge.Hashes()))
	for i, h := range g.edge.Hashes() {
		nodes[i] = Node(h)
	}
	return nodes
}

// Add appends a leaf. full, if set, is told of every subtree that became full,
// with its level above the leaves and its place among those of that level.
func (g *Growing) Add(leaf Node, full func(level uint, index uint64, node Node)) error {
	var visit compact.VisitFn
	if full != nil {
		visit = func(id compact.NodeID, hash []byte) { full(id.Level, id.Index, Node(hash)) }
	}
	return g.edge.Append(leaf[:], visit)
}

// Head is the tree as it is now.
func (g *Growing) Head() (Head, error) {
	if g.Size() == 0 {
		return Head{Root: Node(rfc6962.DefaultHasher.EmptyRoot())}, nil
	}
	root, err := g.edge.GetRootHash(nil)
	if err != nil {
		return Head{}, fmt.Errorf("root of %d leaves: %w", g.Size(), err)
	}
	return Head{Size: g.Size(), Root: Node(root)}, nil
}
