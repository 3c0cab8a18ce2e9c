package transparency

import (
	"encoding/base64"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"iocredits/eventstore"
)

// receiptFormat names what a Receipt has in it.
const receiptFormat = "iocredits-receipt/1"

// Receipt proves that an event is in the log that a checkpoint is of. It needs
// nothing else to be checked but the signer's public key.
type Receipt struct {
	Format   string    `json:"format"`
	Stream   string    `json:"stream"`
	Revision int64     `json:"revision"`
	ID       uuid.UUID `json:"id"`
	Type     string    `json:"type"`
	// Data and Metadata are the stored bytes; they are JSON, so a string keeps
	// them exactly and a person can read them.
	Data     string `json:"data"`
	Metadata string `json:"metadata"`
	// Index of the leaf, and the hashes beside its way to the root.
	Index      uint64 `json:"index"`
	Proof      []Node `json:"proof"`
	Checkpoint string `json:"checkpoint"`
}

// NewReceipt puts a receipt together. Error: the event isn't text.
func NewReceipt(r eventstore.Recorded, index uint64, hashes []Node, checkpoint string) (Receipt, error) {
	if !utf8.Valid(r.Data) || !utf8.Valid(r.Metadata) {
		return Receipt{}, fmt.Errorf("event %s at revision %d is not text", r.Type, r.Revision)
	}
	return Receipt{
		Format: receiptFormat, Stream: r.Stream, Revision: r.Revision, ID: r.ID, Type: r.Type,
		Data: string(r.Data), Metadata: string(r.Metadata), Index: index, Proof: hashes, Checkpoint: checkpoint,
	}, nil
}

// Encode gives the receipt's file.
func (r Receipt) Encode() ([]byte, error) { return json.Marshal(r, json.Deterministic(true)) }

// ParseReceipt reads one.
func ParseReceipt(b []byte) (Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(b, &r, json.RejectUnknownMembers(true)); err != nil {
		return Receipt{}, fmt.Errorf("receipt: %w", err)
	}
	if r.Format != receiptFormat {
		return Receipt{}, fmt.Errorf("receipt: format %q is not %q", r.Format, receiptFormat)
	}
	return r, nil
}

// Verify checks the receipt: the event hashes to the leaf, the leaf with the
// proof to the root, and the root is signed. It gives the signed head.
func (r Receipt) Verify(verifier note.Verifier) (Head, error) {
	head, err := OpenCheckpoint(r.Checkpoint, verifier)
	if err != nil {
		return Head{}, err
	}
	meta, err := eventstore.DecodeMetadata([]byte(r.Metadata))
	if err != nil {
		return Head{}, err
	}
	event := eventstore.Event{ID: r.ID, Type: r.Type, Data: []byte(r.Data), Metadata: []byte(r.Metadata)}
	if id := eventstore.EventID(r.Stream, r.Revision, r.Type, event.Data, event.Metadata, meta.Previous); id != r.ID {
		return Head{}, fmt.Errorf("the event's id is %s, its content makes %s", r.ID, id)
	}
	leaf := LeafOf(eventstore.ChainHash(r.Stream, r.Revision, event, meta.Previous))
	return head, VerifyInclusion(leaf, r.Index, r.Proof, head)
}

// ErrProof: a proof doesn't lead to the signed root.
var ErrProof = errors.New("proof fails")

// VerifyInclusion checks that leaf is at index in the tree of head.
func VerifyInclusion(leaf Node, index uint64, hashes []Node, head Head) error {
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, head.Size, leaf[:], asBytes(hashes), head.Root[:])
	if err != nil {
		return fmt.Errorf("%w: leaf %s at %d of %d: %w", ErrProof, base64.StdEncoding.EncodeToString(leaf[:]), index, head.Size, err)
	}
	return nil
}

// VerifyConsistency checks that the tree of earlier is a prefix of later's.
func VerifyConsistency(earlier, later Head, hashes []Node) error {
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, earlier.Size, later.Size, asBytes(hashes), earlier.Root[:], later.Root[:])
	if err != nil {
		return fmt.Errorf("%w: from size %d to %d: %w", ErrProof, earlier.Size, later.Size, err)
	}
	return nil
}

// asBytes gives nodes the form that the proof's library has them in.
func asBytes(nodes []Node) [][]byte {
	out := make([][]byte, len(nodes))
	for i := range nodes {
		out[i] = nodes[i][:]
	}
	return out
}
