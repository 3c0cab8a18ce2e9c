package transparency_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// TestGrowingIsRFC6962 compares with the library's tree at every size, and goes
// on from what was kept at any of them.
func TestGrowingIsRFC6962(t *testing.T) {
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	theirs, ours := factory.NewEmptyRange(0), transparency.NewGrowing()
	require.Equal(t, rfc6962.DefaultHasher.EmptyRoot(), rootOf(ours.Head()))
	for i := range 300 {
		chain := eventstore.Hash{byte(i), byte(i >> 8), 7}
		leaf := transparency.LeafOf(chain)
		require.Equal(t, rfc6962.DefaultHasher.HashLeaf(chain[:]), leaf[:])
		full := map[string]string{}
		ours.Add(leaf, func(level uint, index uint64, node transparency.Node) {
			full[fmt.Sprint(level, "/", index)] = node.String()
		})
		want := map[string]string{}
		require.NoError(t, theirs.Append(leaf[:], func(id compact.NodeID, hash []byte) {
			if id.Level > 0 {
				want[fmt.Sprint(id.Level, "/", id.Index)] = transparency.Node(hash).String()
			}
		}))
		require.Equal(t, want, full)
		root, err := theirs.GetRootHash(nil)
		require.NoError(t, err)
		require.Equal(t, root, rootOf(ours.Head()), "size %d", i+1)
		restored, err := transparency.RestoreGrowing(ours.Size(), append([]transparency.Node(nil), ours.Nodes()...))
		require.NoError(t, err)
		require.Equal(t, ours.Head(), restored.Head())
		ours = restored
	}
	_, err := transparency.RestoreGrowing(3, ours.Nodes()[:1])
	require.Error(t, err)
}

func rootOf(h transparency.Head) []byte { return h.Root[:] }

// TestLeafIsAsPublished pins the bytes under the signature for ever.
func TestLeafIsAsPublished(t *testing.T) {
	leaf := transparency.LeafOf(eventstore.Hash{})
	require.Equal(t, "7f9c9e31ac8256ca2f258583df262dbc7d6f68f2a03043d5c99a4ae5a7396ce9", hex.EncodeToString(leaf[:]),
		"SHA-256 of 33 zero bytes")
}

func TestCheckpointText(t *testing.T) {
	private, public, err := transparency.GenerateKey(rand.Reader, "example.org/credits")
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(public)
	require.NoError(t, err)
	head := transparency.Head{Size: 12, Root: transparency.LeafOf(eventstore.Hash{1})}
	text, err := transparency.Sign(head, signer)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, "example.org/credits\n12\n"+head.Root.String()+"\n\n— example.org/credits "), text)
	got, err := transparency.OpenCheckpoint(text, verifier)
	require.NoError(t, err)
	require.Equal(t, head, got)

	for _, body := range []string{
		"example.org/credits\n012\n" + head.Root.String() + "\n",
		"example.org/credits\n-1\n" + head.Root.String() + "\n",
		"example.org/other\n12\n" + head.Root.String() + "\n",
		"example.org/credits\n12\nAAAA\n",
		"example.org/credits\n12\n",
	} {
		signed, err := note.Sign(&note.Note{Text: body}, signer)
		require.NoError(t, err)
		_, err = transparency.OpenCheckpoint(string(signed), verifier)
		require.Error(t, err, body)
	}
	_, err = transparency.OpenCheckpoint(strings.Replace(text, "12", "13", 1), verifier)
	require.ErrorIs(t, err, transparency.ErrSignature)
	for _, name := range []string{"", "two words", "a+b"} {
		_, _, err := transparency.GenerateKey(rand.Reader, name)
		require.Error(t, err, name)
	}
}
