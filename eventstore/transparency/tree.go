package transparency

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/bits"

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

// HashChildren is the node above two others, for code that has them as bytes.
func HashChildren(left, right []byte) []byte {
	n := Parent(Node(left), Node(right))
	return n[:]
}

// Parent is the node above two others: SHA-256( 0x01 ‖ left ‖ right ).
func Parent(left, right Node) Node {
	var b [1 + 2*sha256.Size]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// Head is a tree of a size: its root says everything about its leaves.
type Head struct {
	Size uint64 `json:"size"`
	Root Node   `json:"root"`
}

// Growing is the right edge of a tree: enough to add leaves and to know the root.
// It has the root of a full subtree for each bit that is set in the size, the
// largest first. Not for concurrent use.
type Growing struct {
	size  uint64
	nodes []Node
}

// NewGrowing is the empty tree.
func NewGrowing() *Growing { return &Growing{} }

// RestoreGrowing goes on from what Nodes gave at a size.
func RestoreGrowing(size uint64, nodes []Node) (*Growing, error) {
	if want := bits.OnesCount64(size); len(nodes) != want {
		return nil, fmt.Errorf("tree of size %d has %d nodes at its edge, not %d", size, want, len(nodes))
	}
	return &Growing{size, nodes}, nil
}

// Size is the number of leaves.
func (g *Growing) Size() uint64 { return g.size }

// Nodes are the roots of the full subtrees, the largest first. MUST NOT be
// changed, nor kept over an Add.
func (g *Growing) Nodes() []Node { return g.nodes }

// Add appends a leaf. full, if set, is told of every subtree above a leaf that
// became full, with its level and its place among those of that level.
func (g *Growing) Add(leaf Node, full func(level uint, index uint64, node Node)) {
	node := leaf
	for level, index := uint(1), g.size; index&1 == 1; level++ {
		last := len(g.nodes) - 1
		node = Parent(g.nodes[last], node)
		g.nodes = g.nodes[:last]
		index >>= 1
		if full != nil {
			full(level, index, node)
		}
	}
	g.nodes = append(g.nodes, node)
	g.size++
}

// Head is the tree as it is now.
func (g *Growing) Head() Head {
	if g.size == 0 {
		return Head{Root: Node(rfc6962.DefaultHasher.EmptyRoot())}
	}
	last := len(g.nodes) - 1
	root := g.nodes[last]
	for i := last - 1; i >= 0; i-- {
		root = Parent(g.nodes[i], root)
	}
	return Head{Size: g.size, Root: root}
}
